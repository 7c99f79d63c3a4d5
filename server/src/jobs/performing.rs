//! What the queue decided, done: leases sent, results written down, and shown once they are.
//!
//! All that one decision does to one job is one record of the store. A record's events stay hidden until it is stored; so do the
//! acknowledgement of the report, the answer to a cancel and the end of the job.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kiln_proto::model::Ending as CommandEnding;
use kiln_proto::v1;
use kiln_proto::v1::job_event::Event as JobEvent;
use kiln_proto::v1::server_message::Message as ToWorker;
use tokio::sync::oneshot;

use super::event_log::Entry;
use super::live::LiveJob;
use super::owner::{Owner, follow};
use super::watching::Notice;
use super::{lease, live};
use crate::clock::unix_us;
use crate::queue::{Attempt, Effect, EndedBy, Ending, Event, JobKey, Loss, StepEnd, WorkerKey, WorkerName};
use crate::store::{Record, StoreError};

/// A record on its way to the store, by number.
pub(super) type Stored = Pin<Box<dyn Future<Output = (u64, Result<(), StoreError>)> + Send>>;

/// Between two tries to store a record, plus up to as much again.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// What one decision does, by job.
#[derive(Debug, Default)]
pub(super) struct Batches(Vec<(JobKey, Batch)>);

/// What one decision does to one job.
#[derive(Debug, Default)]
pub(super) struct Batch {
    record: u64,
    steps: Vec<usize>,
    ended: bool,
    cancelled: bool,
    acks: Vec<(WorkerName, v1::AttemptRef)>,
    replies: Vec<oneshot::Sender<Option<v1::Job>>>,
}

/// A batch that waits for the store.
#[derive(Debug)]
pub(super) struct OpenRecord {
    batch: Batch,
    /// To try again with.
    record: Record,
}

impl Batch {
    /// The job was cancelled; the answer waits until that is stored.
    pub(super) fn cancel(&mut self, reply: oneshot::Sender<Option<v1::Job>>) {
        self.cancelled = true;
        self.replies.push(reply);
    }

    /// Somebody else waits for the same.
    pub(super) fn answer_too(&mut self, reply: oneshot::Sender<Option<v1::Job>>) {
        self.replies.push(reply);
    }
}

impl Owner {
    /// The batch of a job; its first touch hides what comes after it until the record is stored.
    pub(super) fn touch<'a>(&mut self, batches: &'a mut Batches, key: JobKey) -> &'a mut Batch {
        let index = match batches.0.iter().position(|(known, _)| *known == key) {
            Some(index) => index,
            None => {
                let record = self.next_record;
                self.next_record += 1;
                if let Some(job) = self.jobs.get_mut(&key) {
                    job.log.hide_until_stored(record);
                }
                batches.0.push((key, Batch { record, ..Batch::default() }));
                batches.0.len() - 1
            }
        };
        &mut batches.0[index].1
    }

    /// Does what the queue decided, in its order, then has it written down.
    pub(super) fn perform(&mut self, effects: Vec<Effect>, mut batches: Batches) {
        let mut refused_inputs = Vec::new();
        for effect in effects {
            match effect {
                Effect::Lease { worker, attempt } => {
                    if let Err(unresolved) = self.lease(worker, attempt) {
                        refused_inputs.push((worker, attempt, unresolved));
                    }
                }
                Effect::CancelAttempt { worker, attempt } => self.cancel_attempt(worker, attempt, false),
                Effect::Fence { worker, attempt } => self.cancel_attempt(worker, attempt, true),
                Effect::Adopted { worker, attempt } => self.adopted(worker, attempt),
                Effect::ReportRefused { .. } => {}
                Effect::Requeued { attempt, loss } => self.requeued(attempt, loss),
                Effect::StepEnded { job, step, end, by } => {
                    self.touch(&mut batches, job).steps.push(step);
                    self.step_ended(job, step, end, by);
                }
                Effect::JobEnded { job } => {
                    self.touch(&mut batches, job).ended = true;
                    if let Some(job) = self.jobs.get_mut(&job) {
                        job.end(unix_us());
                    }
                }
            }
        }
        for (key, batch) in batches.0 {
            self.write_down(key, batch);
        }
        for (worker, attempt, unresolved) in refused_inputs {
            self.fail_unresolved(worker, attempt, &unresolved);
        }
    }

    /// Decides when the worker hears that its report was taken: at once, or with the record that its result is in.
    pub(super) fn acknowledge(
        &mut self,
        worker: WorkerKey,
        attempt: Attempt,
        reference: v1::AttemptRef,
        effects: &[Effect],
        batches: &mut Batches,
    ) {
        let Some(name) = self.workers.name(worker).cloned() else { return };
        if effects.iter().any(
            |effect| matches!(effect, Effect::StepEnded { by: EndedBy::Report(by), .. } if *by == attempt),
        ) {
            self.touch(batches, attempt.job).acks.push((name, reference));
            return;
        }
        let refused = effects.contains(&Effect::ReportRefused { worker, attempt });
        if refused && self.joins_open_record(attempt, &name, &reference) {
            return;
        }
        let accepted = !refused || self.counted(attempt);
        let ack = v1::ReportAck { attempt: Some(reference), accepted };
        self.workers.send(worker, ToWorker::Ack(ack));
    }

    /// A report resent while its result is on its way to the store is acknowledged with it.
    fn joins_open_record(&mut self, attempt: Attempt, name: &WorkerName, reference: &v1::AttemptRef) -> bool {
        let counted = self.counted(attempt);
        let open = self.open_records.values_mut().find(|open| {
            counted && open.record.job == attempt.job && open.batch.steps.contains(&attempt.step)
        });
        if let Some(open) = open {
            open.batch.acks.push((name.clone(), reference.clone()));
            return true;
        }
        false
    }

    /// The job's end on its way to the store: a cancel that comes now changes nothing, and records are not stored in order.
    pub(super) fn open_end(&mut self, key: JobKey) -> Option<&mut Batch> {
        let mut open = self.open_records.values_mut();
        open.find(|open| open.record.job == key && open.batch.ended).map(|open| &mut open.batch)
    }

    fn counted(&self, attempt: Attempt) -> bool {
        self.jobs.get(&attempt.job).is_some_and(|job| {
            let step = &job.steps[attempt.step];
            step.finished_sequence > 0 && step.decided().attempt == attempt.number
        })
    }

    fn lease(&mut self, worker: WorkerKey, attempt: Attempt) -> Result<(), lease::Unresolved> {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return Ok(()) };
        let name = self.workers.name(worker).cloned().unwrap_or_else(|| "".into());
        job.leased(attempt.step, attempt.number, &name, unix_us());
        let mut lease = lease::build(job, attempt, self.parts.max_file_bytes)?;
        let wanting: Vec<u64> = job
            .watchers
            .iter()
            .filter(|watcher| watcher.seat.wanted.output)
            .map(|watcher| watcher.number)
            .collect();
        for number in wanting {
            let (starts, following) = follow(job, attempt, &self.parts.relays);
            lease.relays.extend(starts);
            let following = following.into_iter().map(|following| (number, following));
            job.steps[attempt.step].following.extend(following);
        }
        tracing::info!(job.id = %job.id, step = attempt.step, attempt = attempt.number, worker.id = %name, "step leased");
        self.workers.send(worker, ToWorker::Lease(lease));
        Ok(())
    }

    /// The step cannot run: what it reads is not there. That is ours, and another attempt would not help.
    fn fail_unresolved(&mut self, worker: WorkerKey, attempt: Attempt, unresolved: &lease::Unresolved) {
        let Some(job) = self.jobs.get(&attempt.job) else { return };
        tracing::error!(job.id = %job.id, step = attempt.step, error = %unresolved, "input of a step is not there");
        let ending = CommandEnding::infrastructure("resolve_input", None, unresolved.to_string());
        self.reported = Some((attempt, job.unrun(attempt.step, &ending)));
        self.apply(Event::Reported { worker, attempt, ending: Ending::Failed });
        self.reported = None;
    }

    fn cancel_attempt(&mut self, worker: WorkerKey, attempt: Attempt, fenced: bool) {
        let Some(job) = self.jobs.get(&attempt.job) else { return };
        let cancel = v1::CancelAttempt { attempt: Some(lease::reference(job, attempt)), fenced };
        self.workers.send(worker, ToWorker::Cancel(cancel));
    }

    fn adopted(&mut self, worker: WorkerKey, attempt: Attempt) {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        let Some(name) = self.workers.name(worker) else { return };
        tracing::info!(job.id = %job.id, attempt = attempt.number, worker.id = %name, "attempt goes on after a reconnect");
        if job.steps[attempt.step].decided().attempt == attempt.number {
            return;
        }
        job.leased(attempt.step, attempt.number, name, unix_us());
        job.started(attempt.step);
        self.publish(attempt.job);
    }

    fn requeued(&mut self, attempt: Attempt, loss: Loss) {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        let worker = job.steps[attempt.step].status.worker.clone();
        tracing::warn!(
            job.id = %job.id, step = attempt.step, attempt = attempt.number, worker.id = %worker, ?loss,
            "attempt came to nothing; the step waits again"
        );
        job.requeued(attempt.step);
        self.publish(attempt.job);
    }

    fn step_ended(&mut self, key: JobKey, step: usize, end: StepEnd, by: EndedBy) {
        let reported = self.reported.take();
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let result = match by {
            EndedBy::Report(attempt) => match reported {
                Some((reported, result)) if reported == attempt => Some(result),
                _ => Some(job.lost_result(step, "the report was lost")),
            },
            EndedBy::Loss(_) => Some(job.lost_result(step, "the worker was lost, and no attempt is left")),
            EndedBy::Skipping => {
                self.reported = reported;
                None
            }
        };
        // A report that counts although its lease is from an earlier life of the server.
        if let EndedBy::Report(attempt) = by
            && job.steps[step].status.attempt != attempt.number
        {
            job.leased(step, attempt.number, "", unix_us());
        }
        job.end_step(step, end, result, unix_us());
        tracing::info!(job.id = %job.id, step, ?end, "step ended");
    }

    /// Stores a batch of a durable job; one of a fleeting job counts at once.
    fn write_down(&mut self, key: JobKey, batch: Batch) {
        let Some(job) = self.jobs.get(&key) else { return self.answer_of_ended(key, batch.replies) };
        if !job.is_durable() {
            return self.confirm(key, batch);
        }
        let record = Record {
            job: key,
            epoch: self.parts.epoch,
            last_sequence: job.log.last_sequence(),
            steps: batch.steps.iter().map(|step| job.row(*step)).collect(),
            cancelled: batch.cancelled || job.cancelled,
            done: if batch.ended { job.done } else { None },
        };
        let number = batch.record;
        let answer = self.parts.store.record(record.clone());
        self.recording.push(Box::pin(async move { (number, answer.await) }));
        self.open_records.insert(number, OpenRecord { batch, record });
    }

    /// A record was stored, or has to be tried again: until then nothing of it is shown.
    pub(super) fn stored(&mut self, number: u64, outcome: Result<(), StoreError>) {
        let Some(open) = self.open_records.remove(&number) else { return };
        let Err(error) = outcome else {
            return self.confirm(open.record.job, open.batch);
        };
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a result could not be stored; trying again"
        );
        let (store, record) = (self.parts.store.clone(), open.record.clone());
        let pause = STORE_RETRY.mul_f64(1.0 + rand::random::<f64>());
        self.recording.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            (number, store.record(record).await)
        }));
        self.open_records.insert(number, open);
    }

    /// What a batch decided may be shown now.
    fn confirm(&mut self, key: JobKey, batch: Batch) {
        for (name, reference) in batch.acks {
            if let Some(worker) = self.workers.by_name(&name) {
                let ack = v1::ReportAck { attempt: Some(reference), accepted: true };
                self.workers.send(worker, ToWorker::Ack(ack));
            }
        }
        let Some(job) = self.jobs.get_mut(&key) else { return self.answer_of_ended(key, batch.replies) };
        job.log.stored(batch.record);
        job.show(&batch.steps);
        self.publish(key);
        if batch.ended {
            return self.forget(key, batch.replies);
        }
        let Some(job) = self.jobs.get(&key) else { return };
        for reply in batch.replies {
            drop(reply.send(Some(job.shown())));
        }
    }

    /// Of many cancels at once, some are stored after the record that ended the job: who asked looks it up there.
    fn answer_of_ended(&mut self, key: JobKey, replies: Vec<oneshot::Sender<Option<v1::Job>>>) {
        for reply in replies {
            let found = self.recent.find(key, self.now());
            drop(reply.send(found));
        }
    }

    /// Lets go of a job that is done, and answers who waited for that.
    fn forget(&mut self, key: JobKey, replies: Vec<oneshot::Sender<Option<v1::Job>>>) {
        let Some(mut job) = self.jobs.remove(&key) else { return };
        let waiters = std::mem::take(&mut job.waiters);
        let durability = job.durability;
        let shown = job.into_view();
        tracing::info!(job.id = %shown.id, verdict = shown.verdict().as_str_name(), "job done");
        for waiter in replies.into_iter().chain(waiters) {
            drop(waiter.send(Some(shown.clone())));
        }
        if durability == live::Durability::Fleeting {
            let now = self.now();
            self.recent.insert(key, &shown, now);
        }
    }

    /// Shows the watchers of a job what may be shown since the last time.
    pub(super) fn publish(&mut self, key: JobKey) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        for index in job.log.publish() {
            job.publish_entry(index);
        }
    }
}

impl LiveJob {
    fn publish_entry(&mut self, index: usize) {
        let mut started = None;
        match self.log.entry(index) {
            Entry::Lost { step } => {
                for watcher in &self.watchers {
                    watcher.seat.tell(Notice::Lost { step: *step });
                }
            }
            Entry::Event(event) => {
                let interested = self
                    .watchers
                    .iter()
                    .filter(|watcher| event.sequence > watcher.seat.wanted.after_sequence);
                for watcher in interested {
                    watcher.seat.tell(Notice::Event(Arc::clone(event)));
                }
                if let Some(JobEvent::StepStarted(start)) = &event.event {
                    started = self.spec.step(&start.step).map(|step| (step, start.attempt));
                }
            }
        }
        if let Some((step, attempt)) = started {
            self.publish_following(step, attempt);
        }
    }

    /// Hands out the live output of an attempt whose start was just shown.
    fn publish_following(&mut self, step: usize, attempt: u64) {
        let live = &mut self.steps[step];
        live.start_shown = live.decided().attempt == attempt;
        let (now, later) = live
            .following
            .drain(..)
            .partition(|(_, following): &(u64, super::watching::Following)| following.attempt == attempt);
        live.following = later;
        let now: Vec<_> = now;
        for (number, following) in now {
            self.tell(number, Notice::Follow(vec![following]));
        }
    }

    /// Tells one watcher.
    pub(super) fn tell(&self, number: u64, notice: Notice) {
        if let Some(watcher) = self.watchers.iter().find(|watcher| watcher.number == number) {
            watcher.seat.tell(notice);
        }
    }

    /// Tells all watchers that keep up.
    pub(super) fn tell_progress(&self, progress: Vec<v1::Progress>) {
        for progress in progress {
            let event = Arc::new(self.log.aside(JobEvent::Progress(progress), unix_us()));
            for watcher in &self.watchers {
                watcher.seat.tell_if_idle(Notice::Event(Arc::clone(&event)));
            }
        }
    }
}
