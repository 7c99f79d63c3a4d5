//! `kiln bench`: what a sandboxed command costs on this host, beside a bare spawn and other sandboxes, and against targets.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kiln_proto::model::ByteSize;

use crate::bench::machine::Machine;
use crate::bench::memory::{self, Pair};
use crate::bench::report::{Found, Measured, Report};
use crate::bench::{Bounds, Extent, filters, large, limits, plot, steady};
use crate::context::Context;
use crate::embedded::require_root;
use crate::exit;
use crate::failure::Failure;
use crate::output::{Format, note, print, print_json};
use crate::private_runner::with_runner;
use crate::signals::Signals;

const SECONDS: u64 = 3;
const FULL_SECONDS: u64 = 30;
/// Ten of each run of a case at most, and no more than this, wait in a queue; as many go in a row.
const JOBS: usize = 20_000;

const EXAMPLES: &str = "\
Examples:
  kiln bench                                     two minutes
  kiln bench --plot latency.svg                  the same, with a picture
  kiln bench --full                              every target, each case for 30 s: a quarter of an hour
  kiln bench --seconds 10 --json > run.json      longer, for quieter numbers
  kiln bench --json | jq '.targets[] | {what, measured, bound, verdict}'
  kiln bench --limits                            how soon and how exactly limits stop a program

Each case runs /bin/true, all in turns, so that whatever else the host does meets all alike. bwrap, nsjail,
crun and runc are measured where they are installed. docs/performance.md says how to read the figures.";

/// Measure what a sandboxed command costs on this host
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Time per case; 3, and with --full 30
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: Option<u64>,
    /// Most runs per case; without it only the time counts
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,
    /// Measure everything at length, 20,000 jobs in a row among it
    #[arg(long)]
    full: bool,
    /// Size of the large output and of the large input
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    large: ByteSize,
    /// How long a worker stands idle before its memory is counted; it gives back after a minute
    #[arg(long, value_name = "SECONDS", default_value_t = 65, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    idle: u64,
    /// Draw latencies and throughput into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Measure how exactly limits hold instead: minutes, beside one busy neighbour per core
    #[arg(long, conflicts_with_all = ["full", "plot", "seconds", "runs"])]
    limits: bool,
    /// Samples per limit, with --limits
    #[arg(long, value_name = "COUNT", default_value_t = 200, requires = "limits", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
}

pub(crate) async fn run(args: BenchArgs, context: &Context) -> Result<u8, Failure> {
    require_root("kiln bench")?;
    if args.limits {
        return limits_hold(args.samples as usize, context).await;
    }
    // Minutes of measuring are not to be lost for a path.
    args.plot.as_ref().map_or(Ok(()), plot::writable)?;
    let mut signals = Signals::listen()?;
    let pair = Pair::start(context).await?;
    let found = measured(&args.extent(), context, &pair, &mut signals).await;
    if found.is_err() {
        signals.end_at_once_on_the_next();
    }
    let stopped = pair.stop().await;
    let found = found?;
    stopped?;
    let slots = context.settings.worker.engine.slots.get();
    let report = Report { machine: Machine::this(), slots, found };
    if let Some(path) = &args.plot {
        plot::write(path, &plot::draw(&report))?;
        note(&format!("drawn into {}", path.display()));
    }
    match context.format {
        Format::Json => print_json(&report.json())?,
        Format::People => print(&report.text())?,
    }
    Ok(exit::SUCCESS)
}

impl BenchArgs {
    fn extent(&self) -> Extent {
        let seconds = self.seconds.unwrap_or(if self.full { FULL_SECONDS } else { SECONDS });
        let runs = self.runs.map_or(usize::MAX, |runs| runs as usize);
        let jobs = runs.saturating_mul(10).min(JOBS);
        Extent {
            bounds: Bounds { time: Duration::from_secs(seconds), runs },
            large_bytes: self.large.bytes(),
            queued_jobs: jobs,
            jobs_in_a_row: if self.full { jobs } else { 0 },
            idle: Duration::from_secs(self.idle),
        }
    }
}

/// One after another: first what is measured in turns, while the pair of processes stands idle.
async fn measured(
    extent: &Extent,
    context: &Context,
    pair: &Pair,
    signals: &mut Signals,
) -> Result<Found, Failure> {
    let steady = steady::measure(context, *extent).await?;
    note("measuring programs with and without filter and Landlock");
    let filters = filters::costs(context, extent.bounds).await?;
    let ready = Measured::of(memory::of_ready_sandboxes(context, *extent, signals).await)?;
    let queued = memory::of_queued_jobs(context, extent.queued_jobs, signals).await;
    let queued = Measured::of(queued)?;
    let idle = Measured::of(unless_asked(signals, pair.idle(extent.idle)).await)?;
    let output = large::output(pair, extent.large_bytes);
    let large_output = Measured::of(unless_asked(signals, output).await)?;
    let input = async |runner: &_| large::input(context, runner, extent.large_bytes, extent.bounds).await;
    let large_input = Measured::of(with_runner(context, 1, input).await)?;
    Ok(Found { steady, idle, ready, queued, large_output, large_input, filters })
}

/// Does it, unless a signal asks for the end.
async fn unless_asked<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    }
}

async fn limits_hold(samples: usize, context: &Context) -> Result<u8, Failure> {
    let measured = async |runner: &_| limits::measure(context, runner, samples).await;
    let figures = with_runner(context, limits::slots(), measured).await?;
    match context.format {
        Format::Json => print_json(&figures)?,
        Format::People => print(&figures.tables())?,
    }
    Ok(exit::SUCCESS)
}
