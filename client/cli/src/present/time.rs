//! Points in time for people: local, to the second.

use jiff::{Timestamp, tz::TimeZone};

/// `2026-11-23 21:15:54`; `-` for what was not reached.
pub(crate) fn local(unix_us: u64) -> String {
    in_zone(unix_us, TimeZone::system())
}

fn in_zone(unix_us: u64, zone: TimeZone) -> String {
    let known = i64::try_from(unix_us).ok().filter(|micros| *micros > 0);
    match known.and_then(|micros| Timestamp::from_microsecond(micros).ok()) {
        Some(moment) => moment.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_printed_to_the_second_and_absent_ones_as_a_dash() {
        assert_eq!(in_zone(1_700_000_000_999_999, TimeZone::UTC), "2023-11-14 22:13:20");
        assert_eq!(in_zone(0, TimeZone::UTC), "-");
        assert_eq!(in_zone(u64::MAX, TimeZone::UTC), "-");
    }
}
