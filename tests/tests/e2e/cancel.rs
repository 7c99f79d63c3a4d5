//! Cancelling: by `Cancel`, by a caller that goes away, by a caller's deadline.

use std::time::Duration;

use kiln_proto::v1::{CancelRequest, JobState, JobVerdict, RunRequest, job_event};
use kiln_tests::api::Api;
use kiln_tests::census::{eventually, job_processes};
use kiln_tests::service::{Options, Up, own_number};
use kiln_tests::spec::{cmd, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_verdict};
use tonic::Request;

fn sleeps(duration: &str) -> bool {
    !job_processes(&format!("sleep {duration}")).is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_and_its_processes_are_gone() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let duration = own_number(1);
    let id = api.submit(cmd(["sleep", &duration]).limits(|l| l.wall_ms = Some(600_000)).job()).await;
    eventually("the job runs", Duration::from_secs(30), || sleeps(&duration));
    api.jobs.clone().cancel(CancelRequest { job_id: id.clone() }).await.expect("cancelled");
    let job = api.wait(&id).await;
    assert_verdict(&job, JobVerdict::Cancelled);
    assert_ended(&job.steps[0].commands[0], Ended::Cancelled);
    assert!(!sleeps(&duration), "the process is gone when the job is done");
    let again =
        api.jobs.clone().cancel(CancelRequest { job_id: id }).await.expect("changes nothing").into_inner();
    assert_eq!(again, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_job_is_cancelled_before_it_runs() {
    let up = Up::start(&Options::slots(1));
    let api = Api::connect(&up.address()).await;
    let busy = api.submit(sh("sleep 1").job()).await;
    let waiting = api.submit(sh("echo never").job()).await;
    api.jobs.clone().cancel(CancelRequest { job_id: waiting.clone() }).await.expect("cancelled");
    let job = api.wait(&waiting).await;
    assert_verdict(&job, JobVerdict::Cancelled);
    assert_eq!(job.steps[0].attempt, 0, "it was never leased: {job:#?}");
    assert_verdict(&api.wait(&busy).await, JobVerdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_vanishes_cancels_its_run() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let duration = own_number(1);
    let spec =
        sh(&format!("echo started; exec sleep {duration}")).limits(|l| l.wall_ms = Some(600_000)).job();
    let mut events =
        api.jobs.clone().run(RunRequest { spec: Some(spec) }).await.expect("accepted").into_inner();
    loop {
        let event = events.message().await.expect("no error").expect("not the end");
        if matches!(event.event, Some(job_event::Event::Output(_))) {
            break;
        }
    }
    eventually("the job sleeps", Duration::from_secs(30), || sleeps(&duration));
    drop(events);
    eventually("the process is gone", Duration::from_secs(30), || !sleeps(&duration));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calls_deadline_cancels_its_run() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let duration = own_number(1);
    let spec = cmd(["sleep", &duration]).limits(|l| l.wall_ms = Some(600_000)).job();
    let mut request = Request::new(RunRequest { spec: Some(spec) });
    request.set_timeout(Duration::from_secs(4));
    let mut events = api.jobs.clone().run(request).await.expect("accepted").into_inner();
    while let Some(event) = events.message().await.expect("the deadline is not over") {
        if matches!(event.event, Some(job_event::Event::StepStarted(_))) {
            break;
        }
    }
    eventually("the job sleeps", Duration::from_secs(30), || sleeps(&duration));
    while let Ok(Some(_)) = events.message().await {}
    eventually("the process is gone", Duration::from_secs(30), || !sleeps(&duration));
    let state = api
        .jobs
        .clone()
        .get_capabilities(kiln_proto::v1::GetCapabilitiesRequest {})
        .await
        .expect("serves on");
    assert!(!state.into_inner().workers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_free_again_after_a_cancelled_run() {
    let up = Up::start(&Options::slots(1));
    let api = Api::connect(&up.address()).await;
    for _ in 0..5 {
        let spec = sh("sleep 60").limits(|l| l.wall_ms = Some(100_000)).job();
        let mut events =
            api.jobs.clone().run(RunRequest { spec: Some(spec) }).await.expect("accepted").into_inner();
        while let Some(event) = events.message().await.expect("no error") {
            if matches!(event.event, Some(job_event::Event::StepStarted(_))) {
                break;
            }
        }
    }
    let id = api.submit(sh("echo free").job()).await;
    assert_eq!(api.wait(&id).await.state(), JobState::Done);
}
