//! What a case's samples say: percentiles, rate, CPU, and the ratio to a bare spawn.

use std::time::Duration;

use serde::Serialize;

use super::rounds::{Case, Taken};
use crate::present::tables::{Lean, table};

/// The numbers of one case.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) clients: usize,
    pub(crate) idle_ms: u64,
    pub(crate) runs: usize,
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
    /// Absent with idling, where it would measure the idling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    /// User and system time of one run. Absent with idling, where it is too little for the kernel's ticks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us: Option<u64>,
    /// p50 over the p50 of a bare spawn with the same idling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio_to_spawn: Option<f64>,
    /// Percentiles 0 to 100, in microseconds: the whole distribution.
    pub(crate) percentiles_us: Vec<u64>,
}

impl Row {
    pub(crate) fn new(case: &Case, taken: &Taken) -> Row {
        let mut samples = taken.samples.clone();
        samples.sort_unstable();
        let runs = samples.len();
        let steady = case.idle.is_zero();
        let cpu = taken.cpu.filter(|_| steady && runs > 0);
        Row {
            name: case.name.to_owned(),
            clients: case.clients,
            idle_ms: u64::try_from(case.idle.as_millis()).unwrap_or(u64::MAX),
            runs,
            p50_us: percentile(&samples, 50),
            p95_us: percentile(&samples, 95),
            p99_us: percentile(&samples, 99),
            per_second: steady.then(|| rate(taken)),
            cpu_us: cpu.map(|cpu| micros(cpu) / runs as u64),
            ratio_to_spawn: None,
            percentiles_us: (0..=100).map(|percent| percentile(&samples, percent)).collect(),
        }
    }
}

/// Of what ended in time; where a single run takes longer than its time, of all there is.
fn rate(taken: &Taken) -> f64 {
    if taken.in_time > 0 && !taken.window.is_zero() {
        return taken.in_time as f64 / taken.window.as_secs_f64();
    }
    let all: Duration = taken.samples.iter().sum();
    taken.samples.len() as f64 / all.as_secs_f64().max(f64::EPSILON)
}

/// Fills in the ratios; `base` names the rows that are 1, `programs` those that run the same program.
pub(crate) fn relate(rows: &mut [Row], base: &str, programs: impl Fn(&Row) -> bool) {
    let bases: Vec<(u64, u64)> = rows
        .iter()
        .filter(|row| row.name == base && row.clients == 1)
        .map(|row| (row.idle_ms, row.p50_us))
        .collect();
    for row in rows.iter_mut().filter(|row| programs(row)) {
        let found = bases.iter().find(|(idle_ms, _)| *idle_ms == row.idle_ms);
        row.ratio_to_spawn = found.map(|(_, spawn_us)| row.p50_us as f64 / (*spawn_us).max(1) as f64);
    }
}

/// All rows for people.
pub(crate) fn rows_table(rows: &[Row]) -> String {
    let mut leans = [Lean::Right; 10];
    leans[0] = Lean::Left;
    let none = || "-".to_owned();
    let lines = rows.iter().map(|row| {
        let idle = if row.idle_ms == 0 { none() } else { format!("{} ms", row.idle_ms) };
        vec![
            row.name.clone(),
            row.clients.to_string(),
            idle,
            row.runs.to_string(),
            precise(row.p50_us),
            precise(row.p95_us),
            precise(row.p99_us),
            row.per_second.map_or_else(none, |rate| format!("{rate:.0}")),
            row.cpu_us.map_or_else(none, precise),
            row.ratio_to_spawn.map_or_else(none, |ratio| format!("{ratio:.2}")),
        ]
    });
    let header =
        ["case", "clients", "idle", "runs", "p50", "p95", "p99", "per second", "CPU per run", "× spawn"];
    table(&header, &leans, lines)
}

/// A duration of about a millisecond for people: `640 µs`, `1.32 ms`, `12.3 ms`, `1.20 s`.
pub(crate) fn precise(micros: u64) -> String {
    let millis = micros as f64 / 1e3;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{millis:.2} ms"),
        10_000..1_000_000 => format!("{millis:.1} ms"),
        _ => format!("{:.2} s", millis / 1e3),
    }
}

/// Nearest rank, in microseconds; 0 without samples.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0, |sample| micros(*sample))
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, idle_ms: u64, micros: impl IntoIterator<Item = u64>) -> Row {
        let case = Case { name, clients: 1, idle: Duration::from_millis(idle_ms) };
        let samples: Vec<_> = micros.into_iter().map(Duration::from_micros).collect();
        let (in_time, cpu) = (samples.len(), Some(Duration::from_millis(10)));
        let taken = Taken { samples, in_time, window: Duration::from_secs(2), cpu, ..Taken::default() };
        Row::new(&case, &taken)
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let many = row("a", 0, (1..=200).rev());
        assert_eq!((many.p50_us, many.p95_us, many.p99_us), (100, 190, 198));
        assert_eq!((many.per_second, many.cpu_us), (Some(100.0), Some(50)));
        assert_eq!((many.percentiles_us[0], many.percentiles_us[100]), (1, 200));
        let single = row("b", 100, [7]);
        assert_eq!((single.p50_us, single.p99_us, single.per_second, single.cpu_us), (7, 7, None, None));
    }

    #[test]
    fn a_run_longer_than_its_time_still_has_a_rate() {
        let case = Case { name: "slow", clients: 1, idle: Duration::ZERO };
        let taken = Taken { samples: vec![Duration::from_millis(500); 4], ..Taken::default() };
        assert_eq!(Row::new(&case, &taken).per_second, Some(2.0));
    }

    #[test]
    fn ratios_are_to_the_spawn_with_the_same_idling() {
        let mut rows = [
            row("spawn", 0, [100]),
            row("spawn", 100, [400]),
            row("run", 0, [250]),
            row("run", 100, [400]),
            row("commit", 0, [1_250]),
        ];
        relate(&mut rows, "spawn", |row| row.name != "commit");
        let ratios: Vec<_> = rows.iter().map(|row| row.ratio_to_spawn).collect();
        assert_eq!(ratios, [Some(1.0), Some(1.0), Some(2.5), Some(1.0), None]);
        insta::assert_snapshot!(rows_table(&rows));
    }

    #[test]
    fn durations_keep_three_digits() {
        let said = [640, 1_324, 12_345, 123_456, 1_204_000].map(precise);
        assert_eq!(said, ["640 µs", "1.32 ms", "12.3 ms", "123.5 ms", "1.20 s"]);
    }
}
