//! Trying again: bounded, with jitter, for UNAVAILABLE only, and only calls that may safely be made twice.

use std::time::Duration;

use tonic::{Code, Status};

/// Attempts in all, the first one included.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Pauses that double up to a bound, each drawn from its upper half so that clients do not march in step.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    taken: u32,
}

impl Pauses {
    pub(crate) fn next_pause(&mut self) -> Duration {
        let full = FIRST_PAUSE.saturating_mul(1 << self.taken.min(10)).min(LONGEST_PAUSE);
        self.taken += 1;
        rand::random_range(full / 2..=full)
    }
}

/// Makes an idempotent call, again when the server was not reachable.
pub(crate) async fn idempotent<T, F>(mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut pauses = Pauses::default();
    let mut attempt = 1;
    loop {
        match call().await {
            Err(status) if status.code() == Code::Unavailable && attempt < ATTEMPTS => {
                let pause = pauses.next_pause();
                tracing::debug!(
                    attempt,
                    pause_ms = pause.as_millis() as u64,
                    "server unavailable, trying again"
                );
                tokio::time::sleep(pause).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unavailable_is_tried_again_up_to_the_bound() {
        let mut calls = 0;
        let answer: Result<(), Status> = idempotent(|| {
            calls += 1;
            async { Err(Status::unavailable("away")) }
        })
        .await;
        assert_eq!(answer.expect_err("never there").code(), Code::Unavailable);
        assert_eq!(calls, ATTEMPTS);
    }

    #[tokio::test]
    async fn any_other_error_is_final() {
        let mut calls = 0;
        let answer: Result<(), Status> = idempotent(|| {
            calls += 1;
            async { Err(Status::internal("broken")) }
        })
        .await;
        assert_eq!(answer.expect_err("broken").code(), Code::Internal);
        assert_eq!(calls, 1);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_never_vanish() {
        let mut pauses = Pauses::default();
        let taken: Vec<_> = (0..20).map(|_| pauses.next_pause()).collect();
        assert!(taken[0] >= FIRST_PAUSE / 2 && taken[0] <= FIRST_PAUSE);
        assert!(taken.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(taken[19] >= LONGEST_PAUSE / 2);
    }
}
