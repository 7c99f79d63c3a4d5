//! `Submit`, `SubmitBatch`, `Get`, `Wait`: durable jobs, read later.

use std::time::Duration;

use kiln_proto::v1::{GetRequest, JobState, JobVerdict, SubmitBatchRequest, SubmitRequest, WaitRequest};
use kiln_tests::api::{Api, assert_names_field, digest, reason};
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{cmd, sh};
use kiln_tests::verdict::{assert_verdict, assert_wrote, step};
use tonic::{Code, Request};

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_job_runs_and_is_read_later() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("echo later").job()).await;
    let job = api.wait(&id).await;
    assert_eq!((job.state(), job.durable), (JobState::Done, true));
    assert_verdict(&job, JobVerdict::Succeeded);
    assert_wrote(&step(&job, "main").commands[0], "later\n");
    assert!(job.submitted_unix_us > 0 && job.finished_unix_us >= job.submitted_unix_us, "{job:#?}");
    assert!(step(&job, "main").attempt > 0, "{job:#?}");
    assert!(!step(&job, "main").worker.is_empty(), "{job:#?}");
    assert_eq!(api.get(&id).await, job, "Get says what Wait said");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_output_of_a_durable_job_is_a_blob() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("seq 1 100000").job()).await;
    let job = api.wait(&id).await;
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    let output = step(&job, "main").commands[0].stdout.clone().expect("stdout");
    assert_eq!(output.blob, digest(expected.as_bytes()), "named by its content");
    assert_eq!(output.size_bytes, expected.len() as u64);
    assert_eq!(output.data, expected.as_bytes()[..65_536], "its first 64 KiB are in the result");
    let blob = api.get_blob(&output.blob, 0).await.expect("stored");
    assert!(blob == expected.as_bytes(), "the blob is the output");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_accepted_whole_or_not_at_all() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let good =
        |n: u32| SubmitRequest { spec: Some(sh(&format!("echo {n}")).job()), idempotency_key: String::new() };
    let jobs: Vec<_> = (0..20).map(good).collect();
    let answer =
        api.jobs.clone().submit_batch(SubmitBatchRequest { jobs }).await.expect("accepted").into_inner();
    assert_eq!(answer.jobs.len(), 20);
    for (n, accepted) in answer.jobs.iter().enumerate() {
        let job = api.wait(&accepted.job_id).await;
        assert_wrote(&job.steps[0].commands[0], &format!("{n}\n"));
    }
    let bad = SubmitRequest { spec: Some(cmd::<&str>([]).job()), idempotency_key: String::new() };
    let request = SubmitBatchRequest { jobs: vec![good(100), bad, good(101)] };
    let refused = api.jobs.clone().submit_batch(request).await.expect_err("one is bad");
    assert_names_field(&refused, "argv");
    assert_names_field(&refused, "jobs[1]");
    let listed =
        api.jobs.clone().list(kiln_proto::v1::ListRequest::default()).await.expect("list").into_inner();
    assert_eq!(listed.jobs.len(), 20, "nothing of the refused batch was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_at_the_calls_deadline_and_the_job_goes_on() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let id = api.submit(sh("sleep 2; echo done").job()).await;
    let mut request = Request::new(WaitRequest { job_id: id.clone() });
    request.set_timeout(Duration::from_millis(300));
    // The specification lets a deadline end the call either way: with the job as it is, or with the deadline's code.
    match api.jobs.clone().wait(request).await {
        Ok(job) => assert_ne!(job.into_inner().state(), JobState::Done),
        Err(status) => {
            assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}")
        }
    }
    assert_verdict(&api.wait(&id).await, JobVerdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_job_is_not_found() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let job_id = "01890a5d-ac96-774b-bcce-b302099a8057".to_owned();
    let missing = api.jobs.clone().get(GetRequest { job_id: job_id.clone() }).await.expect_err("no such job");
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "UNKNOWN_JOB"), "{missing:?}");
    let missing = api.jobs.clone().wait(WaitRequest { job_id }).await.expect_err("no such job");
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");
    let nonsense = api.jobs.clone().get(GetRequest { job_id: "../../etc/passwd".to_owned() }).await;
    assert_names_field(&nonsense.expect_err("not an id"), "job_id");
}
