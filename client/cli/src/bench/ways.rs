//! Kiln's own ways to run `/bin/true`, and the bare spawn that all is measured against.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_client::Client;
use kiln_proto::model::Step;
use kiln_proto::v1::{self, JobVerdict, OutcomeKind, job_event::Event};
use kiln_worker::library::Runner;

use crate::failure::{Failure, with_sources};

/// What is run in every case.
pub(crate) const PROGRAM: &str = "/bin/true";

/// The job of every case.
pub(crate) fn spec() -> v1::JobSpec {
    let command = v1::Command { argv: vec![PROGRAM.into()], ..v1::Command::default() };
    let step = v1::Step { name: "true".to_owned(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

/// A program of this host with arguments, measured from before its start until it is reaped.
pub(crate) async fn spawn(program: &'static str, arguments: Vec<String>) -> Result<Duration, Failure> {
    // std starts it with posix_spawn (vfork), so the size of this process does not matter.
    let timed = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let mut command = Command::new(program);
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = command.output()?;
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok::<_, std::io::Error>((took, output.status.success(), said))
    });
    let timed = timed.await.map_err(|error| Failure::caused("the measuring thread stopped", &error))?;
    match timed {
        Ok((took, true, _)) => Ok(took),
        Ok((_, false, said)) => Err(Failure::kiln(format!("{program} failed: {said}"))),
        Err(error) => Err(Failure::caused(&format!("cannot start {program}"), &error)),
    }
}

/// Through the worker's library, without a server.
pub(crate) async fn library(runner: &Runner, step: &Step) -> Result<Duration, Failure> {
    let began = Instant::now();
    let results = runner.run(step).await.map_err(|error| Failure::kiln(with_sources(&error)))?;
    let took = began.elapsed();
    let outcome = results.first().and_then(|result| result.outcome.as_ref());
    match outcome {
        Some(outcome) if outcome.kind() == OutcomeKind::Exited && outcome.code == Some(0) => Ok(took),
        other => {
            let sentence = other.map(|outcome| outcome.sentence.clone()).unwrap_or_default();
            Err(Failure::kiln(format!("{PROGRAM} in a sandbox: {sentence}")))
        }
    }
}

/// `Run`, from the call to the last event.
pub(crate) async fn grpc(client: &Client) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut events = client.run(spec()).await?;
    while let Some(event) = events.next_event().await? {
        let Some(Event::Done(done)) = event.event else { continue };
        let took = began.elapsed();
        let verdict = done.job.as_ref().map(v1::Job::verdict).unwrap_or_default();
        return match verdict {
            JobVerdict::Succeeded => Ok(took),
            other => Err(Failure::kiln(format!("{PROGRAM} over gRPC ended as {}", other.as_str_name()))),
        };
    }
    Err(Failure::kiln("the server ended a run without a result"))
}
