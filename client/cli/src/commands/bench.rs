//! `kiln bench`: what a sandboxed command costs on this host, beside a bare spawn and other sandboxes.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::bench::filters::{self, costs_table};
use crate::bench::numbers::{Row, relate, rows_table};
use crate::bench::rivals::Rival;
use crate::bench::{Bounds, Case, limits, measure, ways};
use crate::context::Context;
use crate::embedded::{Embedded, require_root};
use crate::exit;
use crate::explain::check;
use crate::failure::Failure;
use crate::output::{Format, note, print, print_json};
use crate::private_runner::with_runner;
use crate::signals::Signals;

/// Real traffic comes with gaps, and some kernel paths are slow only after one.
const IDLE: Duration = Duration::from_millis(100);
const CLIENTS: [usize; 4] = [1, 2, 4, 8];
const SPAWN: &str = "bare spawn";
const LIBRARY: &str = "kiln, worker library";
const GRPC: &str = "kiln, Run over gRPC";

const EXAMPLES: &str = "\
Examples:
  kiln bench
  kiln bench --seconds 10 --runs 5000            longer, for quieter numbers
  kiln bench --json | jq '.rows[] | {name, clients, p50_us}'
  kiln bench --limits                            how soon and how exactly limits stop a program

Each case runs /bin/true. bwrap, nsjail, crun and runc are measured where they are installed.
At the end, what the system call filter and Landlock cost two programs that make little else but system calls.";

/// Measure what a sandboxed command costs on this host
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Longest time per case
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Most runs per case
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Measure how exactly limits hold instead: minutes, beside one busy neighbour per core
    #[arg(long)]
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
    let bounds = Bounds { time: Duration::from_secs(args.seconds), runs: args.runs as usize };
    let slots = context.settings.worker.engine.slots.get();
    let mut rows = spawn_rows(bounds).await?;
    rows.extend(library_rows(context, slots, bounds).await?);
    rows.extend(grpc_rows(context, slots, bounds).await?);
    rows.extend(rival_rows(bounds).await?);
    relate(&mut rows, SPAWN);
    note("measuring programs with and without filter and Landlock");
    let costs = filters::costs(context, bounds).await?;
    match context.format {
        Format::Json => print_json(&json!({"slots": slots, "rows": rows, "filters": costs}))?,
        Format::People => {
            print(&rows_table(&rows))?;
            print(&format!("{slots} slots; every case runs {}\n", ways::PROGRAM))?;
            print(&costs_table(&costs))?;
        }
    }
    Ok(exit::SUCCESS)
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

/// Once back to back, once with idling.
fn both(name: &'static str) -> [Case; 2] {
    [Duration::ZERO, IDLE].map(|idle| Case { name, clients: 1, idle })
}

fn announce(case: &Case) {
    let idle = if case.idle.is_zero() { "" } else { ", with idling" };
    note(&format!("measuring {}, {} at a time{idle}", case.name, case.clients));
}

async fn spawn_rows(bounds: Bounds) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for case in both(SPAWN) {
        announce(&case);
        rows.push(measure(case, bounds, || ways::spawn(ways::PROGRAM, Vec::new())).await?);
    }
    Ok(rows)
}

async fn library_rows(context: &Context, slots: usize, bounds: Bounds) -> Result<Vec<Row>, Failure> {
    let spec = check(ways::spec(), context)?;
    with_runner(context, slots, async |runner| {
        let mut rows = Vec::new();
        for case in both(LIBRARY) {
            announce(&case);
            rows.push(measure(case, bounds, || ways::library(runner, &spec.steps[0])).await?);
        }
        Ok(rows)
    })
    .await
}

async fn grpc_rows(context: &Context, slots: usize, bounds: Bounds) -> Result<Vec<Row>, Failure> {
    let mut signals = Signals::listen()?;
    let embedded = Embedded::start(&context.settings, slots).await?;
    let cases = async {
        let mut rows = Vec::new();
        let parallel = CLIENTS.map(|clients| Case { name: GRPC, clients, idle: Duration::ZERO });
        for case in parallel.into_iter().chain([Case { name: GRPC, clients: 1, idle: IDLE }]) {
            announce(&case);
            rows.push(measure(case, bounds, || ways::grpc(&embedded.client)).await?);
        }
        Ok(rows)
    };
    let rows = tokio::select! {
        rows = cases => rows,
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    };
    if rows.is_err() {
        signals.end_at_once_on_the_next();
    }
    embedded.stop().await;
    rows
}

/// Those that are installed but do not work here are named and left out.
async fn rival_rows(bounds: Bounds) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for rival in Rival::installed()? {
        for case in both(rival.name) {
            announce(&case);
            match measure(case, bounds, || ways::spawn(rival.name, rival.words())).await {
                Ok(row) => rows.push(row),
                Err(failure) => {
                    note(&format!("left out: {}", failure.message));
                    break;
                }
            }
        }
    }
    Ok(rows)
}
