//! Who owns a worker's cgroups: a lock that ends with the worker's process, so that the next worker of this host finds the groups
//! of those that died together with their jails, and removes them.
//!
//! Jails clean up when their worker dies, and a worker when its jails do; nobody is left when both are killed at once. A number
//! in a group's name proves nothing (the owner may live in another pid namespace), a lock does: groups without a lock file here
//! are never touched. A lock file is unlinked only by who holds its lock, and only when its owner is dead.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln_jail::runtime_directory;
use kiln_jail::standing::Standing;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::cgroup_sweep;

const ENDING: &str = ".worker";
/// Somebody else may unlink the file between its opening and its locking; not for ever.
const TRIES: u32 = 10;

/// Held until the process ends: several engines of one process share its groups.
static OWNED: OnceLock<File> = OnceLock::new();

/// Marks the groups of this name as owned by this process.
pub(crate) fn claim(group: &str) -> io::Result<()> {
    if OWNED.get().is_some() {
        return Ok(());
    }
    let lock = claim_in(&directory()?, group)?;
    // Another thread was quicker: it holds another lock on the same file, or waits for this one to be dropped.
    drop(OWNED.set(lock));
    Ok(())
}

/// Removes the groups of every worker of this host that is dead, whatever still runs in them.
pub(crate) async fn sweep_dead() {
    let dead =
        tokio::task::spawn_blocking(|| directory().map(|directory| dead_in(&directory)).unwrap_or_default())
            .await
            .unwrap_or_default();
    for Dead { group, path, lock } in dead {
        tracing::info!(group, "removing what a worker left that was killed");
        cgroup_sweep::sweep(&group, vec![String::new()]).await;
        cgroup_sweep::remove_if_empty(&group).await;
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "a dead worker's lock file stays");
        }
        drop(lock);
    }
}

/// Beside the locks on uids: root's, or the user's own.
fn directory() -> io::Result<PathBuf> {
    runtime_directory::of(Standing::of_this_process()?).map_err(io::Error::other)
}

/// A worker that is dead; nobody else can find it while its lock is held.
struct Dead {
    group: String,
    path: PathBuf,
    lock: File,
}

fn claim_in(directory: &Path, group: &str) -> io::Result<File> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!("{group}{ENDING}"));
    for _ in 0..TRIES {
        let lock = open(&path, OpenOptions::new().create(true).truncate(false))?;
        // Of an earlier process of this number, whose groups are being swept: soon over.
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))?;
        if is_still(&lock, &path) {
            return Ok(lock);
        }
    }
    Err(io::Error::other("its lock file is unlinked again and again"))
}

fn dead_in(directory: &Path) -> Vec<Dead> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let dead = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let group = name.strip_suffix(ENDING)?.to_owned();
        let path = entry.path();
        let lock = open(&path, &mut OpenOptions::new()).ok()?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_still(&lock, &path) => Some(Dead { group, path, lock }),
            Ok(()) | Err(Errno::WOULDBLOCK) => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot tell whether a worker lives");
                None
            }
        }
    });
    dead.collect()
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.read(true).write(true).mode(0o600).open(path)
}

/// Whether the path still leads to the file that was locked.
fn is_still(lock: &File, path: &Path) -> bool {
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((lock.metadata(), std::fs::metadata(path)), (Ok(locked), Ok(there)) if same(&locked, &there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_its_lock_lives_and_who_does_not_is_dead() {
        let directory = tempfile::tempdir().unwrap();
        let groups = || dead_in(directory.path()).into_iter().map(|dead| dead.group).collect::<Vec<_>>();
        let living = claim_in(directory.path(), "kiln-1").unwrap();
        drop(claim_in(directory.path(), "kiln-2").unwrap());
        std::fs::write(directory.path().join("uid-0.lock"), "").unwrap();
        assert_eq!(groups(), ["kiln-2"]);
        drop(living);
        let mut dead = groups();
        dead.sort();
        assert_eq!(dead, ["kiln-1", "kiln-2"]);
    }

    #[test]
    fn two_sweepers_never_find_the_same_dead_worker() {
        let directory = tempfile::tempdir().unwrap();
        drop(claim_in(directory.path(), "kiln-2").unwrap());
        let first = dead_in(directory.path());
        assert_eq!((first.len(), dead_in(directory.path()).len()), (1, 0));
        std::fs::remove_file(&first[0].path).unwrap();
        drop(first);
        assert_eq!(dead_in(directory.path()).len(), 0);
        claim_in(directory.path(), "kiln-2").unwrap();
    }
}
