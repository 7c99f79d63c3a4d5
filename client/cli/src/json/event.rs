//! Events of a job as JSON, one object per line of `watch --json`.

use kiln_proto::v1::{self, job_event::Event as Wire};
use serde_json::{Value, json};

use super::bytes::Blob;
use super::job::{Job, ReceivedOutput, Spec};
use super::result::CommandResult;
use super::word;

pub(crate) fn event(event: &v1::JobEvent) -> Value {
    let (name, content) = match &event.event {
        None => ("unknown", json!({})),
        Some(Wire::Accepted(_)) => ("accepted", json!({})),
        Some(Wire::StepStarted(started)) => (
            "step_started",
            json!({"step": started.step, "attempt": started.attempt, "worker": started.worker}),
        ),
        Some(Wire::Output(chunk)) => ("output", output(chunk)),
        Some(Wire::Progress(progress)) => (
            "progress",
            json!({"step": progress.step, "command": progress.command, "cpu_us": progress.cpu_us,
                   "memory_bytes": progress.memory_bytes}),
        ),
        Some(Wire::CommandFinished(finished)) => {
            let result = finished.result.as_ref().map(|result| CommandResult::new(result, None));
            ("command_finished", json!({"step": finished.step, "result": result}))
        }
        Some(Wire::StepFinished(finished)) => {
            let state = word(finished.state().as_str_name(), "STEP_STATE_");
            ("step_finished", json!({"step": finished.step, "state": state}))
        }
        Some(Wire::Done(done)) => {
            let job = done.job.as_ref().map(|job| Job::new(job, Spec::Left, &ReceivedOutput::new()));
            ("done", json!({"job": job}))
        }
    };
    json!({"sequence": event.sequence, "job_id": event.job_id, "unix_us": event.unix_us, name: content})
}

fn output(chunk: &v1::OutputChunk) -> Value {
    json!({
        "step": chunk.step,
        "command": chunk.command,
        "stream": word(chunk.stream().as_str_name(), "STREAM_"),
        "offset": chunk.offset,
        "data": Blob::from(&chunk.data),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_its_field_on_the_wire() {
        let chunk = v1::OutputChunk {
            step: "run".to_owned(),
            command: "main".to_owned(),
            stream: v1::Stream::Stderr.into(),
            offset: 5,
            data: "text".into(),
        };
        let wire = v1::JobEvent {
            sequence: 3,
            job_id: "0192".to_owned(),
            unix_us: 9,
            event: Some(Wire::Output(chunk)),
        };
        let expected = json!({"sequence": 3, "job_id": "0192", "unix_us": 9, "output": {
            "step": "run", "command": "main", "stream": "stderr", "offset": 5, "data": "text"}});
        assert_eq!(event(&wire), expected);
    }
}
