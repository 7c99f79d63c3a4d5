//! The wall clock, for timestamps that people and programs read. Nothing is decided by it but retention.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> u64 {
    // A clock before 1970 is a broken one: 0 says so.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
