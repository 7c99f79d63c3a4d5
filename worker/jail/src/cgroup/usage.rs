//! What a group of processes consumed, as the kernel's control files tell it. Pure parsing beside the type.

use super::Shortage;
use super::control::keyed;

/// Usage of one group since it was made. `None` where this kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUsage {
    /// Exact on both versions; `cpu_user_us + cpu_system_us`.
    pub cpu_total_us: u64,
    /// On v1 the split (not the sum) is sampled by the timer tick.
    pub cpu_user_us: u64,
    pub cpu_system_us: u64,
    pub peak_memory_bytes: Option<u64>,
    pub peak_pids: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub throttled_us: Option<u64>,
    pub throttled_periods: Option<u64>,
    pub oom_kills: u64,
    pub pids_refused: u64,
    /// `None` when it never reached its memory limit.
    pub shortage: Option<Shortage>,
}

impl GroupUsage {
    /// Divides an exact total in the proportion of two sampled numbers; all is user time when nothing was sampled.
    pub(super) fn split_cpu(&mut self, total_us: u64, sampled_user: u64, sampled_system: u64) {
        let sampled = u128::from(sampled_user) + u128::from(sampled_system);
        let system = (u128::from(total_us) * u128::from(sampled_system)).checked_div(sampled).unwrap_or(0);
        self.cpu_total_us = total_us;
        self.cpu_system_us = u64::try_from(system).expect("a share of a u64 total is not larger than it");
        self.cpu_user_us = total_us - self.cpu_system_us;
    }

    /// `cpu.stat` of v2.
    pub(super) fn take_cpu_stat(&mut self, text: &str) {
        self.cpu_total_us = keyed(text, "usage_usec").unwrap_or(0);
        self.cpu_system_us = keyed(text, "system_usec").unwrap_or(0).min(self.cpu_total_us);
        // The kernel rounds user and system down each for itself: together they may be a microsecond short.
        self.cpu_user_us = self.cpu_total_us - self.cpu_system_us;
        self.throttled_us = keyed(text, "throttled_usec");
        self.throttled_periods = keyed(text, "nr_throttled");
    }

    /// `blkio.throttle.io_service_bytes` of v1: `MAJOR:MINOR Read BYTES` per device and direction.
    pub(super) fn take_blkio(&mut self, text: &str) {
        let sum = |direction| sum_of(text.lines().filter_map(move |line| blkio_bytes(line, direction)));
        (self.read_bytes, self.written_bytes) = (Some(sum("Read")), Some(sum("Write")));
    }

    /// `io.stat` of v2: `MAJOR:MINOR rbytes=N wbytes=N ...` per device.
    pub(super) fn take_io_stat(&mut self, text: &str) {
        let words = || text.split_ascii_whitespace();
        let sum = |key| sum_of(words().filter_map(move |word| word.strip_prefix(key)?.parse().ok()));
        (self.read_bytes, self.written_bytes) = (Some(sum("rbytes=")), Some(sum("wbytes=")));
    }
}

fn blkio_bytes(line: &str, direction: &str) -> Option<u64> {
    let mut words = line.split(' ').skip(1);
    (words.next()? == direction).then(|| words.next()?.trim().parse().ok()).flatten()
}

fn sum_of(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blkio_adds_devices_and_skips_totals() {
        let mut usage = GroupUsage::default();
        usage.take_blkio("254:0 Read 4096\n254:0 Write 10\n254:16 Read 4\n254:0 Total 4106\nTotal 4110\n");
        assert_eq!((usage.read_bytes, usage.written_bytes), (Some(4100), Some(10)));
    }

    #[test]
    fn io_stat_adds_devices() {
        let mut usage = GroupUsage::default();
        usage.take_io_stat("8:0 rbytes=5 wbytes=7 rios=1\n8:16 rbytes=1 wbytes=0\n");
        assert_eq!((usage.read_bytes, usage.written_bytes), (Some(6), Some(7)));
    }

    /// Linux 6.12 told 8693322 with parts whose sum was 8693321.
    #[test]
    fn rounded_parts_of_cpu_stat_add_up() {
        let mut usage = GroupUsage::default();
        usage.take_cpu_stat("usage_usec 10\nuser_usec 6\nsystem_usec 3\nnr_throttled 2\nthrottled_usec 7\n");
        assert_eq!((usage.cpu_total_us, usage.cpu_user_us, usage.cpu_system_us), (10, 7, 3));
        assert_eq!((usage.throttled_periods, usage.throttled_us), (Some(2), Some(7)));
    }

    proptest! {
        #[test]
        fn a_split_never_loses_time(total: u64, user: u64, system: u64) {
            let mut usage = GroupUsage::default();
            usage.split_cpu(total, user, system);
            prop_assert_eq!(usage.cpu_user_us.checked_add(usage.cpu_system_us), Some(total));
            prop_assert_eq!(usage.cpu_total_us, total);
        }
    }
}
