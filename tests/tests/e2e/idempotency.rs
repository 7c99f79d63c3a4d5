//! Idempotency keys: the same key and spec is the same job, for as long as the job is kept.

use kiln_proto::v1::{SubmitBatchRequest, SubmitRequest};
use kiln_tests::api::{Api, reason};
use kiln_tests::service::{Options, Place, Service};
use kiln_tests::spec::sh;
use tonic::Code;

fn request(script: &str, key: &str) -> SubmitRequest {
    SubmitRequest { spec: Some(sh(script).job()), idempotency_key: key.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gives_the_same_job_also_after_a_restart() {
    let place = Place::new();
    let server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let first = api.jobs.clone().submit(request("echo one", "key-1")).await.expect("accepted").into_inner();
    assert!(!first.already_submitted);
    let again = api.jobs.clone().submit(request("echo one", "key-1")).await.expect("accepted").into_inner();
    assert_eq!((&again.job_id, again.already_submitted), (&first.job_id, true));
    server.kill_hard();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let after = api.jobs.clone().submit(request("echo one", "key-1")).await.expect("accepted").into_inner();
    assert_eq!((&after.job_id, after.already_submitted), (&first.job_id, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_another_spec_is_an_error() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    api.jobs.clone().submit(request("echo one", "key")).await.expect("accepted");
    let reused = api.jobs.clone().submit(request("echo two", "key")).await.expect_err("another spec");
    assert_eq!(reason(&reused), "IDEMPOTENCY_KEY_REUSED", "{reused:?}");
    assert!(matches!(reused.code(), Code::AlreadyExists | Code::FailedPrecondition), "{reused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_count_within_a_batch_too() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let first = api.jobs.clone().submit(request("echo one", "key")).await.expect("accepted").into_inner();
    let jobs = vec![request("echo one", "key"), request("echo three", "other")];
    let batch =
        api.jobs.clone().submit_batch(SubmitBatchRequest { jobs }).await.expect("accepted").into_inner();
    assert_eq!((&batch.jobs[0].job_id, batch.jobs[0].already_submitted), (&first.job_id, true));
    assert!(!batch.jobs[1].already_submitted);
    let jobs = vec![request("echo four", "fresh"), request("echo five", "key")];
    let refused = api.jobs.clone().submit_batch(SubmitBatchRequest { jobs }).await.expect_err("a reused key");
    assert_eq!(reason(&refused), "IDEMPOTENCY_KEY_REUSED");
    let fresh = api.jobs.clone().submit(request("echo six", "fresh")).await.expect("the batch took nothing");
    assert!(!fresh.into_inner().already_submitted);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_with_one_key_get_one_job() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let calls = (0..32).map(|_| {
        let mut jobs = api.jobs.clone();
        tokio::spawn(async move {
            jobs.submit(request("echo once", "shared")).await.expect("accepted").into_inner()
        })
    });
    let answers = futures_util::future::join_all(calls).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no panic")).collect();
    assert!(answers.iter().all(|answer| answer.job_id == answers[0].job_id), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !answer.already_submitted).count(), 1, "{answers:?}");
}
