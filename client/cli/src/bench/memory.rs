//! Memory: of a worker and its jails that nobody asks for anything, of a ready sandbox, of a job that waits in a server.
//!
//! What belongs to processes is their proportional share (PSS) and the whole of their memfds, mapped or not. What belongs to
//! sandboxes is mostly the kernel's, so it is the difference in what the host has left.

mod processes;

use std::time::{Duration, Instant};

use kiln_attacks::census;
use kiln_client::Client;
use kiln_proto::v1;
use kiln_worker::config::{EngineConfig, ReadySandboxes};
use serde::Serialize;

use super::burnt::own_jails;
use super::{Extent, ways};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::note;
use crate::own_service::{OwnService, Role, START};
use crate::private_runner::PrivateRunner;
use crate::signals::Signals;
pub(crate) use processes::{Share, kib_field, status_bytes};

/// Each jail has two of what its last command had.
const SLOTS: usize = 25;
/// With and without ready sandboxes, this often.
const PAIRS: usize = 3;
/// The pairs may differ by so much for each sandbox; beyond it others on this host were what changed.
const QUIET: i64 = 1 << 20;
/// How long the number of ready sandboxes must stay as it is, and how long that is waited for.
const SETTLED: Duration = Duration::from_millis(500);
const SETTLING: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);
/// Jobs in one call.
const BATCH: usize = 500;

/// Server and worker, each in a process of its own, so that they can be told apart.
pub(crate) struct Pair {
    pub(crate) server: OwnService,
    pub(crate) worker: OwnService,
    since: Instant,
}

/// A worker that nobody asks for anything.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) idle_seconds: u64,
    pub(crate) worker_bytes: u64,
    pub(crate) jails: usize,
    pub(crate) jails_bytes: u64,
    /// Worker and jails, each memfd once.
    pub(crate) total_bytes: u64,
    /// Of the total.
    pub(crate) memfd_bytes: u64,
    /// Not given back yet.
    pub(crate) ready_sandboxes: usize,
    pub(crate) server_bytes: u64,
}

/// Ready sandboxes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadyMemory {
    pub(crate) sandboxes: usize,
    /// Median of the differences, for one.
    pub(crate) bytes_each: i64,
}

/// Jobs that wait.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Queued {
    pub(crate) jobs: usize,
    pub(crate) before_bytes: u64,
    pub(crate) after_bytes: u64,
    pub(crate) bytes_each: i64,
}

impl Pair {
    pub(crate) async fn start(context: &Context) -> Result<Pair, Failure> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let role = Role { name: "the server", words: words(&["bench-target", "server"]), ..Role::default() };
        let server = OwnService::start(context, role).await?;
        let socket = server.ready.socket.display().to_string();
        let words = words(&["bench-target", "worker", "--of", &socket]);
        match OwnService::start(context, Role { name: "the worker", words, ..Role::default() }).await {
            Ok(worker) => Ok(Pair { server, worker, since: Instant::now() }),
            Err(failure) => {
                server.stop().await?;
                Err(failure)
            }
        }
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let worker = self.worker.stop().await;
        self.server.stop().await.and(worker)
    }

    /// Waits until nobody has asked for anything for so long, and counts.
    pub(crate) async fn idle(&self, idle: Duration) -> Result<Idle, Failure> {
        let left = idle.saturating_sub(self.since.elapsed());
        if !left.is_zero() {
            note(&format!("waiting {} s more for the idle worker to give back", left.as_secs() + 1));
            tokio::time::sleep(left).await;
        }
        let family = census::family(self.worker.pid);
        let (worker, below): (Vec<u32>, Vec<u32>) = family.iter().partition(|&&pid| pid == self.worker.pid);
        let jails = below.iter().filter(|&&pid| census::parent_of(pid) == Some(self.worker.pid)).count();
        let whole = Share::of(&family)?;
        Ok(Idle {
            idle_seconds: self.since.elapsed().as_secs(),
            worker_bytes: Share::of(&worker)?.pss_bytes,
            jails,
            jails_bytes: Share::of(&below)?.pss_bytes,
            total_bytes: whole.total_bytes(),
            memfd_bytes: whole.memfd_bytes,
            ready_sandboxes: census::ready_sandboxes(&family),
            server_bytes: Share::of(&[self.server.pid])?.total_bytes(),
        })
    }
}

/// What the host has less for every sandbox that stands ready.
pub(crate) async fn of_ready_sandboxes(
    context: &Context,
    extent: Extent,
    signals: &mut Signals,
) -> Result<ReadyMemory, Failure> {
    let slots = SLOTS.min(extent.bounds.runs);
    note(&format!("measuring the memory of ready sandboxes, {slots} jails"));
    let mut differences = Vec::new();
    let mut sandboxes = 0;
    for _ in 0..PAIRS {
        let (without, none) = taken_by(context, slots, ReadySandboxes::None, signals).await?;
        let (with, ready) = taken_by(context, slots, ReadySandboxes::Kept, signals).await?;
        if none != 0 || ready == 0 {
            return Err(Failure::kiln(format!(
                "{ready} sandboxes stand ready, and {none} where none should"
            )));
        }
        differences.push((with - without) / i64::try_from(ready).unwrap_or(i64::MAX));
        sandboxes = ready;
    }
    in_the_middle(differences).map(|bytes_each| ReadyMemory { sandboxes, bytes_each })
}

/// Of differences that agree. The host's memory is everybody's: a figure of what others did is none.
fn in_the_middle(mut differences: Vec<i64>) -> Result<i64, Failure> {
    differences.sort_unstable();
    let middle = differences.get(differences.len() / 2).copied().unwrap_or(0);
    let spread = differences.last().unwrap_or(&0) - differences.first().unwrap_or(&0);
    if middle > 0 && spread <= QUIET {
        return Ok(middle);
    }
    let said: Vec<_> = differences.iter().map(|bytes| format!("{} KiB", bytes >> 10)).collect();
    Err(Failure::kiln(format!("others on this host took and gave memory meanwhile: {}", said.join(", "))))
}

/// What an engine takes of the host's memory, and how many sandboxes it has ready.
async fn taken_by(
    context: &Context,
    slots: usize,
    ready: ReadySandboxes,
    signals: &mut Signals,
) -> Result<(i64, usize), Failure> {
    let before = available()?;
    // Starting it runs a command in every slot, after which its jail makes sandboxes like that one's.
    let engine = PrivateRunner::start(context, slots, |config| EngineConfig { ready, ..config }).await?;
    let counted = tokio::select! {
        counted = settled() => Ok(counted),
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    };
    let after = available();
    engine.stop().await;
    Ok((before - after?, counted?))
}

/// The number of ready sandboxes of the engine in this process, once it does not change any more.
async fn settled() -> usize {
    let deadline = Instant::now() + SETTLING;
    let (mut last, mut since) = (usize::MAX, Instant::now());
    loop {
        let below: Vec<u32> = own_jails().into_iter().flat_map(census::family).collect();
        let count = census::ready_sandboxes(&below);
        if count != last {
            (last, since) = (count, Instant::now());
        }
        if since.elapsed() >= SETTLED || Instant::now() >= deadline {
            return count;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn available() -> Result<i64, Failure> {
    let text = std::fs::read_to_string("/proc/meminfo")
        .map_err(|error| Failure::caused("cannot read /proc/meminfo", &error))?;
    let bytes = kib_field(&text, "MemAvailable:");
    bytes
        .and_then(|bytes| i64::try_from(bytes).ok())
        .ok_or_else(|| Failure::kiln("/proc/meminfo says nothing of MemAvailable"))
}

/// What a server takes for every job that waits, without a worker. Half as many jobs go before, so that what grows once is there.
pub(crate) async fn of_queued_jobs(
    context: &Context,
    jobs: usize,
    signals: &mut Signals,
) -> Result<Queued, Failure> {
    note(&format!("measuring the memory of {jobs} queued jobs"));
    let words = vec!["bench-target".to_owned(), "server".to_owned()];
    let role = Role { name: "the server without a worker", words, ..Role::default() };
    let server = OwnService::start(context, role).await?;
    let queued = tokio::select! {
        queued = queue(&server, jobs) => queued,
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    };
    server.stop().await?;
    queued
}

async fn queue(server: &OwnService, jobs: usize) -> Result<Queued, Failure> {
    let client = Client::connect_within(&server.address(), START).await?;
    submit(&client, jobs / 2).await?;
    let before_bytes = Share::of(&[server.pid])?.total_bytes();
    submit(&client, jobs).await?;
    let after_bytes = Share::of(&[server.pid])?.total_bytes();
    let difference = after_bytes as i64 - before_bytes as i64;
    let each = difference / i64::try_from(jobs.max(1)).unwrap_or(i64::MAX);
    Ok(Queued { jobs, before_bytes, after_bytes, bytes_each: each })
}

async fn submit(client: &Client, jobs: usize) -> Result<(), Failure> {
    let mut left = jobs;
    while left > 0 {
        let batch = left.min(BATCH);
        let job = v1::SubmitRequest { spec: Some(ways::spec()), ..v1::SubmitRequest::default() };
        client.submit_batch(vec![job; batch]).await?;
        left -= batch;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_that_agree_are_a_figure() {
        assert_eq!(in_the_middle(vec![700 << 10, 500 << 10, 600 << 10]).ok(), Some(600 << 10));
        for odd in [vec![-(600 << 10), -(500 << 10), 1], vec![0, 100 << 10, 2 << 20], Vec::new()] {
            assert!(in_the_middle(odd.clone()).is_err(), "{odd:?}");
        }
        let said = in_the_middle(vec![4 << 20, -2048, 1024]).expect_err("they differ").message;
        assert!(said.ends_with("-2 KiB, 1 KiB, 4096 KiB"), "{said}");
    }
}
