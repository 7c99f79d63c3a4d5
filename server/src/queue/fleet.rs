//! The workers as the queue sees them: who takes how many leases, and which one a step goes to.

use std::collections::BTreeMap;

use super::ready::Demand;
use super::{ProfileName, WorkerKey, WorkerName};

#[derive(Debug)]
struct Worker {
    name: WorkerName,
    slots: usize,
    profiles: Vec<ProfileName>,
    /// As last told, less what was leased since.
    credits: usize,
    held: usize,
    /// Rises with each lease: the one that waited longest is smallest.
    last_leased: u64,
}

impl Worker {
    fn takes(&self) -> usize {
        self.credits.min(self.slots.saturating_sub(self.held))
    }

    fn has(&self, profiles: &[ProfileName]) -> bool {
        profiles.iter().all(|profile| self.profiles.contains(profile))
    }
}

/// The connected workers.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    workers: BTreeMap<WorkerKey, Worker>,
    leased: u64,
}

impl Fleet {
    pub(super) fn join(
        &mut self,
        key: WorkerKey,
        name: WorkerName,
        slots: usize,
        profiles: Vec<ProfileName>,
    ) {
        self.workers.retain(|_, worker| worker.name != name);
        let worker = Worker { name, slots, profiles, credits: 0, held: 0, last_leased: 0 };
        self.workers.insert(key, worker);
    }

    pub(super) fn leave(&mut self, key: WorkerKey) {
        self.workers.remove(&key);
    }

    pub(super) fn credit(&mut self, key: WorkerKey, free: usize) {
        if let Some(worker) = self.workers.get_mut(&key) {
            worker.credits = free;
        }
    }

    pub(super) fn name_of(&self, key: WorkerKey) -> Option<WorkerName> {
        self.workers.get(&key).map(|worker| worker.name.clone())
    }

    pub(super) fn held(&self, key: WorkerKey) -> usize {
        self.workers.get(&key).map_or(0, |worker| worker.held)
    }

    /// The worker holds one more, which it did not get from its credits.
    pub(super) fn take(&mut self, key: WorkerKey) {
        if let Some(worker) = self.workers.get_mut(&key) {
            worker.held += 1;
        }
    }

    pub(super) fn give_back(&mut self, key: WorkerKey) {
        if let Some(worker) = self.workers.get_mut(&key) {
            worker.held = worker.held.saturating_sub(1);
        }
    }

    /// The worker gets one of the leases it asked for.
    pub(super) fn lease(&mut self, key: WorkerKey) {
        self.leased += 1;
        if let Some(worker) = self.workers.get_mut(&key) {
            worker.held += 1;
            worker.credits = worker.credits.saturating_sub(1);
            worker.last_leased = self.leased;
        }
    }

    pub(super) fn takes_any(&self) -> bool {
        self.workers.values().any(|worker| worker.takes() > 0)
    }

    /// One that holds the inputs if possible, then the emptiest, then the one that waited longest. One that lacks a profile gets it only when
    /// none has it, and then the one to be avoided only when it is alone. Whether there is one depends on the demand alone.
    pub(super) fn choose(
        &self,
        preferred: &[WorkerName],
        demand: &Demand,
    ) -> Option<(WorkerKey, WorkerName)> {
        let avoid = demand.avoid.as_ref();
        let equipped = self.workers.values().any(|worker| worker.has(&demand.profiles));
        let suits = |worker: &Worker| !equipped || worker.has(&demand.profiles);
        let mut suited = self.workers.values().filter(|worker| suits(worker));
        let others = suited.any(|worker| Some(&worker.name) != avoid && worker.slots > 0);
        self.workers
            .iter()
            .filter(|(_, worker)| worker.takes() > 0 && suits(worker))
            .filter(|(_, worker)| !others || Some(&worker.name) != avoid)
            .max_by_key(|(_, worker)| {
                let holds_inputs = preferred.contains(&worker.name);
                (holds_inputs, worker.takes(), std::cmp::Reverse(worker.last_leased))
            })
            .map(|(key, worker)| (*key, worker.name.clone()))
    }
}
