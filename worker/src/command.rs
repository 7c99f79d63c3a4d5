//! One command in one jail, from handing over its plan to its report.
//!
//! States: begun -> running -> ended. Whatever happens (a limit, a cancel, a dead jail), its pumps end with it and both
//! output streams are complete afterwards.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use kiln_jail::learned::Learned;
use kiln_jail::plan::Plan;
use kiln_jail::report::{Failure, Report};
use kiln_jail::wire::{KillReason, Reply};
use kiln_proto::model::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::blobs::Held;
use crate::jail_process::{JailError, JailProcess, Recording, unexpected};
use crate::live::CommandLive;
use crate::output::{self, StreamPipe};
use crate::recorder::{self, Recorder};
use crate::spool::Spool;
use crate::stdin;

/// A command must have ended this long after its wall limit, or after a kill: else its jail counts as dead.
const OVERDUE: Duration = Duration::from_secs(30);

/// What a command needs beside its jail.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Stdout,
    /// One per `plan.files_in`.
    pub(crate) files: Vec<File>,
    /// Until the command has ended.
    pub(crate) held: Vec<Held>,
    /// Who wants to know what it does.
    pub(crate) recorder: Option<Recorder>,
}

#[derive(Debug)]
pub(crate) enum Stdin {
    Pumped(stdin::Stdin),
    /// The reading end of another command's output.
    Piped(OwnedFd),
}

#[derive(Debug)]
pub(crate) enum Stdout {
    Spooled,
    /// The writing end of another command's input.
    Piped(OwnedFd),
}

/// How a command ended, seen from the worker.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: Result<(Report, Vec<OwnedFd>), Failure>,
    pub(crate) over_limit: Option<OverLimit>,
    pub(crate) jail: JailState,
}

/// A stream that went over the output limit: the first one, where both did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    pub(crate) stream: Stream,
    pub(crate) seen_bytes: u64,
}

/// What may be done with the jail afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JailState {
    /// It never saw the plan, or refused to go on.
    Untouched,
    /// It waits for a release.
    Unreleased,
    Broken,
}

/// Why a command is to be ended.
#[derive(Clone, Debug)]
pub(crate) struct StopSignals {
    /// Its user wants it gone.
    pub(crate) cancel: CancellationToken,
    /// Another command of the step, or a pump, failed for reasons of ours.
    pub(crate) abort: CancellationToken,
}

/// Runs a prepared command. Cancel safety: none; dropping the future leaves the jail in an unknown state.
pub(crate) async fn run(
    jail: &mut JailProcess,
    mut prepared: Prepared,
    live: &CommandLive,
    stop: StopSignals,
) -> Ended {
    let _held = std::mem::take(&mut prepared.held);
    let gone = CancellationToken::new();
    let ended = match Pumps::start(prepared, live, &gone, &stop.abort) {
        Ok((handed, pumps)) => run_pumped(jail, handed, pumps, live, &gone, stop).await,
        Err(error) => Ended {
            end: Err(io_failure("pipes", "make the command's pipes", &error)),
            over_limit: None,
            jail: JailState::Untouched,
        },
    };
    live.end();
    ended
}

/// What goes to the jail.
struct Handed {
    plan: Plan,
    descriptors: Descriptors,
    recorder: Option<Recorder>,
}

/// Closed here as soon as they were sent, so that ends of file arrive.
struct Descriptors {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    files: Vec<File>,
}

impl Descriptors {
    fn borrowed(&self) -> Vec<BorrowedFd<'_>> {
        let streams = [self.stdin.as_fd(), self.stdout.as_fd(), self.stderr.as_fd()];
        streams.into_iter().chain(self.files.iter().map(AsFd::as_fd)).collect()
    }
}

/// The tasks that move a command's bytes.
struct Pumps {
    tasks: Vec<JoinHandle<io::Result<()>>>,
    over_limit: mpsc::UnboundedReceiver<OverLimit>,
}

impl Pumps {
    fn start(
        prepared: Prepared,
        live: &CommandLive,
        gone: &CancellationToken,
        abort: &CancellationToken,
    ) -> io::Result<(Handed, Self)> {
        // At most one message per stream is ever sent: bounded by construction.
        let (tell, over_limit) = mpsc::unbounded_channel();
        let mut tasks = Vec::with_capacity(3);
        let (stdin, rest) = match prepared.stdin {
            Stdin::Piped(read) => (read, None),
            Stdin::Pumped(stdin) => stdin.split(),
        };
        if let Some((write, source)) = rest {
            tasks.push(watched(abort, stdin::pump(write, source, gone.clone())));
        }
        let mut spool = |stream: Stream, spool: &Arc<Spool>| {
            let pipe = StreamPipe::open()?;
            let tell = tell.clone();
            let over_limit = move |seen_bytes| {
                // Nobody listens any more once the command has ended.
                let _ended = tell.send(OverLimit { stream, seen_bytes });
            };
            tasks.push(watched(abort, output::pump(pipe.read, Arc::clone(spool), gone.clone(), over_limit)));
            Ok::<_, io::Error>(pipe.write)
        };
        let stderr = spool(Stream::Stderr, &live.stderr)?;
        let stdout = match prepared.stdout {
            Stdout::Piped(write) => write,
            Stdout::Spooled => spool(Stream::Stdout, &live.stdout)?,
        };
        Ok((
            Handed {
                plan: prepared.plan,
                descriptors: Descriptors { stdin, stdout, stderr, files: prepared.files },
                recorder: prepared.recorder,
            },
            Self { tasks, over_limit },
        ))
    }

    /// Waits for the pumps of a sandbox that is gone; the first failure counts. Also says what went over the limit only now.
    async fn finish(mut self) -> (io::Result<()>, Option<OverLimit>) {
        let mut result = Ok(());
        for task in self.tasks {
            let pumped = task.await.map_err(io::Error::other).and_then(|pumped| pumped);
            result = result.and(pumped);
        }
        (result, self.over_limit.try_recv().ok())
    }
}

/// A pump whose failure ends the step: a command whose output cannot be kept must not look as if it failed itself.
fn watched(
    abort: &CancellationToken,
    pump: impl Future<Output = io::Result<()>> + Send + 'static,
) -> JoinHandle<io::Result<()>> {
    let abort = abort.clone();
    tokio::spawn(async move {
        let result = pump.await;
        if result.is_err() {
            abort.cancel();
        }
        result
    })
}

async fn run_pumped(
    jail: &mut JailProcess,
    handed: Handed,
    mut pumps: Pumps,
    live: &CommandLive,
    gone: &CancellationToken,
    stop: StopSignals,
) -> Ended {
    let Handed { plan, recorder, descriptors } = handed;
    let wall = Duration::from_micros(plan.limits.wall_us.get());
    let recording = if recorder.is_some() { Recording::On } else { Recording::Off };
    let wanted = recorder.map(|recorder| (recorder, plan.profile.name().to_owned()));
    let begun = jail.begin(plan, recording, &descriptors.borrowed()).await;
    drop(descriptors);
    let mut dialogue =
        Dialogue { jail, live, listening: &mut pumps.over_limit, over_limit: None, stop, wanted };
    let end = match begun {
        Ok(()) => dialogue.until_end(wall).await,
        Err(error) => Err(error),
    };
    let over_limit = dialogue.over_limit;
    gone.cancel();
    // The last bytes may be the ones over the limit.
    let (pumped, seen_last) = pumps.finish().await;
    ended(end, pumped, over_limit.or(seen_last))
}

fn ended(
    end: Result<(Reply, Vec<OwnedFd>), JailError>,
    pumped: io::Result<()>,
    over_limit: Option<OverLimit>,
) -> Ended {
    let (end, jail) = match end {
        Ok((Reply::Finished(report), files)) => (Ok((*report, files)), JailState::Unreleased),
        Ok((Reply::Failed(failure), _)) => (Err(failure), JailState::Unreleased),
        Ok((reply, _)) => (Err(unexpected(&reply).to_failure()), JailState::Broken),
        Err(error) => (Err(error.to_failure()), JailState::Broken),
    };
    let end = match pumped {
        Err(error) => Err(io_failure("spool", "keep what the command wrote", &error)),
        Ok(()) => end,
    };
    Ended { end, over_limit, jail }
}

/// The conversation about one command.
struct Dialogue<'a> {
    jail: &'a mut JailProcess,
    live: &'a CommandLive,
    listening: &'a mut mpsc::UnboundedReceiver<OverLimit>,
    over_limit: Option<OverLimit>,
    stop: StopSignals,
    /// Who wants to know what the command does, and below which profile it does.
    wanted: Option<(Recorder, String)>,
}

impl Dialogue<'_> {
    /// Listens until the command's end, passing on every reason to kill it.
    async fn until_end(&mut self, wall: Duration) -> Result<(Reply, Vec<OwnedFd>), JailError> {
        let overdue = tokio::time::sleep(wall + OVERDUE);
        tokio::pin!(overdue);
        let mut stopped = false;
        loop {
            tokio::select! {
                biased;
                message = self.jail.next() => {
                    let (reply, descriptors) = message?;
                    match reply {
                        Reply::Started { .. } => self.live.run(),
                        Reply::Progress { cpu_us, memory_bytes } => self.live.progress(cpu_us, memory_bytes),
                        Reply::Learned(learned) => self.keep(*learned),
                        end => return Ok((end, descriptors)),
                    }
                }
                Some(over) = self.listening.recv() => {
                    let first = *self.over_limit.get_or_insert(over);
                    self.jail.kill(KillReason::OutputLimit { seen: first.seen_bytes }).await?;
                    overdue.as_mut().reset(tokio::time::Instant::now() + OVERDUE);
                }
                () = stop_wanted(&self.stop), if !stopped => {
                    stopped = true;
                    self.jail.kill(KillReason::Cancelled).await?;
                    overdue.as_mut().reset(tokio::time::Instant::now() + OVERDUE);
                }
                () = &mut overdue => return Err(JailError::Silent(OVERDUE)),
            }
        }
    }
}

impl Dialogue<'_> {
    fn keep(&self, learned: Learned) {
        if let Some((recorder, profile)) = &self.wanted {
            let (command, profile) = (self.live.name.clone(), profile.clone());
            recorder.keep(recorder::Recording { command, profile, learned });
        }
    }
}

async fn stop_wanted(stop: &StopSignals) {
    tokio::select! {
        () = stop.cancel.cancelled() => {}
        () = stop.abort.cancelled() => {}
    }
}

/// A failure of the worker's own input or output.
pub(crate) fn io_failure(step: &str, attempted: &str, error: &io::Error) -> Failure {
    Failure {
        step: step.to_owned(),
        errno: error.raw_os_error().unwrap_or(0),
        detail: format!("{attempted}: {error}"),
    }
}
