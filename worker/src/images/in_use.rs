//! Which trees are in use, across the workers of one machine: a shared `flock` on a tree's directory for as long as it is
//! used, an exclusive one to remove it. Locks vanish with their process (flock(2)), so a crash leaves no stale ones.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// Names of trees that are being made or removed begin so.
const UNFINISHED: &str = ".tmp-";

/// A tree that nobody removes while this lives.
#[derive(Debug)]
pub(super) struct InUse {
    _directory: File,
}

impl InUse {
    /// Holds a tree; none when there is none, or no longer.
    pub(super) fn hold(path: &Path) -> io::Result<Option<InUse>> {
        let directory = match File::open(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        rustix::fs::flock(&directory, FlockOperation::LockShared)?;
        // While this waited for the lock, the tree may have been removed, and another put in its place.
        match is_at(&directory, path)? {
            true => Ok(Some(InUse { _directory: directory })),
            false => Ok(None),
        }
    }
}

/// A new directory to make a tree in, held.
pub(super) fn unfinished(parent: &Path) -> io::Result<(PathBuf, InUse)> {
    loop {
        let path = parent.join(format!("{UNFINISHED}{:016x}", rand::random::<u64>()));
        match fs::DirBuilder::new().mode(0o755).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        // Another worker may have swept it away before it was held.
        if let Some(in_use) = InUse::hold(&path)? {
            return Ok((path, in_use));
        }
    }
}

/// Gives a finished tree its name. Where another worker was faster, its tree is used and this one removed.
pub(super) fn publish(unfinished: &Path, in_use: InUse, name: &Path) -> io::Result<InUse> {
    loop {
        match fs::rename(unfinished, name) {
            Ok(()) => return Ok(in_use),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                if let Some(theirs) = InUse::hold(name)? {
                    drop(in_use);
                    remove_unused(unfinished)?;
                    return Ok(theirs);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Removes a tree unless somebody uses it, and says whether it did. It loses its name first, so nobody finds half of it.
pub(super) fn remove_unused(path: &Path) -> io::Result<bool> {
    let directory = match File::open(path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) if is_at(&directory, path)? => {}
        Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    let doomed = parent.join(format!("{UNFINISHED}{:016x}", rand::random::<u64>()));
    fs::rename(path, &doomed)?;
    fs::remove_dir_all(&doomed)?;
    Ok(true)
}

/// Removes every tree in `parent` that nobody uses and `keep` does not name.
pub(super) fn sweep(parent: &Path, keep: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_kept = name.to_str().is_some_and(|name| !name.starts_with(UNFINISHED) && keep(name));
        if entry.file_type()?.is_dir() && !is_kept {
            remove_unused(&entry.path())?;
        }
    }
    Ok(())
}

fn is_at(directory: &File, path: &Path) -> io::Result<bool> {
    let held = directory.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_tree_survives_a_sweep_and_a_released_one_does_not() {
        let parent = tempfile::tempdir().unwrap();
        let (unfinished, in_use) = unfinished(parent.path()).unwrap();
        fs::write(unfinished.join("file"), "x").unwrap();
        sweep(parent.path(), |_| false).unwrap();
        assert!(unfinished.join("file").exists());
        let name = parent.path().join("tree");
        let in_use = publish(&unfinished, in_use, &name).unwrap();
        let second = InUse::hold(&name).unwrap().unwrap();
        drop(in_use);
        assert!(!remove_unused(&name).unwrap());
        drop(second);
        assert!(remove_unused(&name).unwrap());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        assert!(InUse::hold(&name).unwrap().is_none());
    }

    #[test]
    fn the_slower_of_two_makers_takes_the_others_tree() {
        let parent = tempfile::tempdir().unwrap();
        let name = parent.path().join("tree");
        let (first, first_use) = unfinished(parent.path()).unwrap();
        let (second, second_use) = unfinished(parent.path()).unwrap();
        fs::write(first.join("who"), "first").unwrap();
        fs::write(second.join("who"), "second").unwrap();
        let _first = publish(&first, first_use, &name).unwrap();
        let _second = publish(&second, second_use, &name).unwrap();
        assert_eq!(fs::read_to_string(name.join("who")).unwrap(), "first");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
