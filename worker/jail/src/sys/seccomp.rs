//! seccomp(2): loading a filter with a listener, and receiving from it.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// One classic BPF instruction, laid out as the kernel wants it (`struct sock_filter`, linux/filter.h).
pub(crate) use seccompiler::sock_filter as Instruction;

/// One call waiting for an answer, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) pid: u32,
    pub(crate) number: i32,
    pub(crate) audit_arch: u32,
    pub(crate) args: [u64; 6],
}

/// Loads `program` for the calling thread and returns the listener, close-on-exec. Needs no_new_privs.
pub(crate) fn install_with_listener(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let length = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `filter` and the array it points at live across the call; the kernel only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        )
    };
    if result < 0 {
        return Err(last_errno());
    }
    let number = i32::try_from(result).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Receives one notification; ENOENT when the process is gone.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    // A newer kernel may write a longer structure (SECCOMP_GET_NOTIF_SIZES): room for it, all zero as it demands.
    const ROOM: usize = 4;
    // SAFETY: plain integers, for which all-zero is a valid value.
    let mut buffer: [libc::seccomp_notif; ROOM] = unsafe { std::mem::zeroed() };
    if notification_size()? > size_of_val(&buffer) {
        return Err(Errno::OVERFLOW);
    }
    // SAFETY: `buffer` is writable and at least as long as this kernel's structure, as checked above.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, buffer.as_mut_ptr()) };
    if result < 0 {
        return Err(last_errno());
    }
    let [libc::seccomp_notif { pid, data, .. }, ..] = buffer;
    Ok(Notification { pid, number: data.nr, audit_arch: data.arch, args: data.args })
}

/// Whether this kernel knows the action: `SECCOMP_GET_ACTION_AVAIL`.
pub(crate) fn action_available(action: u32) -> bool {
    // SAFETY: the kernel reads four bytes from a live u32.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}

fn notification_size() -> Result<usize, Errno> {
    // SAFETY: plain integers, for which all-zero is a valid value.
    let mut sizes: libc::seccomp_notif_sizes = unsafe { std::mem::zeroed() };
    // SAFETY: `sizes` is a live, writable structure of the type this operation fills.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) };
    if result < 0 { Err(last_errno()) } else { Ok(usize::from(sizes.seccomp_notif)) }
}
