//! From the store back to life, and to the wire. The events of a stored job are made from its rows, with the numbers they had.

use kiln_proto::model::{
    CommandResult, Digest, Invalid, JobId, JobSpec, LimitPolicy, NameError, step_verdict,
};
use kiln_proto::v1;
use kiln_proto::v1::job_event::Event;
use prost::Message;

use super::admission::Admitted;
use super::event_log::EventLog;
use super::fitting::fitting;
use super::live::{Durability, LiveJob, LiveStep};
use crate::blobs::Pins;
use crate::queue::JobKey;
use crate::store::{DoneRow, ListedJob, StepRow, StoredJob};

/// Room for the event numbers that a crash may have made known without their being stored; more than a job has events.
const UNSTORED_EVENTS: u64 = 1 << 16;

/// Why a stored job cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    #[error("the stored specification or result does not decode")]
    Decode(#[from] prost::DecodeError),
    #[error("the stored job id is none")]
    Id(#[from] NameError),
    #[error("the stored specification does not hold any more")]
    Spec(#[from] Invalid),
}

/// A job that had not ended when the server did. What was accepted under an earlier, wider policy goes on as it was accepted.
pub(crate) fn revive(
    stored: &StoredJob,
    epoch: u64,
    admitted: Admitted,
    pins: Pins,
) -> Result<LiveJob, RecoveryError> {
    let id = JobId::from_bytes(stored.key.0.to_be_bytes())?;
    let wire = v1::JobSpec::decode(stored.spec.clone())?;
    let spec = JobSpec::check(wire.clone(), &LimitPolicy::widest())?;
    let mut steps: Vec<_> = spec.steps.iter().map(|step| LiveStep::waiting(step.name.as_str())).collect();
    for row in &stored.steps {
        if let (Some(step), Some(model)) = (steps.get_mut(row.step), spec.steps.get(row.step)) {
            step.status = v1::StepStatus::decode(row.status.clone())?;
            step.started_sequence = row.started_sequence;
            step.finished_sequence = row.finished_sequence;
            let results: Result<Vec<_>, _> =
                step.status.commands.iter().cloned().map(CommandResult::try_from).collect();
            let ran = !step.status.commands.is_empty();
            step.verdict = ran.then_some(results.map(|results| step_verdict(model, &results))?);
        }
    }
    let skipped = epoch.saturating_sub(stored.epoch).saturating_mul(UNSTORED_EVENTS);
    let log = EventLog::recovered(id.to_string(), events(stored)?, stored.last_sequence + skipped);
    let mut job =
        LiveJob::accepted(id, spec, wire, Durability::Durable, (admitted, pins), stored.submitted_unix_us);
    job.cancelled = stored.cancelled;
    job.log = log;
    job.steps = steps;
    job.line_up(stored.submitted_unix_us);
    Ok(job)
}

/// Blobs that a specification names: inputs and images.
pub(crate) fn blobs_named(spec: &JobSpec) -> Vec<Digest> {
    use kiln_proto::model::{Content, ImageRef};
    let mut named = Vec::new();
    for command in spec.steps.iter().flat_map(|step| &step.commands) {
        if let ImageRef::Digest(digest) = &command.image {
            named.push(*digest);
        }
        let contents = command.files_in.iter().map(|file| &file.content).chain([&command.stdin]);
        named.extend(contents.filter_map(|content| match content {
            Content::Blob(digest) => Some(*digest),
            _ => None,
        }));
    }
    named.sort_unstable();
    named.dedup();
    named
}

/// A stored job as `Get` shows it.
pub(crate) fn view(stored: &StoredJob) -> Result<v1::Job, RecoveryError> {
    let spec = v1::JobSpec::decode(stored.spec.clone())?;
    let mut steps: Vec<_> = spec
        .steps
        .iter()
        .map(|step| v1::StepStatus { name: step.name.clone(), ..Default::default() })
        .collect();
    for row in &stored.steps {
        if let Some(step) = steps.get_mut(row.step) {
            *step = v1::StepStatus::decode(row.status.clone())?;
        }
    }
    let mut job = frame(stored.key, stored.submitted_unix_us, stored.done)?;
    (job.spec, job.steps) = (Some(spec), steps);
    Ok(job)
}

/// A listed job, without what its live half knows.
pub(crate) fn listed(listed: &ListedJob) -> Result<v1::Job, RecoveryError> {
    let mut job = frame(listed.key, listed.submitted_unix_us, listed.done)?;
    for (_, summary) in &listed.steps {
        job.steps.push(v1::StepStatus::decode(summary.clone())?);
    }
    Ok(job)
}

/// The events of a stored job, in the order of their numbers.
pub(crate) fn events(stored: &StoredJob) -> Result<Vec<v1::JobEvent>, RecoveryError> {
    let job_id = JobId::from_bytes(stored.key.0.to_be_bytes())?.to_string();
    let at = |sequence, unix_us, event| v1::JobEvent {
        sequence,
        job_id: job_id.clone(),
        unix_us,
        event: Some(event),
    };
    let mut events = vec![at(1, stored.submitted_unix_us, Event::Accepted(v1::Accepted {}))];
    for row in &stored.steps {
        step_events(row, at, &mut events)?;
    }
    if let Some(done) = stored.done {
        let job = Some(fitting(v1::Job { spec: None, ..view(stored)? }));
        events.push(at(done.sequence, done.finished_unix_us, Event::Done(v1::Done { job })));
    }
    events.sort_by_key(|event| event.sequence);
    Ok(events)
}

fn step_events(
    row: &StepRow,
    at: impl Fn(u64, u64, Event) -> v1::JobEvent,
    events: &mut Vec<v1::JobEvent>,
) -> Result<(), RecoveryError> {
    let status = v1::StepStatus::decode(row.status.clone())?;
    let step = status.name.clone();
    if row.started_sequence > 0 {
        let (attempt, worker) = (status.attempt, status.worker.clone());
        let started = v1::StepStarted { step: step.clone(), attempt, worker };
        events.push(at(row.started_sequence, status.leased_unix_us, Event::StepStarted(started)));
    }
    let first = row.finished_sequence.saturating_sub(status.commands.len() as u64);
    for (sequence, result) in (first..).zip(status.commands) {
        let finished = v1::CommandFinished { step: step.clone(), result: Some(result) };
        events.push(at(sequence, status.reported_unix_us, Event::CommandFinished(finished)));
    }
    let finished = v1::StepFinished { step, state: status.state };
    events.push(at(row.finished_sequence, status.reported_unix_us, Event::StepFinished(finished)));
    Ok(())
}

fn frame(key: JobKey, submitted_unix_us: u64, done: Option<DoneRow>) -> Result<v1::Job, RecoveryError> {
    let state = if done.is_some() { v1::JobState::Done } else { v1::JobState::Queued };
    Ok(v1::Job {
        id: JobId::from_bytes(key.0.to_be_bytes())?.to_string(),
        state: state.into(),
        verdict: done.map_or(0, |done| done.verdict),
        submitted_unix_us,
        finished_unix_us: done.map_or(0, |done| done.finished_unix_us),
        durable: true,
        ..Default::default()
    })
}
