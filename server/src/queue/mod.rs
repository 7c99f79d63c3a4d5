//! The queue as a value: which step runs where, when, and what happens when it does not come back.
//!
//! It owns the order of waiting steps, the leases and the attempt numbers. It must never read a clock, do I/O or wait: time and ids
//! come from outside, and everything that is to be done is returned as [`Effect`]s. Because of that the same code is driven by the
//! owner task and by the property tests.
//!
//! States of a step: waiting (for the steps it needs) -> ready -> leased -> succeeded | failed, or -> skipped. A lease that is lost, or
//! that ended because infrastructure failed, leads back to ready until the attempts are used up.

mod fleet;
mod job;
mod leases;
mod ready;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fleet::Fleet;
use job::{Job, StepState};
use leases::{Lease, Leases};
use ready::{Ready, Ticket};

/// A moment: the time since an origin which the caller keeps.
pub type Moment = Duration;

/// A job, as the queue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey(pub u128);

/// One registration of a worker. A reconnect gets a new key under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerKey(pub u64);

/// What a worker calls itself; survives its reconnects.
pub type WorkerName = Arc<str>;

/// A confinement profile that not every worker has.
pub type ProfileName = Arc<str>;

/// One lease of one step. `number` is the fencing token: it rises with each lease, across restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The job.
    pub job: JobKey,
    /// Index of the step in the job.
    pub step: usize,
    /// The fencing token.
    pub number: u64,
}

/// Higher classes are leased first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Leased when nothing else waits.
    Low,
    /// The usual one.
    Normal,
    /// Leased before all others.
    High,
}

/// May a lost attempt be made again?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Durable jobs.
    Always,
    /// A waiting caller that has seen output must not see it twice.
    UntilOutput,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepEnd {
    /// Every command exited 0 and left its files.
    Succeeded,
    /// It ran and did not succeed, or its attempts are used up.
    Failed,
    /// It never ran: a step it needs did not succeed, or the job was cancelled.
    Skipped,
}

/// What ended a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The report of this attempt counts.
    Report(Attempt),
    /// This attempt was lost and there is no other: the caller has to say so in the results.
    Loss(Attempt),
    /// It was skipped.
    Skipping,
}

/// What a worker says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The step succeeded.
    Succeeded,
    /// The step failed: the user's matter, a limit, or cancelled.
    Failed,
    /// Kiln failed: worth another attempt.
    Infrastructure,
}

/// Why an attempt has to be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// No heartbeat mentioned it for the length of a lease.
    Expired,
    /// The worker reported that infrastructure failed.
    Infrastructure,
}

/// A job for the queue.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Unique.
    pub key: JobKey,
    /// Its class.
    pub class: Class,
    /// May lost attempts be made again.
    pub retry: Retry,
    /// In the order of the specification.
    pub steps: Vec<NewStep>,
}

/// A step of a new job.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// Indexes of the steps that must have succeeded; no cycles.
    pub needs: Vec<usize>,
    /// Set for a recovered job whose step has its result already.
    pub ended: Option<StepEnd>,
    /// What the worker should have; one that has not fails the step, so it gets it only where nobody has.
    pub needs_profiles: Vec<ProfileName>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A job was accepted, or recovered after a restart.
    Submitted(NewJob),
    /// A worker connected, with the attempts that it still runs.
    WorkerJoined {
        /// Made by the caller, never used before.
        worker: WorkerKey,
        /// Its name; an earlier registration of that name is over.
        name: WorkerName,
        /// How many leases it can hold.
        slots: usize,
        /// Profiles that not every worker has.
        profiles: Vec<ProfileName>,
        /// What it still runs after a reconnect.
        running: Vec<Attempt>,
    },
    /// The total of leases the worker would take now.
    Credits {
        /// Who.
        worker: WorkerKey,
        /// A total, not an increment.
        free: usize,
    },
    /// The worker lives, and holds these.
    Heartbeat {
        /// Who.
        worker: WorkerKey,
        /// Every attempt it holds.
        attempts: Vec<Attempt>,
    },
    /// The worker's stream ended. Its leases stay until they expire: it may come back.
    WorkerLeft {
        /// Who.
        worker: WorkerKey,
    },
    /// A worker reports on an attempt.
    Reported {
        /// Who.
        worker: WorkerKey,
        /// The attempt.
        attempt: Attempt,
        /// How it ended.
        ending: Ending,
    },
    /// The caller of a job has seen output of it.
    OutputSent {
        /// The job.
        job: JobKey,
    },
    /// The job is not wanted any more.
    Cancelled {
        /// The job.
        job: JobKey,
    },
    /// Time went by.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send the step to the worker.
    Lease {
        /// To whom.
        worker: WorkerKey,
        /// What.
        attempt: Attempt,
    },
    /// Tell the worker to stop and report.
    CancelAttempt {
        /// To whom.
        worker: WorkerKey,
        /// What.
        attempt: Attempt,
    },
    /// Tell the worker that nobody waits for this attempt.
    Fence {
        /// To whom.
        worker: WorkerKey,
        /// What.
        attempt: Attempt,
    },
    /// The attempt that the worker runs since before its reconnect counts.
    Adopted {
        /// Who.
        worker: WorkerKey,
        /// What.
        attempt: Attempt,
    },
    /// The report was dropped: another attempt counts.
    ReportRefused {
        /// Whose.
        worker: WorkerKey,
        /// Which.
        attempt: Attempt,
    },
    /// The attempt is over without a result, and the step waits again.
    Requeued {
        /// Which.
        attempt: Attempt,
        /// Why.
        loss: Loss,
    },
    /// The step has its result; happens once.
    StepEnded {
        /// The job.
        job: JobKey,
        /// Index of the step.
        step: usize,
        /// How.
        end: StepEnd,
        /// By what.
        by: EndedBy,
    },
    /// All steps have ended; happens once, and the queue has forgotten the job.
    JobEnded {
        /// The job.
        job: JobKey,
    },
}

/// What the operator may choose.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// A lease that no heartbeat mentions for this long is over.
    pub lease: Duration,
    /// Leases of one step, at most.
    pub max_attempts: u32,
    /// How long a step whose attempt broke on a worker waits for another worker to be free.
    pub elsewhere: Duration,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    settings: Settings,
    jobs: HashMap<JobKey, Job>,
    ready: Ready,
    fleet: Fleet,
    leases: Leases,
    next_attempt: u64,
    next_ticket: u64,
}

impl Queue {
    /// An empty queue. `first_attempt` must be above every number ever given out before.
    pub fn new(settings: Settings, first_attempt: u64) -> Self {
        Self {
            settings,
            jobs: HashMap::new(),
            ready: Ready::default(),
            fleet: Fleet::default(),
            leases: Leases::default(),
            next_attempt: first_attempt,
            next_ticket: 0,
        }
    }

    /// Takes in what happened and says what is to be done, in order.
    pub fn apply(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Submitted(job) => self.submit(job, &mut effects),
            Event::WorkerJoined { worker, name, slots, profiles, running } => {
                self.fleet.join(worker, name.clone(), slots, profiles);
                self.take_over(worker, &name, &running, now, &mut effects);
            }
            Event::Credits { worker, free } => self.fleet.credit(worker, free),
            Event::Heartbeat { worker, attempts } => self.heartbeat(worker, &attempts, now, &mut effects),
            Event::WorkerLeft { worker } => self.fleet.leave(worker),
            Event::Reported { worker, attempt, ending } => {
                self.report(worker, attempt, ending, now, &mut effects);
            }
            Event::OutputSent { job } => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.output_sent = true;
                }
            }
            Event::Cancelled { job } => self.cancel(job, &mut effects),
            Event::Tick => self.expire(now, &mut effects),
        }
        self.place(now, &mut effects);
        effects
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Moment> {
        [self.leases.next_deadline(), self.ready.next_release()].into_iter().flatten().min()
    }

    /// Steps that wait for a worker.
    pub fn ready_steps(&self) -> usize {
        self.ready.len()
    }

    /// Leases held by the worker now.
    pub fn held_by(&self, worker: WorkerKey) -> usize {
        self.fleet.held(worker)
    }

    fn submit(&mut self, new: NewJob, effects: &mut Vec<Effect>) {
        let key = new.key;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let replaced = self.jobs.insert(key, Job::new(new, ticket));
        debug_assert!(replaced.is_none(), "job keys are unique");
        self.settle(key, effects);
    }

    /// Moves the waiting steps of a job on as far as they go, and ends the job when all have ended.
    fn settle(&mut self, key: JobKey, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        for change in job.settle() {
            match change {
                job::Change::Ready(step) => {
                    self.ready.insert(job.order(key, step), &job.steps[step].needs_profiles, None);
                }
                job::Change::Skipped(step) => {
                    let (end, by) = (StepEnd::Skipped, EndedBy::Skipping);
                    effects.push(Effect::StepEnded { job: key, step, end, by });
                }
            }
        }
        if job.has_ended() {
            self.jobs.remove(&key);
            effects.push(Effect::JobEnded { job: key });
        }
    }

    /// What a worker that has just joined still runs counts, or is told not to.
    fn take_over(
        &mut self,
        worker: WorkerKey,
        name: &WorkerName,
        running: &[Attempt],
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        for &attempt in running {
            if self.adopt(worker, name, attempt, now) {
                effects.push(Effect::Adopted { worker, attempt });
                if self.jobs.get(&attempt.job).is_some_and(|job| job.cancelled) {
                    effects.push(Effect::CancelAttempt { worker, attempt });
                }
            } else {
                effects.push(Effect::Fence { worker, attempt });
            }
        }
    }

    /// Lets the worker go on with an attempt of its own: one whose lease still stands, or one of a step that nobody else holds.
    fn adopt(&mut self, worker: WorkerKey, name: &WorkerName, attempt: Attempt, now: Moment) -> bool {
        let deadline = now + self.settings.lease;
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return false };
        if let Some(lease) = self.leases.find(attempt) {
            if lease.holder != *name || lease.worker == worker {
                return lease.holder == *name;
            }
            self.leases.hand_over(attempt.number, worker, deadline);
            self.fleet.take(worker);
            return true;
        }
        let order = job.order(attempt.job, attempt.step);
        let Some(step) = job.steps.get_mut(attempt.step) else { return false };
        let given_out = attempt.number >= step.last_attempt && attempt.number < self.next_attempt;
        if step.state != StepState::Ready || !given_out {
            return false;
        }
        step.lease(attempt.number);
        self.ready.remove(order, &step.needs_profiles);
        self.leases.insert(Lease { attempt, worker, holder: name.clone() }, deadline);
        self.fleet.take(worker);
        true
    }

    fn heartbeat(&mut self, worker: WorkerKey, attempts: &[Attempt], now: Moment, effects: &mut Vec<Effect>) {
        for &attempt in attempts {
            let held = self.leases.find(attempt).is_some_and(|lease| lease.worker == worker);
            if held {
                self.leases.extend(attempt.number, now + self.settings.lease);
            } else {
                effects.push(Effect::Fence { worker, attempt });
            }
        }
    }

    fn report(
        &mut self,
        worker: WorkerKey,
        attempt: Attempt,
        ending: Ending,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        if !self.may_report(worker, attempt, now) {
            effects.push(Effect::ReportRefused { worker, attempt });
            return;
        }
        self.release(attempt);
        match ending {
            Ending::Succeeded => {
                self.end_step(attempt, StepEnd::Succeeded, EndedBy::Report(attempt), effects)
            }
            Ending::Failed => self.end_step(attempt, StepEnd::Failed, EndedBy::Report(attempt), effects),
            Ending::Infrastructure => {
                let elsewhere = self.fleet.name_of(worker).map(|name| (name, now + self.settings.elsewhere));
                if self.requeue(attempt, elsewhere) {
                    effects.push(Effect::Requeued { attempt, loss: Loss::Infrastructure });
                } else {
                    self.end_step(attempt, StepEnd::Failed, EndedBy::Report(attempt), effects);
                }
            }
        }
    }

    /// The holder of the lease may report. After a restart of the server so may the worker of an attempt from before, resending what was
    /// never acknowledged, as long as the step was not leased again.
    fn may_report(&mut self, worker: WorkerKey, attempt: Attempt, now: Moment) -> bool {
        let Some(name) = self.fleet.name_of(worker) else { return false };
        if let Some(lease) = self.leases.find(attempt) {
            return lease.holder == name;
        }
        let never_leased = self
            .jobs
            .get(&attempt.job)
            .is_some_and(|job| job.steps.get(attempt.step).is_some_and(|step| step.attempts == 0));
        never_leased && self.adopt(worker, &name, attempt, now)
    }

    fn cancel(&mut self, key: JobKey, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.cancelled = true;
        for step in 0..job.steps.len() {
            match job.steps[step].state {
                StepState::Waiting | StepState::Ready => {
                    self.ready.remove(job.order(key, step), &job.steps[step].needs_profiles);
                    job.steps[step].state = StepState::Ended(StepEnd::Skipped);
                    let (end, by) = (StepEnd::Skipped, EndedBy::Skipping);
                    effects.push(Effect::StepEnded { job: key, step, end, by });
                }
                StepState::Leased(number) => {
                    let attempt = Attempt { job: key, step, number };
                    if let Some(lease) = self.leases.find(attempt) {
                        effects.push(Effect::CancelAttempt { worker: lease.worker, attempt });
                    }
                }
                StepState::Ended(_) => {}
            }
        }
        self.settle(key, effects);
    }

    fn expire(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.ready.release(now);
        while let Some(lease) = self.leases.expired(now) {
            let attempt = lease.attempt;
            self.release(attempt);
            effects.push(Effect::Fence { worker: lease.worker, attempt });
            if self.requeue(attempt, Some((lease.holder, now + self.settings.elsewhere))) {
                effects.push(Effect::Requeued { attempt, loss: Loss::Expired });
            } else {
                self.end_step(attempt, StepEnd::Failed, EndedBy::Loss(attempt), effects);
            }
        }
    }

    fn release(&mut self, attempt: Attempt) {
        if let Some(lease) = self.leases.remove(attempt.number) {
            self.fleet.give_back(lease.worker);
            if let Some(step) =
                self.jobs.get_mut(&attempt.job).and_then(|job| job.steps.get_mut(attempt.step))
            {
                step.ran_on = Some(lease.holder);
            }
        }
    }

    /// Puts a step whose attempt came to nothing back in line, where it stood before; false when it may not run again.
    fn requeue(&mut self, attempt: Attempt, elsewhere: Option<(WorkerName, Moment)>) -> bool {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return false };
        let shown = job.retry == Retry::UntilOutput && job.output_sent;
        if job.cancelled || shown || job.steps[attempt.step].attempts >= self.settings.max_attempts {
            return false;
        }
        job.steps[attempt.step].state = StepState::Ready;
        let order = job.order(attempt.job, attempt.step);
        self.ready.insert(order, &job.steps[attempt.step].needs_profiles, elsewhere);
        true
    }

    fn end_step(&mut self, attempt: Attempt, end: StepEnd, by: EndedBy, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        job.steps[attempt.step].state = StepState::Ended(end);
        effects.push(Effect::StepEnded { job: attempt.job, step: attempt.step, end, by });
        self.settle(attempt.job, effects);
    }

    /// Leases ready steps, first in line first, for as long as a worker takes them.
    fn place(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let mut passed_over = Vec::new();
        while self.fleet.takes_any() {
            let Some((order, demand)) = self.ready.first_but_for(&passed_over) else { return };
            let Some(job) = self.jobs.get_mut(&order.job) else {
                let profiles = demand.profiles.clone();
                self.ready.remove(order, &profiles);
                continue;
            };
            let preferred = job.inputs_ran_on(order.step);
            let Some((worker, holder)) = self.fleet.choose(&preferred, demand) else {
                passed_over.push(demand.clone());
                continue;
            };
            let attempt = Attempt { job: order.job, step: order.step, number: self.next_attempt };
            self.next_attempt += 1;
            let step = &mut job.steps[order.step];
            step.lease(attempt.number);
            self.ready.remove(order, &step.needs_profiles);
            self.fleet.lease(worker);
            self.leases.insert(Lease { attempt, worker, holder }, now + self.settings.lease);
            effects.push(Effect::Lease { worker, attempt });
        }
    }
}
