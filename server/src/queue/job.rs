//! A job inside the queue: the states of its steps and what follows from them. Knows nothing of workers or time.

use super::ready::{Order, Ticket};
use super::{Class, JobKey, NewJob, ProfileName, Retry, StepEnd, WorkerName};

/// State of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepState {
    /// For the steps it needs.
    Waiting,
    /// In line.
    Ready,
    /// By this attempt.
    Leased(u64),
    /// For good.
    Ended(StepEnd),
}

/// A step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) needs: Vec<usize>,
    pub(super) state: StepState,
    /// Leases so far, adopted ones included.
    pub(super) attempts: u32,
    pub(super) last_attempt: u64,
    /// Who ran it last: the one that holds its outputs.
    pub(super) ran_on: Option<WorkerName>,
    /// Sorted, each once.
    pub(super) needs_profiles: Vec<ProfileName>,
}

impl Step {
    /// Marks it as leased.
    pub(super) fn lease(&mut self, number: u64) {
        self.state = StepState::Leased(number);
        self.attempts += 1;
        self.last_attempt = number;
    }
}

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    class: Class,
    ticket: Ticket,
    pub(super) retry: Retry,
    pub(super) cancelled: bool,
    pub(super) output_sent: bool,
    pub(super) steps: Vec<Step>,
}

/// What [`Job::settle`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// All that the step needs has succeeded.
    Ready(usize),
    /// Something that the step needs did not succeed.
    Skipped(usize),
}

impl Job {
    pub(super) fn new(new: NewJob, ticket: Ticket) -> Self {
        let steps = new
            .steps
            .into_iter()
            .map(|step| Step {
                needs: step.needs,
                state: step.ended.map_or(StepState::Waiting, StepState::Ended),
                attempts: 0,
                last_attempt: 0,
                ran_on: None,
                needs_profiles: each_once(step.needs_profiles),
            })
            .collect();
        Self { class: new.class, ticket, retry: new.retry, cancelled: false, output_sent: false, steps }
    }

    /// Where the step stands in line. The only place that decides it.
    pub(super) fn order(&self, job: JobKey, step: usize) -> Order {
        Order { class: std::cmp::Reverse(self.class), ticket: self.ticket, step, job }
    }

    /// Moves waiting steps on until nothing moves any more.
    pub(super) fn settle(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            let before = changes.len();
            for index in 0..self.steps.len() {
                if self.steps[index].state != StepState::Waiting {
                    continue;
                }
                if let Some(change) = self.change_of(index) {
                    self.steps[index].state = match change {
                        Change::Ready(_) => StepState::Ready,
                        Change::Skipped(_) => StepState::Ended(StepEnd::Skipped),
                    };
                    changes.push(change);
                }
            }
            if changes.len() == before {
                return changes;
            }
        }
    }

    /// Have all steps ended?
    pub(super) fn has_ended(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.state, StepState::Ended(_)))
    }

    /// Workers that ran the steps whose outputs this one reads.
    pub(super) fn inputs_ran_on(&self, step: usize) -> Vec<WorkerName> {
        self.steps[step].needs.iter().filter_map(|&need| self.steps[need].ran_on.clone()).collect()
    }

    fn change_of(&self, index: usize) -> Option<Change> {
        let mut all_succeeded = true;
        for &need in &self.steps[index].needs {
            match self.steps[need].state {
                StepState::Ended(StepEnd::Succeeded) => {}
                StepState::Ended(StepEnd::Failed | StepEnd::Skipped) => return Some(Change::Skipped(index)),
                _ => all_succeeded = false,
            }
        }
        all_succeeded.then_some(Change::Ready(index))
    }
}

fn each_once(mut profiles: Vec<ProfileName>) -> Vec<ProfileName> {
    profiles.sort();
    profiles.dedup();
    profiles
}
