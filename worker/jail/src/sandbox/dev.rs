//! The sandbox's /dev: five harmless devices and links to the own descriptors, made anew for each sandbox on its
//! tmpfs. Never binds a node of the host, which could be flocked or swapped.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, makedev};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::report::Failure;
use crate::sys::mount::{attribute, mount_setattr};

use super::rootfs::Placed;

/// Name, major and minor number (Linux' devices.txt, "1 char: memory devices").
const DEVICES: [(&str, u32, u32); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)];

const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Fills the directory `dev` of the tmpfs.
pub(crate) fn fill(tmpfs: BorrowedFd<'_>, owner: (Uid, Gid)) -> Result<(), Failure> {
    let fill = || -> Result<(), Errno> {
        for (name, major, minor) in DEVICES {
            let path = format!("dev/{name}");
            let mode = Mode::from_raw_mode(0o666);
            rustix::fs::mknodat(tmpfs, &path, FileType::CharacterDevice, mode, makedev(major, minor))?;
            rustix::fs::chownat(tmpfs, &path, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        for (name, target) in LINKS {
            rustix::fs::symlinkat(target, tmpfs, format!("dev/{name}"))?;
        }
        rustix::fs::mkdirat(tmpfs, "dev/shm", Mode::from_raw_mode(0o755))
    };
    fill().map_err(Failure::of("dev", "make the sandbox's devices"))
}

/// A detached bind of it: read-only, and the only mount of the sandbox where devices can be opened.
pub(crate) fn bind(tmpfs: BorrowedFd<'_>) -> Result<Placed, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = rustix::mount::open_tree(tmpfs, "dev", flags)?;
    clear_nodev(mount.as_fd())?;
    Ok(Placed { target: b"dev".to_vec(), mount })
}

fn clear_nodev(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    mount_setattr(mount, attribute::RDONLY | attribute::NOSUID | attribute::NOEXEC, attribute::NODEV, None)
}
