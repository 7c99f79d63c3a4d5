//! What this worker holds: attempts from their lease until the server has acknowledged their report.
//!
//! Only data; the agent owns it.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_proto::v1;

use crate::live::StepLive;
use crate::step::StepControl;

/// All attempts held.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    held: HashMap<Key, Attempt>,
}

/// Which attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    job_id: String,
    step: String,
    attempt: u64,
}

/// One lease of a step.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) live: Arc<StepLive>,
    pub(super) control: StepControl,
    /// Once it ended; resent until acknowledged.
    pub(super) report: Option<v1::StepReport>,
}

impl Key {
    pub(super) fn of(reference: &v1::AttemptRef) -> Self {
        Self { job_id: reference.job_id.clone(), step: reference.step.clone(), attempt: reference.attempt }
    }

    pub(super) fn to_wire(&self) -> v1::AttemptRef {
        v1::AttemptRef { job_id: self.job_id.clone(), step: self.step.clone(), attempt: self.attempt }
    }
}

impl Attempts {
    pub(super) fn insert(&mut self, key: Key, attempt: Attempt) {
        self.held.insert(key, attempt);
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Attempt> {
        self.held.get(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// No more is known of it: acknowledged, or no longer wanted.
    pub(super) fn forget(&mut self, key: &Key) -> Option<Attempt> {
        self.held.remove(key)
    }

    /// It ended. `false` when nobody wants the report any more.
    pub(super) fn report(&mut self, key: &Key, report: &v1::StepReport) -> bool {
        match self.held.get_mut(key) {
            Some(attempt) => {
                attempt.report = Some(report.clone());
                true
            }
            None => false,
        }
    }

    pub(super) fn references(&self) -> Vec<v1::AttemptRef> {
        self.held.keys().map(Key::to_wire).collect()
    }

    /// Reports without an acknowledgement.
    pub(super) fn reports(&self) -> impl Iterator<Item = &v1::StepReport> {
        self.held.values().filter_map(|attempt| attempt.report.as_ref())
    }

    /// Attempts that run, or still fetch.
    pub(super) fn unreported(&self) -> impl Iterator<Item = (&Key, &Attempt)> {
        self.held.iter().filter(|(_, attempt)| attempt.report.is_none())
    }

    /// Every attempt with what its commands use right now.
    pub(super) fn heartbeat(&self) -> v1::Heartbeat {
        let attempts = self.held.iter().map(|(key, attempt)| v1::AttemptProgress {
            attempt: Some(key.to_wire()),
            commands: attempt.live.commands.iter().map(|command| progress(key, command)).collect(),
        });
        v1::Heartbeat { attempts: attempts.collect() }
    }
}

fn progress(key: &Key, command: &crate::live::CommandLive) -> v1::Progress {
    let sample = command.sample();
    v1::Progress {
        step: key.step.clone(),
        command: command.name.clone(),
        cpu_us: sample.cpu_us,
        memory_bytes: sample.memory_bytes,
    }
}
