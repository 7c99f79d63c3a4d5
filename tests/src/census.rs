//! What a service holds on the host, counted from outside ([`kiln_attacks::census`]), and waiting for it to change.

use std::time::{Duration, Instant};

pub use kiln_attacks::census::{
    Census, command_line, family, groups_of, host_mounts, job_processes, resident_bytes,
};

/// Waits until a condition holds, for what the kernel does a moment after a process ended. Says `what` when it never does.
#[track_caller]
pub fn eventually(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
