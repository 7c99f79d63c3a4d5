//! Jobs that are not done: one task owns the queue and all of them, and performs what the queue decides.
//!
//! Everybody else holds a [`Dispatcher`] and sends it commands over one bounded channel. Live output does not pass through the owner:
//! it goes from a worker's relay straight to the watcher that wants it ([`relays`], [`watching`]).

pub(crate) mod admission;
mod event_log;
pub(crate) mod fitting;
mod lease;
pub(crate) mod live;
mod owner;
mod performing;
mod recent;
pub(crate) mod recovery;
pub(crate) mod relays;
pub(crate) mod watching;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_proto::status::Reason;
use kiln_proto::v1;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::queue::{JobKey, WorkerKey};
use live::LiveJob;
pub(crate) use owner::{Owner, OwnerParts};
pub(crate) use watching::{Seat, Wanted};
pub(crate) use workers::Registration;

/// Commands that wait for the owner, at most; beyond it the senders wait.
const COMMANDS: usize = 1024;

/// What the owner can be asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Queue an accepted job. The seat is its first watcher's, from the beginning.
    Enqueue { job: Box<LiveJob>, seat: Option<Seat> },
    /// Replay and follow a job; false when it is not live.
    Watch { job: JobKey, seat: Seat, reply: oneshot::Sender<bool> },
    /// Answer when it is done; `None` when it is not live.
    Wait { job: JobKey, reply: oneshot::Sender<Option<v1::Job>> },
    /// Answer now; `None` when it is not live.
    Get { job: JobKey, reply: oneshot::Sender<Option<v1::Job>> },
    /// As [`Command::Get`], for many, without specs and results.
    Summaries { jobs: Vec<JobKey>, reply: oneshot::Sender<Vec<Option<v1::Job>>> },
    /// Cancel; answers when that is durable.
    Cancel { job: JobKey, reply: oneshot::Sender<Option<v1::Job>> },
    /// The caller that waits for this job is gone.
    Abandon { job: JobKey },
    /// Live output of this attempt is about to be shown; false when the attempt is over.
    OutputSent { job: JobKey, step: usize, attempt: u64, reply: oneshot::Sender<bool> },
    /// A worker connected.
    Join { worker: WorkerKey, registration: Box<Registration> },
    /// A worker said something.
    Told { worker: WorkerKey, message: v1::worker_message::Message },
    /// A worker's stream ended.
    Left { worker: WorkerKey },
    /// Who is here.
    Fleet { reply: oneshot::Sender<Fleet> },
}

/// What the connected workers say of themselves.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) workers: Vec<v1::WorkerInfo>,
    pub(crate) languages: Vec<v1::LanguageInfo>,
    pub(crate) host_images: Vec<v1::ImageInfo>,
}

/// The way to the owner.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    commands: mpsc::Sender<Command>,
    next_worker: Arc<AtomicU64>,
}

impl Dispatcher {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { commands, next_worker: Arc::new(AtomicU64::new(1)) }, receiver)
    }

    pub(crate) async fn send(&self, command: Command) -> Result<(), Status> {
        self.commands.send(command).await.map_err(|_| shutting_down())
    }

    /// Sends without waiting if it can, else from a task of its own: for destructors.
    pub(crate) fn send_detached(&self, command: Command) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let commands = self.commands.clone();
            // Ends as soon as the owner takes a command or ends itself.
            runtime.spawn(async move { commands.send(command).await });
        }
    }

    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| shutting_down())
    }

    pub(crate) fn new_worker_key(&self) -> WorkerKey {
        WorkerKey(self.next_worker.fetch_add(1, Ordering::Relaxed))
    }
}

/// The server is on its way down.
pub(crate) fn shutting_down() -> Status {
    Reason::ShuttingDown.status("the server is shutting down")
}
