//! Crashes: what was accepted ends exactly once.

use std::collections::BTreeSet;

use kiln_proto::v1;

use crate::harness::*;

#[tokio::test]
async fn accepted_jobs_survive_crashes_and_each_ends_once() {
    let mut kiln = Kiln::start().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(submit(&mut kiln.jobs().await, spec(vec![step("a", &[]), step("b", &["a"])])).await);
    }
    let mut worker = kiln.worker("w", 3).await;
    worker.work(exited(0, "before")).await;
    let _running = (worker.lease().await, worker.lease().await);
    kiln.crash().await;
    let mut jobs = kiln.jobs().await;
    assert_eq!(get(&mut jobs, &ids[0]).await.steps[0].state(), v1::StepState::Succeeded);
    let mut worker = kiln.worker("w", 4).await;
    let mut seen = BTreeSet::new();
    for _ in 0..19 {
        let lease = worker.lease().await;
        let attempt = lease.attempt.clone().unwrap();
        assert!(
            seen.insert((attempt.job_id, attempt.step)),
            "no step is leased twice in a life without a loss"
        );
        worker.report(&lease, exited(0, "after")).await;
        worker.credits(4).await;
        assert!(worker.ack().await.accepted);
    }
    for id in &ids {
        let job = wait(&mut jobs, id).await;
        assert_eq!(job.verdict(), v1::JobVerdict::Succeeded);
    }
    let first = get(&mut jobs, &ids[0]).await;
    assert_eq!(&first.steps[0].commands[0].stdout.as_ref().unwrap().data[..], b"before");
    assert_eq!(&first.steps[1].commands[0].stdout.as_ref().unwrap().data[..], b"after");
}

#[tokio::test]
async fn attempt_numbers_rise_over_a_crash_and_the_worker_goes_on() {
    let mut kiln = Kiln::start().await;
    let (one, two) =
        (submit(&mut kiln.jobs().await, simple()).await, submit(&mut kiln.jobs().await, simple()).await);
    let mut worker = kiln.worker("w", 2).await;
    let (first, second) = (worker.lease().await, worker.lease().await);
    drop(worker);
    kiln.crash().await;
    let mut jobs = kiln.jobs().await;
    let running = vec![first.attempt.clone().unwrap()];
    let mut worker = kiln.silent_worker("w", 2, running).await;
    worker.report(&first, exited(0, "went on")).await;
    assert!(worker.ack().await.accepted);
    assert_eq!(wait(&mut jobs, &one).await.steps[0].worker, "w");
    worker.report(&second, exited(0, "resent")).await;
    assert!(
        worker.ack().await.accepted,
        "a report from before the crash counts, for nobody else has the step"
    );
    let job = wait(&mut jobs, &two).await;
    assert_eq!(&job.steps[0].commands[0].stdout.as_ref().unwrap().data[..], b"resent");
    let _three = submit(&mut jobs, simple()).await;
    worker.credits(2).await;
    let third = worker.lease().await;
    assert!(third.attempt.unwrap().attempt > second.attempt.unwrap().attempt);
}

#[tokio::test]
async fn a_cancel_survives_a_crash() {
    let mut kiln = Kiln::start().await;
    let id = submit(&mut kiln.jobs().await, spec(vec![step("a", &[]), step("b", &["a"])])).await;
    let mut worker = kiln.worker("w", 1).await;
    worker.lease().await;
    kiln.jobs().await.cancel(v1::CancelRequest { job_id: id.clone() }).await.unwrap();
    kiln.crash().await;
    let job = wait(&mut kiln.jobs().await, &id).await;
    assert_eq!(job.verdict(), v1::JobVerdict::Cancelled);
}

#[tokio::test]
async fn keys_and_event_numbers_survive_a_crash() {
    let mut kiln = Kiln::start().await;
    let request = || v1::SubmitRequest {
        spec: Some(spec(vec![step("a", &[]), step("b", &["a"])])),
        idempotency_key: "key".into(),
    };
    let id = kiln.jobs().await.submit(request()).await.unwrap().into_inner().job_id;
    let mut worker = kiln.worker("w", 1).await;
    worker.work(exited(0, "")).await;
    worker.credits(1).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    let mut events = watch(&mut kiln.jobs().await, &id, 0, false).await;
    let mut before = Vec::new();
    while before.last().map(word) != Some("started b".to_owned()) {
        before.push(next(&mut events).await);
    }
    kiln.crash().await;
    let mut jobs = kiln.jobs().await;
    let again = jobs.submit(request()).await.unwrap().into_inner();
    assert_eq!((again.job_id, again.already_submitted), (id.clone(), true));
    let mut all = watch(&mut jobs, &id, 0, false).await;
    let seen = before.last().unwrap().sequence;
    let mut fresh = watch(&mut jobs, &id, seen, false).await;
    let mut worker = kiln.worker("w", 1).await;
    worker.work(exited(0, "")).await;
    let (all, fresh) = (rest(&mut all).await, rest(&mut fresh).await);
    assert_eq!(all[..4], before[..4], "what was stored is told as before");
    assert_eq!(
        words(&fresh),
        ["started b", "finished b.main", "STEP_STATE_SUCCEEDED b", "JOB_VERDICT_SUCCEEDED"]
    );
    assert!(fresh.iter().all(|event| event.sequence > seen), "what is new has numbers that were never seen");
    let mut stored = watch(&mut jobs, &id, 0, false).await;
    let stored = rest(&mut stored).await;
    assert_eq!(
        stored.iter().map(|event| event.sequence).collect::<Vec<_>>(),
        all.iter().map(|event| event.sequence).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_graceful_stop_ends_streams_and_leaves_no_socket() {
    let mut kiln = Kiln::start().await;
    let socket = kiln.socket();
    let mut jobs = kiln.jobs().await;
    let mut events = run(&mut jobs, simple()).await;
    assert_eq!(word(&next(&mut events).await), "accepted");
    kiln.server.take().unwrap().stop().await;
    let status = events.message().await.unwrap_err();
    assert_eq!(kiln_proto::status::reason_of(&status), Some(kiln_proto::status::Reason::ShuttingDown));
    assert!(!socket.exists());
}

#[tokio::test]
async fn two_servers_never_share_their_data() {
    let kiln = Kiln::start().await;
    let mut config = kiln.config.clone();
    config.listen = vec![kiln_server::Listen::Unix(kiln.directory.path().join("other.sock"))];
    let refused = kiln_server::Server::start(config).await;
    assert!(matches!(refused, Err(kiln_server::StartError::DataDirInUse { .. })));
}

#[tokio::test]
async fn a_policy_made_narrower_does_not_end_what_was_accepted() {
    let mut kiln = Kiln::start().await;
    let id = submit(&mut kiln.jobs().await, simple()).await;
    kiln.config.limits = toml::from_str("[maximum]\nmemory = \"2MiB\"\npids = 1\n").unwrap();
    kiln.crash().await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    worker.report(&lease, exited(0, "as accepted")).await;
    assert_eq!(wait(&mut kiln.jobs().await, &id).await.verdict(), v1::JobVerdict::Succeeded);
}
