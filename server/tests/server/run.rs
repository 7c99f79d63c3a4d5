//! `Run`: events in order, output complete and once, and a job that lives no longer than its caller.

use std::time::Duration;

use kiln_proto::status::{Reason, reason_of, violations_of};
use kiln_proto::v1;
use kiln_proto::v1::job_event::Event;
use tonic::{Code, Request};

use crate::harness::*;

#[tokio::test]
async fn a_run_tells_its_story_in_order() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let mut events = run(&mut jobs, simple()).await;
    let lease = worker.work(exited(0, "hello")).await;
    assert_eq!(lease.step.as_ref().unwrap().commands[0].image, "host");
    assert!(lease.step.unwrap().commands[0].limits.unwrap().cpu_ms.is_some(), "limits are said");
    assert!(!lease.durable);
    let events = rest(&mut events).await;
    assert_eq!(
        words(&events),
        [
            "accepted",
            "started main",
            "stdout main@0 hello",
            "finished main.main",
            "STEP_STATE_SUCCEEDED main",
            "JOB_VERDICT_SUCCEEDED"
        ]
    );
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 2, 3, 4, 5]);
    let job = get(&mut jobs, &events[0].job_id).await;
    assert_eq!((job.state(), job.durable), (v1::JobState::Done, false), "readable for a while");
    assert_eq!(&job.steps[0].commands[0].stdout.as_ref().unwrap().data[..], b"hello");
}

#[tokio::test]
async fn a_run_waits_for_a_worker_to_come() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut events = run(&mut jobs, simple()).await;
    assert_eq!(word(&next(&mut events).await), "accepted");
    let mut worker = kiln.worker("late", 1).await;
    worker.work(exited(3, "")).await;
    assert_eq!(words(&rest(&mut events).await).last().unwrap(), "JOB_VERDICT_FAILED");
}

#[tokio::test]
async fn live_output_comes_once_and_the_rest_from_the_report() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let mut events = run(&mut jobs, simple()).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    assert_eq!(lease.relays.len(), 1);
    let chunks = vec![chunk(v1::Stream::Stdout, 0, "abc"), chunk(v1::Stream::Stdout, 3, "def")];
    worker.relay_output(&lease.relays[0].relay_id, chunks).await.unwrap();
    for expected in ["accepted", "started main", "stdout main@0 abc", "stdout main@3 def"] {
        assert_eq!(word(&next(&mut events).await), expected);
    }
    worker.report(&lease, exited(0, "abcdefghi")).await;
    assert_eq!(words(&rest(&mut events).await)[0], "stdout main@6 ghi");
}

#[tokio::test]
async fn large_output_comes_whole_through_the_relay_before_the_command_ends() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let mut events = run(&mut jobs, simple()).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    let piece = "x".repeat(64 << 10);
    let mut result = exited(0, &piece);
    result.stdout.as_mut().unwrap().size_bytes = 20 * (64 << 10);
    // The report comes first: the end of the command has to wait for its output.
    worker.report(&lease, result).await;
    let chunks = (0..20).map(|i| chunk(v1::Stream::Stdout, i * (64 << 10), piece.clone())).collect();
    worker.relay_output(&lease.relays[0].relay_id, chunks).await.unwrap();
    let events = rest(&mut events).await;
    let mut offset = 0;
    for event in &events {
        if let Some(Event::Output(output)) = &event.event {
            assert_eq!(output.offset, offset);
            offset += output.data.len() as u64;
        }
    }
    assert_eq!(offset, 20 * (64 << 10));
    assert_eq!(words(&events[events.len() - 3..])[0], "finished main.main");
}

#[tokio::test]
async fn output_that_nobody_can_bring_any_more_is_an_error_and_not_a_gap() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let mut events = run(&mut jobs, simple()).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    worker.relay_output(&lease.relays[0].relay_id, vec![chunk(v1::Stream::Stdout, 0, "abc")]).await.unwrap();
    let mut result = exited(0, "abc");
    result.stdout.as_mut().unwrap().size_bytes = 1 << 20;
    worker.report(&lease, result).await;
    let status = loop {
        match events.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if all had come"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DataLoss);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_its_job() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let events = run(&mut jobs, simple()).await;
    let lease = worker.lease().await;
    drop(events);
    let cancel = worker.cancelled().await;
    assert_eq!(cancel.attempt, lease.attempt);
    assert!(!cancel.fenced);
    worker.report(&lease, cancelled()).await;
    assert!(worker.ack().await.accepted);
    let job = get(&mut jobs, &lease.attempt.unwrap().job_id).await;
    assert_eq!(job.verdict(), v1::JobVerdict::Cancelled);
}

#[tokio::test]
async fn the_deadline_of_the_call_cancels_the_job() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let mut request = Request::new(v1::RunRequest { spec: Some(simple()) });
    // The header alone, so that it is the server that keeps time.
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    let mut events = jobs.run(request).await.unwrap().into_inner();
    assert_eq!(worker.lease().await.traceparent, trace);
    worker.cancelled().await;
    let status = loop {
        match events.message().await {
            Ok(event) => assert!(event.is_some(), "the stream ends with the reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_run_whose_output_was_shown_is_not_tried_again() {
    let kiln = Kiln::with(|config| {
        config.lease = Duration::from_millis(400);
        config.heartbeat = Duration::from_millis(100);
    })
    .await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let mut events = run(&mut jobs, simple()).await;
    let lease = worker.lease().await;
    worker.started(&lease).await;
    worker.relay_output(&lease.relays[0].relay_id, vec![chunk(v1::Stream::Stdout, 0, "abc")]).await.unwrap();
    let events = rest(&mut events).await;
    assert_eq!(words(&events).last().unwrap(), "JOB_VERDICT_INFRASTRUCTURE");
    let started = words(&events).iter().filter(|word| *word == "started main").count();
    assert_eq!(started, 1);
}

#[tokio::test]
async fn a_run_without_output_is_tried_again_elsewhere() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut first = kiln.worker("a", 1).await;
    let mut events = run(&mut jobs, simple()).await;
    let lease = first.lease().await;
    let mut second = kiln.worker("b", 1).await;
    first.report(&lease, broken()).await;
    let again = second.work(exited(0, "ok")).await;
    assert!(again.attempt.unwrap().attempt > lease.attempt.unwrap().attempt);
    let words = words(&rest(&mut events).await);
    assert_eq!(
        words,
        [
            "accepted",
            "started main",
            "stdout main@0 ok",
            "finished main.main",
            "STEP_STATE_SUCCEEDED main",
            "JOB_VERDICT_SUCCEEDED"
        ]
    );
}

#[tokio::test]
async fn bad_specifications_name_every_field() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut bad = spec(vec![step("a", &["b"]), step("b", &["nowhere"])]);
    bad.steps[0].commands[0].argv.clear();
    let status = jobs.run(v1::RunRequest { spec: Some(bad) }).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::InvalidJob));
    let fields: Vec<_> = violations_of(&status).into_iter().map(|violation| violation.field).collect();
    assert!(fields.contains(&"steps[0].commands[0].argv".to_owned()), "{fields:?}");
    assert!(fields.contains(&"steps[1].needs[0]".to_owned()), "{fields:?}");
    let status = jobs.run(v1::RunRequest { spec: None }).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::InvalidJob));
}

#[tokio::test]
async fn unknown_images_and_blobs_are_refused_by_field() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut wrong = simple();
    wrong.steps[0].commands[0].image = "alpine".into();
    let status = jobs.run(v1::RunRequest { spec: Some(wrong) }).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::UnknownImage));
    assert_eq!(violations_of(&status)[0].field, "steps[0].commands[0].image");
    let mut wrong = simple();
    let blob = format!("blake3:{}", "ab".repeat(32));
    let content = v1::Content { source: Some(v1::content::Source::Blob(blob)) };
    wrong.steps[0].commands[0].stdin = Some(content);
    let status = jobs.run(v1::RunRequest { spec: Some(wrong) }).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::UnknownBlob));
    assert_eq!(violations_of(&status)[0].field, "steps[0].commands[0].stdin.blob");
}

#[tokio::test]
async fn a_later_step_reads_what_an_earlier_one_left() {
    let kiln = Kiln::start().await;
    let mut jobs = kiln.jobs().await;
    let mut worker = kiln.worker("w", 1).await;
    let output = v1::StepOutput {
        step: "first".into(),
        command: String::new(),
        what: Some(v1::step_output::What::Stream(v1::Stream::Stdout.into())),
    };
    let content = v1::Content { source: Some(v1::content::Source::OutputOf(output)) };
    let mut second = step("second", &["first"]);
    second.commands[0].stdin = Some(content.clone());
    second.commands[0].files_in =
        vec![v1::FileIn { path: "/work/in".into(), content: Some(content), executable: false }];
    let mut events = run(&mut jobs, spec(vec![step("first", &[]), second])).await;
    let first = worker.work(exited(0, "data")).await;
    assert!(first.durable, "its output is needed again, however large");
    worker.credits(1).await;
    let second = worker.work(exited(0, "")).await;
    let command = &second.step.as_ref().unwrap().commands[0];
    let inline = v1::content::Source::Inline("data".into());
    assert_eq!(command.stdin.as_ref().unwrap().source, Some(inline.clone()));
    assert_eq!(command.files_in[0].content.as_ref().unwrap().source, Some(inline));
    assert_eq!(second.read_only, [v1::ReadOnlyInput { command: 0, file: 0 }]);
    assert!(!second.durable);
    assert_eq!(words(&rest(&mut events).await).last().unwrap(), "JOB_VERDICT_SUCCEEDED");
}
