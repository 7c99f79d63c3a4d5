//! `mount_setattr(2)`: attributes and id mapping of a detached mount.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// MOUNT_ATTR_* of linux/mount.h.
pub(crate) mod attribute {
    pub(crate) const RDONLY: u64 = 0x1;
    pub(crate) const NOSUID: u64 = 0x2;
    pub(crate) const NODEV: u64 = 0x4;
    pub(crate) const NOEXEC: u64 = 0x8;
    pub(super) const IDMAP: u64 = 0x0010_0000;
}

/// Sets and clears attributes of the mount that `mount` refers to; with `idmap`, also the user namespace that maps its owners.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    idmap: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    set_attributes(
        mount,
        libc::mount_attr {
            attr_set: set | if idmap.is_some() { attribute::IDMAP } else { 0 },
            attr_clr: clear,
            propagation: 0,
            userns_fd: idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
        },
    )
}

/// Nothing that is mounted elsewhere shows here, and nothing here elsewhere.
pub(crate) fn make_private(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    set_attributes(
        mount,
        libc::mount_attr { attr_set: 0, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 },
    )
}

fn set_attributes(mount: BorrowedFd<'_>, attributes: libc::mount_attr) -> Result<(), Errno> {
    // SAFETY: the path is a NUL-terminated empty string (AT_EMPTY_PATH names the descriptor itself) and `attributes` is
    // a valid mount_attr of the stated size; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}
