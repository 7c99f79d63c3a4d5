//! Every outcome says why: the fact behind it for machines, and a sentence with it for people.

use kiln_proto::v1::{Activity, CommandResult, LimitName, ProcessRole, SignalOrigin, Stream};
use kiln_tests::api::Api;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{MIB, cmd, job, piped, python, sh, step};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by, command, evidence, outcome, usage};

use crate::neighbour::{beside, service};

#[track_caller]
fn says(result: &CommandResult, words: &[&str]) {
    let sentence = &outcome(result).sentence;
    for part in words {
        assert!(sentence.contains(part), "no {part:?} in {sentence:?}: {result:#?}");
    }
}

/// What held a command up when it ran out of wall time.
#[track_caller]
fn held_up(result: &CommandResult) -> (Activity, String) {
    let at_kill = evidence(result).at_kill.as_ref().unwrap_or_else(|| panic!("{result:#?}"));
    let process = at_kill.held_up.as_ref().unwrap_or_else(|| panic!("{result:#?}"));
    (process.activity(), String::from_utf8_lossy(&process.name).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_waits_for_input_is_told_from_one_that_sleeps_or_stopped() {
    let (_up, api) = service().await;
    let wall = |ms: u64| move |limits: &mut kiln_proto::v1::Limits| limits.wall_ms = Some(ms);
    let silent = cmd(["sleep", "60"]).name("silent").limits(wall(3_000));
    let reader = sh("cat; :").name("reader").limits(wall(1_000));
    let played = api.run(job([piped(step("play", [silent, reader]), &[("silent", "reader")])])).await.job;
    let (silent, reader) = (command(&played, "play", "silent"), command(&played, "play", "reader"));
    assert_eq!(held_up(reader), (Activity::ReadingStdin, "cat".to_owned()));
    says(reader, &["mostly idle", "cat (pid ", "was blocked reading stdin"]);
    assert_eq!(held_up(silent), (Activity::Sleeping, "sleep".to_owned()));
    says(silent, &["was sleeping"]);
    let stopped = beside(&api, sh("kill -STOP $$").limits(wall(500)).job()).await;
    assert_eq!(held_up(&stopped).0, Activity::Stopped);
    says(&stopped, &["was stopped by a signal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_output_nobody_takes_is_told_so() {
    let up = Up::start(&Options::slots(2));
    let api = Api::connect(&up.address()).await;
    let writer = cmd(["head", "-c", "1000000", "/dev/zero"]).name("writer");
    let writer = writer.limits(|limits| limits.wall_ms = Some(1_000));
    let deaf = cmd(["sleep", "2"]).name("deaf");
    let played = api.run(job([piped(step("play", [writer, deaf]), &[("writer", "deaf")])])).await.job;
    let writer = command(&played, "play", "writer");
    assert_stopped_by(writer, LimitName::Wall, 1_000_000);
    assert_eq!(held_up(writer), (Activity::WritingStdout, "head".to_owned()));
    says(writer, &["head (pid ", "was blocked writing stdout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_busiest_process_is_named_at_the_cpu_limit() {
    let (_up, api) = service().await;
    let script = "sleep 60 & while :; do :; done";
    let result = beside(&api, sh(script).limits(|limits| limits.cpu_ms = Some(500)).job()).await;
    assert_stopped_by(&result, LimitName::Cpu, 500_000);
    let at_kill = evidence(&result).at_kill.as_ref().expect("its main process was alive");
    assert_eq!(
        (at_kill.processes, at_kill.looked_at, at_kill.held_up.is_none()),
        (2, 2, true),
        "{result:#?}"
    );
    says(&result, &["the busiest of 2 processes was sh (pid "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_call_is_told_with_its_arguments_and_its_caller() {
    let (_up, api) = service().await;
    let program = "import ctypes, os
if os.fork(): os.wait()
else: ctypes.CDLL(None).ptrace(16, 1, 0, 0)";
    let result = beside(&api, python(program).job()).await;
    assert_ended(&result, Ended::Forbidden("ptrace".to_owned()));
    let caller = evidence(&result).caller.as_ref().expect("it waited for an answer");
    assert_eq!((caller.role(), &caller.name[..]), (ProcessRole::Descendant, &b"python3"[..]));
    let pid = caller.pid.expect("it has one in its sandbox");
    let words = format!(
        "forbidden call ptrace(16, 1, 0, 0) by python3 (pid {pid}), a descendant of the main process"
    );
    says(&result, &[&words]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernels_victim_is_named_where_its_log_is_readable() {
    let (_up, api) = service().await;
    let hog = python("x = b'x' * (200 << 20)").limits(|limits| limits.memory_bytes = Some(64 * MIB));
    let result = beside(&api, hog.job()).await;
    assert_stopped_by(&result, LimitName::Memory, 64 * MIB);
    if std::fs::File::open("/dev/kmsg").is_err() {
        assert!(evidence(&result).oom_victims.is_empty(), "nobody can know: {result:#?}");
        says(&result, &["(kernel killed 1 process)"]);
        return;
    }
    let victims = &evidence(&result).oom_victims;
    assert_eq!(
        victims.iter().map(|victim| &victim.name[..]).collect::<Vec<_>>(),
        [b"python3"],
        "{result:#?}"
    );
    assert_eq!((victims[0].role(), evidence(&result).oom_elsewhere), (ProcessRole::Main, Some(false)));
    says(&result, &["used ", "(kernel killed 1 process: python3)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_of_its_own_is_told_from_a_kill_by_another_process() {
    let (_up, api) = service().await;
    let aborted = beside(&api, python("import os; os.abort()").job()).await;
    assert_ended(&aborted, Ended::Signalled(6));
    match usage(&aborted).peak_pids {
        Some(1) => {
            assert_eq!(evidence(&aborted).signal_origin(), SignalOrigin::Itself);
            says(&aborted, &["killed by signal 6 (SIGABRT), raised by itself"]);
        }
        // A kernel that does not tell whether it was ever alone.
        peak => assert_eq!((peak, evidence(&aborted).signal_origin()), (None, SignalOrigin::Sandbox)),
    }
    let killed = beside(&api, sh("(kill -KILL $$; sleep 9) & wait").job()).await;
    assert_ended(&killed, Ended::Signalled(9));
    assert_eq!(evidence(&killed).signal_origin(), SignalOrigin::Sandbox);
    says(&killed, &["killed by signal 9 (SIGKILL), sent by a process of its own sandbox"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_output_says_on_which_stream() {
    let (_up, api) = service().await;
    for (redirect, stream, words) in
        [("", Stream::Stdout, "output on stdout"), (" >&2", Stream::Stderr, "output on stderr")]
    {
        let flood = sh(&format!("head -c 100000 /dev/zero{redirect}; sleep 60"));
        let result = beside(&api, flood.limits(|limits| limits.output_bytes = Some(1_000)).job()).await;
        assert_stopped_by(&result, LimitName::Output, 1_000);
        assert_eq!(evidence(&result).output_stream(), stream, "{result:#?}");
        says(&result, &[words]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_fork_says_how_many_were_alive() {
    let (_up, api) = service().await;
    let bomb = "import os, time
while True:
    try:
        if os.fork() == 0: time.sleep(60)
    except OSError: time.sleep(60)";
    let result = beside(&api, python(bomb).limits(|limits| limits.pids = Some(8)).job()).await;
    assert_stopped_by(&result, LimitName::Pids, 8);
    let at_kill = evidence(&result).at_kill.as_ref().expect("its main process sleeps");
    assert_eq!((at_kill.tasks, at_kill.processes), (Some(8), 8), "{result:#?}");
    says(&result, &["a fork over the limit of 8 processes (8 alive)"]);
}

/// What was stored is read back whole, and nothing that a job called itself is in the log.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_kept_with_the_result_and_out_of_the_log() {
    let (up, api) = service().await;
    let program = "import ctypes
libc = ctypes.CDLL(None)
libc.prctl(15, b'wh0-1s-th1s\\n')
libc.ptrace(16, 1, 0, 0)";
    let id = api.submit(python(program).job()).await;
    let done = api.wait(&id).await;
    let stored = &api.get(&id).await.steps[0].commands[0];
    assert_eq!(stored, &done.steps[0].commands[0]);
    assert_eq!(&evidence(stored).caller.as_ref().expect("a caller").name[..], b"wh0-1s-th1s\n");
    says(stored, &["by wh0-1s-th1s\\n (pid "]);
    let log = up.service.log();
    assert!(!log.is_empty() && log.iter().all(|line| !line.contains("wh0-1s")), "{log:#?}");
}
