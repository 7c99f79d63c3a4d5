//! The task that owns the queue and all live jobs. It takes commands, lets the queue decide, and has the effects performed
//! ([`super::performing`]). It never waits for anything but its next input: not for a watcher, a worker or the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kiln_proto::model::{CommandResult, Ending as CommandEnding, Verdict, step_verdict};
use kiln_proto::v1;
use kiln_proto::v1::server_message::Message as ToWorker;
use kiln_proto::v1::worker_message::Message as FromWorker;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::live::{LiveJob, StepResult, Watcher};
use super::performing::{Batches, OpenRecord, Stored};
use super::recent::Recent;
use super::relays::Relays;
use super::watching::{Following, Notice, Seat};
use super::workers::{Registration, Workers};
use super::{Command, lease};
use crate::queue::{Attempt, Ending, Event, JobKey, Moment, Queue, Settings, WorkerKey};
use crate::store::Store;

/// Attempt numbers of one life of the server: more than it can ever hand out.
const ATTEMPTS_PER_EPOCH_BITS: u32 = 40;

/// What the owner needs.
pub(crate) struct OwnerParts {
    pub(crate) settings: Settings,
    pub(crate) max_file_bytes: u64,
    pub(crate) epoch: u64,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) relays: Relays,
    pub(crate) stop: CancellationToken,
}

/// The owner.
pub(crate) struct Owner {
    pub(super) parts: OwnerParts,
    pub(super) queue: Queue,
    pub(super) jobs: HashMap<JobKey, LiveJob>,
    pub(super) workers: Workers,
    pub(super) recent: Recent,
    pub(super) recording: FuturesUnordered<Stored>,
    pub(super) open_records: HashMap<u64, OpenRecord>,
    pub(super) next_record: u64,
    /// The result that the report being applied carries.
    pub(super) reported: Option<(Attempt, StepResult)>,
    origin: Instant,
    next_watcher: u64,
}

impl Owner {
    pub(crate) fn new(parts: OwnerParts) -> Self {
        let first_attempt = (parts.epoch << ATTEMPTS_PER_EPOCH_BITS) + 1;
        Self {
            queue: Queue::new(parts.settings, first_attempt),
            parts,
            jobs: HashMap::new(),
            workers: Workers::default(),
            recent: Recent::default(),
            recording: FuturesUnordered::new(),
            open_records: HashMap::new(),
            next_record: 1,
            reported: None,
            origin: Instant::now(),
            next_watcher: 1,
        }
    }

    /// Takes up a job from before the start.
    pub(crate) fn recover(&mut self, job: LiveJob) {
        let (key, cancelled) = (job.key, job.cancelled);
        self.enqueue(job, None);
        if cancelled {
            self.apply(Event::Cancelled { job: key });
        }
    }

    /// Works until told to stop, or until nobody can send commands any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let stop = self.parts.stop.clone();
        loop {
            let wake = self.queue.next_wake().map(|wake| tokio::time::Instant::from_std(self.origin + wake));
            tokio::select! {
                () = stop.cancelled() => return,
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some((record, outcome)) = self.recording.next() => self.stored(record, outcome),
                () = sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)), if wake.is_some() => {
                    self.apply(Event::Tick);
                }
            }
            self.give_up_workers();
        }
    }

    /// Workers that could not be sent something get no more leases; what they hold expires, unless they come back before.
    fn give_up_workers(&mut self) {
        while let Some(worker) = self.workers.next_given_up() {
            self.apply(Event::WorkerLeft { worker });
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    /// Whoever asks may be gone by the time of the answer; that is their matter.
    fn command(&mut self, command: Command) {
        match command {
            Command::Enqueue { job, seat } => self.enqueue(*job, seat),
            Command::Watch { job, seat, reply } => drop(reply.send(self.watch(job, seat))),
            Command::Wait { job, reply } => self.wait(job, reply),
            Command::Get { job, reply } => drop(reply.send(self.find(job))),
            Command::Summaries { jobs, reply } => {
                let summaries = jobs.iter().map(|job| self.jobs.get(job).map(LiveJob::summary)).collect();
                drop(reply.send(summaries));
            }
            Command::Cancel { job, reply } => self.cancel(job, reply),
            Command::Abandon { job } => self.abandon(job),
            Command::OutputSent { job, step, attempt, reply } => {
                let current = self.output_sent(job, step, attempt);
                let _ = reply.send(current);
            }
            Command::Join { worker, registration } => self.join(worker, *registration),
            Command::Told { worker, message } => self.told(worker, message),
            Command::Left { worker } => {
                if let Some(name) = self.workers.leave(worker) {
                    tracing::info!(worker.id = %name, "worker left");
                }
                self.apply(Event::WorkerLeft { worker });
            }
            Command::Fleet { reply } => {
                drop(reply.send(self.workers.describe(|worker| self.queue.held_by(worker))));
            }
        }
    }

    fn enqueue(&mut self, mut job: LiveJob, seat: Option<Seat>) {
        tracing::info!(job.id = %job.id, durable = job.is_durable(), steps = job.steps.len(), "job queued");
        let (key, new) = (job.key, job.for_queue());
        if let Some(seat) = seat {
            job.watchers.push(Watcher { number: self.watcher_number(), seat });
        }
        self.jobs.insert(key, job);
        self.publish(key);
        self.apply(Event::Submitted(new));
    }

    fn find(&mut self, key: JobKey) -> Option<v1::Job> {
        match self.jobs.get(&key) {
            Some(job) => Some(job.shown()),
            None => self.recent.find(key, self.origin.elapsed()),
        }
    }

    fn wait(&mut self, key: JobKey, reply: oneshot::Sender<Option<v1::Job>>) {
        match self.jobs.get_mut(&key) {
            Some(job) => {
                job.waiters.retain(|waiter| !waiter.is_closed());
                job.waiters.push(reply);
            }
            None => drop(reply.send(self.recent.find(key, self.origin.elapsed()))),
        }
    }

    /// Replays what was shown so far, and follows what runs.
    fn watch(&mut self, key: JobKey, seat: Seat) -> bool {
        let number = self.watcher_number();
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        for event in job.log.shown().filter(|event| event.sequence > seat.wanted.after_sequence) {
            seat.tell(Notice::Event(Arc::clone(event)));
        }
        let output = seat.wanted.output;
        job.watchers.retain(|watcher| !watcher.seat.is_abandoned());
        job.watchers.push(Watcher { number, seat });
        if output {
            self.follow_running(key, number);
        }
        true
    }

    /// Opens relays for a watcher that came while steps were running.
    fn follow_running(&mut self, key: JobKey, number: u64) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let mut wanted = Vec::new();
        for step in 0..job.steps.len() {
            let status = job.steps[step].decided();
            if status.state() != v1::StepState::Running {
                continue;
            }
            let attempt = Attempt { job: key, step, number: status.attempt };
            let worker = self.workers.by_name(&status.worker);
            let (relays, following) = follow(job, attempt, &self.parts.relays);
            wanted.extend(relays.into_iter().map(|relay| (worker, relay)));
            if job.steps[step].start_shown {
                job.tell(number, Notice::Follow(following));
            } else {
                job.steps[step].following.extend(following.into_iter().map(|following| (number, following)));
            }
        }
        for (worker, relay) in wanted {
            if let Some(worker) = worker {
                self.workers.send(worker, ToWorker::Relay(relay));
            }
        }
    }

    fn cancel(&mut self, key: JobKey, reply: oneshot::Sender<Option<v1::Job>>) {
        if !self.jobs.contains_key(&key) {
            return drop(reply.send(self.recent.find(key, self.origin.elapsed())));
        }
        if let Some(end) = self.open_end(key) {
            return end.answer_too(reply);
        }
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if !job.cancelled {
            tracing::info!(job.id = %job.id, "job cancelled");
        }
        job.cancelled = true;
        let mut batches = Batches::default();
        self.touch(&mut batches, key).cancel(reply);
        let effects = self.queue.apply(Event::Cancelled { job: key }, self.now());
        self.perform(effects, batches);
    }

    fn abandon(&mut self, key: JobKey) {
        if let Some(job) = self.jobs.get_mut(&key)
            && !job.is_durable()
        {
            tracing::info!(job.id = %job.id, "job cancelled: its caller is gone");
            job.cancelled = true;
            self.apply(Event::Cancelled { job: key });
        }
    }

    fn output_sent(&mut self, key: JobKey, step: usize, attempt: u64) -> bool {
        let current = self.jobs.get(&key).and_then(|job| job.steps.get(step)).is_some_and(|step| {
            step.decided().attempt == attempt && step.decided().state() != v1::StepState::Queued
        });
        if current {
            self.apply(Event::OutputSent { job: key });
        }
        // A job that is gone has ended: its watcher drains what there is.
        current || !self.jobs.contains_key(&key)
    }

    fn join(&mut self, worker: WorkerKey, registration: Registration) {
        let register = &registration.register;
        let (name, slots) = (register.name.as_str().into(), register.slots as usize);
        let profiles = register.profiles.iter().map(|name| name.as_str().into()).collect();
        tracing::info!(worker.id = %register.name, slots, version = %register.version, "worker joined");
        let mut running = Vec::new();
        let mut unknown = Vec::new();
        for reference in &register.running {
            match self.attempt(reference) {
                Some(attempt) => running.push(attempt),
                None => unknown.push(reference.clone()),
            }
        }
        self.workers.join(worker, Arc::clone(&name), registration);
        for attempt in unknown {
            let cancel = v1::CancelAttempt { attempt: Some(attempt), fenced: true };
            self.workers.send(worker, ToWorker::Cancel(cancel));
        }
        self.apply(Event::WorkerJoined { worker, name, slots, profiles, running });
    }

    fn told(&mut self, worker: WorkerKey, message: FromWorker) {
        match message {
            FromWorker::Credits(credits) => {
                self.apply(Event::Credits { worker, free: credits.free_slots as usize });
            }
            FromWorker::Heartbeat(heartbeat) => self.heartbeat(worker, heartbeat),
            FromWorker::Started(started) => self.started(worker, started),
            FromWorker::Report(report) => self.report(worker, report),
            FromWorker::Facts(facts) => self.workers.facts(worker, facts),
            FromWorker::Register(_) => tracing::warn!(?worker, "worker registered twice on one stream"),
        }
    }

    fn heartbeat(&mut self, worker: WorkerKey, heartbeat: v1::Heartbeat) {
        let mut attempts = Vec::with_capacity(heartbeat.attempts.len());
        for held in heartbeat.attempts {
            let Some(reference) = &held.attempt else { continue };
            let Some(attempt) = self.attempt(reference) else {
                let cancel = v1::CancelAttempt { attempt: Some(reference.clone()), fenced: true };
                self.workers.send(worker, ToWorker::Cancel(cancel));
                continue;
            };
            attempts.push(attempt);
            if let Some(job) = self.jobs.get(&attempt.job)
                && job.steps[attempt.step].start_shown
                && job.steps[attempt.step].status.attempt == attempt.number
            {
                job.tell_progress(held.commands);
            }
        }
        self.apply(Event::Heartbeat { worker, attempts });
    }

    fn started(&mut self, worker: WorkerKey, started: v1::AttemptStarted) {
        let Some(attempt) = started.attempt.as_ref().and_then(|reference| self.attempt(reference)) else {
            return;
        };
        let name = self.workers.name(worker);
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        let status = job.steps[attempt.step].decided();
        let current = status.attempt == attempt.number && status.state() == v1::StepState::Running;
        if current && name.is_some_and(|name| **name == *status.worker) {
            job.started(attempt.step);
            self.publish(attempt.job);
        }
    }

    fn report(&mut self, worker: WorkerKey, report: v1::StepReport) {
        let Some(reference) = report.attempt else { return };
        let Some(attempt) = self.attempt(&reference) else {
            // A job that is gone: whatever this is, it is not wanted again.
            let ack = v1::ReportAck { attempt: Some(reference), accepted: false };
            self.workers.send(worker, ToWorker::Ack(ack));
            return;
        };
        let Some(job) = self.jobs.get(&attempt.job) else { return };
        let result = check_report(job, attempt, report.commands);
        let ending = match result.verdict {
            Verdict::Succeeded => Ending::Succeeded,
            Verdict::Infrastructure => Ending::Infrastructure,
            Verdict::Failed | Verdict::Limit | Verdict::Cancelled => Ending::Failed,
        };
        self.reported = Some((attempt, result));
        let now = self.now();
        let effects = self.queue.apply(Event::Reported { worker, attempt, ending }, now);
        let mut batches = Batches::default();
        self.acknowledge(worker, attempt, reference, &effects, &mut batches);
        self.perform(effects, batches);
        self.reported = None;
    }

    /// The attempt that a worker speaks of, in the queue's words; `None` when the job is not live.
    fn attempt(&self, reference: &v1::AttemptRef) -> Option<Attempt> {
        let key = super::live::key_of(reference.job_id.parse().ok()?);
        let step = self.jobs.get(&key)?.spec.step(&reference.step)?;
        Some(Attempt { job: key, step, number: reference.attempt })
    }

    fn watcher_number(&mut self) -> u64 {
        self.next_watcher += 1;
        self.next_watcher
    }

    pub(super) fn apply(&mut self, event: Event) {
        let effects = self.queue.apply(event, self.now());
        self.perform(effects, Batches::default());
    }
}

/// New relays for all commands of an attempt, for the worker and for the watcher.
pub(super) fn follow(
    job: &LiveJob,
    attempt: Attempt,
    relays: &Relays,
) -> (Vec<v1::StartRelay>, Vec<Following>) {
    let step = &job.spec.steps[attempt.step];
    let reference = lease::reference(job, attempt);
    let mut starts = Vec::with_capacity(step.commands.len());
    let mut following = Vec::with_capacity(step.commands.len());
    for (index, command) in step.commands.iter().enumerate() {
        let relay = relays.create();
        starts.push(v1::StartRelay {
            relay_id: relay.id().to_owned(),
            attempt: Some(reference.clone()),
            command: index as u32,
        });
        let names = (step.name.as_str(), command.name.as_str());
        following.push(Following::new(attempt.step, attempt.number, names, relay));
    }
    (starts, following)
}

/// A report that breaks the rules counts as a failure of infrastructure: nothing of it is shown to the user as theirs.
fn check_report(job: &LiveJob, attempt: Attempt, commands: Vec<v1::CommandResult>) -> StepResult {
    let step = &job.spec.steps[attempt.step];
    let checked: Result<Vec<_>, _> = commands.iter().cloned().map(CommandResult::try_from).collect();
    let broken = match &checked {
        Err(invalid) => Some(invalid.to_string()),
        Ok(results)
            if !results.iter().map(|result| &result.name).eq(step.commands.iter().map(|c| &c.name)) =>
        {
            Some("the commands are not those of the step".to_owned())
        }
        Ok(_) => None,
    };
    if let Some(detail) = broken {
        tracing::error!(job.id = %job.id, attempt = attempt.number, detail, "worker sent a report that breaks the rules");
        return job.unrun(attempt.step, &CommandEnding::infrastructure("report", None, detail));
    }
    let verdict = checked.map_or(Verdict::Infrastructure, |results| step_verdict(step, &results));
    StepResult { commands, verdict }
}
