//! When to look next: timers set for the earliest moment at which a limit can be crossed.
//!
//! Pure: it knows the limits and what was last measured; time comes from outside.

use std::time::{Duration, Instant};

use crate::plan::Limits;

/// Never look at the CPU clock more often: a look costs a few microseconds.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// The kernel counts an OOM kill a moment after it announced it.
const OOM_LOOK: Duration = Duration::from_millis(1);
const OOM_LOOKS: u32 = 100;

/// The timers of one running command.
#[derive(Debug)]
pub(super) struct Clock {
    wall_due: Instant,
    cpu_limit_us: u64,
    cpus: u32,
    cpu_due: Instant,
    progress_due: Instant,
    refused_fork_every: Option<Duration>,
    refused_fork_due: Option<Instant>,
    oom_due: Option<Instant>,
    oom_looks_left: u32,
}

impl Clock {
    pub(super) fn start(
        now: Instant,
        limits: &Limits,
        cpus: u32,
        refused_fork_every: Option<Duration>,
    ) -> Self {
        let mut clock = Self {
            wall_due: after(now, Duration::from_micros(limits.wall_us.get())),
            cpu_limit_us: limits.cpu_us.get(),
            cpus: cpus.max(1),
            cpu_due: now,
            progress_due: now + PROGRESS_EVERY,
            refused_fork_every,
            refused_fork_due: refused_fork_every.map(|every| now + every),
            oom_due: None,
            oom_looks_left: 0,
        };
        clock.cpu_was(now, 0);
        clock
    }

    /// The earliest moment at which anything is due.
    pub(super) fn next(&self) -> Instant {
        [self.refused_fork_due, self.oom_due]
            .into_iter()
            .flatten()
            .fold(self.wall_due.min(self.cpu_due).min(self.progress_due), Instant::min)
    }

    pub(super) fn wall_is_over(&self, now: Instant) -> bool {
        now >= self.wall_due
    }

    pub(super) fn cpu_is_due(&self, now: Instant) -> bool {
        now >= self.cpu_due
    }

    /// CPU time used so far; all usable CPUs together can use up the rest no sooner than the next look.
    pub(super) fn cpu_was(&mut self, now: Instant, used_us: u64) {
        let left = Duration::from_micros(self.cpu_limit_us.saturating_sub(used_us)) / self.cpus;
        self.cpu_due = after(now, left.max(SHORTEST_LOOK));
    }

    pub(super) fn progress_is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.progress_due;
        if due {
            self.progress_due = now + PROGRESS_EVERY;
        }
        due
    }

    /// Whether the counters of OOM kills and refused forks must be read.
    pub(super) fn counters_are_due(&mut self, now: Instant) -> bool {
        let mut due = false;
        if self.refused_fork_due.is_some_and(|moment| now >= moment) {
            self.refused_fork_due = self.refused_fork_every.map(|every| now + every);
            due = true;
        }
        if self.oom_due.is_some_and(|moment| now >= moment) {
            self.oom_looks_left -= 1;
            self.oom_due = (self.oom_looks_left > 0).then(|| now + OOM_LOOK);
            due = true;
        }
        due
    }

    /// The group announced something; its counters may tell it a moment later.
    pub(super) fn look_again_soon(&mut self, now: Instant) {
        self.oom_looks_left = OOM_LOOKS;
        self.oom_due = Some(now + OOM_LOOK);
    }
}

/// A limit of centuries is as good as one of a year.
fn after(now: Instant, duration: Duration) -> Instant {
    now + duration.min(Duration::from_secs(365 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    #[test]
    fn the_cpu_clock_is_read_at_the_earliest_crossing_and_then_each_millisecond() {
        let now = Instant::now();
        let mut clock = Clock::start(now, &example().limits, 2, None);
        let in_ms = |clock: &Clock| clock.cpu_due.duration_since(now).as_millis();
        assert_eq!(in_ms(&clock), 500, "1 s on two CPUs");
        clock.cpu_was(now, 900_000);
        assert_eq!(in_ms(&clock), 50);
        clock.cpu_was(now, 999_999);
        assert_eq!(in_ms(&clock), 1);
        clock.cpu_was(now, 2_000_000);
        assert_eq!(in_ms(&clock), 1);
    }

    #[test]
    fn wall_is_over_at_the_limit_and_an_endless_limit_does_not_overflow() {
        let now = Instant::now();
        let mut limits = example().limits;
        let clock = Clock::start(now, &limits, 1, None);
        assert!(!clock.wall_is_over(now + Duration::from_micros(1_999_999)));
        assert!(clock.wall_is_over(now + Duration::from_secs(2)));
        limits.wall_us = u64::MAX.try_into().expect("not zero");
        assert!(!Clock::start(now, &limits, 1, None).wall_is_over(now + Duration::from_secs(86_400)));
    }

    #[test]
    fn an_announced_oom_is_looked_for_a_bounded_number_of_times() {
        let mut now = Instant::now();
        let mut clock = Clock::start(now, &example().limits, 1, None);
        clock.look_again_soon(now);
        let mut looks = 0;
        while clock.oom_due.is_some() {
            now += OOM_LOOK;
            looks += u32::from(clock.counters_are_due(now));
        }
        assert_eq!(looks, OOM_LOOKS);
        assert!(!clock.counters_are_due(now + OOM_LOOK));
    }
}
