//! Files that a command is shown instead of a copy: each a mount of one file of the directory that a plan names, read-only and
//! through an overlay that is this command's own.
//!
//! Other sandboxes may be shown the same file at the same time. Below an overlay of one's own its inode is nobody else's, so that
//! locks, leases and watches meet nobody; reading leaves no time of access behind (ovl_open_realfile in fs/overlayfs/file.c); and
//! neither the directory nor its place on the host can be reached or seen, since the root of the mount is the file.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, UnmountFlags};

use crate::base::{Base, EMPTY, IdMapping, SHOWN, mount_new, move_onto};
use crate::plan::{Plan, Way};
use crate::report::Failure;

use super::rootfs::overlay_options;

/// Puts a detached mount in the place of the descriptor of each file that is to be shown. What that left attached is to be held for as
/// long as anybody waits for the command: taking a mount off waits for an RCU grace period (namespace_unlock in fs/namespace.c), some
/// milliseconds on a busy host.
pub(crate) fn take(
    base: &Base,
    plan: &Plan,
    files: Vec<OwnedFd>,
) -> Result<(Vec<OwnedFd>, Attached), Failure> {
    let mut attached = Attached::default();
    let Some(directory) = &plan.shown_from else { return Ok((files, attached)) };
    // Owners are nobody's where the file system cannot map them: everybody may read all the same.
    let part = base
        .take_parts(&[directory], IdMapping::WherePossible)
        .map_err(|failure| Failure { step: "show_files".to_owned(), ..failure })?
        .remove(0);
    attached
        .attach(part)
        .and_then(|()| overlay(base))
        .and_then(|overlay| attached.attach(overlay))
        .map_err(Failure::of("show_files", "mount an overlay over the files to be shown"))?;
    let mut taken = Vec::with_capacity(files.len());
    for (index, (file, descriptor)) in plan.files_in.iter().zip(files).enumerate() {
        taken.push(match &file.way {
            Way::Copied { .. } => descriptor,
            Way::Shown { name } => clone(name, &descriptor).map_err(|errno| {
                Failure::new("show_files", errno.raw_os_error(), format!("take file {index}"))
            })?,
        });
    }
    Ok((taken, attached))
}

/// Over what is attached.
fn overlay(base: &Base) -> Result<OwnedFd, Errno> {
    let layers = format!("{SHOWN}:{EMPTY}");
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let layers = [("lowerdir", layers.as_str())];
    mount_new("overlay", &[&layers, overlay_options(base.standing())].concat(), attributes)
}

/// A mount of the file alone, if it is the one that the worker opened.
fn clone(name: &[u8], opened: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = [SHOWN.as_bytes(), b"/", name].concat();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let clone = rustix::mount::open_tree(CWD, path, flags)?;
    let (seen, expected) = (rustix::fs::fstat(&clone)?, rustix::fs::fstat(opened)?);
    let is_file = FileType::from_raw_mode(seen.st_mode) == FileType::RegularFile;
    // An overlay has its own device numbers, but shows the inode's (overlayfs.rst, "Inode properties").
    match is_file && (seen.st_ino, seen.st_size) == (expected.st_ino, expected.st_size) {
        true => Ok(clone),
        false => Err(Errno::STALE),
    }
}

/// What is attached in the jail's own mount namespace for as long as this lives: nothing; or the directory, and its overlay on top.
#[derive(Default)]
pub(crate) struct Attached {
    mounts: usize,
}

impl Attached {
    fn attach(&mut self, mount: OwnedFd) -> Result<(), Errno> {
        move_onto(mount.as_fd(), CWD, SHOWN)?;
        self.mounts += 1;
        Ok(())
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        for _ in 0..self.mounts {
            let _ = rustix::mount::unmount(SHOWN, UnmountFlags::DETACH);
        }
    }
}
