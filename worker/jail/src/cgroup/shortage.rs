//! What its memory limit cost a group that was never out of memory: near the limit the kernel takes pages of programs and
//! files back, which are then read again, and again. Nothing is killed, and nothing gets done.

use super::control::keyed;

/// The kernel counts pages; on no architecture are they smaller.
const SMALLEST_PAGE: u64 = 4096;

/// Told only of groups that reached their memory limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    /// How long nobody in the group could go on for lack of memory (Documentation/accounting/psi.rst, "full").
    /// `None` where the kernel does not tell: built without PSI, or started with psi=0.
    pub stalled_us: Option<u64>,
    /// Read again after having been taken away, at least.
    pub reread_bytes: u64,
}

impl Shortage {
    /// From `memory.pressure`, where there is one, and `memory.stat`.
    pub(super) fn parse(pressure: Option<&str>, stat: &str) -> Self {
        let pages = keyed(stat, "workingset_refault_file").unwrap_or(0);
        Self {
            stalled_us: pressure.and_then(full_total_us),
            reread_bytes: pages.saturating_mul(SMALLEST_PAGE),
        }
    }
}

/// `full avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`
fn full_total_us(pressure: &str) -> Option<u64> {
    let full = pressure.lines().find_map(|line| line.strip_prefix("full "))?;
    full.split(' ').find_map(|word| word.strip_prefix("total="))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESSURE: &str = "some avg10=41.74 avg60=10.14 avg300=2.23 total=6800055\n\
                            full avg10=41.74 avg60=10.14 avg300=2.23 total=6700055\n";

    #[test]
    fn the_time_in_which_all_stalled_and_what_was_read_again_are_found() {
        let stat = "workingset_refault_anon 1\nworkingset_refault_file 379265\nworkingset_activate_file 3\n";
        let expected = Shortage { stalled_us: Some(6_700_055), reread_bytes: 379_265 * SMALLEST_PAGE };
        assert_eq!(Shortage::parse(Some(PRESSURE), stat), expected);
        assert_eq!(Shortage::parse(None, stat), Shortage { stalled_us: None, ..expected });
    }
}
