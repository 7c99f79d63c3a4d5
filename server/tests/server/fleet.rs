//! Workers: leases, fencing, reconnects, and reports that make no sense.

use std::time::Duration;

use kiln_proto::status::{Reason, reason_of, violations_of};
use kiln_proto::v1;
use kiln_proto::v1::server_message::Message as ToWorker;
use kiln_proto::v1::worker_message::Message as FromWorker;

use crate::harness::*;

async fn impatient() -> Kiln {
    Kiln::with(|config| {
        config.lease = Duration::from_millis(500);
        config.heartbeat = Duration::from_millis(100);
    })
    .await
}

#[tokio::test]
async fn a_silent_worker_loses_its_lease_and_its_late_report_is_refused() {
    let kiln = impatient().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    let mut silent = kiln.worker("silent", 1).await;
    let old = silent.lease().await;
    let fence = silent.cancelled().await;
    assert!(fence.fenced && fence.attempt == old.attempt);
    let mut other = kiln.worker("other", 1).await;
    let new = other.lease().await;
    assert!(new.attempt.as_ref().unwrap().attempt > old.attempt.as_ref().unwrap().attempt);
    silent.report(&old, exited(0, "late")).await;
    assert!(!silent.ack().await.accepted);
    other.report(&new, exited(0, "in time")).await;
    assert!(other.ack().await.accepted);
    let job = wait(&mut jobs, &id).await;
    assert_eq!(&job.steps[0].commands[0].stdout.as_ref().unwrap().data[..], b"in time");
    assert_eq!(job.steps[0].worker, "other");
}

#[tokio::test]
async fn heartbeats_keep_a_lease_alive() {
    let kiln = impatient().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        worker.beat(&[&lease]).await;
    }
    worker.report(&lease, exited(0, "")).await;
    assert!(worker.ack().await.accepted);
    assert_eq!(wait(&mut jobs, &id).await.verdict(), v1::JobVerdict::Succeeded);
}

#[tokio::test]
async fn a_step_that_every_worker_loses_ends_as_our_failure() {
    let kiln = impatient().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    for name in ["a", "b", "c"] {
        let mut worker = kiln.worker(name, 1).await;
        worker.lease().await;
    }
    let job = wait(&mut jobs, &id).await;
    assert_eq!(job.verdict(), v1::JobVerdict::Infrastructure);
    let outcome = job.steps[0].commands[0].outcome.as_ref().unwrap();
    assert_eq!(
        (outcome.kind(), outcome.infrastructure_step.as_str()),
        (v1::OutcomeKind::Infrastructure, "lease")
    );
}

#[tokio::test]
async fn a_worker_that_reconnects_goes_on() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    drop(worker);
    let stranger = v1::AttemptRef {
        job_id: "0190a0b0-c0d0-7000-8000-000000000000".into(),
        step: "x".into(),
        attempt: 1,
    };
    let running = vec![lease.attempt.clone().unwrap(), stranger.clone()];
    let mut worker = kiln.silent_worker("w", 1, running).await;
    let fence = worker.cancelled().await;
    assert!(fence.fenced && fence.attempt == Some(stranger));
    worker.report(&lease, exited(0, "")).await;
    assert!(worker.ack().await.accepted);
    worker.report(&lease, exited(0, "")).await;
    assert!(!worker.ack().await.accepted, "the job is gone by now");
    assert_eq!(wait(&mut jobs, &id).await.verdict(), v1::JobVerdict::Succeeded);
}

#[tokio::test]
async fn a_second_stream_of_a_name_replaces_the_first() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let _first = kiln.worker("w", 1).await;
    let mut second = kiln.worker("w", 1).await;
    submit(&mut jobs, simple()).await;
    second.lease().await;
    let capabilities = jobs.get_capabilities(v1::GetCapabilitiesRequest {}).await.unwrap().into_inner();
    assert_eq!(capabilities.workers.len(), 1);
    assert_eq!(capabilities.workers[0].busy_slots, 1);
}

#[tokio::test]
async fn capabilities_and_images_show_what_workers_told() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 3).await;
    let languages = vec![v1::LanguageInfo { name: "c".into(), version: "gcc 12".into() }];
    worker.say(FromWorker::Facts(v1::WorkerFacts { languages: languages.clone() })).await;
    // A lease that is taken and answered proves that what was said before it was heard.
    submit(&mut jobs, simple()).await;
    worker.work(exited(0, "")).await;
    let told = jobs.get_capabilities(v1::GetCapabilitiesRequest {}).await.unwrap().into_inner();
    assert_eq!((told.workers[0].name.as_str(), told.workers[0].slots), ("w", 3));
    assert_eq!(told.workers[0].facts["kernel"], "test");
    assert_eq!(told.languages, languages);
    assert_eq!(told.max_message_bytes, 8 << 20);
    assert_eq!(told.default_limits.unwrap().cpu_ms, Some(10_000));
    let images = kiln.images().await.list(v1::ListImagesRequest {}).await.unwrap().into_inner().images;
    assert_eq!(images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>(), ["host"]);
}

#[tokio::test]
async fn a_report_that_breaks_the_rules_is_our_failure_and_not_the_users() {
    let kiln = Kiln::with(|config| config.max_attempts = 1).await;
    let mut jobs = kiln.jobs().await;
    let id = submit(&mut jobs, simple()).await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    worker.report(&lease, v1::CommandResult::default()).await;
    let job = wait(&mut jobs, &id).await;
    assert_eq!(job.verdict(), v1::JobVerdict::Infrastructure);
    let outcome = job.steps[0].commands[0].outcome.as_ref().unwrap();
    assert_eq!(outcome.infrastructure_step, "report");
}

#[tokio::test]
async fn a_slow_watcher_stalls_neither_the_job_nor_the_heartbeats() {
    let kiln = impatient().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    // Never read from: nothing is taken out of this stream until the job is over.
    let mut stalled = run(&mut jobs, simple()).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    let relay = lease.relays[0].relay_id.clone();
    let piece = "x".repeat(64 << 10);
    let chunks = (0..200).map(|i| chunk(v1::Stream::Stdout, i * (64 << 10), piece.clone())).collect();
    let mut result = exited(0, &piece);
    result.stdout.as_mut().unwrap().size_bytes = 200 * (64 << 10);
    let flood = worker.relay_output(&relay, chunks);
    tokio::pin!(flood);
    let stuck = tokio::time::timeout(Duration::from_millis(300), &mut flood).await;
    assert!(stuck.is_err(), "12 MiB do not fit between worker and a watcher that does not read");
    drop(stuck);
    let id = lease.attempt.clone().unwrap().job_id;
    let (reported, read) = tokio::join!(
        async {
            let mut again = kiln.jobs().await;
            wait(&mut again, &id).await
        },
        async {
            flood_then_report(&kiln, &lease, result).await;
            let flooding = flood;
            let (flooded, events) = tokio::join!(flooding, rest(&mut stalled));
            flooded.unwrap();
            events
        }
    );
    assert_eq!(reported.verdict(), v1::JobVerdict::Succeeded);
    let bytes: usize = read
        .iter()
        .filter_map(|event| match &event.event {
            Some(v1::job_event::Event::Output(output)) => Some(output.data.len()),
            _ => None,
        })
        .sum();
    assert_eq!(bytes, 200 * (64 << 10), "all of it, once");
}

/// A second connection of the same worker beats and reports while its first one is stuck in a relay.
async fn flood_then_report(kiln: &Kiln, lease: &v1::Lease, result: v1::CommandResult) {
    let mut again = kiln.silent_worker("w", 1, vec![lease.attempt.clone().unwrap()]).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        again.beat(&[lease]).await;
    }
    again.report(lease, result).await;
    assert!(again.ack().await.accepted);
}

#[tokio::test]
async fn streams_that_begin_wrongly_are_refused() {
    use tokio_stream::iter;
    let kiln = Kiln::start().await;
    let mut fleet = v1::fleet_client::FleetClient::new(connect(&kiln.socket()).await);
    let credits = v1::WorkerMessage { message: Some(FromWorker::Credits(v1::Credits { free_slots: 1 })) };
    let status = fleet.work(iter([credits])).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::StreamOrder));
    let nameless = v1::RegisterWorker { slots: 1, ..Default::default() };
    let nameless = v1::WorkerMessage { message: Some(FromWorker::Register(nameless)) };
    let status = fleet.work(iter([nameless])).await.unwrap_err();
    assert_eq!(violations_of(&status)[0].field, "register.name");
    let worker = kiln.worker("w", 1).await;
    let status = worker.relay_output("made up", vec![]).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::NotRegistered));
}

#[tokio::test]
async fn priorities_are_leased_first() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut ids = Vec::new();
    for priority in [v1::Priority::Low, v1::Priority::Normal, v1::Priority::High] {
        ids.push(submit(&mut jobs, v1::JobSpec { priority: priority.into(), ..simple() }).await);
    }
    let mut worker = kiln.worker("w", 3).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        let ToWorker::Lease(lease) = worker.next().await else { panic!("only leases come") };
        order.push(lease.attempt.unwrap().job_id);
    }
    ids.reverse();
    assert_eq!(order, ids);
}
