//! One watcher's live output of one command: read from the spool, sent as a stream of its own.
//!
//! The watcher's speed is this stream's speed and nobody else's: see [`crate::connection`]. A relay that breaks is not taken up again: the result
//! says everything in the end. So many are open at a time; further ones wait for a place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kiln_proto::v1;
use kiln_proto::v1::fleet_client::FleetClient;
use kiln_proto::v1::relay_output_request::Part;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;

use crate::connection::Server;
use crate::live::{CommandLive, CommandState, StepLive};
use crate::spool::{HEAD_BYTES, Spool, SpoolReader};

/// A command that ends sooner, with little output, says everything in its report.
const NOT_WORTH_A_STREAM: Duration = Duration::from_millis(20);
/// Chunks read ahead of the stream.
const AHEAD: usize = 1;
/// Open at a time besides one for each command that can run here, of those who do not read: each holds a few chunks.
const FURTHER_WATCHERS: usize = 512;
/// Connections of all relays together, at most: one task moves all bytes of a connection.
const CONNECTIONS: usize = 8;
/// How long a stopping worker lets its watchers read on.
const READ_ON: Duration = Duration::from_secs(2);

/// All relays of one worker. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Relays {
    server: Server,
    /// Taken in turn.
    connections: Vec<Arc<Connection>>,
    started: AtomicUsize,
    tasks: TaskTracker,
    stop: CancellationToken,
    places: Arc<Semaphore>,
}

/// To the server, while any relay uses it: an idle worker holds none open.
#[derive(Debug, Default)]
struct Connection(Mutex<Weak<Channel>>);

/// What to relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) relay_id: String,
    pub(super) step: Arc<StepLive>,
    pub(super) command: usize,
    pub(super) opening: Opening,
}

/// When a relay is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    AtOnce,
    /// Once the command turns out to run long or to write much.
    WhenWorthwhile,
}

impl Relays {
    pub(super) fn new(server: &Server, slots: usize) -> Self {
        let connections: Vec<_> = (0..slots.min(CONNECTIONS)).map(|_| Arc::default()).collect();
        let wanted = slots * kiln_proto::model::MAX_COMMANDS + FURTHER_WATCHERS;
        let possible = connections.len() * kiln_proto::MAX_STREAMS as usize;
        Self {
            server: server.clone(),
            connections,
            started: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            places: Arc::new(Semaphore::new(wanted.min(possible))),
        }
    }

    /// Relays until the command's output is complete, the watcher is gone, or the worker stops.
    pub(super) fn start(&self, relay: Relay) {
        let turn = self.started.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let (connection, server) = (Arc::clone(&self.connections[turn]), self.server.clone());
        let (places, stop) = (Arc::clone(&self.places), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = relay.run(&connection, &server, &places) => {}
            }
        });
    }

    /// Every spool is complete by now: a watcher that reads gets the rest, one that does not is not waited for.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        if tokio::time::timeout(READ_ON, self.tasks.wait()).await.is_err() {
            self.stop.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Connection {
    fn of(&self, server: &Server) -> Arc<Channel> {
        let mut shared = self.0.lock().expect("no holder of this lock panics");
        shared.upgrade().unwrap_or_else(|| {
            let channel = Arc::new(server.connect_when_used());
            *shared = Arc::downgrade(&channel);
            channel
        })
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Relay {
    async fn run(self, connection: &Connection, server: &Server, places: &Semaphore) {
        let Some(command) = self.step.commands.get(self.command) else {
            tracing::warn!(
                command = self.command,
                "the server wants to watch a command that the step does not have"
            );
            return;
        };
        if self.opening == Opening::WhenWorthwhile && !is_worthwhile(command).await {
            return;
        }
        let _place = places.acquire().await.expect("never closed");
        let channel = connection.of(server);
        let mut client = FleetClient::new(Channel::clone(&channel))
            .max_encoding_message_size(kiln_proto::MAX_MESSAGE_BYTES);
        let (send, parts) = mpsc::channel(AHEAD);
        let sending = async {
            if let Err(error) = send_parts(self.relay_id, command, send).await {
                tracing::warn!(%error, "cannot read what is to be relayed");
            }
            std::future::pending().await
        };
        // The answer is the end: it comes before all is sent when the watcher is gone.
        let answer = tokio::select! {
            answer = client.relay_output(ReceiverStream::new(parts)) => answer,
            never = sending => never,
        };
        if let Err(status) = answer {
            tracing::debug!(%status, "a relay ended early");
        }
    }
}

async fn send_parts(
    relay_id: String,
    command: &CommandLive,
    send: mpsc::Sender<v1::RelayOutputRequest>,
) -> std::io::Result<()> {
    let mut part = Some(Part::RelayId(relay_id));
    let (mut stdout, mut stderr) = (Some(command.stdout.follow()), Some(command.stderr.follow()));
    while let Some(next) = part {
        if send.send(v1::RelayOutputRequest { part: Some(next) }).await.is_err() {
            return Ok(());
        }
        part = next_part(&mut stdout, &mut stderr).await?;
    }
    Ok(())
}

/// The next chunk of either stream; `None` when both are complete.
async fn next_part(
    stdout: &mut Option<SpoolReader>,
    stderr: &mut Option<SpoolReader>,
) -> std::io::Result<Option<Part>> {
    loop {
        let (stream, read, reader) = tokio::select! {
            read = next_of(stdout.as_mut()), if stdout.is_some() => (v1::Stream::Stdout, read?, &mut *stdout),
            read = next_of(stderr.as_mut()), if stderr.is_some() => (v1::Stream::Stderr, read?, &mut *stderr),
            else => return Ok(None),
        };
        match read {
            Some((offset, data)) => {
                return Ok(Some(Part::Chunk(v1::RelayChunk { stream: stream.into(), offset, data })));
            }
            None => *reader = None,
        }
    }
}

async fn next_of(reader: Option<&mut SpoolReader>) -> std::io::Result<Option<(u64, bytes::Bytes)>> {
    match reader {
        Some(reader) => reader.next().await,
        None => Ok(None),
    }
}

/// Whether one of a step's commands runs long or writes much: known as soon as one does, else when all have ended.
pub(super) async fn is_any_worthwhile(commands: &[CommandLive]) -> bool {
    let mut commands: FuturesUnordered<_> = commands.iter().map(is_worthwhile).collect();
    while let Some(worthwhile) = commands.next().await {
        if worthwhile {
            return true;
        }
    }
    false
}

async fn is_worthwhile(command: &CommandLive) -> bool {
    let mut ended = command.watch();
    let mut running = command.watch();
    tokio::select! {
        () = becomes_large(&command.stdout) => true,
        () = becomes_large(&command.stderr) => true,
        _ = ended.wait_for(|sample| sample.state == CommandState::Ended) => {
            is_large(&command.stdout) || is_large(&command.stderr)
        }
        () = async {
            drop(running.wait_for(|sample| sample.state >= CommandState::Running).await);
            tokio::time::sleep(NOT_WORTH_A_STREAM).await;
        } => command.sample().state != CommandState::Ended || is_large(&command.stdout) || is_large(&command.stderr),
    }
}

async fn becomes_large(spool: &Spool) {
    let mut state = spool.watch();
    if state.wait_for(|state| state.kept_bytes > HEAD_BYTES as u64).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn is_large(spool: &Spool) -> bool {
    spool.state().kept_bytes > HEAD_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> CommandLive {
        CommandLive::new("main", &std::env::temp_dir(), 1 << 20)
    }

    #[tokio::test]
    async fn a_short_command_with_little_output_is_not_worth_a_stream() {
        let command = command();
        command.run();
        command.stdout.append(&vec![b'x'; HEAD_BYTES].into()).unwrap();
        command.end();
        assert!(!is_worthwhile(&command).await);
    }

    #[tokio::test]
    async fn much_output_or_a_long_run_is_worth_a_stream() {
        let large = command();
        large.stderr.append(&vec![b'x'; HEAD_BYTES + 1].into()).unwrap();
        assert!(is_worthwhile(&large).await);
        large.end();
        assert!(is_worthwhile(&large).await);
        let long = command();
        long.run();
        assert!(is_worthwhile(&long).await);
    }

    #[tokio::test]
    async fn a_step_is_worth_telling_as_soon_as_one_of_its_commands_is_and_never_when_none_is() {
        let step = [command(), command()];
        step[0].run();
        step[0].end();
        step[1].run();
        assert!(is_any_worthwhile(&step).await);
        let quick = [command(), command()];
        quick.iter().for_each(CommandLive::end);
        assert!(!is_any_worthwhile(&quick).await);
    }

    #[tokio::test]
    async fn a_command_that_waits_for_its_slot_is_not_running_long() {
        let waiting = command();
        tokio::select! {
            _ = is_worthwhile(&waiting) => panic!("it has not begun"),
            () = tokio::time::sleep(NOT_WORTH_A_STREAM * 3) => {}
        }
    }
}
