//! How long to wait before trying again: doubling, bounded, with full jitter.

use std::time::Duration;

/// The waits of one series of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits of up to `first`, then up to twice that, and so on, never more than `longest`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Something worked: the next failure begins a new series.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure; the wait after it is between half and all of the bound, so that many waiters spread.
    pub(crate) fn after_failure(&mut self) -> Duration {
        let bound = self.first.saturating_mul(2u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        for failure in 0..100 {
            let wait = backoff.after_failure();
            assert!(wait <= Duration::from_secs(5));
            assert!(wait >= Duration::from_millis(50));
            if failure > 10 {
                assert!(wait >= Duration::from_millis(2_500));
            }
        }
        backoff.reset();
        assert!(backoff.after_failure() <= Duration::from_millis(100));
    }
}
