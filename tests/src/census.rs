//! What a service holds on the host, counted from outside ([`kiln_attacks::census`]), and waiting for it to change.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

pub use kiln_attacks::census::{
    Census, command_line, family, groups_of, host_mounts, job_processes, resident_bytes,
};

/// A living process, told from a later one of the same number by the moment it was started, in clock ticks since boot. `None` for
/// a zombie: an idle jail that was killed is reaped when its place is next used.
pub fn identity(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain blanks and parentheses; the start is field 22 (proc_pid_stat(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let living = *fields.first()? != "Z";
    living.then_some((pid, fields.get(19)?.parse().ok()?))
}

/// Locks of files in this directory that one of these processes holds.
pub fn locks_of(pids: &[u32], directory: &str) -> usize {
    let inodes: BTreeSet<u64> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.metadata().ok()?.ino()))
        .collect();
    let table = fs::read_to_string("/proc/locks").expect("/proc is mounted");
    // `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END` (proc_locks(5)).
    let held = table.lines().filter(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid: Option<u32> = words.get(4).and_then(|pid| pid.parse().ok());
        let inode: Option<u64> = words.get(5).and_then(|file| file.rsplit(':').next()?.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid)) && inode.is_some_and(|inode| inodes.contains(&inode))
    });
    held.count()
}

/// Kernel memory that cannot be reclaimed (SUnreclaim), in bytes, once what can be has been dropped.
pub fn unreclaimable_bytes() -> u64 {
    fs::write("/proc/sys/vm/drop_caches", "3").expect("the suites run as root");
    let meminfo = fs::read_to_string("/proc/meminfo").expect("/proc is mounted");
    let line =
        meminfo.lines().find(|line| line.starts_with("SUnreclaim:")).expect("it is there since 2.6.19");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

/// What there is when all is at rest: the same in several looks in a row. What a finished job still had a moment ago is not to be
/// taken for what is there always.
pub fn at_rest(count: impl Fn() -> Census) -> Census {
    const LOOKS: usize = 5;
    let (mut last, mut same) = (count(), 1);
    eventually("nothing changes any more", Duration::from_secs(20), || {
        let now = count();
        same = if now == last { same + 1 } else { 1 };
        last = now;
        same == LOOKS
    });
    last
}

/// Waits until a condition holds, for what the kernel does a moment after a process ended. Says `what` when it never does.
#[track_caller]
pub fn eventually(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
