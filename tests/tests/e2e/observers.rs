//! Watchers cannot change a job: a slow one, an absent one and a vanishing one leave it as it is.

use std::time::Duration;

use kiln_proto::v1::{CommandResult, JobVerdict, RunRequest, WatchRequest};
use kiln_tests::api::{Api, collect};
use kiln_tests::census::resident_bytes;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{Cmd, MIB, cmd};
use kiln_tests::verdict::{assert_verdict, usage};

/// Writes 200 MiB as fast as it can.
fn flood() -> Cmd {
    cmd(["head", "-c", "209715200", "/dev/zero"]).limits(|limits| {
        limits.output_bytes = Some(256 * MIB);
        limits.memory_bytes = Some(512 * MIB);
        limits.wall_ms = Some(120_000);
        limits.cpu_ms = Some(60_000);
    })
}

fn wall(result: &CommandResult) -> u64 {
    usage(result).wall_us.expect("wall is always known")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_stalls_neither_slows_the_job_nor_fills_the_memory() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let unwatched = api.submit(flood().job()).await;
    let unwatched = api.wait(&unwatched).await;
    assert_verdict(&unwatched, JobVerdict::Succeeded);
    let before = resident_bytes(&[up.service.pid()]);
    let id = api.submit(flood().job()).await;
    // A connection of its own, whose reader takes one message and then nothing until the job is over.
    let slow = Api::connect(&up.address()).await;
    let request = WatchRequest { job_id: id.clone(), after_sequence: 0, output: true };
    let mut events = slow.jobs.clone().watch(request).await.expect("known").into_inner();
    events.message().await.expect("no error");
    let job = api.wait(&id).await;
    assert_verdict(&job, JobVerdict::Succeeded);
    let grown = resident_bytes(&[up.service.pid()]).saturating_sub(before);
    assert!(grown < 64 * MIB, "the service grew by {grown} bytes for a stalled watcher");
    let (watched, alone) = (wall(&job.steps[0].commands[0]), wall(&unwatched.steps[0].commands[0]));
    assert!(watched < 5 * alone + 2_000_000, "{watched} us with a stalled watcher, {alone} us without");
    drop(events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_caller_reads_slowly_takes_the_same_wall_time() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let request = RunRequest { spec: Some(flood().job()) };
    let mut events = api.jobs.clone().run(request).await.expect("accepted").into_inner();
    events.message().await.expect("no error");
    // Longer than the job takes: what it is about is that nothing reads meanwhile.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let slow = collect(events).await.expect("to its end");
    assert_verdict(&slow.job, JobVerdict::Succeeded);
    assert_eq!(
        slow.live("main", kiln_proto::v1::Stream::Stdout).len() as u64,
        200 * MIB,
        "and nothing is lost"
    );
    let told = api.run(flood().job()).await;
    let (slow, fast) = (wall(&slow.job.steps[0].commands[0]), wall(&told.job.steps[0].commands[0]));
    assert!(slow < 5 * fast + 2_000_000, "{slow} us with a slow reader, {fast} us with a fast one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_vanishes_changes_nothing() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(flood().job()).await;
    for _ in 0..10 {
        let watcher = Api::connect(&up.address()).await;
        let request = WatchRequest { job_id: id.clone(), after_sequence: 0, output: true };
        let mut events = watcher.jobs.clone().watch(request).await.expect("known").into_inner();
        events.message().await.expect("no error");
    }
    assert_verdict(&api.wait(&id).await, JobVerdict::Succeeded);
}
