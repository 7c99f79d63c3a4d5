//! What /proc says of the memory of processes. Parsing and adding up only.

use std::collections::BTreeMap;
use std::os::linux::fs::MetadataExt;
use std::path::Path;

use crate::failure::Failure;

/// A block of stat(2), whatever the file system's own are.
const BLOCK: u64 = 512;

/// The memory of some processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) pss_bytes: u64,
    /// Of it, shared memory: also what is mapped of memfds.
    pub(crate) pss_shmem_bytes: u64,
    /// The whole of each memfd that one of them has open, once.
    pub(crate) memfd_bytes: u64,
}

impl Share {
    pub(crate) fn of(pids: &[u32]) -> Result<Share, Failure> {
        let mut share = Share::default();
        let mut memfds = BTreeMap::new();
        for pid in pids {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::caused(&format!("cannot read {path}"), &error))?;
            share.pss_bytes += kib_field(&text, "Pss:").unwrap_or(0);
            share.pss_shmem_bytes += kib_field(&text, "Pss_Shmem:").unwrap_or(0);
            memfds.extend(memfds_of(*pid));
        }
        share.memfd_bytes = memfds.values().sum();
        Ok(share)
    }

    /// A memfd counts as a whole, and what is mapped of it not again.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.pss_bytes - self.pss_shmem_bytes.min(self.pss_bytes) + self.pss_shmem_bytes.max(self.memfd_bytes)
    }
}

/// Inode and size in memory of the memfds that a process has open.
fn memfds_of(pid: u32) -> Vec<(u64, u64)> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let memfds = descriptors.map(|entry| entry.path()).filter(|path| is_memfd(path));
    let sized = memfds.filter_map(|path| std::fs::metadata(path).ok());
    sized.map(|metadata| (metadata.st_ino(), metadata.st_blocks() * BLOCK)).collect()
}

fn is_memfd(link: &Path) -> bool {
    std::fs::read_link(link).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"))
}

/// A field of a file below /proc that counts in kB, in bytes.
pub(crate) fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// A field of /proc/PID/status, e.g. `VmHWM:`.
pub(crate) fn status_bytes(pid: u32, field: &str) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::caused(&format!("cannot read {path}"), &error))?;
    kib_field(&text, field).ok_or_else(|| Failure::kiln(format!("{path} says nothing of {field}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "Rss:     10 kB\nPss:        7 kB\nPss_Shmem:    3 kB\n";
        assert_eq!(kib_field(text, "Pss:"), Some(7 << 10));
        assert_eq!(kib_field(text, "Pss_Shmem:"), Some(3 << 10));
        assert_eq!(kib_field(text, "Swap:"), None);
        assert!(status_bytes(std::process::id(), "VmRSS:").expect("it is there") > 0);
        assert!(status_bytes(std::process::id(), "VmNothing:").is_err());
    }

    #[test]
    fn a_memfd_counts_as_a_whole_and_once() {
        let share = Share { pss_bytes: 100, pss_shmem_bytes: 30, memfd_bytes: 50 };
        assert_eq!(share.total_bytes(), 120);
        assert_eq!(Share { memfd_bytes: 10, ..share }.total_bytes(), 100);
        let this = std::process::id();
        let before = Share::of(&[this]).expect("this process is there").memfd_bytes;
        let memfd = rustix::fs::memfd_create("bench-test", rustix::fs::MemfdFlags::CLOEXEC).expect("a memfd");
        let mut file = std::fs::File::from(memfd);
        file.write_all(&[1; 1 << 20]).expect("memory is there");
        let after = Share::of(&[this, this]).expect("this process is there").memfd_bytes;
        assert_eq!(after - before, 1 << 20);
    }
}
