//! The figures of `kiln bench --limits`, for people and for machines.

use kiln_proto::model::{human_bytes, human_micros};
use serde::Serialize;

use crate::present::tables::{Lean, table};

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) cores: usize,
    pub(crate) samples: usize,
    /// From crossing the limit until nothing was left.
    pub(crate) gone: Vec<Distribution>,
    /// CPU time used beyond the limit.
    pub(crate) overshoot: Vec<Distribution>,
    /// Known workloads against what was reported.
    pub(crate) deviation: Vec<Deviation>,
}

/// Samples of one duration, and the most that 99 of 100 may take.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Distribution {
    pub(crate) name: String,
    pub(crate) samples: usize,
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) most_us: u64,
    pub(crate) target_p99_us: u64,
    pub(crate) met: bool,
}

/// A known workload: the run whose report lay farthest off.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Deviation {
    pub(crate) name: String,
    pub(crate) runs: usize,
    pub(crate) unit: &'static str,
    pub(crate) known: u64,
    pub(crate) reported: u64,
    pub(crate) percent: f64,
    pub(crate) target_percent: f64,
    pub(crate) met: bool,
}

const TARGET_PERCENT: f64 = 2.0;

impl Figures {
    pub(crate) fn new(cores: usize, samples: usize) -> Self {
        Figures { cores, samples, gone: Vec::new(), overshoot: Vec::new(), deviation: Vec::new() }
    }

    /// All tables for people.
    pub(crate) fn tables(&self) -> String {
        let beside = format!("beside {} busy neighbours", self.cores);
        let gone = distributions("crossed the limit, until no process is left", &self.gone);
        let overshoot = distributions("CPU time used beyond its limit", &self.overshoot);
        format!("{gone}{overshoot}{}{}, {beside}\n", self.deviations(), "both upper tables")
    }

    fn deviations(&self) -> String {
        let leans = [Lean::Left, Lean::Right, Lean::Right, Lean::Right, Lean::Right, Lean::Right, Lean::Left];
        let human = |row: &Deviation, value| {
            if row.unit == "us" { human_micros(value) } else { human_bytes(value) }
        };
        let lines = self.deviation.iter().map(|row| {
            vec![
                row.name.clone(),
                row.runs.to_string(),
                human(row, row.known),
                human(row, row.reported),
                format!("{:+.2} %", row.percent),
                format!("±{} %", row.target_percent),
                met(row.met),
            ]
        });
        let header = ["known workload, farthest run", "runs", "known", "reported", "off by", "target", ""];
        table(&header, &leans, lines)
    }
}

impl Distribution {
    pub(crate) fn new(name: &str, mut samples: Vec<u64>, target_p99_us: u64) -> Self {
        samples.sort_unstable();
        // Nearest rank.
        let percentile = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100).max(1);
            samples.get(rank - 1).copied().unwrap_or(0)
        };
        let p99_us = percentile(99);
        Distribution {
            name: name.to_owned(),
            samples: samples.len(),
            p50_us: percentile(50),
            p95_us: percentile(95),
            p99_us,
            most_us: samples.last().copied().unwrap_or(0),
            target_p99_us,
            met: !samples.is_empty() && p99_us <= target_p99_us,
        }
    }
}

impl Deviation {
    /// Of pairs of known and reported values.
    pub(crate) fn new(name: &str, unit: &'static str, pairs: &[(u64, u64)]) -> Self {
        let percent = |(known, reported): (u64, u64)| {
            (reported as f64 - known as f64) * 100.0 / (known as f64).max(f64::MIN_POSITIVE)
        };
        let farthest = pairs.iter().copied().max_by(|a, b| percent(*a).abs().total_cmp(&percent(*b).abs()));
        let (known, reported) = farthest.unwrap_or((0, 0));
        let off = percent((known, reported));
        Deviation {
            name: name.to_owned(),
            runs: pairs.len(),
            unit,
            known,
            reported,
            percent: off,
            target_percent: TARGET_PERCENT,
            met: known > 0 && off.abs() <= TARGET_PERCENT,
        }
    }
}

fn distributions(title: &str, rows: &[Distribution]) -> String {
    let leans = [
        Lean::Left,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Left,
    ];
    let lines = rows.iter().map(|row| {
        vec![
            row.name.clone(),
            row.samples.to_string(),
            human_micros(row.p50_us),
            human_micros(row.p95_us),
            human_micros(row.p99_us),
            human_micros(row.most_us),
            human_micros(row.target_p99_us),
            met(row.met),
        ]
    });
    table(&[title, "samples", "p50", "p95", "p99", "most", "target p99", ""], &leans, lines)
}

fn met(met: bool) -> String {
    if met { "met" } else { "missed" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_was_met_and_what_was_missed() {
        let mut figures = Figures::new(2, 200);
        figures.gone.push(Distribution::new("wall", (1..=200).map(|n| n * 100).collect(), 20_000));
        figures.gone.push(Distribution::new("memory", vec![150_000, 3_000], 100_000));
        figures.overshoot.push(Distribution::new("cpu", Vec::new(), 10_000));
        figures.deviation.push(Deviation::new(
            "cpu, 1 s in each of 1",
            "us",
            &[(1_000, 1_010), (1_000, 970)],
        ));
        figures.deviation.push(Deviation::new("memory", "bytes", &[(100 << 20, 101 << 20)]));
        insta::assert_snapshot!(figures.tables());
    }
}
