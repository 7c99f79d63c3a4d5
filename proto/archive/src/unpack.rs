//! Makes checked entries below one directory descriptor.
//!
//! The walk has already refused what leads outward. This holds it a second time, by the kernel: every name is resolved
//! with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS` (openat2(2)), and every file is created
//! exclusively. Files belong to whoever unpacks, the worker's root; setuid and setgid never arrive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};

use crate::MOUNT_POINTS;
use crate::refusal::{Refusal, shown};
use crate::walk::{Content, Meta, Sink};

const CONFINED: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The sink of `unpack`.
pub(crate) struct Unpacker<'fd> {
    root: BorrowedFd<'fd>,
    /// The last parent opened: archives list a directory's entries together.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Get their modes and times at the end: making entries would change the times, and a mode without write would
    /// hinder anyone but root. What the archive says last holds.
    directories: BTreeMap<Vec<u8>, Meta>,
}

impl<'fd> Unpacker<'fd> {
    pub(crate) fn new(root: BorrowedFd<'fd>) -> Unpacker<'fd> {
        Unpacker { root, parent: None, directories: BTreeMap::new() }
    }

    /// Descriptor of the parent, and the last part of the name.
    fn parent<'path>(&mut self, path: &'path [u8]) -> Result<(BorrowedFd<'_>, &'path Path), Refusal> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
            return Ok((self.root, as_path(path)));
        };
        let (parent, name) = (&path[..slash], as_path(&path[slash + 1..]));
        if self.parent.as_ref().is_none_or(|(open, _)| open != parent) {
            let opened = self.open(parent, OFlags::PATH | OFlags::DIRECTORY)?;
            self.parent = Some((parent.to_vec(), opened));
        }
        let (_, opened) = self.parent.as_ref().expect("the parent was opened above");
        Ok((opened.as_fd(), name))
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Refusal> {
        rustix::fs::openat2(self.root, as_path(path), flags | OFlags::CLOEXEC, Mode::empty(), CONFINED)
            .map_err(|errno| failed(path, "open a directory", errno))
    }

    fn create(&mut self, path: &[u8]) -> Result<File, Refusal> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (parent, name) = self.parent(path)?;
        rustix::fs::openat2(parent, name, flags, Mode::RUSR | Mode::WUSR, CONFINED)
            .map(File::from)
            .map_err(|errno| failed(path, "create the file", errno))
    }

    /// What the sandbox mounts over must be there.
    fn make_mount_points(&self) -> Result<(), Refusal> {
        for point in MOUNT_POINTS {
            match rustix::fs::mkdirat(self.root, point, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(failed(point.as_bytes(), "make the mount point", errno)),
            }
        }
        Ok(())
    }
}

impl Sink for Unpacker<'_> {
    fn directory(&mut self, path: &[u8], meta: Meta) -> Result<(), Refusal> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::mkdirat(parent, name, Mode::RWXU)
            .map_err(|errno| failed(path, "make the directory", errno))?;
        self.directories.insert(path.to_vec(), meta);
        Ok(())
    }

    fn directory_again(&mut self, path: &[u8], meta: Meta) -> Result<(), Refusal> {
        // The root's own mode and time are the caller's.
        if !path.is_empty() {
            self.directories.insert(path.to_vec(), meta);
        }
        Ok(())
    }

    fn file(&mut self, path: &[u8], meta: Meta, content: &mut Content<'_, '_>) -> Result<(), Refusal> {
        let mut file = self.create(path)?;
        let writing = |source| Refusal::Write { entry: shown(path), doing: "write the file", source };
        while let Some(chunk) = content.next()? {
            file.write_all(chunk).map_err(writing)?;
        }
        finish(&file, path, meta.mode & 0o777, meta)
    }

    fn symlink(&mut self, path: &[u8], target: &[u8], meta: Meta) -> Result<(), Refusal> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(as_path(target), parent, name)
            .and_then(|()| rustix::fs::utimensat(parent, name, &times(meta), AtFlags::SYMLINK_NOFOLLOW))
            .map_err(|errno| failed(path, "make the link", errno))
    }

    fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), Refusal> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.try_clone_to_owned().map_err(|source| {
            let doing = "keep its directory open";
            Refusal::Write { entry: shown(path), doing, source }
        })?;
        let (target_parent, target_name) = self.parent(target)?;
        rustix::fs::linkat(target_parent, target_name, &parent, name, AtFlags::empty())
            .map_err(|errno| failed(path, "make the hard link", errno))
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        self.make_mount_points()?;
        // Inner ones first: setting a directory's mode changes no time but its own.
        for (path, meta) in self.directories.iter().rev() {
            let directory = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            finish(&directory, path, meta.mode & 0o1777, *meta)?;
        }
        Ok(())
    }
}

fn finish(fd: impl AsFd, path: &[u8], mode: u32, meta: Meta) -> Result<(), Refusal> {
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))
        .and_then(|()| rustix::fs::futimens(&fd, &times(meta)))
        .map_err(|errno| failed(path, "set mode and time", errno))
}

fn times(meta: Meta) -> Timestamps {
    let time = Timespec { tv_sec: i64::try_from(meta.mtime).unwrap_or(0), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn failed(path: &[u8], doing: &'static str, errno: rustix::io::Errno) -> Refusal {
    Refusal::Write { entry: shown(path), doing, source: io::Error::from(errno) }
}
