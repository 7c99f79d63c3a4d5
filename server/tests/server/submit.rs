//! `Submit` and what reads it later.

use std::time::Duration;

use kiln_proto::status::{Reason, reason_of, violations_of};
use kiln_proto::v1;

use crate::harness::*;

fn keyed(spec: v1::JobSpec, key: &str) -> v1::SubmitRequest {
    v1::SubmitRequest { spec: Some(spec), idempotency_key: key.into() }
}

#[tokio::test]
async fn a_submitted_job_is_done_once_and_read_later() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    assert_eq!(get(&mut jobs, &id).await.state(), v1::JobState::Queued);
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    assert!(lease.durable);
    assert!(lease.relays.is_empty(), "nobody watches");
    let job = get(&mut jobs, &id).await;
    assert_eq!((job.state(), job.steps[0].state()), (v1::JobState::Running, v1::StepState::Running));
    worker.report(&lease, exited(0, "out")).await;
    let done = wait(&mut jobs, &id).await;
    assert_eq!((done.state(), done.verdict()), (v1::JobState::Done, v1::JobVerdict::Succeeded));
    assert!(worker.ack().await.accepted);
    let stored = get(&mut jobs, &id).await;
    assert_eq!(stored, done, "the stored job is the job that was told");
    assert_eq!(wait(&mut jobs, &id).await, done);
    assert_eq!(stored.steps[0].worker, "w");
}

#[tokio::test]
async fn a_key_gives_the_same_job_and_refuses_another_spec() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let first = jobs.submit(keyed(simple(), "k")).await.unwrap().into_inner();
    let again = jobs.submit(keyed(simple(), "k")).await.unwrap().into_inner();
    assert_eq!((again.job_id, again.already_submitted), (first.job_id, true));
    let mut explicit = simple();
    explicit.steps[0].commands[0].image = "host".into();
    let same = jobs.submit(keyed(explicit, "k")).await.unwrap().into_inner();
    assert!(same.already_submitted, "saying a default changes nothing");
    let status = jobs.submit(keyed(labelled("a", "b"), "k")).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::IdempotencyKeyReused));
    let status = jobs.submit(keyed(simple(), &"k".repeat(129))).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "idempotency_key");
}

#[tokio::test]
async fn a_batch_is_accepted_whole_or_not_at_all() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut bad = simple();
    bad.steps[0].commands[0].argv = vec!["a\0b".into()];
    let batch = |jobs| v1::SubmitBatchRequest { jobs };
    let status = jobs.submit_batch(batch(vec![keyed(simple(), ""), keyed(bad, "")])).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "jobs[1].spec.steps[0].commands[0].argv[0]");
    let reused = batch(vec![keyed(simple(), ""), keyed(simple(), "x"), keyed(labelled("a", "b"), "x")]);
    let status = jobs.submit_batch(reused).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::IdempotencyKeyReused));
    let status = jobs.submit_batch(batch(vec![])).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "jobs");
    let listed = jobs.list(v1::ListRequest::default()).await.unwrap().into_inner();
    assert!(listed.jobs.is_empty());
    let good = batch(vec![keyed(simple(), "a"), keyed(simple(), "a"), keyed(simple(), "")]);
    let answers = jobs.submit_batch(good).await.unwrap().into_inner().jobs;
    assert_eq!(answers[0].job_id, answers[1].job_id);
    assert!(!answers[0].already_submitted && answers[1].already_submitted);
    assert_eq!(jobs.list(v1::ListRequest::default()).await.unwrap().into_inner().jobs.len(), 2);
}

#[tokio::test]
async fn lists_page_stably_newest_first_and_filter() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut ids = Vec::new();
    for index in 0..5 {
        let spec = labelled("parity", if index % 2 == 0 { "even" } else { "odd" });
        ids.push(submit(&mut jobs, spec).await);
    }
    ids.reverse();
    let list =
        |page_token: String, page_size| v1::ListRequest { page_token, page_size, ..Default::default() };
    let first = jobs.list(list(String::new(), 2)).await.unwrap().into_inner();
    submit(&mut jobs, simple()).await;
    let second = jobs.list(list(first.next_page_token.clone(), 2)).await.unwrap().into_inner();
    let third = jobs.list(list(second.next_page_token.clone(), 2)).await.unwrap().into_inner();
    let paged: Vec<_> = [first, second, third.clone()].into_iter().flat_map(|page| page.jobs).collect();
    assert_eq!(paged.iter().map(|job| job.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(third.next_page_token, "");
    assert!(paged.iter().all(|job| job.spec.is_none() && job.state() == v1::JobState::Queued));
    let labels = [("parity".to_owned(), "odd".to_owned())].into();
    let odd = jobs.list(v1::ListRequest { labels, ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(
        odd.jobs.iter().map(|job| job.id.clone()).collect::<Vec<_>>(),
        [ids[1].clone(), ids[3].clone()]
    );
    let mut worker = kiln.worker("w", 2).await;
    worker.work(exited(1, "")).await;
    let _running = worker.lease().await;
    let by_state = async |state: v1::JobState| {
        let request = v1::ListRequest { state: state.into(), page_size: 1, ..Default::default() };
        kiln.jobs().await.list(request).await.unwrap().into_inner().jobs
    };
    let done = by_state(v1::JobState::Done).await;
    assert_eq!((done[0].id.clone(), done[0].verdict()), (ids[4].clone(), v1::JobVerdict::Failed));
    assert!(done[0].steps[0].commands.is_empty(), "no results in lists");
    assert_eq!(by_state(v1::JobState::Running).await[0].id, ids[3]);
    let status = jobs.list(list("garbage".into(), 1)).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "page_token");
    let status = jobs.list(list(String::new(), 1001)).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "page_size");
}

#[tokio::test]
async fn a_watch_replays_from_any_point_and_then_follows() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, spec(vec![step("a", &[]), step("b", &["a"])])).await;
    let mut early = watch(&mut jobs, &id, 0, false).await;
    let mut worker = kiln.worker("w", 1).await;
    worker.work(exited(0, "one")).await;
    let mut middle = watch(&mut jobs, &id, 3, false).await;
    worker.credits(1).await;
    worker.work(exited(0, "two")).await;
    let all = rest(&mut early).await;
    assert_eq!(
        words(&all),
        [
            "accepted",
            "started a",
            "finished a.main",
            "STEP_STATE_SUCCEEDED a",
            "started b",
            "finished b.main",
            "STEP_STATE_SUCCEEDED b",
            "JOB_VERDICT_SUCCEEDED"
        ]
    );
    assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(rest(&mut middle).await, all[3..]);
    let mut late = watch(&mut jobs, &id, 0, true).await;
    let late = rest(&mut late).await;
    assert_eq!(words(&late), words(&all), "the same from the store");
    assert_eq!(
        late.iter().map(|event| event.sequence).collect::<Vec<_>>(),
        all.iter().map(|event| event.sequence).collect::<Vec<_>>()
    );
    let mut last = watch(&mut jobs, &id, 7, false).await;
    assert_eq!(words(&rest(&mut last).await), ["JOB_VERDICT_SUCCEEDED"]);
}

#[tokio::test]
async fn a_watcher_that_comes_late_gets_the_running_output_from_its_beginning() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    let mut one = watch(&mut jobs, &id, 0, true).await;
    let relay_one = worker.relay().await;
    let mut two = watch(&mut jobs, &id, 0, true).await;
    let relay_two = worker.relay().await;
    assert_ne!(relay_one.relay_id, relay_two.relay_id);
    worker.relay_output(&relay_one.relay_id, vec![chunk(v1::Stream::Stdout, 0, "live")]).await.unwrap();
    for expected in ["accepted", "started main", "stdout main@0 live"] {
        assert_eq!(word(&next(&mut one).await), expected);
    }
    worker.report(&lease, exited(0, "live and more")).await;
    assert_eq!(words(&rest(&mut one).await)[0], "stdout main@4  and more");
    let two = words(&rest(&mut two).await);
    assert_eq!(two[2], "stdout main@0 live and more", "its relay was never opened: {two:?}");
    let status = worker.relay_output(&relay_one.relay_id, vec![]).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::NotRegistered), "a relay is opened once");
}

#[tokio::test]
async fn a_relay_of_a_silent_command_ends_with_its_watcher() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    let mut watcher = watch(&mut jobs, &id, 0, true).await;
    assert_eq!(word(&next(&mut watcher).await), "accepted");
    let relay = worker.relay().await;
    let opened = v1::relay_output_request::Part::RelayId(relay.relay_id);
    let opened = v1::RelayOutputRequest { part: Some(opened) };
    let silent = tokio_stream::StreamExt::chain(tokio_stream::iter([opened]), tokio_stream::pending());
    let mut fleet = v1::fleet_client::FleetClient::new(connect(&kiln.socket()).await);
    let (ended, ()) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(10), fleet.relay_output(silent)), async {
            drop(watcher)
        });
    ended.expect("the call ends while the command runs on").unwrap();
}

/// The record of one cancel ends the job; those of the others are stored after it, when the job is no longer at hand.
#[tokio::test]
async fn cancels_at_once_are_all_answered_with_the_job() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    for _ in 0..10 {
        let job_id = submit(&mut jobs, simple()).await;
        let cancels = (0..50).map(|_| {
            let (mut jobs, job_id) = (jobs.clone(), job_id.clone());
            tokio::spawn(async move { jobs.cancel(v1::CancelRequest { job_id }).await })
        });
        for answer in futures_util::future::join_all(cancels).await {
            let job = answer.unwrap().expect("the server goes on").into_inner();
            assert_eq!((job.id.as_str(), job.verdict()), (job_id.as_str(), v1::JobVerdict::Cancelled));
        }
    }
}

#[tokio::test]
async fn cancelling_works_in_every_state() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let two_steps = || spec(vec![step("a", &[]), step("b", &["a"])]);
    let (queued, running) = (submit(&mut jobs, two_steps()).await, submit(&mut jobs, two_steps()).await);
    let cancel = |job_id: &String| v1::CancelRequest { job_id: job_id.clone() };
    let job = jobs.cancel(cancel(&queued)).await.unwrap().into_inner();
    assert_eq!((job.state(), job.verdict()), (v1::JobState::Done, v1::JobVerdict::Cancelled));
    assert_eq!(job.steps[0].state(), v1::StepState::Skipped);
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    assert_eq!(lease.attempt.as_ref().unwrap().job_id, running, "what was cancelled is not leased");
    let job = jobs.cancel(cancel(&running)).await.unwrap().into_inner();
    assert_eq!((job.state(), job.steps[1].state()), (v1::JobState::Running, v1::StepState::Skipped));
    assert_eq!(worker.cancelled().await.attempt, lease.attempt);
    worker.report(&lease, cancelled()).await;
    let done = wait(&mut jobs, &running).await;
    assert_eq!(done.verdict(), v1::JobVerdict::Cancelled);
    assert_eq!(jobs.cancel(cancel(&running)).await.unwrap().into_inner(), done, "again changes nothing");
    let status = jobs.cancel(cancel(&"0190a0b0-c0d0-7000-8000-000000000000".into())).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::UnknownJob));
    let status = jobs.cancel(cancel(&"../etc".into())).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "job_id");
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let kiln = Kiln::with(|config| config.queue_max_jobs = 2).await;
    let mut jobs = kiln.jobs().await;
    submit(&mut jobs, simple()).await;
    submit(&mut jobs, simple()).await;
    let status = jobs.run(v1::RunRequest { spec: Some(simple()) }).await.unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status)),
        (tonic::Code::ResourceExhausted, Some(Reason::QueueFull))
    );
    assert!(kiln_proto::status::facts_of(&status).contains_key("retry_after_ms"));
    let mut worker = kiln.worker("w", 1).await;
    worker.lease().await;
    submit(&mut jobs, simple()).await;
}

#[tokio::test]
async fn a_failed_step_skips_what_needs_it() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, spec(vec![step("c", &["b"]), step("b", &["a"]), step("a", &[])])).await;
    let mut worker = kiln.worker("w", 1).await;
    worker.work(exited(1, "")).await;
    let job = wait(&mut jobs, &id).await;
    let states: Vec<_> = job.steps.iter().map(v1::StepStatus::state).collect();
    assert_eq!(states, [v1::StepState::Skipped, v1::StepState::Skipped, v1::StepState::Failed]);
    assert_eq!(job.verdict(), v1::JobVerdict::Failed);
}
