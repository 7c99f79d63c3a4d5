//! The line of steps that wait for a worker: class first, then the order of submission, then the order in the job.
//!
//! Fair shares between tenants belong here: a virtual finish tag between `class` and `ticket` in [`Order`].

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Class, JobKey, Moment, WorkerName};

/// Rises with each submitted job; a step that waits again keeps its job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

/// A place in line; smaller is sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    pub(super) class: Reverse<Class>,
    pub(super) ticket: Ticket,
    pub(super) step: usize,
    pub(super) job: JobKey,
}

/// Not on this worker before that moment, if another one could take it.
pub(super) type Elsewhere = (WorkerName, Moment);

/// The line.
#[derive(Debug, Default)]
pub(super) struct Ready {
    line: BTreeMap<Order, Option<Elsewhere>>,
    /// How many in the line have an `Elsewhere`; nearly always 0.
    restricted: usize,
}

impl Ready {
    pub(super) fn insert(&mut self, order: Order, elsewhere: Option<Elsewhere>) {
        self.restricted += usize::from(elsewhere.is_some());
        let replaced = self.line.insert(order, elsewhere);
        debug_assert!(replaced.is_none(), "a step stands in line once");
    }

    pub(super) fn remove(&mut self, order: Order) {
        if let Some(Some(_)) = self.line.remove(&order) {
            self.restricted -= 1;
        }
    }

    /// The first in line, or the first behind `passed_over`.
    pub(super) fn first_after(&self, passed_over: Option<Order>) -> Option<(Order, Option<WorkerName>)> {
        let from = passed_over.map_or(Bound::Unbounded, Bound::Excluded);
        let (order, elsewhere) = self.line.range((from, Bound::Unbounded)).next()?;
        Some((*order, elsewhere.as_ref().map(|(name, _)| name.clone())))
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// When the first step stops waiting for another worker.
    pub(super) fn next_release(&self) -> Option<Moment> {
        if self.restricted == 0 {
            return None;
        }
        self.line.values().flatten().map(|(_, until)| *until).min()
    }

    /// Lets every step whose time has come run anywhere.
    pub(super) fn release(&mut self, now: Moment) {
        if self.restricted == 0 {
            return;
        }
        for elsewhere in self.line.values_mut() {
            if elsewhere.as_ref().is_some_and(|(_, until)| *until <= now) {
                *elsewhere = None;
                self.restricted -= 1;
            }
        }
    }
}
