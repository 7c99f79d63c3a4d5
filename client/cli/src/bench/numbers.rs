//! What a case's samples say: percentiles, rate, and the ratio to a bare spawn.

use std::time::Duration;

use kiln_proto::model::human_micros;
use serde::Serialize;

use super::Case;
use crate::present::tables::{Lean, table};

/// The numbers of one case.
#[derive(Clone, Debug, Serialize)]
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
    /// p50 over the p50 of a bare spawn with the same idling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio_to_spawn: Option<f64>,
}

impl Row {
    pub(crate) fn new(case: &Case, mut samples: Vec<Duration>, elapsed: Duration) -> Row {
        samples.sort_unstable();
        let per_second = samples.len() as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
        Row {
            name: case.name.to_owned(),
            clients: case.clients,
            idle_ms: u64::try_from(case.idle.as_millis()).unwrap_or(u64::MAX),
            runs: samples.len(),
            p50_us: percentile(&samples, 50),
            p95_us: percentile(&samples, 95),
            p99_us: percentile(&samples, 99),
            per_second: case.idle.is_zero().then_some(per_second),
            ratio_to_spawn: None,
        }
    }
}

/// Fills in the ratios; `base` names the row that is 1.
pub(crate) fn relate(rows: &mut [Row], base: &str) {
    let bases: Vec<(u64, u64)> =
        rows.iter().filter(|row| row.name == base).map(|row| (row.idle_ms, row.p50_us)).collect();
    for row in rows {
        let found = bases.iter().find(|(idle_ms, _)| *idle_ms == row.idle_ms);
        row.ratio_to_spawn = found.map(|(_, spawn_us)| row.p50_us as f64 / (*spawn_us).max(1) as f64);
    }
}

/// All rows for people.
pub(crate) fn rows_table(rows: &[Row]) -> String {
    let leans = [
        Lean::Left,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
    ];
    let lines = rows.iter().map(|row| {
        let idle = if row.idle_ms == 0 { "-".to_owned() } else { format!("{} ms", row.idle_ms) };
        vec![
            row.name.clone(),
            row.clients.to_string(),
            idle,
            row.runs.to_string(),
            human_micros(row.p50_us),
            human_micros(row.p95_us),
            human_micros(row.p99_us),
            row.per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
            row.ratio_to_spawn.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]
    });
    table(&["case", "clients", "idle", "runs", "p50", "p95", "p99", "per second", "× spawn"], &leans, lines)
}

/// Nearest rank, in microseconds; 0 without samples.
fn percentile(sorted: &[Duration], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0, |sample| u64::try_from(sample.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, idle_ms: u64, micros: impl IntoIterator<Item = u64>) -> Row {
        let case = Case { name, clients: 1, idle: Duration::from_millis(idle_ms) };
        let samples = micros.into_iter().map(Duration::from_micros).collect();
        Row::new(&case, samples, Duration::from_secs(2))
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let many = row("a", 0, (1..=200).rev());
        assert_eq!((many.p50_us, many.p95_us, many.p99_us), (100, 190, 198));
        assert_eq!(many.per_second, Some(100.0));
        let single = row("b", 0, [7]);
        assert_eq!((single.p50_us, single.p99_us), (7, 7));
    }

    #[test]
    fn ratios_are_to_the_spawn_with_the_same_idling() {
        let mut rows =
            [row("spawn", 0, [100]), row("spawn", 100, [400]), row("run", 0, [250]), row("run", 100, [400])];
        relate(&mut rows, "spawn");
        let ratios: Vec<_> = rows.iter().map(|row| row.ratio_to_spawn).collect();
        assert_eq!(ratios, [Some(1.0), Some(1.0), Some(2.5), Some(1.0)]);
        insta::assert_snapshot!(rows_table(&rows));
    }
}
