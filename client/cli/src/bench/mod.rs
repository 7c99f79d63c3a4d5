//! Measuring how long a command takes, many times, one way after another.
//!
//! Owns the loop and the numbers; what is measured is in [`ways`] (Kiln's own), [`rivals`] (other sandboxes of this host),
//! [`filters`] (what confinement costs a program) and [`limits`] (how exactly limits hold).

pub(crate) mod filters;
pub(crate) mod limits;
pub(crate) mod numbers;
pub(crate) mod rivals;
pub(crate) mod ways;

use std::future::Future;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use numbers::Row;

/// Not counted: caches fill, and pools.
const WARM_UPS: u32 = 3;

/// When a case has been measured enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    pub(crate) runs: usize,
}

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many go at the same time.
    pub(crate) clients: usize,
    /// Slept before each, uncounted: how real traffic arrives.
    pub(crate) idle: Duration,
}

/// Makes the call again and again, by each client until the bounds are reached. The call measures itself.
pub(crate) async fn measure<F>(case: Case, bounds: Bounds, call: impl Fn() -> F) -> Result<Row, Failure>
where
    F: Future<Output = Result<Duration, Failure>>,
{
    for _ in 0..WARM_UPS {
        call().await?;
    }
    let began = Instant::now();
    let each = bounds.runs.div_ceil(case.clients);
    let clients = (0..case.clients).map(|_| one_client(&case, bounds.time, each, began, &call));
    let samples = futures_util::future::try_join_all(clients).await?;
    let elapsed = began.elapsed();
    let samples: Vec<Duration> = samples.into_iter().flatten().collect();
    Ok(Row::new(&case, samples, elapsed))
}

async fn one_client<F>(
    case: &Case,
    time: Duration,
    runs: usize,
    began: Instant,
    call: &impl Fn() -> F,
) -> Result<Vec<Duration>, Failure>
where
    F: Future<Output = Result<Duration, Failure>>,
{
    let mut samples = Vec::new();
    while samples.len() < runs && (samples.is_empty() || began.elapsed() < time) {
        if !case.idle.is_zero() {
            tokio::time::sleep(case.idle).await;
        }
        samples.push(call().await?);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn runs_bound_a_case_and_warm_ups_are_not_counted() {
        let calls = Cell::new(0_u32);
        let case = Case { name: "nothing", clients: 2, idle: Duration::ZERO };
        let bounds = Bounds { time: Duration::from_secs(60), runs: 10 };
        let row = measure(case, bounds, || async {
            calls.set(calls.get() + 1);
            Ok(Duration::from_micros(5))
        })
        .await
        .expect("nothing cannot fail");
        assert_eq!((calls.get(), row.runs, row.p50_us), (10 + WARM_UPS, 10, 5));
    }

    #[tokio::test]
    async fn time_bounds_a_case_after_at_least_one_run() {
        let case = Case { name: "nothing", clients: 1, idle: Duration::ZERO };
        let bounds = Bounds { time: Duration::ZERO, runs: 1_000 };
        let row = measure(case, bounds, || async { Ok(Duration::from_micros(5)) }).await.expect("no failure");
        assert_eq!(row.runs, 1);
    }

    #[tokio::test]
    async fn a_failure_ends_the_case() {
        let case = Case { name: "broken", clients: 1, idle: Duration::ZERO };
        let bounds = Bounds { time: Duration::from_secs(60), runs: 10 };
        let failure = measure(case, bounds, || async { Err(Failure::kiln("broken")) }).await;
        assert!(failure.is_err());
    }
}
