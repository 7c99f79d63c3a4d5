//! How each thing that is measured is done once: Kiln's own ways to run `/bin/true`, the bare spawn that all is measured against,
//! and what a durable job cannot do without.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_client::{Client, Events};
use kiln_proto::model::Step;
use kiln_proto::v1::{self, JobVerdict, OutcomeKind, job_event::Event};
use kiln_worker::library::{Destroyed, Runner};

use super::rounds::Sample;
use crate::commands::bench_target::OWN_NETWORK;
use crate::failure::{Failure, with_sources};
use crate::present::usage::phase_lengths;

/// What is run in every case.
pub(crate) const PROGRAM: &str = "/bin/true";
/// The phase that no result tells of: it is over after the result was reported.
pub(crate) const DESTROYING: &str = "destroying the sandbox";

/// The job of every case.
pub(crate) fn spec() -> v1::JobSpec {
    let command = v1::Command { argv: vec![PROGRAM.into()], ..v1::Command::default() };
    let step = v1::Step { name: "true".to_owned(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

fn with_profile(profile: &str) -> v1::JobSpec {
    let mut spec = spec();
    let commands = spec.steps.iter_mut().flat_map(|step| &mut step.commands);
    commands.for_each(|command| command.profile = profile.to_owned());
    spec
}

/// The program itself, measured from before its start until it is reaped: nothing is read from it, which would take longer.
pub(crate) fn spawn() -> Result<Duration, Failure> {
    // std starts it with posix_spawn (vfork), so the size of this process does not matter.
    let mut command = Command::new(PROGRAM);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status();
    let took = began.elapsed();
    match status {
        Ok(status) if status.success() => Ok(took),
        Ok(status) => Err(Failure::kiln(format!("{PROGRAM} failed: {status}"))),
        Err(error) => Err(Failure::caused(&format!("cannot start {PROGRAM}"), &error)),
    }
}

/// Another program of this host that runs it. What it says when it fails is told.
pub(crate) fn rival(program: &str, arguments: &[String]) -> Result<Duration, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let began = Instant::now();
    let output = command.output();
    let took = began.elapsed();
    match output {
        Ok(output) if output.status.success() => Ok(took),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::kiln(format!("{program} failed: {said}")))
        }
        Err(error) => Err(Failure::caused(&format!("cannot start {program}"), &error)),
    }
}

/// Through the worker's library, without a server.
pub(crate) async fn library(runner: &Runner, step: &Step) -> Result<Sample, Failure> {
    let began = Instant::now();
    let results = runner.run(step).await.map_err(|error| Failure::kiln(with_sources(&error)))?;
    let took = began.elapsed();
    succeeded(&results)?;
    Ok(Sample { took, phases: Vec::new() })
}

/// Until the result is there; whatever is left of it is gone before anything else is measured.
pub(crate) async fn alone(runner: &Runner, step: &Step) -> Result<Duration, Failure> {
    Ok(destroyed(runner, step).await?.ran)
}

/// From the result until nothing is left of the sandbox.
pub(crate) async fn destroying(runner: &Runner, step: &Step) -> Result<Sample, Failure> {
    let took = destroyed(runner, step).await?.destroyed;
    let micros = super::numbers::micros(took);
    Ok(Sample { took, phases: vec![(DESTROYING, micros)] })
}

async fn destroyed(runner: &Runner, step: &Step) -> Result<Destroyed, Failure> {
    let destroyed =
        runner.run_and_destroy(step).await.map_err(|error| Failure::kiln(with_sources(&error)))?;
    succeeded(&destroyed.results)?;
    Ok(destroyed)
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `Run`, to its last event.
    Run,
    /// The same, in a network namespace that no other command had.
    RunInOwnNetwork,
    /// `Submit`, which is durable, and `Watch` until the job is done.
    Durable,
    /// `GetCapabilities`, which does nothing.
    Empty,
}

impl Call {
    /// From the call to the last word of its answer.
    pub(crate) async fn once(self, client: &Client) -> Result<Sample, Failure> {
        let began = Instant::now();
        let job = match self {
            Call::Run => until_done(client.run(spec()).await?).await?,
            Call::RunInOwnNetwork => until_done(client.run(with_profile(OWN_NETWORK)).await?).await?,
            Call::Durable => {
                let job_id = client.submit(spec(), String::new()).await?.job_id;
                let request = v1::WatchRequest { job_id, ..v1::WatchRequest::default() };
                until_done(client.watch(request).await?).await?
            }
            Call::Empty => client.capabilities().await.map(|_| v1::Job::default())?,
        };
        Ok(Sample { took: began.elapsed(), phases: phases(&job) })
    }
}

/// One row, durable when this is over.
pub(crate) fn commit(connection: &rusqlite::Connection, row: &[u8]) -> Result<Duration, Failure> {
    let began = Instant::now();
    let inserted = connection
        .prepare_cached("INSERT INTO jobs (spec) VALUES (?1)")
        .and_then(|mut statement| statement.execute([row]));
    let took = began.elapsed();
    inserted.map(|_| took).map_err(|error| Failure::caused("cannot write to a SQLite file", &error))
}

fn succeeded(results: &[v1::CommandResult]) -> Result<(), Failure> {
    let outcome = results.first().and_then(|result| result.outcome.as_ref());
    match outcome {
        Some(outcome) if outcome.kind() == OutcomeKind::Exited && outcome.code == Some(0) => Ok(()),
        other => {
            let sentence = other.map(|outcome| outcome.sentence.clone()).unwrap_or_default();
            Err(Failure::kiln(format!("{PROGRAM} in a sandbox: {sentence}")))
        }
    }
}

/// The job once it is done, and has succeeded.
async fn until_done(mut events: Events) -> Result<v1::Job, Failure> {
    while let Some(event) = events.next_event().await? {
        let Some(Event::Done(done)) = event.event else { continue };
        let job = done.job.unwrap_or_default();
        return match job.verdict() {
            JobVerdict::Succeeded => Ok(job),
            other => Err(Failure::kiln(format!("{PROGRAM} over gRPC ended as {}", other.as_str_name()))),
        };
    }
    Err(Failure::kiln("the server ended a job without a result"))
}

/// How long each phase of a job of one command took.
fn phases(job: &v1::Job) -> Vec<(&'static str, u64)> {
    let step = job.steps.first();
    step.and_then(|step| Some(phase_lengths(step, step.commands.first()?))).unwrap_or_default()
}
