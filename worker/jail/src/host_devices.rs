//! Device nodes of the host, for sandboxes of a jail that cannot make its own (mknod(2) of a device takes root of the host).
//!
//! They are taken from the host's mount namespace, which no job can write, and looked at before use: type, number, and that
//! they are the very inodes looked at when the jail started. In a sandbox each is a read-only mount, so that nobody changes
//! the node; opening a device for writing is not writing to its file system.
//!
//! The inodes are shared by everybody on the host, so two things done to an inode would be a channel between sandboxes:
//! - Locks. The jail holds a shared lock of each kind on each device as long as it lives. Then no sandbox ever gets an
//!   exclusive one, and a shared one disturbs nobody: taking a lock tells only that the jail has one. The jail's lock is
//!   older than any of its sandboxes', so that F_GETLK tells of it first (posix_test_lock in fs/locks.c).
//! - Watches. The sandbox's init forbids them ([`crate::sandbox::init`]).
//!
//! Leases are for regular files only (fcntl(2)), and no profile allows fanotify.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, Stat, makedev};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::report::Failure;
use crate::sys::mount::{attribute, make_private, mount_setattr};

/// Name, major and minor number (Linux' devices.txt, "1 char: memory devices").
pub(crate) const DEVICES: [(&str, u32, u32); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)];

/// The host's devices, each with this jail's locks on it.
#[derive(Debug)]
pub(crate) struct HostDevices {
    held: Vec<OwnedFd>,
}

impl HostDevices {
    /// Opens and locks them. The host's mounts must be in sight.
    pub(crate) fn hold() -> Result<Self, Failure> {
        let hold = |&(name, major, minor): &(&str, u32, u32)| {
            let opened = || -> Result<OwnedFd, Errno> {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let device = rustix::fs::open(path(name), flags, Mode::empty())?;
                check(&rustix::fs::fstat(&device)?, major, minor)?;
                rustix::fs::flock(&device, FlockOperation::NonBlockingLockShared)?;
                lock_for_reading(&device)?;
                Ok(device)
            };
            opened().map_err(|errno| {
                let why = match errno {
                    Errno::AGAIN | Errno::ACCESS => ": another process of this host holds a lock on it",
                    Errno::NODEV => ": it is another device than its name says",
                    _ => "",
                };
                Failure::new("dev", errno.raw_os_error(), format!("hold the host's /dev/{name}{why}"))
            })
        };
        Ok(Self { held: DEVICES.iter().map(hold).collect::<Result<_, _>>()? })
    }

    /// Read-only and fit for one thing, if they are what is held.
    pub(crate) fn confine(
        &self,
        clones: Vec<(&'static str, OwnedFd)>,
    ) -> Result<Vec<(&'static str, OwnedFd)>, Errno> {
        for ((_, clone), held) in clones.iter().zip(&self.held) {
            let (seen, expected) = (rustix::fs::fstat(clone)?, rustix::fs::fstat(held)?);
            if (seen.st_dev, seen.st_ino) != (expected.st_dev, expected.st_ino) {
                return Err(Errno::STALE);
            }
            let attributes = attribute::RDONLY | attribute::NOSUID | attribute::NOEXEC;
            mount_setattr(clone.as_fd(), attributes, 0, None)?;
            make_private(clone.as_fd())?;
        }
        Ok(clones)
    }
}

/// Detached clones of the nodes' mounts. The host's mounts must be in sight.
pub(crate) fn clone_all() -> Result<Vec<(&'static str, OwnedFd)>, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let clone = |name| Ok((name, rustix::mount::open_tree(CWD, path(name), flags)?));
    DEVICES.iter().map(|&(name, _, _)| clone(name)).collect()
}

fn path(name: &str) -> String {
    format!("/dev/{name}")
}

fn check(stat: &Stat, major: u32, minor: u32) -> Result<(), Errno> {
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if is_device && stat.st_rdev == makedev(major, minor) { Ok(()) } else { Err(Errno::NODEV) }
}

/// Of the open file description, so that closing another descriptor of the device does not release it (fcntl(2), "Open
/// file description locks"). To the end of a file of any length.
fn lock_for_reading(device: &OwnedFd) -> Result<(), Errno> {
    let lock = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(device, FcntlArg::F_OFD_SETLK(&lock))
        .map(drop)
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

#[cfg(test)]
mod tests {
    use rustix::fs::AtFlags;

    use super::*;

    /// What a job would have to bring about: a change that another process can see.
    #[test]
    fn while_devices_are_held_no_exclusive_lock_is_to_be_had_and_shared_ones_tell_nothing() {
        let devices = HostDevices::hold().unwrap();
        let another = HostDevices::hold().unwrap();
        for (name, _, _) in DEVICES {
            let job = rustix::fs::open(path(name), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
            let exclusive = rustix::fs::flock(&job, FlockOperation::NonBlockingLockExclusive);
            assert_eq!(exclusive, Err(Errno::AGAIN), "{name}");
            rustix::fs::flock(&job, FlockOperation::NonBlockingLockShared).unwrap();
            let mut lock = libc::flock {
                l_type: libc::F_WRLCK as libc::c_short,
                l_whence: libc::SEEK_SET as libc::c_short,
                l_start: 5,
                l_len: 1,
                l_pid: 0,
            };
            assert!(fcntl(&job, FcntlArg::F_OFD_SETLK(&lock)).is_err(), "{name}");
            lock.l_type = libc::F_RDLCK as libc::c_short;
            fcntl(&job, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
            // What the next job finds in its way is a jail's lock on everything, not the range that this one chose.
            let next = rustix::fs::open(path(name), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
            lock.l_type = libc::F_WRLCK as libc::c_short;
            lock.l_start = 0;
            lock.l_len = 0;
            fcntl(&next, FcntlArg::F_OFD_GETLK(&mut lock)).unwrap();
            assert_eq!((lock.l_start, lock.l_len), (0, 0), "{name}");
        }
        drop((devices, another));
    }

    #[test]
    fn another_device_under_the_name_is_refused() {
        let stat = rustix::fs::statat(CWD, "/dev/zero", AtFlags::empty()).unwrap();
        assert_eq!(check(&stat, 1, 5), Ok(()));
        assert_eq!(check(&stat, 1, 3), Err(Errno::NODEV));
        let directory = rustix::fs::statat(CWD, "/dev", AtFlags::empty()).unwrap();
        assert_eq!(check(&directory, 1, 5), Err(Errno::NODEV));
    }
}
