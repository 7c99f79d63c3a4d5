//! Where the time of a run goes: the moments that every result carries, over all runs of a case; and how runs are spread.

use serde::Serialize;

use super::numbers::{Row, precise};
use super::rounds::{Case, Taken};
use crate::present::tables::{Lean, table};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Of a histogram, each as wide as the others on a scale of logarithms.
const BUCKETS: usize = 24;

/// One phase of one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) case: String,
    pub(crate) clients: usize,
    pub(crate) idle_ms: u64,
    pub(crate) phase: &'static str,
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
}

/// The phases of a case, in their order.
pub(crate) fn phases_of(case: &Case, taken: &Taken) -> Vec<Phase> {
    let of_one = |(phase, lengths): &(&'static str, Vec<u64>)| {
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        // Nearest rank.
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or(0)
        };
        Phase {
            case: case.name.to_owned(),
            clients: case.clients,
            idle_ms: u64::try_from(case.idle.as_millis()).unwrap_or(u64::MAX),
            phase,
            p50_us: percentile(50),
            p95_us: percentile(95),
            p99_us: percentile(99),
        }
    };
    taken.phases.iter().map(of_one).collect()
}

/// All phases for people: one line per phase, one group of columns per case.
pub(crate) fn phases_table(phases: &[Phase]) -> String {
    let leans = [Lean::Left, Lean::Left, Lean::Right, Lean::Right, Lean::Right];
    let mut last = String::new();
    let lines = phases.iter().map(|phase| {
        let case = label(&phase.case, phase.clients, phase.idle_ms);
        let shown = if case == last { String::new() } else { case.clone() };
        last = case;
        let [p50, p95, p99] = [phase.p50_us, phase.p95_us, phase.p99_us].map(precise);
        vec![shown, phase.phase.to_owned(), p50, p95, p99]
    });
    table(&["case", "phase", "p50", "p95", "p99"], &leans, lines)
}

/// How the runs of some cases are spread, drawn in one line each.
pub(crate) fn histograms_table<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let leans = [Lean::Left, Lean::Right, Lean::Left, Lean::Right];
    let lines = rows.into_iter().map(|row| {
        let (least, most) = (at(row, 0), at(row, 99));
        vec![label(&row.name, row.clients, row.idle_ms), precise(least), histogram(row), precise(most)]
    });
    table(&["case", "least", "how many took how long (logarithmic)", "p99"], &leans, lines)
}

/// `kiln, Run over gRPC, 8 clients`.
pub(crate) fn label(name: &str, clients: usize, idle_ms: u64) -> String {
    match (clients, idle_ms) {
        (1, 0) => name.to_owned(),
        (1, idle_ms) => format!("{name}, {idle_ms} ms apart"),
        (clients, _) => format!("{name}, {clients} clients"),
    }
}

fn at(row: &Row, percent: usize) -> u64 {
    row.percentiles_us.get(percent).copied().unwrap_or(0)
}

/// From the least to the 99th percentile; how many lie where is known from the percentiles alone.
fn histogram(row: &Row) -> String {
    let (least, most) = ((at(row, 0).max(1) as f64).ln(), (at(row, 99).max(1) as f64).ln());
    let width = ((most - least) / BUCKETS as f64).max(f64::EPSILON);
    let mut counts = [0_usize; BUCKETS];
    for percent in 0..100 {
        let place = ((at(row, percent).max(1) as f64).ln() - least) / width;
        counts[(place as usize).min(BUCKETS - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: usize| match count {
        0 => ' ',
        count => BARS[(count * BARS.len()).div_ceil(highest).clamp(1, BARS.len()) - 1],
    };
    counts.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn phases_and_histograms_are_as_approved() {
        let case = |clients, idle| Case { name: "run", clients, idle: Duration::from_millis(idle) };
        let phases = vec![
            ("queued", (1..=200).rev().collect()),
            ("running", vec![700, 710, 705]),
            ("never reached", Vec::new()),
        ];
        let samples = (0..400).map(|n| Duration::from_micros(900 + n * n / 40)).collect();
        let taken = Taken { phases, samples, ..Taken::default() };
        let mut all = phases_of(&case(1, 0), &taken);
        all.extend(phases_of(&case(8, 0), &taken));
        let rows = [Row::new(&case(1, 100), &taken), Row::new(&case(8, 0), &Taken::default())];
        insta::assert_snapshot!(format!("{}{}", phases_table(&all), histograms_table(&rows)));
    }
}
