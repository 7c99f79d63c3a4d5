//! What a worker is sent: a step with every input said, the outputs of earlier steps among them.

use bytes::Bytes;
use kiln_proto::model::{Content, OutputPart, Stream};
use kiln_proto::v1;
use kiln_proto::v1::content::Source;

use prost::Message;

use super::fitting::fits;
use super::live::LiveJob;
use crate::queue::Attempt;

/// Inputs that cannot be had although the steps they come from succeeded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// It was too big for a result, and no blob of it is named.
    #[error("command {command} of step {step} has no {what} to read from: it was not stored")]
    NotStored { step: String, command: String, what: &'static str },
    /// Many small ones together.
    #[error("the step's inputs are {bytes} bytes together, more than fits in one message")]
    TooLarge { bytes: usize },
}

/// The lease, but for its relays.
pub(crate) fn build(job: &LiveJob, attempt: Attempt, max_file_bytes: u64) -> Result<v1::Lease, Unresolved> {
    let model = &job.spec.steps[attempt.step];
    let mut step = job.wire.steps[attempt.step].clone();
    // The order among steps is the server's matter.
    step.needs.clear();
    let mut read_only = Vec::new();
    for (index, (command, wire)) in model.commands.iter().zip(&mut step.commands).enumerate() {
        if let Content::OutputOf { .. } = &command.stdin {
            wire.stdin = Some(resolve(job, &command.stdin)?);
        }
        for (position, (file, wire)) in command.files_in.iter().zip(&mut wire.files_in).enumerate() {
            if let Content::OutputOf { .. } = &file.content {
                wire.content = Some(resolve(job, &file.content)?);
                read_only.push(v1::ReadOnlyInput { command: index as u32, file: position as u32 });
            }
        }
    }
    let lease = v1::Lease {
        attempt: Some(reference(job, attempt)),
        step: Some(step),
        read_only,
        durable: job.is_durable() || is_read_later(job, attempt.step),
        relays: Vec::new(),
        max_file_bytes,
        traceparent: job.traceparent.clone(),
    };
    if !fits(&lease) {
        return Err(Unresolved::TooLarge { bytes: lease.encoded_len() });
    }
    Ok(lease)
}

/// The attempt on the wire.
pub(crate) fn reference(job: &LiveJob, attempt: Attempt) -> v1::AttemptRef {
    v1::AttemptRef {
        job_id: job.id.clone(),
        step: job.spec.steps[attempt.step].name.to_string(),
        attempt: attempt.number,
    }
}

fn resolve(job: &LiveJob, content: &Content) -> Result<v1::Content, Unresolved> {
    let Content::OutputOf { step, command, what } = content else {
        unreachable!("only outputs of earlier steps are resolved");
    };
    let missing = |what| Unresolved::NotStored {
        step: job.spec.steps[*step].name.to_string(),
        command: job.spec.steps[*step].commands[*command].name.to_string(),
        what,
    };
    let result = job.steps[*step].decided().commands.get(*command).ok_or_else(|| missing("result"))?;
    let source = match what {
        OutputPart::File(path) => {
            let file = result.files.iter().find(|file| file.path == path.as_bytes());
            let file = file.ok_or_else(|| missing("file"))?;
            source_of(&file.data, file.size_bytes, &file.blob).ok_or_else(|| missing("file"))?
        }
        OutputPart::Stream(stream) => {
            let output = match stream {
                Stream::Stdout => &result.stdout,
                Stream::Stderr => &result.stderr,
            };
            let output = output.clone().unwrap_or_default();
            source_of(&output.data, output.size_bytes, &output.blob).ok_or_else(|| missing("output"))?
        }
    };
    Ok(v1::Content { source: Some(source) })
}

fn source_of(data: &Bytes, size_bytes: u64, blob: &str) -> Option<Source> {
    if data.len() as u64 == size_bytes {
        return Some(Source::Inline(data.clone()));
    }
    (!blob.is_empty()).then(|| Source::Blob(blob.to_owned()))
}

/// Does a later step read what a command of this one writes? Then it has to be stored even for a job that is not.
fn is_read_later(job: &LiveJob, index: usize) -> bool {
    let reads = |content: &Content| matches!(content, Content::OutputOf { step, what: OutputPart::Stream(_), .. } if *step == index);
    job.spec
        .steps
        .iter()
        .flat_map(|step| &step.commands)
        .any(|command| reads(&command.stdin) || command.files_in.iter().any(|file| reads(&file.content)))
}
