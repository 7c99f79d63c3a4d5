//! How exactly limits hold on this host: how long after crossing one the last process is gone, by how much CPU time a program
//! gets past its limit, and how far what is reported lies from what was used.
//!
//! Everything is measured beside one busy neighbour per core, from outside of the jail's own decisions: the moment of crossing
//! is what the program itself said by the host's clock (see `gauge.c`), or the start plus the limit; the end is when no process
//! is left, the counters are read and the files are open. Where the crossing lies between two moments, the earlier one counts,
//! so that figures err on the long side.

pub(crate) mod figures;
mod gauge;

use kiln_proto::v1::{CommandResult, LimitName, Limits};
use kiln_worker::library::Runner;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::note;
use figures::{Deviation, Distribution, Figures};
use gauge::{Gauge, cpu_us};

const CPU_LIMIT_MS: u64 = 100;
const WALL_LIMIT_MS: u64 = 100;
const OUTPUT_LIMIT: u64 = 32 << 10;
const MEMORY_LIMIT: u64 = 64 << 20;
const TOUCHED: u64 = 100 << 20;
const SPUN_US: u64 = 1_000_000;
/// Of known workloads, each of which takes seconds.
const KNOWN_RUNS: usize = 5;

/// A program that crosses a limit.
struct Crossing {
    name: String,
    arguments: Vec<String>,
    limits: Limits,
    limit: LimitName,
    /// When nothing may be left.
    target_us: u64,
    /// Only where the limit is one of CPU time.
    overshoot_target_us: Option<u64>,
}

/// One busy neighbour per core needs a slot each, and the program that is measured one more.
pub(crate) fn slots() -> usize {
    cores() + 1
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Measures everything.
pub(crate) async fn measure(context: &Context, runner: &Runner, samples: usize) -> Result<Figures, Failure> {
    let gauge = Gauge { context, runner };
    let mut figures = Figures::new(cores(), samples);
    let enough = CancellationToken::new();
    let measured = async {
        let result = crossings(&gauge, samples, &mut figures).await;
        enough.cancel();
        result
    };
    let (measured, busy) = tokio::join!(measured, neighbours(&gauge, &enough));
    measured.and(busy)?;
    known_workloads(&gauge, &mut figures).await?;
    Ok(figures)
}

/// Burns CPU in a slot per core until the token says so.
async fn neighbours(gauge: &Gauge<'_>, enough: &CancellationToken) -> Result<(), Failure> {
    let one = || async {
        while !enough.is_cancelled() {
            let limits = Limits { cpu_ms: Some(60_000), wall_ms: Some(300_000), ..Limits::default() };
            gauge.run_until(&["spin", "1", "30000000"], limits, enough.clone()).await?;
        }
        Ok(())
    };
    futures_util::future::try_join_all((0..cores()).map(|_| one())).await.map(drop)
}

async fn crossings(gauge: &Gauge<'_>, samples: usize, figures: &mut Figures) -> Result<(), Failure> {
    for crossing in all_crossings() {
        note(&format!("measuring {}, {samples} times", crossing.name));
        let mut gone = Vec::new();
        let mut overshoots = Vec::new();
        for _ in 0..samples {
            let arguments: Vec<&str> = crossing.arguments.iter().map(String::as_str).collect();
            let result = gauge.run(&arguments, crossing.limits).await?;
            let (after_us, overshoot_us) = sample(&crossing, &result)?;
            gone.push(after_us);
            overshoots.push(overshoot_us);
        }
        figures.gone.push(Distribution::new(&crossing.name, gone, crossing.target_us));
        if let Some(target_us) = crossing.overshoot_target_us {
            figures.overshoot.push(Distribution::new(&crossing.name, overshoots, target_us));
        }
    }
    Ok(())
}

fn all_crossings() -> Vec<Crossing> {
    let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let patient = Limits { wall_ms: Some(60_000), ..Limits::default() };
    let mut all: Vec<Crossing> = [1, 2, 4]
        .into_iter()
        .map(|threads: u64| Crossing {
            name: if threads == 1 { "cpu".to_owned() } else { format!("cpu, {threads} threads") },
            arguments: words(format!("cpu {threads} {}", CPU_LIMIT_MS * 1_000)),
            limits: Limits { cpu_ms: Some(CPU_LIMIT_MS), cpu_rate_millis: Some(1_000 * threads), ..patient },
            limit: LimitName::Cpu,
            target_us: 20_000,
            overshoot_target_us: Some(if threads == 1 { 10_000 } else { 20_000 * threads }),
        })
        .collect();
    let other = |name: &str, arguments: String, limits, limit, target_us| Crossing {
        name: name.to_owned(),
        arguments: words(arguments),
        limits,
        limit,
        target_us,
        overshoot_target_us: None,
    };
    let wall = Limits { wall_ms: Some(WALL_LIMIT_MS), ..Limits::default() };
    all.push(other("wall", "wall".to_owned(), wall, LimitName::Wall, 20_000));
    let output = Limits { output_bytes: Some(OUTPUT_LIMIT), ..patient };
    all.push(other("output", format!("output {OUTPUT_LIMIT}"), output, LimitName::Output, 20_000));
    let memory = Limits { memory_bytes: Some(MEMORY_LIMIT), ..patient };
    all.push(other("memory", format!("memory {MEMORY_LIMIT}"), memory, LimitName::Memory, 100_000));
    all
}

/// How long after the crossing nothing was left, and how much CPU time was used beyond the limit.
fn sample(crossing: &Crossing, result: &CommandResult) -> Result<(u64, u64), Failure> {
    let outcome = result.outcome.as_ref();
    if outcome.map(|outcome| outcome.limit()) != Some(crossing.limit) {
        let sentence = outcome.map_or("", |outcome| outcome.sentence.as_str());
        return Err(Failure::kiln(format!(
            "{}: expected to be stopped by it, but: {sentence}",
            crossing.name
        )));
    }
    let crossed = match crossing.limit {
        LimitName::Cpu => gauge::crossed_cpu(result, CPU_LIMIT_MS * 1_000, cores() as u64),
        LimitName::Wall => gauge::crossed_wall(result, WALL_LIMIT_MS * 1_000),
        LimitName::Output => gauge::last_said(result.stderr.as_ref()),
        _ => gauge::last_said(result.stdout.as_ref()),
    };
    let collected = result.phases.map_or(0, |phases| phases.collected_unix_us);
    let crossed =
        crossed.ok_or_else(|| Failure::kiln(format!("{}: the program said nothing", crossing.name)))?;
    Ok((collected.saturating_sub(crossed), cpu_us(result).saturating_sub(CPU_LIMIT_MS * 1_000)))
}

async fn known_workloads(gauge: &Gauge<'_>, figures: &mut Figures) -> Result<(), Failure> {
    for processes in [1, 2, 8] {
        let name = format!("cpu, 1 s in each of {processes}");
        note(&format!("measuring {name}, {KNOWN_RUNS} times"));
        let mut pairs = Vec::new();
        for _ in 0..KNOWN_RUNS {
            let limits = Limits {
                cpu_ms: Some(60_000),
                wall_ms: Some(120_000),
                cpu_rate_millis: Some(8_000),
                ..Limits::default()
            };
            let result =
                gauge.succeed(&["spin", &processes.to_string(), &SPUN_US.to_string()], limits).await?;
            let known = gauge::stamps(result.stdout.as_ref()).last().map_or(0, |stamp| stamp.value);
            pairs.push((known, cpu_us(&result)));
        }
        figures.deviation.push(Deviation::new(&name, "us", &pairs));
    }
    note(&format!("measuring memory, 100 MiB touched, {KNOWN_RUNS} times"));
    let mut pairs = Vec::new();
    for _ in 0..KNOWN_RUNS {
        let limits = Limits { memory_bytes: Some(4 * TOUCHED), ..Limits::default() };
        let result = gauge.succeed(&["touch", &TOUCHED.to_string()], limits).await?;
        let reported = result.usage.as_ref().and_then(|usage| usage.peak_memory_bytes).unwrap_or_default();
        pairs.push((TOUCHED, reported));
    }
    figures.deviation.push(Deviation::new("memory, 100 MiB touched", "bytes", &pairs));
    Ok(())
}
