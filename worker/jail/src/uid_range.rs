//! Uid ranges: each jail has uids and gids that no other jail and no person has. On a host 65,536, far above those of
//! people; in a user namespace, which has few, the four that a sandbox uses.
//!
//! A range is claimed by an exclusive lock on a file and free again when the guard is dropped or its process dies. The
//! worker holds the guard as long as the jail lives. Never unlinks the lock files: a lock on an unlinked file
//! excludes nobody.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::ids::{SPARSE, WHOLE};
use crate::runtime_directory::{self, RuntimeDirectoryError};
use crate::standing::{self, Standing};

/// First uid of range 0: above what distributions hand out (people, containers' /etc/subuid, systemd-nspawn).
pub const FIRST_UID: u32 = 1_879_048_192;
/// Uids and gids of one range of a host.
pub const UIDS_PER_RANGE: u32 = WHOLE;
/// Ranges of a host: the last one ends below 2^31, where some programs misread uids as negative.
pub const RANGES: u32 = 4094;
const _: () = assert!(FIRST_UID + RANGES * WHOLE <= 1 << 31);

/// Why no range could be claimed.
#[derive(Debug, thiserror::Error)]
pub enum UidRangeError {
    #[error("make {}", path.display())]
    MakeDirectory { path: PathBuf, source: io::Error },
    #[error("open {}", path.display())]
    OpenLock { path: PathBuf, source: io::Error },
    #[error("lock {}", path.display())]
    Lock { path: PathBuf, source: Errno },
    #[error("all {ranges} uid ranges are taken")]
    AllTaken { ranges: u32 },
    #[error("find out whose root this is")]
    Standing { source: io::Error },
    #[error("kiln makes sandboxes as root: of the host, or of a user namespace")]
    NotRoot,
    #[error(
        "this user namespace has {} ids beside its root, a sandbox needs {SPARSE}: give its owner subordinate ids, e.g. \
         usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
        ids.len()
    )]
    TooFew { ids: Range<u32> },
    #[error("find a place for the locks on uids")]
    Directory(#[source] RuntimeDirectoryError),
}

/// A claimed range; free again when dropped.
#[derive(Debug)]
pub struct UidRange {
    index: u32,
    ids: Range<u32>,
    _lock: File,
}

/// Ranges of equal size, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranges {
    first: u32,
    size: u32,
    count: u32,
}

impl UidRange {
    /// Claims the lowest free range of this host, or of this user namespace.
    pub fn claim() -> Result<Self, UidRangeError> {
        let standing = Standing::of_this_process().map_err(|source| UidRangeError::Standing { source })?;
        let ranges = Ranges::of(standing)?;
        let directory = runtime_directory::of(standing).map_err(UidRangeError::Directory)?;
        Self::claim_in(&directory, ranges)
    }

    /// First uid and gid of the range.
    pub fn base(&self) -> u32 {
        self.ids.start
    }

    /// Uids and gids of the range, as this process' user namespace numbers them.
    pub fn ids(&self) -> Range<u32> {
        self.ids.clone()
    }

    /// Position among all ranges.
    pub fn index(&self) -> u32 {
        self.index
    }

    fn claim_in(directory: &Path, ranges: Ranges) -> Result<Self, UidRangeError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| UidRangeError::MakeDirectory { path: directory.to_owned(), source })?;
        for index in 0..ranges.count {
            if let Some(lock) = try_lock(&directory.join(format!("uid-{index}.lock")))? {
                return Ok(Self { index, ids: ranges.at(index), _lock: lock });
            }
        }
        Err(UidRangeError::AllTaken { ranges: ranges.count })
    }
}

impl Ranges {
    fn of(standing: Standing) -> Result<Self, UidRangeError> {
        match standing {
            Standing::HostRoot => Ok(Self { first: FIRST_UID, size: WHOLE, count: RANGES }),
            Standing::NamespaceRoot { .. } => {
                let ids = standing::own_ids().map_err(|source| UidRangeError::Standing { source })?;
                Self::below_a_namespace(ids)
            }
            Standing::User { .. } => Err(UidRangeError::NotRoot),
        }
    }

    /// The upper half: other containers of the same user give the lower ids to their own users.
    fn below_a_namespace(ids: Range<u32>) -> Result<Self, UidRangeError> {
        let size = SPARSE;
        if (ids.len() as u64) < u64::from(size) {
            return Err(UidRangeError::TooFew { ids });
        }
        let wanted = ids.end - ids.end / 2;
        let first = wanted.min(ids.end - size).max(ids.start);
        Ok(Self { first, size, count: (ids.end - first) / size })
    }

    fn at(self, index: u32) -> Range<u32> {
        let start = self.first + index * self.size;
        start..start + self.size
    }
}

/// `None` when somebody has it.
fn try_lock(path: &Path) -> Result<Option<File>, UidRangeError> {
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| UidRangeError::OpenLock { path: path.to_owned(), source })?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(source) => Err(UidRangeError::Lock { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_distinct_while_held_and_free_when_dropped() {
        let directory = tempfile::tempdir().expect("tempdir");
        let ranges = Ranges { first: FIRST_UID, size: WHOLE, count: 2 };
        let first = UidRange::claim_in(directory.path(), ranges).expect("first");
        let second = UidRange::claim_in(directory.path(), ranges).expect("second");
        assert_eq!((first.base(), second.base()), (FIRST_UID, FIRST_UID + WHOLE));
        let none = UidRange::claim_in(directory.path(), ranges).expect_err("both are taken");
        assert_eq!(none.to_string(), "all 2 uid ranges are taken");
        drop(first);
        assert_eq!(UidRange::claim_in(directory.path(), ranges).expect("again").index(), 0);
    }

    #[test]
    fn a_user_namespaces_ranges_are_small_and_lie_high() {
        let ranges = Ranges::below_a_namespace(1..65_537).expect("many");
        assert_eq!(ranges, Ranges { first: 32_769, size: SPARSE, count: 8192 });
        assert_eq!(ranges.at(8191).end, 65_537);
        let fewest = Ranges::below_a_namespace(1..5).expect("enough for one");
        assert_eq!((fewest.at(0), fewest.count), (1..5, 1));
        let error = Ranges::below_a_namespace(1..4).expect_err("three");
        assert!(error.to_string().contains("has 3 ids beside its root"), "{error}");
        assert!(Ranges::below_a_namespace(1..1).is_err());
    }
}
