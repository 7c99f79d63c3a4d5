//! Live output on its way from one command of one worker to one watcher. Each watcher has relays of its own, each a bounded channel:
//! a watcher that reads slowly stalls its own relay and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_proto::v1;
use tokio::sync::mpsc;

/// Chunks that wait for the watcher.
const CHUNKS: usize = 1;

/// What comes through a relay.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// Output.
    Chunk(v1::RelayChunk),
    /// All of it has come.
    Complete,
}

/// Relays that no worker has opened yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relays {
    waiting: Arc<Mutex<HashMap<String, mpsc::Sender<Relayed>>>>,
}

/// The watcher's end. Dropping it closes the relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) chunks: mpsc::Receiver<Relayed>,
    id: String,
    relays: Relays,
}

impl Relays {
    /// A new relay. Its id cannot be guessed: clients share the socket with workers.
    pub(crate) fn create(&self) -> Relay {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let id = format!("{:032x}", rand::random::<u128>());
        self.waiting().insert(id.clone(), sender);
        Relay { chunks, id, relays: self.clone() }
    }

    /// The worker's end; a relay is opened once.
    pub(crate) fn open(&self, id: &str) -> Option<mpsc::Sender<Relayed>> {
        self.waiting().remove(id)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Relayed>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// No worker has opened it.
    pub(crate) fn is_unopened(&self) -> bool {
        self.relays.waiting().contains_key(&self.id)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.relays.waiting().remove(&self.id);
    }
}
