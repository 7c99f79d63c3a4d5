//! The connected workers: how to reach them, and what they say of themselves.

use std::collections::{BTreeMap, HashMap};

use kiln_proto::v1;
use tokio::sync::mpsc;

use super::Fleet;
use crate::queue::{WorkerKey, WorkerName};

/// A worker that has just connected.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) register: v1::RegisterWorker,
    /// Towards the worker. When it is full the worker does not read, and is given up.
    pub(crate) outbox: mpsc::Sender<v1::server_message::Message>,
}

#[derive(Debug)]
struct Worker {
    name: WorkerName,
    registration: Registration,
    languages: Vec<v1::LanguageInfo>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    by_key: BTreeMap<WorkerKey, Worker>,
    by_name: HashMap<WorkerName, WorkerKey>,
    /// Could not be sent something; the queue does not know yet.
    given_up: Vec<WorkerKey>,
}

impl Workers {
    /// A second stream of the same name replaces the first, which ends with its outbox.
    pub(crate) fn join(&mut self, key: WorkerKey, name: WorkerName, registration: Registration) {
        if let Some(old) = self.by_name.insert(name.clone(), key) {
            self.by_key.remove(&old);
        }
        self.by_key.insert(key, Worker { name, registration, languages: Vec::new() });
    }

    pub(crate) fn leave(&mut self, key: WorkerKey) -> Option<WorkerName> {
        let worker = self.by_key.remove(&key)?;
        if self.by_name.get(&worker.name) == Some(&key) {
            self.by_name.remove(&worker.name);
        }
        Some(worker.name)
    }

    /// False when the worker is gone or does not read: the lease will expire.
    pub(crate) fn send(&mut self, key: WorkerKey, message: v1::server_message::Message) -> bool {
        let Some(worker) = self.by_key.get(&key) else { return false };
        match worker.registration.outbox.try_send(message) {
            Ok(()) => return true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!(worker.id = %worker.name, "worker does not read its messages: connection dropped");
            }
            // Its stream has ended; that it left is on its way here.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
        self.leave(key);
        self.given_up.push(key);
        false
    }

    /// A worker that was given up since the last time.
    pub(crate) fn next_given_up(&mut self) -> Option<WorkerKey> {
        self.given_up.pop()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<WorkerKey> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn name(&self, key: WorkerKey) -> Option<&WorkerName> {
        self.by_key.get(&key).map(|worker| &worker.name)
    }

    pub(crate) fn facts(&mut self, key: WorkerKey, facts: v1::WorkerFacts) {
        if let Some(worker) = self.by_key.get_mut(&key) {
            worker.languages = facts.languages;
        }
    }

    pub(crate) fn describe(&self, held: impl Fn(WorkerKey) -> usize) -> Fleet {
        let mut fleet = Fleet::default();
        for (key, worker) in &self.by_key {
            let register = &worker.registration.register;
            fleet.workers.push(v1::WorkerInfo {
                name: register.name.clone(),
                slots: register.slots,
                busy_slots: u32::try_from(held(*key)).unwrap_or(u32::MAX),
                version: register.version.clone(),
                facts: register.facts.clone(),
                profiles: register.profiles.clone(),
            });
            fleet.languages.extend(worker.languages.iter().cloned());
            fleet.host_images.extend(register.host_image.clone());
        }
        fleet.languages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        fleet.languages.dedup();
        fleet.host_images.sort_by(|a, b| a.digest.cmp(&b.digest));
        fleet.host_images.dedup_by(|a, b| a.digest == b.digest);
        fleet
    }
}
