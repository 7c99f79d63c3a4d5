//! Crashes: SIGKILL of the server, of a worker, of a jail. Every accepted job ends exactly once, and no output is mixed.

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_proto::v1::{Job, JobState, JobVerdict, StepState};
use kiln_tests::api::Api;
use kiln_tests::census::{command_line, eventually, family, groups_of, job_processes};
use kiln_tests::service::{Options, Place, Service, Up, own_number};
use kiln_tests::spec::{Cmd, after, file_of, inline, job, sh};
use kiln_tests::verdict::{assert_verdict, stderr, stdout, step};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// Leases that run out soon, so that a dead worker's jobs are given to another one within the test.
fn hasty(slots: u32) -> Options {
    Options::slots(slots).config("[server]\nlease_ms = 2000\nheartbeat_ms = 400")
}

/// Prints its number over and over on both streams, slowly enough to be interrupted.
fn numbered(n: usize) -> Cmd {
    sh(&format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do echo job-{n}-line-$i; echo err-{n}-$i >&2; sleep 0.03; done"
    ))
}

#[track_caller]
fn assert_own_output(job: &Job, n: usize) {
    assert_verdict(job, JobVerdict::Succeeded);
    let result = &step(job, "main").commands[0];
    let expected = |prefix: String| (1..=10).map(|i| format!("{prefix}{i}\n")).collect::<String>();
    assert_eq!(stdout(result), expected(format!("job-{n}-line-")), "{job:#?}");
    assert_eq!(stderr(result), expected(format!("err-{n}-")), "{job:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_forgets_no_job_and_mixes_no_output() {
    let place = Place::new();
    let mut server = Service::server(&place, &hasty(2));
    let _first = Service::worker(&place, "first", &hasty(2));
    let _second = Service::worker(&place, "second", &hasty(2));
    let mut ids = Vec::new();
    for round in 0..3 {
        let api = Api::connect(&place.address()).await;
        for n in 0..16 {
            ids.push(api.submit(numbered(round * 16 + n).job()).await);
        }
        let running = || async {
            let job = api.get(&ids[round * 16]).await;
            job.state() != JobState::Queued
        };
        while !running().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.kill_hard();
        server = Service::server(&place, &hasty(2));
    }
    let api = Api::connect(&place.address()).await;
    for (n, id) in ids.iter().enumerate() {
        assert_own_output(&api.wait(id).await, n);
    }
    let request = kiln_proto::v1::ListRequest { page_size: 1_000, ..Default::default() };
    let listed = api.jobs.clone().list(request).await.expect("list").into_inner();
    let known: BTreeSet<&str> = listed.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((listed.jobs.len(), known.len()), (ids.len(), ids.len()), "each job once");
    // Ended exactly once: what was read stays as it is.
    let again = api.get(&ids[0]).await;
    assert_eq!(again, api.wait(&ids[0]).await);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_between_the_steps_of_a_job() {
    let place = Place::new();
    let server = Service::server(&place, &hasty(1));
    let _worker = Service::worker(&place, "only", &hasty(1));
    let spec = job([
        sh("seq 1 50000 > numbers").wants("/work/numbers").step("first"),
        after(
            &["first"],
            sh("sleep 1; wc -l < n").file("/work/n", file_of("first", "/work/numbers")).step("second"),
        ),
    ]);
    let api = Api::connect(&place.address()).await;
    let id = api.submit(spec).await;
    while step(&api.get(&id).await, "second").state() != StepState::Running {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.kill_hard();
    let _server = Service::server(&place, &hasty(1));
    let api = Api::connect(&place.address()).await;
    let done = api.wait(&id).await;
    assert_verdict(&done, JobVerdict::Succeeded);
    assert_eq!(stdout(&step(&done, "second").commands[0]), "50000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_jobs_run_elsewhere_and_nothing_of_it_stays() {
    let place = Place::new();
    let _server = Service::server(&place, &hasty(1));
    let api = Api::connect(&place.address()).await;
    let doomed = Service::worker(&place, "doomed", &hasty(2));
    let mark = own_number(1);
    let mut ids = Vec::new();
    for n in 0..2 {
        ids.push(api.submit(sh(&format!("sleep {mark} & sleep 4; echo {n}")).job()).await);
    }
    // The shells and what they started: three processes belong to both jobs.
    eventually("both run", PATIENCE, || job_processes(&format!("sleep {mark}")).len() >= 3);
    let members = family(doomed.pid());
    doomed.kill_hard();
    let _heir = Service::worker(&place, "heir", &hasty(2));
    for (n, id) in ids.iter().enumerate() {
        let job = api.wait(id).await;
        assert_verdict(&job, JobVerdict::Succeeded);
        assert_eq!(stdout(&step(&job, "main").commands[0]), format!("{n}\n"));
        assert_eq!(step(&job, "main").worker, "heir", "{job:#?}");
        assert!(step(&job, "main").attempt > 0, "{job:#?}");
    }
    eventually("the doomed worker's jobs are gone", PATIENCE, || {
        job_processes(&format!("sleep {mark}")).is_empty()
    });
    let jails = |pid: &u32| command_line(*pid).contains("kiln-jail");
    eventually("its jails are gone", PATIENCE, || !members.iter().any(jails));
    eventually("its groups are gone", PATIENCE, || groups_of(&members).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_jail_is_infrastructures_failure_and_the_job_is_tried_again() {
    let up = Up::start(&hasty(1));
    let api = Api::connect(&up.address()).await;
    let mark = own_number(1);
    let id = api.submit(sh(&format!("sleep {mark} & sleep 2; echo survived")).job()).await;
    eventually("it runs", PATIENCE, || !job_processes(&format!("sleep {mark}")).is_empty());
    let jails: Vec<u32> = family(up.service.pid())
        .into_iter()
        .filter(|pid| command_line(*pid).starts_with("kiln-jail"))
        .collect();
    assert!(!jails.is_empty(), "jails are children of the worker");
    for jail in jails {
        let pid = Pid::from_raw(jail as i32).expect("a pid");
        // It may have been a child of another jail that died just now.
        kill_process(pid, Signal::KILL).ok();
    }
    let job = api.wait(&id).await;
    assert_verdict(&job, JobVerdict::Succeeded);
    assert_eq!(stdout(&step(&job, "main").commands[0]), "survived\n", "{job:#?}");
    eventually("nothing stays", PATIENCE, || job_processes(&format!("sleep {mark}")).is_empty());
    let after = api.run_one(sh("echo well").job()).await;
    assert_eq!(stdout(&after), "well\n", "the worker has a new jail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_dies_again_and_again_ends_as_infrastructure() {
    let place = Place::new();
    let options = hasty(1).config("[server]\nmax_attempts = 2");
    let _server = Service::server(&place, &options);
    let api = Api::connect(&place.address()).await;
    let mark = own_number(1);
    let id = api.submit(sh(&format!("sleep {mark}")).limits(|l| l.wall_ms = Some(600_000)).job()).await;
    for name in ["one", "two"] {
        let worker = Service::worker(&place, name, &hasty(1));
        eventually("it runs", PATIENCE, || !job_processes(&format!("sleep {mark}")).is_empty());
        worker.kill_hard();
        eventually("it is gone", PATIENCE, || job_processes(&format!("sleep {mark}")).is_empty());
    }
    assert_verdict(&api.wait(&id).await, JobVerdict::Infrastructure);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_back_to_a_server_that_comes_back() {
    let place = Place::new();
    let server = Service::server(&place, &hasty(1));
    let _worker = Service::worker(&place, "faithful", &hasty(1));
    let api = Api::connect(&place.address()).await;
    let id = api.submit(sh("cat").stdin(inline("before\n")).job()).await;
    assert_eq!(stdout(&step(&api.wait(&id).await, "main").commands[0]), "before\n");
    server.kill_hard();
    let _server = Service::server(&place, &hasty(1));
    let api = Api::connect(&place.address()).await;
    let id = api.submit(sh("echo again").job()).await;
    assert_eq!(stdout(&step(&api.wait(&id).await, "main").commands[0]), "again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_share_a_data_directory() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let (status, said) = Service::doomed("server", &place, &[], &Options::default());
    assert!(!status.success(), "{said:?}");
}
