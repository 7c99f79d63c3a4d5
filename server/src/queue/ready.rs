//! The line of steps that wait for a worker: class first, then the order of submission, then the order in the job.
//!
//! It is kept apart by what steps ask of a worker. Where none suits the first of those that ask for the same, none suits the others:
//! however many wait for a busy worker, those behind them are found at once.
//!
//! Fair shares between tenants belong here: a virtual finish tag between `class` and `ticket` in [`Order`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Class, JobKey, Moment, ProfileName, WorkerName};

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

/// What a step asks of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Demand {
    /// Sorted, each once.
    pub(super) profiles: Vec<ProfileName>,
    pub(super) avoid: Option<WorkerName>,
}

/// The line.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// None of them is empty.
    lines: BTreeMap<Demand, BTreeSet<Order>>,
    length: usize,
    /// Those that keep away from a worker, each with what it asks until when; nearly always none.
    kept_away: BTreeMap<Order, (Demand, Moment)>,
    /// The same by the moment.
    releases: BTreeSet<(Moment, Order)>,
}

impl Ready {
    pub(super) fn insert(&mut self, order: Order, profiles: &[ProfileName], elsewhere: Option<Elsewhere>) {
        let mut demand = Demand { profiles: profiles.to_vec(), avoid: None };
        if let Some((name, until)) = elsewhere {
            demand.avoid = Some(name);
            self.kept_away.insert(order, (demand.clone(), until));
            self.releases.insert((until, order));
        }
        self.put(order, demand);
    }

    /// Takes a step out, if it stands in line. `profiles` as it was inserted with.
    pub(super) fn remove(&mut self, order: Order, profiles: &[ProfileName]) {
        let demand = match self.kept_away.remove(&order) {
            Some((demand, until)) => {
                self.releases.remove(&(until, order));
                demand
            }
            None => Demand { profiles: profiles.to_vec(), avoid: None },
        };
        self.take(order, &demand);
    }

    /// The first in line whose demand is none of these.
    pub(super) fn first_but_for(&self, passed_over: &[Demand]) -> Option<(Order, &Demand)> {
        let lines = self.lines.iter().filter(|(demand, _)| !passed_over.contains(demand));
        lines.filter_map(|(demand, line)| Some((*line.first()?, demand))).min_by_key(|(order, _)| *order)
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// When the first step stops waiting for another worker.
    pub(super) fn next_release(&self) -> Option<Moment> {
        self.releases.first().map(|(until, _)| *until)
    }

    /// Lets every step whose time has come run anywhere.
    pub(super) fn release(&mut self, now: Moment) {
        while let Some((_, order)) = self.releases.first().copied().filter(|(until, _)| *until <= now) {
            self.releases.pop_first();
            if let Some((demand, _)) = self.kept_away.remove(&order) {
                self.take(order, &demand);
                self.put(order, Demand { avoid: None, ..demand });
            }
        }
    }

    fn put(&mut self, order: Order, demand: Demand) {
        let inserted = self.lines.entry(demand).or_default().insert(order);
        debug_assert!(inserted, "a step stands in line once");
        self.length += 1;
    }

    fn take(&mut self, order: Order, demand: &Demand) {
        let Some(line) = self.lines.get_mut(demand) else { return };
        self.length -= usize::from(line.remove(&order));
        if line.is_empty() {
            self.lines.remove(demand);
        }
    }
}
