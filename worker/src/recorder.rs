//! Where an engine puts what it saw of commands that it was told to record (`kiln run --learn`).

use std::sync::{Arc, Mutex};

use kiln_jail::learned::Learned;

/// Shared by the engine and whoever wants to know. Nothing bounds it but the number of commands run: it is for an engine that runs
/// one job.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Vec<Recording>>>);

/// What was seen of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub command: String,
    /// That it ran under.
    pub profile: String,
    pub learned: Learned,
}

impl Recorder {
    /// All so far, in the order in which commands ended; none of them is kept.
    pub fn take(&self) -> Vec<Recording> {
        std::mem::take(&mut *self.0.lock().expect("no holder of this lock panics"))
    }

    pub(crate) fn keep(&self, recording: Recording) {
        self.0.lock().expect("no holder of this lock panics").push(recording);
    }
}

/// The same place, not the same contents.
impl PartialEq for Recorder {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Recorder {}
