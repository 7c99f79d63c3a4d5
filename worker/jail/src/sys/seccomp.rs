//! seccomp(2): loading a filter with a listener, and receiving from it.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// One classic BPF instruction, laid out as the kernel wants it (`struct sock_filter`, linux/filter.h).
pub(crate) use seccompiler::sock_filter as Instruction;

/// One call waiting for an answer, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// To answer it by.
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) number: i32,
    pub(crate) audit_arch: u32,
    pub(crate) args: [u64; 6],
}

/// What wakes a call that was received and waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// As any call that sleeps.
    AnySignal,
    /// Only what kills, where the kernel can (5.19): else a call that never fails with EINTR would while it waits to be let through,
    /// below a handler without SA_RESTART. Before the jail has received it, it still can: seccomp_do_user_notification in
    /// kernel/seccomp.c waits interruptibly until then.
    FatalOnly,
}

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` of linux/seccomp.h.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// Loads `program` for the calling thread and returns the listener, close-on-exec. Needs no_new_privs.
pub(crate) fn install_with_listener(program: &[Instruction], wakeup: Wakeup) -> Result<OwnedFd, Errno> {
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match wakeup {
        Wakeup::AnySignal => install(program, listener),
        // An unknown flag is EINVAL.
        Wakeup::FatalOnly => match install(program, listener | WAIT_KILLABLE) {
            Err(Errno::INVAL) => install(program, listener),
            installed => installed,
        },
    }
}

fn install(program: &[Instruction], flags: libc::c_ulong) -> Result<OwnedFd, Errno> {
    let length = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `filter` and the array it points at live across the call; the kernel only reads them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
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
    let [libc::seccomp_notif { id, pid, data, .. }, ..] = buffer;
    Ok(Notification { id, pid, number: data.nr, audit_arch: data.arch, args: data.args })
}

/// Answers a received call: it goes on (`None`), or returns an error, 0 being success. ENOENT when its process is gone, or was
/// interrupted.
pub(crate) fn respond(listener: BorrowedFd<'_>, id: u64, errno: Option<u16>) -> Result<(), Errno> {
    // A newer kernel may read a longer structure: room for it, all zero.
    const ROOM: usize = 4;
    // SAFETY: plain integers, for which all-zero is a valid value.
    let mut buffer: [libc::seccomp_notif_resp; ROOM] = unsafe { std::mem::zeroed() };
    buffer[0].id = id;
    match errno {
        None => buffer[0].flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Some(errno) => buffer[0].error = -i32::from(errno),
    }
    // SAFETY: `buffer` is readable and longer than the structure that the kernel reads.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, buffer.as_mut_ptr()) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Whether the call is still waiting: only then is its pid still that of who made it (seccomp_unotify(2)).
pub(crate) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads eight bytes from a live u64.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
    result == 0
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
