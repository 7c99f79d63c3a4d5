//! One job that is not done: its specification, what became of its steps, who watches.
//!
//! A step's result is decided first (`next`) and shown later (`status`), once it is stored.

use kiln_proto::model::{
    CommandResult, Digest, Ending, JobId, JobSpec, Priority, Profile, Step, Verdict, job_verdict,
};
use kiln_proto::v1;
use kiln_proto::v1::job_event::Event;
use prost::Message;
use tokio::sync::oneshot;

use super::admission::Admitted;
use super::event_log::EventLog;
use super::fitting::fitting;
use super::watching::{Following, Seat};
use crate::blobs::Pins;
use crate::queue::{Class, JobKey, NewJob, NewStep, ProfileName, Retry, StepEnd};
use crate::store::{DoneRow, StepRow};

/// Who writes a job down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// `Submit`.
    Durable,
    /// `Run`.
    Fleeting,
}

/// A job.
#[derive(Debug)]
pub(crate) struct LiveJob {
    pub(crate) key: JobKey,
    pub(crate) id: String,
    pub(crate) spec: JobSpec,
    /// The same on the wire, normalised.
    pub(crate) wire: v1::JobSpec,
    pub(crate) durability: Durability,
    pub(crate) submitted_unix_us: u64,
    /// W3C trace context of the call that brought it; forgotten in a restart.
    pub(crate) traceparent: String,
    pub(crate) cancelled: bool,
    pub(crate) steps: Vec<LiveStep>,
    pub(crate) log: EventLog,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) waiters: Vec<oneshot::Sender<Option<v1::Job>>>,
    pub(crate) admitted: Admitted,
    pub(crate) pins: Pins,
    /// Decided; shown once stored.
    pub(crate) done: Option<DoneRow>,
}

/// A step.
#[derive(Debug)]
pub(crate) struct LiveStep {
    /// As shown.
    pub(crate) status: v1::StepStatus,
    /// As decided, until it is stored.
    pub(crate) next: Option<v1::StepStatus>,
    pub(crate) verdict: Option<Verdict>,
    /// Numbers of its events; 0 while they did not happen.
    pub(crate) started_sequence: u64,
    pub(crate) finished_sequence: u64,
    /// The event that this attempt started was shown.
    pub(crate) start_shown: bool,
    /// Live output of the attempt for watchers that have not been told of its start yet.
    pub(crate) following: Vec<(u64, Following)>,
}

/// Somebody who follows the job.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) number: u64,
    pub(crate) seat: Seat,
}

/// A result on its way in.
#[derive(Debug)]
pub(crate) struct StepResult {
    pub(crate) commands: Vec<v1::CommandResult>,
    pub(crate) verdict: Verdict,
}

impl LiveJob {
    /// A job that was just accepted.
    pub(crate) fn accepted(
        id: JobId,
        spec: JobSpec,
        wire: v1::JobSpec,
        durability: Durability,
        rights: (Admitted, Pins),
        now_us: u64,
    ) -> Self {
        let mut log = EventLog::new(id.to_string(), 0);
        log.push(Event::Accepted(v1::Accepted {}), now_us);
        let steps = spec.steps.iter().map(|step| LiveStep::waiting(step.name.as_str())).collect();
        let mut job = Self {
            key: key_of(id),
            id: id.to_string(),
            spec,
            wire,
            durability,
            submitted_unix_us: now_us,
            traceparent: String::new(),
            cancelled: false,
            steps,
            log,
            watchers: Vec::new(),
            waiters: Vec::new(),
            admitted: rights.0,
            pins: rights.1,
            done: None,
        };
        job.line_up(now_us);
        job
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durability == Durability::Durable
    }

    /// The job in the queue's words.
    pub(crate) fn for_queue(&self) -> NewJob {
        let steps = self.spec.steps.iter().zip(&self.steps);
        let steps = steps.map(|(spec, step)| NewStep {
            needs: spec.needs.clone(),
            ended: step.end(),
            needs_profiles: custom_profiles(spec),
        });
        let class = match self.spec.priority {
            Priority::Low => Class::Low,
            Priority::Normal => Class::Normal,
            Priority::High => Class::High,
        };
        let retry = if self.is_durable() { Retry::Always } else { Retry::UntilOutput };
        NewJob { key: self.key, class, retry, steps: steps.collect() }
    }

    /// A worker has it.
    pub(crate) fn leased(&mut self, step: usize, attempt: u64, worker: &str, now_us: u64) {
        self.admitted.leased();
        let step = &mut self.steps[step];
        step.status.set_state(v1::StepState::Running);
        step.status.attempt = attempt;
        step.status.worker = worker.to_owned();
        step.status.leased_unix_us = now_us;
        step.started_sequence = 0;
        step.start_shown = false;
        step.following.clear();
    }

    /// The worker began to run it. The event tells the moment of the lease, which is what the store keeps: it is the same after a restart.
    pub(crate) fn started(&mut self, step: usize) {
        let status = &self.steps[step].status;
        if self.steps[step].started_sequence > 0 {
            return;
        }
        let started = v1::StepStarted {
            step: status.name.clone(),
            attempt: status.attempt,
            worker: status.worker.clone(),
        };
        let leased_unix_us = status.leased_unix_us;
        self.steps[step].started_sequence = self.log.push(Event::StepStarted(started), leased_unix_us);
    }

    /// The attempt came to nothing.
    pub(crate) fn requeued(&mut self, step: usize) {
        self.log.push_lost(step);
        let step = &mut self.steps[step];
        step.status.set_state(v1::StepState::Queued);
        step.following.clear();
    }

    /// Decides how a step ended, and says so in the log.
    pub(crate) fn end_step(&mut self, index: usize, end: StepEnd, result: Option<StepResult>, now_us: u64) {
        let mut status = self.steps[index].status.clone();
        status.set_state(match end {
            StepEnd::Succeeded => v1::StepState::Succeeded,
            StepEnd::Failed => v1::StepState::Failed,
            StepEnd::Skipped => v1::StepState::Skipped,
        });
        if let Some(result) = result {
            self.started(index);
            status.reported_unix_us = now_us;
            self.pins.add(result.commands.iter().flat_map(blobs_of));
            for command in &result.commands {
                let (step, result) = (status.name.clone(), Some(command.clone()));
                self.log.push(Event::CommandFinished(v1::CommandFinished { step, result }), now_us);
            }
            self.steps[index].verdict = Some(result.verdict);
            status.commands = result.commands;
        }
        let finished = v1::StepFinished { step: status.name.clone(), state: status.state };
        self.steps[index].finished_sequence = self.log.push(Event::StepFinished(finished), now_us);
        self.steps[index].next = Some(status);
        self.line_up(now_us);
    }

    /// Decides how the job ended, and says so in the log.
    pub(crate) fn end(&mut self, now_us: u64) -> DoneRow {
        let ran = job_verdict(self.steps.iter().filter_map(|step| step.verdict));
        let skipped = self.steps.iter().any(|step| step.decided().state() == v1::StepState::Skipped);
        let verdict = if self.cancelled && skipped { ran.max(Verdict::Cancelled) } else { ran };
        let mut done = DoneRow {
            verdict: v1::JobVerdict::from(verdict).into(),
            finished_unix_us: now_us,
            sequence: self.log.last_sequence() + 1,
        };
        self.done = Some(done);
        let steps = self.steps.iter().map(|step| step.decided().clone()).collect();
        let job = Some(fitting(self.ended(self.frame(steps))));
        done.sequence = self.log.push(Event::Done(v1::Done { job }), now_us);
        done
    }

    /// The job as decided, at its end.
    pub(crate) fn into_view(mut self) -> v1::Job {
        let steps = std::mem::take(&mut self.steps);
        let steps = steps.into_iter().map(|step| step.next.unwrap_or(step.status)).collect();
        let spec = std::mem::take(&mut self.wire);
        v1::Job { spec: Some(spec), ..self.ended(self.frame(steps)) }
    }

    /// The job as far as it is stored.
    pub(crate) fn shown(&self) -> v1::Job {
        let steps = self.steps.iter().map(|step| step.status.clone()).collect();
        v1::Job { spec: Some(self.wire.clone()), ..self.frame(steps) }
    }

    /// As [`LiveJob::shown`], without specification and results.
    pub(crate) fn summary(&self) -> v1::Job {
        let steps = self.steps.iter().map(|step| without_results(&step.status)).collect();
        self.frame(steps)
    }

    /// A step's results in the store's words.
    pub(crate) fn row(&self, index: usize) -> StepRow {
        let step = &self.steps[index];
        let status = step.decided();
        StepRow {
            step: index,
            status: status.encode_to_vec().into(),
            summary: without_results(status).encode_to_vec().into(),
            started_sequence: step.started_sequence,
            finished_sequence: step.finished_sequence,
            blobs: status.commands.iter().flat_map(blobs_of).map(|digest| *digest.as_bytes()).collect(),
        }
    }

    /// What was decided about these steps may be shown.
    pub(crate) fn show(&mut self, steps: &[usize]) {
        for index in steps {
            if let Some(status) = self.steps[*index].next.take() {
                self.steps[*index].status = status;
            }
        }
    }

    /// Results for a step whose worker was lost for good.
    pub(crate) fn lost_result(&self, step: usize, why: &str) -> StepResult {
        let ending = if self.cancelled {
            Ending::new(kiln_proto::model::Outcome::Cancelled)
        } else {
            Ending::infrastructure("lease", None, why)
        };
        self.unrun(step, &ending)
    }

    /// The same ending for every command of a step.
    pub(crate) fn unrun(&self, step: usize, ending: &Ending) -> StepResult {
        let commands = self.spec.steps[step].commands.iter();
        let commands = commands
            .map(|command| (&CommandResult::unrun(command.name.clone(), ending.clone())).into())
            .collect();
        let verdict = match ending.outcome {
            kiln_proto::model::Outcome::Cancelled => Verdict::Cancelled,
            _ => Verdict::Infrastructure,
        };
        StepResult { commands, verdict }
    }

    /// Steps whose needs have succeeded stand in line now.
    pub(super) fn line_up(&mut self, now_us: u64) {
        for index in 0..self.steps.len() {
            let needs = &self.spec.steps[index].needs;
            let fulfilled =
                needs.iter().all(|need| self.steps[*need].decided().state() == v1::StepState::Succeeded);
            let step = &mut self.steps[index];
            if fulfilled && step.next.is_none() && step.status.state() == v1::StepState::Waiting {
                step.status.set_state(v1::StepState::Queued);
                step.status.queued_unix_us = now_us;
            }
        }
    }

    /// Without its specification.
    fn frame(&self, steps: Vec<v1::StepStatus>) -> v1::Job {
        let leased = steps.iter().any(|step| step.attempt > 0);
        let state = if leased { v1::JobState::Running } else { v1::JobState::Queued };
        v1::Job {
            id: self.id.clone(),
            state: state.into(),
            verdict: v1::JobVerdict::Unspecified.into(),
            spec: None,
            steps,
            submitted_unix_us: self.submitted_unix_us,
            finished_unix_us: 0,
            durable: self.is_durable(),
        }
    }

    /// The same with what was decided of its end.
    fn ended(&self, mut job: v1::Job) -> v1::Job {
        if let Some(done) = &self.done {
            job.set_state(v1::JobState::Done);
            job.verdict = done.verdict;
            job.finished_unix_us = done.finished_unix_us;
        }
        job
    }
}

impl LiveStep {
    pub(crate) fn waiting(name: &str) -> Self {
        let mut status = v1::StepStatus { name: name.to_owned(), ..Default::default() };
        status.set_state(v1::StepState::Waiting);
        Self {
            status,
            next: None,
            verdict: None,
            started_sequence: 0,
            finished_sequence: 0,
            start_shown: false,
            following: Vec::new(),
        }
    }

    /// As decided, stored or not.
    pub(crate) fn decided(&self) -> &v1::StepStatus {
        self.next.as_ref().unwrap_or(&self.status)
    }

    fn end(&self) -> Option<StepEnd> {
        match self.decided().state() {
            v1::StepState::Succeeded => Some(StepEnd::Succeeded),
            v1::StepState::Failed => Some(StepEnd::Failed),
            v1::StepState::Skipped => Some(StepEnd::Skipped),
            _ => None,
        }
    }
}

/// The queue's key of a job.
pub(crate) fn key_of(id: JobId) -> JobKey {
    JobKey(u128::from_be_bytes(*id.as_bytes()))
}

/// A status as lists show it.
pub(crate) fn without_results(status: &v1::StepStatus) -> v1::StepStatus {
    v1::StepStatus {
        name: status.name.clone(),
        worker: status.worker.clone(),
        commands: Vec::new(),
        ..*status
    }
}

/// Profiles that not every worker has.
fn custom_profiles(step: &Step) -> Vec<ProfileName> {
    let custom = step.commands.iter().filter_map(|command| match &command.profile {
        Profile::Custom(name) => Some(name.as_str().into()),
        Profile::Strict | Profile::Default | Profile::Build => None,
    });
    custom.collect()
}

/// Blobs that a result names.
fn blobs_of(result: &v1::CommandResult) -> Vec<Digest> {
    let outputs = [&result.stdout, &result.stderr].into_iter().flatten().map(|output| &output.blob);
    let files = result.files.iter().map(|file| &file.blob);
    outputs.chain(files).filter_map(|digest| digest.parse().ok()).collect()
}
