//! What the filter and Landlock cost a program that makes little else but system calls: the same program in the same sandbox, with
//! both and without, in turns, so that whatever else the host does meets both.
//!
//! Measured is CPU time, which is what a filter takes and what a busy host does not stretch.

use std::time::Instant;

use kiln_jail::wire::FilterUse;
use kiln_proto::model::{Step, human_micros};
use kiln_proto::v1::{self, OutcomeKind};
use kiln_worker::library::Runner;
use serde::Serialize;

use super::Bounds;
use crate::context::Context;
use crate::explain::check;
use crate::failure::{Failure, with_sources};
use crate::present::tables::{Lean, table};
use crate::private_runner::with_filters;

/// Not counted: the page cache fills.
const WARM_UPS: u32 = 1;

/// Programs of any host: hundreds of thousands of the shortest calls there are, and a walk over files, which is what Landlock looks at.
const PROGRAMS: [(&str, &[&str]); 2] = [
    (
        "read and write, a byte at a time",
        &["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=500000", "status=none"],
    ),
    ("a walk over files", &["find", "/usr/bin", "/usr/lib", "/usr/share", "-size", "+1000000k"]),
];

/// The cost to one program.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FilterCost {
    pub(crate) program: &'static str,
    pub(crate) runs: usize,
    /// Medians of CPU time.
    pub(crate) with_us: u64,
    pub(crate) without_us: u64,
    /// Median of each run with over the run without beside it: what slows the host down for a while slows both.
    pub(crate) ratio: f64,
}

/// Measures every program on two engines.
pub(crate) async fn costs(context: &Context, bounds: Bounds) -> Result<Vec<FilterCost>, Failure> {
    with_filters(context, 1, FilterUse::Required, async |with| {
        with_filters(context, 1, FilterUse::LeftOut, async |without| {
            let mut costs = Vec::new();
            for (program, argv) in PROGRAMS {
                let spec = check(spec(argv), context)?;
                costs.push(in_turns(program, &spec.steps[0], [with, without], bounds).await?);
            }
            Ok(costs)
        })
        .await
    })
    .await
}

/// All costs for people.
pub(crate) fn costs_table(costs: &[FilterCost]) -> String {
    let leans = [Lean::Left, Lean::Right, Lean::Right, Lean::Right, Lean::Right];
    let lines = costs.iter().map(|cost| {
        vec![
            cost.program.to_owned(),
            cost.runs.to_string(),
            human_micros(cost.with_us),
            human_micros(cost.without_us),
            format!("{:.3}", cost.ratio),
        ]
    });
    table(&["filter and Landlock", "runs", "CPU with", "CPU without", "ratio"], &leans, lines)
}

fn spec(argv: &[&str]) -> v1::JobSpec {
    let path = v1::EnvVar { name: "PATH".into(), value: "/usr/bin:/bin".into() };
    let argv = argv.iter().map(|word| word.as_bytes().to_vec().into()).collect();
    let command = v1::Command { argv, env: vec![path], ..v1::Command::default() };
    let step = v1::Step { name: "calls".to_owned(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

async fn in_turns(
    program: &'static str,
    step: &Step,
    engines: [&Runner; 2],
    bounds: Bounds,
) -> Result<FilterCost, Failure> {
    for _ in 0..WARM_UPS {
        for engine in engines {
            cpu_us(engine, step, program).await?;
        }
    }
    let began = Instant::now();
    let mut samples = [Vec::new(), Vec::new()];
    while samples[0].len() < bounds.runs && (samples[0].len() < 3 || began.elapsed() < bounds.time) {
        // Which one goes first changes, so that neither always finds what the other left warm.
        let order = if samples[0].len().is_multiple_of(2) { [0, 1] } else { [1, 0] };
        for index in order {
            samples[index].push(cpu_us(engines[index], step, program).await?);
        }
    }
    let runs = samples[0].len();
    let ratio = ratio(&samples[0], &samples[1]);
    let [with_us, without_us] = samples.map(median);
    Ok(FilterCost { program, runs, with_us, without_us, ratio })
}

/// CPU time of one run.
async fn cpu_us(runner: &Runner, step: &Step, program: &str) -> Result<u64, Failure> {
    let results = runner.run(step).await.map_err(|error| Failure::kiln(with_sources(&error)))?;
    let result = results.into_iter().next().unwrap_or_default();
    let outcome = result.outcome.unwrap_or_default();
    let usage = result.usage.unwrap_or_default();
    match (outcome.kind(), usage.cpu_user_us.zip(usage.cpu_system_us)) {
        // A walk may meet a directory that it must not read.
        (OutcomeKind::Exited, Some((user, system))) if outcome.code <= Some(1) => Ok(user + system),
        _ => Err(Failure::kiln(format!("{program} in a sandbox: {}", outcome.sentence))),
    }
}

/// Of pairs, the one in the middle.
fn ratio(with: &[u64], without: &[u64]) -> f64 {
    let mut ratios: Vec<f64> =
        with.iter().zip(without).map(|(with, without)| *with as f64 / (*without).max(1) as f64).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(1.0)
}

fn median(mut samples: Vec<u64>) -> u64 {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!([vec![9, 1, 5], vec![4, 2], vec![]].map(median), [5, 4, 0]);
        assert!(
            (ratio(&[100, 900, 330], &[100, 600, 300]) - 1.1).abs() < 1e-9,
            "one slow pair decides nothing"
        );
    }

    #[test]
    fn a_ratio_is_told_to_the_thousandth() {
        let cost = FilterCost { program: "p", runs: 9, with_us: 1041, without_us: 1000, ratio: 1.041 };
        assert!(costs_table(&[cost]).contains("1.041"));
    }
}
