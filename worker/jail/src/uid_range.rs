//! Host uid ranges: each jail on a host has 65,536 uids and gids that no other jail and no person has.
//!
//! A range is claimed by an exclusive lock on a file and free again when the guard is dropped or its process dies. The
//! worker holds the guard as long as the jail lives. Never unlinks the lock files: a lock on an unlinked file
//! excludes nobody.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// First uid of range 0: above what distributions hand out (people, containers' /etc/subuid, systemd-nspawn).
pub const FIRST_UID: u32 = 1_879_048_192;
/// Uids and gids of one range.
pub const UIDS_PER_RANGE: u32 = 65_536;
/// Ranges there are: the last one ends below 2^31, where some programs misread uids as negative.
pub const RANGES: u32 = 4094;
const _: () = assert!(FIRST_UID + RANGES * UIDS_PER_RANGE <= 1 << 31);

/// Where the lock files are.
pub const DIRECTORY: &str = "/run/kiln";

/// Why no range could be claimed.
#[derive(Debug, thiserror::Error)]
pub enum UidRangeError {
    #[error("make {}", path.display())]
    MakeDirectory { path: PathBuf, source: io::Error },
    #[error("open {}", path.display())]
    OpenLock { path: PathBuf, source: io::Error },
    #[error("lock {}", path.display())]
    Lock { path: PathBuf, source: Errno },
    #[error("all {RANGES} uid ranges are taken")]
    AllTaken,
}

/// A claimed range; free again when dropped.
#[derive(Debug)]
pub struct UidRange {
    index: u32,
    _lock: File,
}

impl UidRange {
    /// Claims the lowest free range of this host.
    pub fn claim() -> Result<Self, UidRangeError> {
        Self::claim_in(Path::new(DIRECTORY))
    }

    /// First host uid and gid of the range.
    pub fn base(&self) -> u32 {
        FIRST_UID + self.index * UIDS_PER_RANGE
    }

    /// Position among all ranges of the host.
    pub fn index(&self) -> u32 {
        self.index
    }

    fn claim_in(directory: &Path) -> Result<Self, UidRangeError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| UidRangeError::MakeDirectory { path: directory.to_owned(), source })?;
        for index in 0..RANGES {
            if let Some(range) = Self::try_claim(directory, index)? {
                return Ok(range);
            }
        }
        Err(UidRangeError::AllTaken)
    }

    fn try_claim(directory: &Path, index: u32) -> Result<Option<Self>, UidRangeError> {
        let path = directory.join(format!("uid-{index}.lock"));
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| UidRangeError::OpenLock { path: path.clone(), source })?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { index, _lock: lock })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(source) => Err(UidRangeError::Lock { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_distinct_while_held_and_free_when_dropped() {
        let directory = tempfile::tempdir().expect("tempdir");
        let first = UidRange::claim_in(directory.path()).expect("first");
        let second = UidRange::claim_in(directory.path()).expect("second");
        assert_eq!((first.base(), second.base()), (FIRST_UID, FIRST_UID + UIDS_PER_RANGE));
        drop(first);
        assert_eq!(UidRange::claim_in(directory.path()).expect("again").index(), 0);
    }
}
