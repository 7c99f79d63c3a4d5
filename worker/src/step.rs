//! One step from order to results: fetch, take jails, start every command together, collect, and let go.
//!
//! The results are there before the clean-up, so a report does not wait for it; the places are free only after it.

use futures_util::future::join_all;
use kiln_jail::report::Failure;
use kiln_proto::v1;
use tokio_util::sync::CancellationToken;

use crate::clock::unix_us;
use crate::collect::{Collector, InlineBudget, output, piped_output};
use crate::command::{self, Ended, JailState, Prepared, StopSignals};
use crate::engine::Engine;
use crate::jail_process::{JailError, JailProcess, Used};
use crate::live::{CommandLive, StepLive};
use crate::order::{CommandOrder, StepOrder};
use crate::outcome::{self, End, Moments};
use crate::prepare::{self, Inputs};
use crate::roots::Root;
use crate::slots::StepJails;

/// How others end a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepControl {
    /// Its user wants it gone; the results still count.
    pub(crate) cancel: CancellationToken,
    /// Nobody wants the results; set together with `cancel`.
    pub(crate) abandon: CancellationToken,
}

/// A step that ended.
pub(crate) struct StepEnd {
    /// In the order of the step.
    pub(crate) results: Vec<v1::CommandResult>,
    pub(crate) cleanup: Cleanup,
}

/// What must still happen before the step's places are free. See [`Cleanup::finish`].
pub(crate) struct Cleanup(Option<Leftovers>);

/// How long a clean-up lasts. A place is free before the kernel has taken everything down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    PlacesAreFree,
    NothingIsLeft,
}

struct Leftovers {
    jails: StepJails,
    states: Vec<JailState>,
    /// One of each jail: an image must stay on disk until no sandbox shows it.
    used: Vec<Used>,
}

/// Runs a step to its end. Never fails: what goes wrong here is the outcome of its commands.
pub(crate) async fn run(
    engine: &Engine,
    order: &StepOrder,
    live: &StepLive,
    control: &StepControl,
) -> StepEnd {
    let end = match ready(engine, order, control).await {
        Ok(together) => start_together(engine, order, live, control, together).await,
        Err(ends) => StepEnd { results: never_started(order, ends), cleanup: Cleanup(None) },
    };
    live.end();
    end
}

impl Cleanup {
    /// Lets the jails destroy what is left, and frees the step's places.
    pub(crate) async fn finish(self) {
        self.finish_until(Until::PlacesAreFree).await;
    }

    /// The same, and waits as long as is said.
    pub(crate) async fn finish_until(self, until: Until) {
        let Some(Leftovers { mut jails, states, used }) = self.0 else { return };
        let ended = states.into_iter().zip(used);
        let releases = jails.jails.iter_mut().zip(ended).map(async |(jail, (state, used))| match state {
            JailState::Untouched => true,
            JailState::Broken => false,
            JailState::Unreleased => match released(jail, used, until).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(jail = jail.number, %error, "a jail could not clean up and is replaced");
                    false
                }
            },
        });
        let healthy = join_all(releases).await;
        jails.give_back(&healthy).await;
    }
}

async fn released(jail: &mut JailProcess, used: Used, until: Until) -> Result<(), JailError> {
    jail.release(used).await?;
    match until {
        Until::PlacesAreFree => Ok(()),
        Until::NothingIsLeft => jail.settle().await,
    }
}

/// Everything a step needs, or how each command ends without it.
async fn ready(engine: &Engine, order: &StepOrder, control: &StepControl) -> Result<Together, Vec<End>> {
    let cancelled = || order.commands.iter().map(|_| End::Cancelled).collect::<Vec<_>>();
    let failed = |failure: Failure| order.commands.iter().map(|_| End::Failed(failure.clone())).collect();
    let inputs = tokio::select! {
        inputs = fetch(engine, order) => inputs?,
        () = control.cancel.cancelled() => return Err(cancelled()),
    };
    let fetched_unix_us = unix_us();
    let jails = tokio::select! {
        jails = engine.slots.acquire(order.commands.len()) => jails.map_err(|error| failed(error.to_failure()))?,
        () = control.cancel.cancelled() => return Err(cancelled()),
    };
    match prepare::join(order, inputs, &engine.blobs) {
        Ok((prepared, roots)) => {
            let moments = Moments { received_unix_us: order.received_unix_us, fetched_unix_us };
            Ok(Together { prepared, roots, jails, moments })
        }
        Err(error) => {
            jails.give_back(&vec![true; order.commands.len()]).await;
            Err(failed(error.to_failure()))
        }
    }
}

/// The inputs of every command; when one's cannot be had, the others were cancelled for it.
async fn fetch(engine: &Engine, order: &StepOrder) -> Result<Vec<Inputs>, Vec<End>> {
    let fetches = order.commands.iter().map(|command| prepare::fetch(command, &engine.roots, &engine.blobs));
    let fetched = join_all(fetches).await;
    if fetched.iter().all(Result::is_ok) {
        return Ok(fetched.into_iter().filter_map(Result::ok).collect());
    }
    Err(fetched
        .into_iter()
        .map(|inputs| inputs.map_or_else(|error| End::Failed(error.to_failure()), |_| End::Cancelled))
        .collect())
}

struct Together {
    prepared: Vec<Prepared>,
    roots: Vec<Root>,
    jails: StepJails,
    moments: Moments,
}

async fn start_together(
    engine: &Engine,
    order: &StepOrder,
    live: &StepLive,
    control: &StepControl,
    together: Together,
) -> StepEnd {
    let Together { prepared, roots, mut jails, moments } = together;
    let stop = StopSignals { cancel: control.cancel.clone(), abort: CancellationToken::new() };
    let inline = InlineBudget::default();
    live.begin();
    let used = prepared
        .iter()
        .map(|one| one.plan.kind())
        .zip(roots)
        .map(|(kind, root)| Used { kind, _root: root })
        .collect();
    let recorded = prepared.into_iter().map(|one| Prepared { recorder: engine.recorder.clone(), ..one });
    let runs = recorded.zip(&mut jails.jails).zip(order.commands.iter().zip(&live.commands)).enumerate().map(
        |(index, ((prepared, jail), (command, live)))| {
            let (durable, piped) = (order.durable, is_piped(order, index));
            let one = One { engine, order: command, live, control, inline: &inline, moments, durable, piped };
            one.run(jail, prepared, stop.clone())
        },
    );
    let (results, states): (Vec<_>, Vec<_>) = join_all(runs).await.into_iter().unzip();
    StepEnd { results, cleanup: Cleanup(Some(Leftovers { jails, states, used })) }
}

/// One command among those of its step.
struct One<'a> {
    engine: &'a Engine,
    order: &'a CommandOrder,
    live: &'a CommandLive,
    control: &'a StepControl,
    inline: &'a InlineBudget,
    moments: Moments,
    durable: bool,
    piped: bool,
}

impl One<'_> {
    async fn run(
        self,
        jail: &mut JailProcess,
        prepared: Prepared,
        stop: StopSignals,
    ) -> (v1::CommandResult, JailState) {
        let wanted = prepared.plan.files_out.clone();
        let Ended { end, over_limit, jail: state } =
            command::run(jail, prepared, self.live, stop.clone()).await;
        let end = match end {
            Ok((report, descriptors)) => {
                let files = self.collector().files(&wanted, report.files.clone(), descriptors).await;
                files.map(|files| (End::Reported { report: Box::new(report), over_limit }, files))
            }
            Err(failure) => Err(failure),
        };
        let streams = self.streams().await;
        let (end, files) = match (end, &streams) {
            (Ok(end), Ok(_)) => end,
            (Err(failure), _) => (End::Failed(failure), Vec::new()),
            (Ok(_), Err(failure)) => (End::Failed(failure.clone()), Vec::new()),
        };
        if let End::Failed(failure) = &end {
            tracing::warn!(step = %failure.step, errno = failure.errno, detail = %failure.detail, "a command failed for reasons of ours");
            stop.abort.cancel();
        }
        let (stdout, stderr) =
            streams.unwrap_or_else(|_| (output(&self.live.stdout), output(&self.live.stderr)));
        let result = v1::CommandResult {
            stdout: Some(stdout),
            stderr: Some(stderr),
            files,
            ..outcome::result(self.order, end, self.moments)
        };
        (result, state)
    }

    async fn streams(&self) -> Result<(v1::Output, v1::Output), Failure> {
        if !self.durable {
            let stdout = if self.piped { piped_output() } else { output(&self.live.stdout) };
            return Ok((stdout, output(&self.live.stderr)));
        }
        let collector = self.collector();
        let stdout =
            if self.piped { piped_output() } else { collector.durable_output(&self.live.stdout).await? };
        Ok((stdout, collector.durable_output(&self.live.stderr).await?))
    }

    fn collector(&self) -> Collector<'_> {
        Collector { blobs: &self.engine.blobs, abandoned: &self.control.abandon, inline: self.inline }
    }
}

fn never_started(order: &StepOrder, ends: Vec<End>) -> Vec<v1::CommandResult> {
    let moments = Moments { received_unix_us: order.received_unix_us, fetched_unix_us: 0 };
    let results =
        order.commands.iter().zip(ends).enumerate().map(|(index, (command, end))| v1::CommandResult {
            stdout: Some(if is_piped(order, index) { piped_output() } else { v1::Output::default() }),
            stderr: Some(v1::Output::default()),
            ..outcome::result(command, end, moments)
        });
    results.collect()
}

fn is_piped(order: &StepOrder, command: usize) -> bool {
    order.pipes.iter().any(|(from, _)| *from == command)
}
