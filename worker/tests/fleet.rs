//! A worker against the wire: leases, reports until acknowledged, heartbeats, relays, blobs, draining.
#![expect(clippy::unwrap_used, reason = "what is unwrapped here fails the test")]

mod support;

use std::time::Duration;

use kiln_proto::v1;
use kiln_proto::v1::server_message::Message as FromServer;
use kiln_proto::v1::worker_message::Message as FromWorker;
use kiln_worker::{StartError, Worker};
use support::server::{Dialogue, TestServer};
use support::{
    default_limits, ending, file_in, file_out, inline, shell, start_worker, stdout, worker_config,
};

struct Test {
    server: TestServer,
    worker: Worker,
    register: v1::RegisterWorker,
    dialogue: Dialogue,
    _directory: tempfile::TempDir,
}

async fn start(slots: usize) -> Test {
    let mut server = TestServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let config = worker_config(&server.address, directory.path(), slots);
    let (worker, register, dialogue) = start_worker(&mut server, config).await;
    Test { server, worker, register, dialogue, _directory: directory }
}

fn attempt(number: u64) -> v1::AttemptRef {
    v1::AttemptRef {
        job_id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
        step: "main".into(),
        attempt: number,
    }
}

fn lease(number: u64, command: v1::Command) -> v1::Lease {
    let step = v1::Step { name: "main".into(), commands: vec![command], ..v1::Step::default() };
    v1::Lease { attempt: Some(attempt(number)), step: Some(step), ..v1::Lease::default() }
}

fn relay(id: &str, number: u64) -> v1::StartRelay {
    v1::StartRelay { relay_id: id.into(), attempt: Some(attempt(number)), command: 0 }
}

fn one(report: &v1::StepReport) -> &v1::CommandResult {
    assert_eq!(report.commands.len(), 1);
    &report.commands[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_run_reported_and_forgotten_once_acknowledged() {
    let mut test = start(2).await;
    assert_eq!((test.register.slots, test.register.running.len()), (2, 0));
    assert!(test.register.facts.contains_key("kernel"));
    assert!(test.register.host_image.as_ref().unwrap().digest.starts_with("blake3:"));
    let dialogue = &mut test.dialogue;
    dialogue.hear_credits(2).await;
    dialogue.say(FromServer::Lease(lease(1, shell("cat; echo err >&2; exit 4")))).await;
    let report = dialogue.hear_report().await;
    assert_eq!(report.attempt, Some(attempt(1)));
    assert_eq!(ending(one(&report)), "exited 4");
    let credits =
        |message| if let FromWorker::Credits(credits) = message { Some(credits.free_slots) } else { None };
    assert_eq!(dialogue.hear(credits).await, 2, "the server counts leases off the credits itself");
    let held =
        |message| if let FromWorker::Heartbeat(beat) = message { Some(beat.attempts.len()) } else { None };
    assert_eq!(dialogue.hear(held).await, 1, "held until acknowledged");
    dialogue.acknowledge(&report).await;
    dialogue.hear(|message| held(message).filter(|held| *held == 0)).await;
    test.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_say_what_runs_and_a_cancel_ends_it() {
    let mut test = start(1).await;
    let dialogue = &mut test.dialogue;
    dialogue.say(FromServer::Lease(lease(1, shell("while :; do :; done")))).await;
    let started = dialogue
        .hear(|message| if let FromWorker::Started(started) = message { Some(started) } else { None });
    assert_eq!(started.await.attempt, Some(attempt(1)), "what runs longer than a blink says so");
    let busy = dialogue.hear(|message| match message {
        FromWorker::Heartbeat(beat) => {
            beat.attempts.into_iter().flat_map(|a| a.commands).find(|c| c.cpu_us > 0)
        }
        _ => None,
    });
    let busy = busy.await;
    assert!(busy.memory_bytes > 0 && busy.command == "main", "{busy:?}");
    dialogue.say(FromServer::Cancel(v1::CancelAttempt { attempt: Some(attempt(1)), fenced: false })).await;
    let report = dialogue.hear_report().await;
    assert_eq!(ending(one(&report)), "cancelled: cancelled");
    dialogue.acknowledge(&report).await;
    dialogue.hear_credits(1).await;
    test.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_attempt_ends_without_a_report() {
    let mut test = start(1).await;
    test.dialogue.hear_credits(1).await;
    test.dialogue.say(FromServer::Lease(lease(1, shell("sleep 1000")))).await;
    test.dialogue.hear(|message| matches!(message, FromWorker::Started(_)).then_some(())).await;
    test.dialogue
        .say(FromServer::Cancel(v1::CancelAttempt { attempt: Some(attempt(1)), fenced: true }))
        .await;
    let next = test.dialogue.hear(|message| match message {
        FromWorker::Report(_) => Some("report"),
        FromWorker::Credits(v1::Credits { free_slots: 1 }) => Some("free again"),
        _ => None,
    });
    assert_eq!(next.await, "free again");
    test.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_go_on_while_the_server_is_away_and_their_reports_come_until_acknowledged() {
    let mut test = start(1).await;
    test.dialogue.say(FromServer::Lease(lease(7, shell("sleep 0.5; echo survived")))).await;
    test.dialogue.hear(|message| matches!(message, FromWorker::Started(_)).then_some(())).await;
    drop(test.dialogue);
    for _ in 0..2 {
        let (register, mut dialogue) = test.server.register().await;
        assert_eq!(register.running, [attempt(7)]);
        let report = dialogue.hear_report().await;
        assert_eq!(&stdout(one(&report)).data[..], b"survived\n");
    }
    let (_, mut dialogue) = test.server.register().await;
    let report = dialogue.hear_report().await;
    dialogue.acknowledge(&report).await;
    let none = |message| match message {
        FromWorker::Heartbeat(beat) if beat.attempts.is_empty() => Some(()),
        _ => None,
    };
    dialogue.hear(none).await;
    drop(dialogue);
    let (register, dialogue) = test.server.register().await;
    assert!(register.running.is_empty());
    let (_, ()) = tokio::join!(dialogue.hear_end(), test.worker.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_breaks_the_rules_is_our_failure() {
    let mut test = start(1).await;
    let unset = v1::Limits { cpu_ms: None, ..default_limits() };
    test.dialogue
        .say(FromServer::Lease(lease(1, v1::Command { limits: Some(unset), ..shell("true") })))
        .await;
    let report = test.dialogue.hear_report().await;
    let outcome = one(&report).outcome.clone().unwrap();
    assert_eq!(outcome.kind(), v1::OutcomeKind::Infrastructure);
    assert!(outcome.infrastructure_detail.contains("cpu_ms"), "{}", outcome.infrastructure_detail);
    test.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_carry_output_from_its_beginning_whenever_they_were_asked_for() {
    let mut test = start(1).await;
    let large =
        v1::Lease { relays: vec![relay("large", 2)], ..lease(2, shell("seq 100000; sleep 0.2; echo end")) };
    test.dialogue.say(FromServer::Lease(large)).await;
    test.dialogue.hear(|message| matches!(message, FromWorker::Started(_)).then_some(())).await;
    test.dialogue.say(FromServer::Relay(relay("late", 2))).await;
    let report = test.dialogue.hear_report().await;
    assert_eq!(stdout(one(&report)).size_bytes, 588_895 + 4);
    let expected: Vec<u8> =
        (1..=100_000).map(|n| format!("{n}\n")).chain(["end\n".to_owned()]).collect::<String>().into();
    for id in ["large", "late"] {
        assert_eq!(relayed(&test.server, id).await, expected, "{id}");
    }
    test.dialogue.acknowledge(&report).await;
    test.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_watcher_is_gone_frees_its_connection() {
    let mut test = start(1).await;
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    test.dialogue.say(FromServer::Lease(lease(2, shell("sleep 60")))).await;
    test.dialogue.hear(|message| matches!(message, FromWorker::Started(_)).then_some(())).await;
    let before = descriptors();
    for watcher in 0..20 {
        test.dialogue.say(FromServer::Relay(relay(&format!("gone {watcher}"), 2))).await;
    }
    let closed = async {
        while test.server.shared.relays.lock().unwrap().len() < 20 || descriptors() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("the command still runs");
    let cancel = v1::CancelAttempt { attempt: Some(attempt(2)), fenced: false };
    test.dialogue.say(FromServer::Cancel(cancel)).await;
    let report = test.dialogue.hear_report().await;
    test.dialogue.acknowledge(&report).await;
    test.worker.stop().await;
}

async fn relayed(server: &TestServer, id: &str) -> Vec<u8> {
    let complete = async {
        loop {
            if let Some((bytes, true)) = server.shared.relays.lock().unwrap().get(id).cloned() {
                return bytes;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), complete).await.expect("the relay completes")
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_come_and_go_though_transfers_break_off() {
    let mut test = start(1).await;
    let content: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
    let digest = format!("blake3:{}", blake3::hash(&content));
    test.server.shared.blobs.lock().unwrap().insert(digest.clone(), content.clone());
    *test.server.shared.breaks.lock().unwrap() = 3;
    let input = v1::Content { source: Some(v1::content::Source::Blob(digest.clone())) };
    let command = v1::Command {
        files_in: vec![file_in("/work/in", input), file_in("/work/more", inline("more"))],
        files_out: vec![file_out("/work/out")],
        ..shell("cat more in > out; cat out")
    };
    test.dialogue.say(FromServer::Lease(v1::Lease { durable: true, ..lease(1, command) })).await;
    let report = test.dialogue.hear_report().await;
    let result = one(&report);
    assert_eq!(ending(result), "exited 0");
    let expected = [&b"more"[..], &content].concat();
    for blob in [&result.files[0].blob, &stdout(result).blob] {
        assert!(test.server.shared.blobs.lock().unwrap()[blob] == expected);
    }
    assert_eq!(*test.server.shared.breaks.lock().unwrap(), 0);
    let unknown = format!("blake3:{}", "0".repeat(64));
    let input = v1::Content { source: Some(v1::content::Source::Blob(unknown.clone())) };
    let command = v1::Command { stdin: Some(input), ..shell("cat") };
    test.dialogue.say(FromServer::Lease(lease(2, command))).await;
    let outcome = one(&test.dialogue.hear_report().await).outcome.clone().unwrap();
    assert_eq!(outcome.infrastructure_step, "input");
    assert!(outcome.infrastructure_detail.contains(&unknown), "{}", outcome.infrastructure_detail);
    test.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_steps_end_or_cancels_them_and_leaves_nothing() {
    let mut test = start(2).await;
    test.dialogue.say(FromServer::Lease(lease(1, shell("sleep 0.1; echo done")))).await;
    test.dialogue.say(FromServer::Lease(lease(2, shell("sleep 1000")))).await;
    for _ in 0..2 {
        test.dialogue.hear(|message| matches!(message, FromWorker::Started(_)).then_some(())).await;
    }
    let server = async {
        let mut endings = Vec::new();
        for _ in 0..2 {
            let report = test.dialogue.hear_report().await;
            endings.push((report.attempt.clone().unwrap().attempt, ending(one(&report))));
            test.dialogue.acknowledge(&report).await;
        }
        test.dialogue.hear_end().await;
        endings
    };
    let (endings, ()) = tokio::join!(server, test.worker.stop());
    assert_eq!(endings, [(1, "exited 0".to_owned()), (2, "cancelled: cancelled".to_owned())]);
    let group = format!("/sys/fs/cgroup/memory/kiln-{}", std::process::id());
    assert!(!std::path::Path::new(&group).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_leaves_nothing() {
    let server = TestServer::start().await;
    *server.shared.refusal.lock().unwrap() = Some(tonic::Status::permission_denied("not you"));
    let directory = tempfile::tempdir().unwrap();
    let error = Worker::start(worker_config(&server.address, directory.path(), 1)).await.unwrap_err();
    assert!(matches!(error, StartError::Refused { .. }));
    assert!(error.to_string().contains("not you"), "{error}");
}
