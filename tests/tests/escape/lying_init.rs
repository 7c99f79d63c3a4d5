//! The init of a running sandbox, taken over from outside (tests/tracer/lie.c), lies, refuses its work, or attacks: it can
//! spoil only its own job. The neighbour and the worker go on, and nothing is left behind.

use std::process::Command;
use std::time::Duration;

use kiln_proto::v1::{CommandResult, OutcomeKind};
use kiln_tests::broken::compile_helper;
use kiln_tests::census::{eventually, job_processes};
use kiln_tests::service::own_number;
use kiln_tests::spec::sh;
use kiln_tests::verdict::{assert_wrote, outcome};
use rustix::process::{Pid, Signal};

use crate::attacked::Attacked;

/// Uids of one sandbox, and its init's among them.
const IDS: u32 = 65_536;
const INIT_ID: u32 = 65_533;

fn uid_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The init of the sandbox in which a process with this word in its command line runs.
fn init_of(word: &str) -> u32 {
    let mut found = None;
    eventually("the job runs", Duration::from_secs(60), || {
        let uid = job_processes(word).first().and_then(|&pid| uid_of(pid));
        let Some(uid) = uid else { return false };
        let wanted = uid / IDS * IDS + INIT_ID;
        found = std::fs::read_dir("/proc")
            .expect("proc is mounted")
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .find(|&pid| uid_of(pid) == Some(wanted));
        found.is_some()
    });
    found.expect("it was just found")
}

/// Runs a job whose init is dealt with while it runs, beside an honest one; then everything must be as before.
async fn with_init(act: impl FnOnce(u32, &Attacked)) -> CommandResult {
    let attacked = Attacked::start().await;
    let word = own_number(4);
    let job = sh(&format!("sleep 3.{word} & setsid sleep 1000 & wait %1; echo done")).job();
    let api = attacked.api.clone();
    let victim = tokio::spawn(async move { api.run_one(job).await });
    let api = attacked.api.clone();
    let neighbour = tokio::spawn(async move { api.run_one(sh("sleep 2; echo neighbour").job()).await });
    let init = tokio::task::spawn_blocking(move || init_of(&word)).await.expect("it does not panic");
    act(init, &attacked);
    assert_wrote(&neighbour.await.expect("it does not panic"), "neighbour\n");
    let result = victim.await.expect("it does not panic");
    attacked.end().await;
    result
}

fn lie(init: u32, what: &str, attacked: &Attacked) -> String {
    let said = Command::new(compile_helper("lie", &attacked.up.place.path("tmp")))
        .args([&init.to_string(), what])
        .output()
        .expect("it was just compiled");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_exits_ends_its_own_job_which_is_no_outcome_of_the_job() {
    let result = with_init(|init, attacked| {
        lie(init, "exit", attacked);
    })
    .await;
    // Tried again, or told as what it is; never a signal or an exit code that the program is blamed for.
    match outcome(&result).kind() {
        OutcomeKind::Infrastructure => assert_eq!(outcome(&result).infrastructure_step, "init"),
        _ => assert_wrote(&result, "done\n"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_stops_reaps_nothing_and_spoils_nothing() {
    let result = with_init(|init, _| {
        let pid = Pid::from_raw(init.cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, Signal::STOP).expect("it runs");
    })
    .await;
    assert_wrote(&result, "done\n");
}

/// No child, no memory, no descriptor, no signal, no privilege: nothing that it tries works.
#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_attacks_can_do_nothing() {
    let mut tried = String::new();
    let result = with_init(|init, attacked| tried = lie(init, "try", attacked)).await;
    assert_wrote(&result, "done\n");
    assert_eq!(tried.lines().count(), 17, "{tried}");
    for line in tried.lines() {
        let (name, answer) = line.split_once(' ').expect("two words");
        let answer: i64 = answer.parse().expect("a number");
        // kill(-1) that may signal nobody says 0 (kill_something_info in kernel/signal.c); the job above ended whole.
        let refused = (-4095..0).contains(&answer) || (name == "kill-everything" && answer == 0);
        assert!(refused, "{name} worked: {answer}\n{tried}");
    }
}
