//! Many jobs one after another: whether the last ones take longer than the first.

use std::time::Duration;

use kiln_client::Client;
use serde::Serialize;

use super::numbers::percentile;
use super::ways::Call;
use crate::failure::Failure;
use crate::output::note;

/// Of 20,000, the first and the last 1,000.
const EDGE: usize = 20;
/// How often progress is told of.
const TOLD: usize = 10;

/// What was found.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct InARow {
    pub(crate) jobs: usize,
    /// How many count as first, and as many as last.
    pub(crate) edge: usize,
    pub(crate) first_p50_us: u64,
    pub(crate) last_p50_us: u64,
    pub(crate) last_p95_us: u64,
    pub(crate) last_p99_us: u64,
}

pub(crate) async fn measure(client: &Client, jobs: usize) -> Result<InARow, Failure> {
    note(&format!("measuring {jobs} jobs in a row"));
    let mut samples = Vec::with_capacity(jobs);
    for done in 1..=jobs {
        samples.push(Call::Run.once(client).await?.took);
        if done.is_multiple_of(jobs.div_ceil(TOLD)) {
            note(&format!("{done} of {jobs} jobs"));
        }
    }
    Ok(InARow::of(&samples))
}

impl InARow {
    fn of(samples: &[Duration]) -> InARow {
        let edge = (samples.len() / EDGE).clamp(1, samples.len().max(1));
        let sorted = |part: &[Duration]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part
        };
        let first = sorted(samples.get(..edge).unwrap_or_default());
        let last = sorted(&samples[samples.len().saturating_sub(edge)..]);
        InARow {
            jobs: samples.len(),
            edge,
            first_p50_us: percentile(&first, 50),
            last_p50_us: percentile(&last, 50),
            last_p95_us: percentile(&last, 95),
            last_p99_us: percentile(&last, 99),
        }
    }

    /// Above 1 where it became slower.
    pub(crate) fn ratio(&self) -> f64 {
        self.last_p50_us as f64 / self.first_p50_us.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_compared_with_the_first() {
        let samples: Vec<_> = (1..=2_000).map(Duration::from_micros).collect();
        let row = InARow::of(&samples);
        assert_eq!((row.jobs, row.edge, row.first_p50_us, row.last_p50_us), (2_000, 100, 50, 1_950));
        assert!((row.ratio() - 39.0).abs() < 1e-9);
        let single = InARow::of(&samples[..1]);
        assert_eq!((single.edge, single.first_p50_us, single.last_p50_us), (1, 1, 1));
    }
}
