//! Jobs as JSON: of `run`, `get`, `wait`, `cancel` and `list`.

use std::collections::HashMap;

use kiln_proto::v1;
use serde::Serialize;

use super::result::{CommandResult, File, Outcome, Received, Streams, Usage};
use super::spec::JobSpec;
use super::word;
use crate::exit;

/// Output that was received live, by step and command.
pub(crate) type ReceivedOutput = HashMap<(String, String), Received>;

#[derive(Debug, Serialize)]
pub(crate) struct Job {
    id: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<JobSpec>,
    /// Of the command that decided how the job ended: the first that did not exit 0, else the last.
    #[serde(flatten)]
    deciding: Option<Deciding>,
    steps: Vec<StepStatus>,
    submitted_unix_us: u64,
    finished_unix_us: u64,
    durable: bool,
    /// What `kiln run` exits with for this job.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<u8>,
}

/// A job that was run, and what was recorded of it.
#[derive(Debug, Serialize)]
pub(crate) struct Learnt {
    #[serde(flatten)]
    pub(crate) job: Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) learned: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct Deciding {
    outcome: Option<Outcome>,
    usage: Option<Usage>,
    #[serde(flatten)]
    streams: Streams,
    files: Vec<File>,
}

#[derive(Debug, Serialize)]
struct StepStatus {
    name: String,
    state: String,
    attempt: u64,
    worker: String,
    commands: Vec<CommandResult>,
    queued_unix_us: u64,
    leased_unix_us: u64,
    reported_unix_us: u64,
}

/// Whether the spec is printed with the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spec {
    Shown,
    Left,
}

impl Job {
    pub(crate) fn new(job: &v1::Job, spec: Spec, received: &ReceivedOutput) -> Job {
        let live = |step: &str, command: &str| received.get(&(step.to_owned(), command.to_owned()));
        let done = job.state() == v1::JobState::Done;
        Job {
            id: job.id.clone(),
            state: word(job.state().as_str_name(), "JOB_STATE_"),
            verdict: done.then(|| word(job.verdict().as_str_name(), "JOB_VERDICT_")),
            spec: job.spec.as_ref().filter(|_| spec == Spec::Shown).map(JobSpec::from),
            deciding: exit::deciding(job)
                .filter(|_| done)
                .map(|(step, result)| Deciding::new(result, live(step, &result.name))),
            steps: job.steps.iter().map(|step| StepStatus::new(step, received)).collect(),
            submitted_unix_us: job.submitted_unix_us,
            finished_unix_us: job.finished_unix_us,
            durable: job.durable,
            exit_status: done.then(|| exit::of_job(job)),
        }
    }
}

impl Deciding {
    fn new(result: &v1::CommandResult, received: Option<&Received>) -> Deciding {
        let CommandResult { outcome, usage, streams, files, .. } = CommandResult::new(result, received);
        Deciding { outcome, usage, streams, files }
    }
}

impl StepStatus {
    fn new(step: &v1::StepStatus, received: &ReceivedOutput) -> StepStatus {
        let live = |command: &str| received.get(&(step.name.clone(), command.to_owned()));
        let commands = step.commands.iter();
        StepStatus {
            name: step.name.clone(),
            state: word(step.state().as_str_name(), "STEP_STATE_"),
            attempt: step.attempt,
            worker: step.worker.clone(),
            commands: commands.map(|result| CommandResult::new(result, live(&result.name))).collect(),
            queued_unix_us: step.queued_unix_us,
            leased_unix_us: step.leased_unix_us,
            reported_unix_us: step.reported_unix_us,
        }
    }
}

/// A job in a list: without spec and results.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    id: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    submitted_unix_us: u64,
    finished_unix_us: u64,
    durable: bool,
}

impl From<&v1::Job> for Listed {
    fn from(job: &v1::Job) -> Listed {
        let done = job.state() == v1::JobState::Done;
        Listed {
            id: job.id.clone(),
            state: word(job.state().as_str_name(), "JOB_STATE_"),
            verdict: done.then(|| word(job.verdict().as_str_name(), "JOB_VERDICT_")),
            submitted_unix_us: job.submitted_unix_us,
            finished_unix_us: job.finished_unix_us,
            durable: job.durable,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn result(kind: v1::OutcomeKind, stdout: &'static [u8]) -> v1::CommandResult {
        let outcome = v1::Outcome {
            kind: kind.into(),
            code: Some(3).filter(|_| kind == v1::OutcomeKind::Exited),
            limit: if kind == v1::OutcomeKind::Limit { v1::LimitName::Memory.into() } else { 0 },
            limit_value: Some(64 << 20).filter(|_| kind == v1::OutcomeKind::Limit),
            seen_value: Some(64 << 20).filter(|_| kind == v1::OutcomeKind::Limit),
            evidence: Some(v1::Evidence { oom_kills: Some(1), ..v1::Evidence::default() }),
            sentence: "a sentence".to_owned(),
            ..v1::Outcome::default()
        };
        let size_bytes = stdout.len() as u64;
        v1::CommandResult {
            name: "main".to_owned(),
            outcome: Some(outcome),
            usage: Some(v1::Usage { cpu_user_us: Some(1_500), ..v1::Usage::default() }),
            stdout: Some(v1::Output {
                data: Bytes::from_static(stdout),
                size_bytes,
                ..v1::Output::default()
            }),
            stderr: Some(v1::Output::default()),
            files: vec![v1::FileResult {
                path: Bytes::from_static(b"/work/out"),
                state: v1::FileState::Missing.into(),
                ..v1::FileResult::default()
            }],
            phases: Some(v1::Phases { started_unix_us: 7, ..v1::Phases::default() }),
        }
    }

    fn job(kind: v1::OutcomeKind, verdict: v1::JobVerdict, stdout: &'static [u8]) -> v1::Job {
        let step = v1::StepStatus {
            name: "run".to_owned(),
            state: v1::StepState::Failed.into(),
            attempt: 1,
            worker: "here".to_owned(),
            commands: vec![result(kind, stdout)],
            ..v1::StepStatus::default()
        };
        v1::Job {
            id: "0192".to_owned(),
            state: v1::JobState::Done.into(),
            verdict: verdict.into(),
            steps: vec![step],
            ..v1::Job::default()
        }
    }

    #[test]
    fn a_finished_job_has_the_promised_shape() {
        let done = job(v1::OutcomeKind::Exited, v1::JobVerdict::Failed, b"hello\n");
        insta::assert_json_snapshot!(Job::new(&done, Spec::Left, &ReceivedOutput::new()));
    }

    #[test]
    fn a_limit_is_named_and_bytes_that_are_no_text_are_encoded() {
        let done = job(v1::OutcomeKind::Limit, v1::JobVerdict::Limit, b"\xff");
        let value = serde_json::to_value(Job::new(&done, Spec::Left, &ReceivedOutput::new())).expect("JSON");
        assert_eq!(value["outcome"]["kind"], "limit");
        assert_eq!(value["outcome"]["limit"], "memory");
        assert_eq!(value["outcome"]["evidence"]["oom_kills"], 1);
        assert_eq!(value["stdout_base64"], "/w==");
        assert!(value.get("stdout").is_none());
        assert_eq!(value["exit_status"], 124);
    }

    #[test]
    fn output_received_live_replaces_the_kept_beginning() {
        let done = job(v1::OutcomeKind::Exited, v1::JobVerdict::Failed, b"begin");
        let live = Received { stdout: b"beginning and end".to_vec(), stderr: Vec::new() };
        let received = HashMap::from([(("run".to_owned(), "main".to_owned()), live)]);
        let value = serde_json::to_value(Job::new(&done, Spec::Left, &received)).expect("JSON");
        assert_eq!(value["stdout"], "beginning and end");
        assert_eq!(value["steps"][0]["commands"][0]["stdout"], "beginning and end");
    }

    #[test]
    fn a_job_that_is_not_done_has_no_verdict_and_no_exit_status() {
        let queued = v1::Job { state: v1::JobState::Queued.into(), ..v1::Job::default() };
        let value =
            serde_json::to_value(Job::new(&queued, Spec::Left, &ReceivedOutput::new())).expect("JSON");
        assert_eq!(value["state"], "queued");
        assert!(value.get("verdict").is_none() && value.get("exit_status").is_none());
    }
}
