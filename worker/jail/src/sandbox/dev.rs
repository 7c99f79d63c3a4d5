//! The sandbox's /dev: five harmless devices and links to the own descriptors, made anew for each sandbox on its
//! tmpfs. A node of the host is never bound, since its inode would be shared; but where this jail is root of a user namespace
//! only, which can make no node, it is all there is: [`crate::host_devices`] closes what the shared inode opens.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, makedev};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::base::move_onto;
use crate::host_devices::DEVICES;
use crate::report::Failure;
use crate::sys::mount::{attribute, mount_setattr};

use super::rootfs::Placed;

const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// What the nodes are.
pub(crate) enum Nodes {
    /// New ones.
    Made,
    /// Mounts of the host's, by name.
    OfTheHost(Vec<(&'static str, OwnedFd)>),
}

/// Fills the directory `dev` of the tmpfs.
pub(crate) fn fill(tmpfs: BorrowedFd<'_>, owner: (Uid, Gid), nodes: &Nodes) -> Result<(), Failure> {
    let fill = || -> Result<(), Errno> {
        match nodes {
            Nodes::Made => make(tmpfs, owner)?,
            Nodes::OfTheHost(mounts) => attach(tmpfs, mounts)?,
        }
        for (name, target) in LINKS {
            rustix::fs::symlinkat(target, tmpfs, format!("dev/{name}"))?;
        }
        rustix::fs::mkdirat(tmpfs, "dev/shm", Mode::from_raw_mode(0o755))
    };
    fill().map_err(Failure::of("dev", "make the sandbox's devices"))
}

fn make(tmpfs: BorrowedFd<'_>, owner: (Uid, Gid)) -> Result<(), Errno> {
    for (name, major, minor) in DEVICES {
        let path = format!("dev/{name}");
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(tmpfs, &path, FileType::CharacterDevice, mode, makedev(major, minor))?;
        rustix::fs::chownat(tmpfs, &path, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Each on an empty file of its name.
fn attach(tmpfs: BorrowedFd<'_>, mounts: &[(&'static str, OwnedFd)]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for (name, mount) in mounts {
        let path = format!("dev/{name}");
        drop(rustix::fs::openat(tmpfs, &path, flags, Mode::empty())?);
        move_onto(mount.as_fd(), tmpfs, &path)?;
    }
    Ok(())
}

/// A detached bind of it, with what is mounted in it: read-only, and the only place of the sandbox where devices can be opened.
pub(crate) fn bind(tmpfs: BorrowedFd<'_>, nodes: &Nodes) -> Result<Placed, Errno> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mount = rustix::mount::open_tree(tmpfs, "dev", flags)?;
    // No device is on this mount itself where each is a mount of its own.
    let cleared = match nodes {
        Nodes::Made => attribute::NODEV,
        Nodes::OfTheHost(_) => 0,
    };
    mount_setattr(mount.as_fd(), attribute::RDONLY | attribute::NOSUID | attribute::NOEXEC, cleared, None)?;
    Ok(Placed { target: b"dev".to_vec(), mount })
}
