//! One jail as the worker sees it: a child process and the dialogue over its socket.
//!
//! States: started -> configured -> (command begun -> events -> finished -> released)*. Owns the process and its uid
//! range; the range is free again only when the process is gone. It decides nothing about jobs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kiln_jail::plan::{Plan, SandboxKind};
use kiln_jail::report::Failure;
use kiln_jail::uid_range::{UidRange, UidRangeError};
use kiln_jail::wire::{self, KillReason, Reply, Request, Setup};
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncRead, AsyncReadExt, Interest};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use crate::config::ReadySandboxes;
use crate::jail_program::JailProgram;
use crate::roots::Root;

/// A jail answers `Configure` and `Release` within this, or it counts as dead.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a jail may take to clean up after its socket was closed.
const LEAVE: Duration = Duration::from_secs(10);
/// Commands that were released and whose sandboxes are still being destroyed, at most, before another begins.
const UNRELEASED: usize = 2;
/// A judged program is compiled in one kind of sandbox and runs in another.
const KINDS: usize = 2;
/// What is kept of a jail's stderr, for the evidence when it dies.
const LAST_WORDS_BYTES: usize = 2 * 1024;

/// A configured jail.
#[derive(Debug)]
pub(crate) struct JailProcess {
    pub(crate) number: u32,
    socket: UnixDatagram,
    /// Taken by whoever ends the jail.
    process: Option<Process>,
    last_words: LastWords,
    /// What it has sandboxes ready for, the latest first. Their images stay on disk.
    ready: VecDeque<Arc<Used>>,
    /// Of released commands whose sandboxes are not gone yet, the earliest first.
    unreleased: VecDeque<Arc<Used>>,
    keeping: ReadySandboxes,
}

/// A root that a command had, and what its sandbox was made for.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) kind: SandboxKind,
    pub(crate) _root: Root,
}

/// Whether the jail records what a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    Off,
    On,
}

/// The child and its uids: the range is free again only when the child is gone.
#[derive(Debug)]
struct Process {
    child: Child,
    _uids: UidRange,
}

/// Why a jail cannot be used. Always the infrastructure's matter, never the job's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JailError {
    #[error("make a socket for the jail")]
    Socket { source: io::Error },
    #[error("claim a range of uids")]
    ClaimUids { source: UidRangeError },
    #[error("start the jail process")]
    Spawn { source: io::Error },
    #[error("send to the jail")]
    Send { source: io::Error },
    #[error("receive from the jail")]
    Receive { source: io::Error },
    #[error("the jail died: {status}{}", spoken(last_words))]
    Died { status: String, last_words: String },
    #[error("the jail did not answer for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the jail answered out of turn: {reply}")]
    OutOfTurn { reply: String },
    /// It ends, and nothing of what it was asked for since was carried out.
    #[error("the jail could not destroy the sandbox of an earlier command: {0}")]
    LeftBehind(Failure),
    #[error("the jail cannot make sandboxes here: {0}")]
    Unable(Failure),
}

impl JailProcess {
    /// Starts the program, claims uids and configures. `setup.uid_base` is filled in here.
    pub(crate) async fn start(
        program: &JailProgram,
        mut setup: Setup,
        keeping: ReadySandboxes,
    ) -> Result<Self, JailError> {
        let uids = UidRange::claim().map_err(|source| JailError::ClaimUids { source })?;
        setup.uid_base = uids.base();
        let (ours, theirs) = wire::pair().map_err(|source| JailError::Socket { source })?;
        let socket = into_tokio(ours).map_err(|source| JailError::Socket { source })?;
        let mut child = Command::new(program.path())
            .arg0("kiln-jail")
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for the worker alone; it stops its jails in order. There is no kill on drop: a
            // jail whose socket closes cleans up after itself, a killed one cannot.
            .process_group(0)
            .spawn()
            .map_err(|source| JailError::Spawn { source })?;
        let last_words = LastWords::listen(setup.jail, child.stderr.take());
        let process = Some(Process { child, _uids: uids });
        let (ready, unreleased) = (VecDeque::new(), VecDeque::new());
        let mut jail = Self { number: setup.jail, socket, process, last_words, ready, unreleased, keeping };
        jail.configure(setup).await?;
        Ok(jail)
    }

    /// Whether the process still runs; asks the kernel, does not wait.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.child.try_wait(), Ok(None)))
    }

    /// Hands over a plan with its descriptors, in the order that [`Plan`] says.
    pub(crate) async fn begin(
        &mut self,
        plan: Plan,
        recording: Recording,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), JailError> {
        let plan = Box::new(plan);
        let request = match recording {
            Recording::Off => Request::Run(plan),
            Recording::On => Request::Learn(plan),
        };
        self.send(&request, descriptors).await
    }

    pub(crate) async fn kill(&mut self, reason: KillReason) -> Result<(), JailError> {
        self.send(&Request::Kill(reason), &[]).await
    }

    /// The next thing the jail tells of a command. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<(Reply, Vec<OwnedFd>), JailError> {
        loop {
            match self.receive().await? {
                (Reply::Released, _) if self.unreleased.pop_front().is_some() => {}
                told => return Ok(told),
            }
        }
    }

    /// Lets the jail destroy what is left of the last command, and has it make sandboxes for the next of its kind. The next may
    /// begin at once; this waits only for sandboxes of earlier commands that are slow to go.
    pub(crate) async fn release(&mut self, used: Used) -> Result<(), JailError> {
        let used = Arc::new(used);
        self.send(&Request::Release, &[]).await?;
        self.unreleased.push_back(Arc::clone(&used));
        if self.keeping == ReadySandboxes::Kept {
            self.keep_ready(used).await?;
        }
        while self.unreleased.len() > UNRELEASED {
            self.released().await?;
        }
        Ok(())
    }

    /// Waits until nothing is left of any command that was released.
    pub(crate) async fn settle(&mut self) -> Result<(), JailError> {
        while !self.unreleased.is_empty() {
            self.released().await?;
        }
        Ok(())
    }

    async fn keep_ready(&mut self, used: Arc<Used>) -> Result<(), JailError> {
        let others = self.ready.iter().filter(|earlier| earlier.kind != used.kind);
        let mut ready: VecDeque<_> = std::iter::once(&used).chain(others).cloned().collect();
        ready.truncate(KINDS);
        let kinds = ready.iter().map(|used| used.kind.clone()).collect();
        self.send(&Request::KeepReady(kinds), &[]).await?;
        // Only now need the images of others not stay.
        self.ready = ready;
        Ok(())
    }

    async fn released(&mut self) -> Result<(), JailError> {
        let (reply, _descriptors) = self.next_in_time().await?;
        match reply {
            Reply::Released => {
                self.unreleased.pop_front();
                Ok(())
            }
            reply => Err(out_of_turn(&reply)),
        }
    }

    async fn receive(&mut self) -> Result<(Reply, Vec<OwnedFd>), JailError> {
        let received = self
            .socket
            .async_io(Interest::READABLE, || {
                Ok(wire::receive::<Reply>(self.socket.as_fd(), RecvFlags::DONTWAIT)?)
            })
            .await;
        match received {
            Ok(Some((Reply::NotReleased(failure), _))) => Err(JailError::LeftBehind(failure)),
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(self.died().await),
            Err(source) => Err(JailError::Receive { source }),
        }
    }

    /// Ends the jail in order: closes its socket and waits until it has cleaned up and left.
    pub(crate) async fn stop(mut self) {
        let process = self.process.take();
        let number = self.number;
        drop(self);
        if let Some(process) = process {
            process.leave(number).await;
        }
    }

    /// Ends the jail at once, and waits until the process is gone.
    pub(crate) async fn destroy(mut self) {
        if let Some(process) = self.process.take() {
            process.kill(self.number).await;
        }
    }

    async fn configure(&mut self, setup: Setup) -> Result<(), JailError> {
        self.send(&Request::Configure(setup), &[]).await?;
        match self.next_in_time().await?.0 {
            Reply::Ready => Ok(()),
            Reply::Failed(failure) => Err(JailError::Unable(failure)),
            reply => Err(out_of_turn(&reply)),
        }
    }

    async fn next_in_time(&mut self) -> Result<(Reply, Vec<OwnedFd>), JailError> {
        match tokio::time::timeout(ANSWER, self.receive()).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(JailError::Silent(ANSWER)),
        }
    }

    async fn send(&mut self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), JailError> {
        let sent = self
            .socket
            .async_io(Interest::WRITABLE, || {
                Ok(wire::send(self.socket.as_fd(), request, descriptors, SendFlags::DONTWAIT)?)
            })
            .await;
        match sent {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Err(self.died().await),
            Err(source) => Err(JailError::Send { source }),
        }
    }

    /// The socket is closed: says how the process ended, with what it said last.
    async fn died(&mut self) -> JailError {
        let Some(process) = &mut self.process else {
            return JailError::Died { status: "it was ended".to_owned(), last_words: self.last_words.text() };
        };
        let status = match tokio::time::timeout(LEAVE, process.child.wait()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => format!("its status is unknown ({error})"),
            Err(_elapsed) => "it closed its socket but still runs".to_owned(),
        };
        JailError::Died { status, last_words: self.last_words.text() }
    }
}

/// A jail that is let go without being ended (its step was abandoned in the middle): its socket closes now, and it is
/// seen off in the background.
impl Drop for JailProcess {
    fn drop(&mut self) {
        let number = self.number;
        if let (Some(process), Ok(runtime)) = (self.process.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(process.leave(number));
        }
    }
}

impl Process {
    async fn leave(mut self, number: u32) {
        if tokio::time::timeout(LEAVE, self.child.wait()).await.is_err() {
            tracing::warn!(jail = number, "a jail did not leave and is killed");
            self.kill(number).await;
        }
    }

    async fn kill(mut self, number: u32) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(jail = number, %error, "cannot kill a jail");
        }
    }
}

impl JailError {
    /// As the failure of a command: step, errno, what was attempted.
    pub(crate) fn to_failure(&self) -> Failure {
        let (step, errno) = match self {
            Self::Unable(failure) => return failure.clone(),
            Self::Spawn { source }
            | Self::Socket { source }
            | Self::Send { source }
            | Self::Receive { source } => ("jail", source.raw_os_error().unwrap_or(0)),
            Self::LeftBehind(failure) => (failure.step.as_str(), failure.errno),
            Self::ClaimUids { .. } | Self::Died { .. } | Self::Silent(_) | Self::OutOfTurn { .. } => {
                ("jail", 0)
            }
        };
        let source = std::error::Error::source(self).map(|source| format!(": {source}")).unwrap_or_default();
        Failure { step: step.to_owned(), errno, detail: format!("{self}{source}") }
    }
}

fn into_tokio(socket: OwnedFd) -> io::Result<UnixDatagram> {
    // A SEQPACKET socket differs from a datagram one only in its connection; all calls on it here are our own.
    let socket = StdUnixDatagram::from(socket);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn spoken(last_words: &str) -> String {
    if last_words.is_empty() { String::new() } else { format!("; it said: {last_words}") }
}

fn out_of_turn(reply: &Reply) -> JailError {
    let reply = match reply {
        Reply::Ready => "Ready",
        Reply::Started { .. } => "Started",
        Reply::Progress { .. } => "Progress",
        Reply::Learned(_) => "Learned",
        Reply::Finished(_) => "Finished",
        Reply::Failed(_) => "Failed",
        Reply::Released => "Released",
        Reply::NotReleased(_) => "NotReleased",
    };
    JailError::OutOfTurn { reply: reply.to_owned() }
}

/// Turns an unexpected reply into an error; for the driver of commands.
pub(crate) fn unexpected(reply: &Reply) -> JailError {
    out_of_turn(reply)
}

/// The end of what a jail wrote to stderr (a panic, a refusal of the loader). The jail never writes a job's strings there.
#[derive(Clone, Debug, Default)]
struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    /// Listens until the jail's stderr is closed, that is until the jail and what it cloned are gone.
    fn listen(jail: u32, stderr: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let words = Self::default();
        if let Some(mut stderr) = stderr {
            let words = words.clone();
            tokio::spawn(async move {
                let mut chunk = [0; 1024];
                while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
                    words.keep(&chunk[..length]);
                    let said = String::from_utf8_lossy(&chunk[..length]);
                    tracing::warn!(jail, said = said.trim_end(), "a jail spoke");
                }
            });
        }
        words
    }

    fn keep(&self, chunk: &[u8]) {
        let mut words = self.0.lock().expect("no holder of this lock panics");
        words.extend_from_slice(chunk);
        let surplus = words.len().saturating_sub(LAST_WORDS_BYTES);
        words.drain(..surplus);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no holder of this lock panics")).trim().to_owned()
    }
}
