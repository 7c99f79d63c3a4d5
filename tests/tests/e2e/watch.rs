//! `Watch`: replay from any point, then live, and the end after `done`.

use kiln_proto::v1::{Job, JobVerdict, Stream, WatchRequest, job_event};
use kiln_tests::api::{Api, Told, collect};
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::sh;
use kiln_tests::verdict::{assert_verdict, assert_wrote};

async fn watch(api: &Api, job_id: &str, after_sequence: u64) -> Told {
    let request = WatchRequest { job_id: job_id.to_owned(), after_sequence, output: true };
    collect(api.jobs.clone().watch(request).await.expect("known").into_inner()).await.expect("to its end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_is_replayed_the_same_each_time() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("echo replayed").job()).await;
    let job = api.wait(&id).await;
    let first = watch(&api, &id, 0).await;
    let second = watch(&api, &id, 0).await;
    assert_eq!(first.job, Job { spec: None, ..job }, "done says what Wait said, without the spec");
    assert_eq!(first.events, second.events, "a replay is stable");
    assert_wrote(&first.job.steps[0].commands[0], "replayed\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_goes_on_after_any_event() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("echo x").job()).await;
    api.wait(&id).await;
    let all = watch(&api, &id, 0).await;
    for event in &all.events[..all.events.len() - 1] {
        let rest = watch(&api, &id, event.sequence).await;
        assert!(rest.events.iter().all(|later| later.sequence > event.sequence), "{rest:#?}");
        assert_eq!(rest.job, all.job);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_watcher_gets_a_running_commands_output_from_its_beginning() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("echo early; sleep 1.5; echo late").job()).await;
    let request = WatchRequest { job_id: id.clone(), after_sequence: 0, output: true };
    let mut first = api.jobs.clone().watch(request).await.expect("known").into_inner();
    // The first output says that the command runs: now a second watcher comes.
    loop {
        let event = first.message().await.expect("no error").expect("not the end");
        if matches!(event.event, Some(job_event::Event::Output(_))) {
            break;
        }
    }
    let second = watch(&api, &id, 0).await;
    assert_eq!(second.live("main", Stream::Stdout), b"early\nlate\n");
    assert_verdict(&second.job, JobVerdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_wants_no_output_gets_none() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("echo quiet; sleep 0.3").job()).await;
    let request = WatchRequest { job_id: id, after_sequence: 0, output: false };
    let told = collect(api.jobs.clone().watch(request).await.expect("known").into_inner())
        .await
        .expect("to its end");
    assert!(told.live("main", Stream::Stdout).is_empty());
    assert_wrote(&told.job.steps[0].commands[0], "quiet\n");
}
