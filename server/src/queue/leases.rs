//! The leases that stand, by attempt number and by deadline.

use std::collections::{BTreeSet, HashMap};

use super::{Attempt, Moment, WorkerKey, WorkerName};

/// A lease.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) attempt: Attempt,
    /// The registration it was given to or handed over to; may have ended meanwhile.
    pub(super) worker: WorkerKey,
    /// Who may report on it, through whatever registration.
    pub(super) holder: WorkerName,
}

/// All leases. Each number stands in both collections or in none.
#[derive(Debug, Default)]
pub(super) struct Leases {
    by_number: HashMap<u64, (Lease, Moment)>,
    by_deadline: BTreeSet<(Moment, u64)>,
}

impl Leases {
    pub(super) fn insert(&mut self, lease: Lease, deadline: Moment) {
        let number = lease.attempt.number;
        self.by_deadline.insert((deadline, number));
        self.by_number.insert(number, (lease, deadline));
    }

    /// The lease of exactly this attempt.
    pub(super) fn find(&self, attempt: Attempt) -> Option<&Lease> {
        self.by_number.get(&attempt.number).map(|(lease, _)| lease).filter(|lease| lease.attempt == attempt)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Lease> {
        let (lease, deadline) = self.by_number.remove(&number)?;
        self.by_deadline.remove(&(deadline, number));
        Some(lease)
    }

    pub(super) fn extend(&mut self, number: u64, until: Moment) {
        if let Some((_, deadline)) = self.by_number.get_mut(&number) {
            self.by_deadline.remove(&(*deadline, number));
            *deadline = until;
            self.by_deadline.insert((until, number));
        }
    }

    pub(super) fn hand_over(&mut self, number: u64, worker: WorkerKey, until: Moment) {
        self.extend(number, until);
        if let Some((lease, _)) = self.by_number.get_mut(&number) {
            lease.worker = worker;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// One whose deadline has passed.
    pub(super) fn expired(&self, now: Moment) -> Option<Lease> {
        let (deadline, number) = self.by_deadline.first()?;
        if *deadline > now {
            return None;
        }
        self.by_number.get(number).map(|(lease, _)| lease.clone())
    }
}
