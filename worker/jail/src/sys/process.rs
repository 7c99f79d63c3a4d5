//! Processes: reaping with usage, replacing the program, signals, and the descriptors this process was born with.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use rustix::io::Errno;
use rustix::process::Pid;

use super::clone::last_errno;

/// How a child ended and what it and the descendants it waited for used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reaped {
    pub(crate) exit_code: Option<i32>,
    pub(crate) exit_signal: Option<i32>,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
}

/// Waits for one child to end and reaps it.
pub(crate) fn wait4(pid: Pid) -> Result<Reaped, Errno> {
    let mut status: libc::c_int = 0;
    // SAFETY: all-zero is a valid rusage; it is plain integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live, writable values of the right types.
        let result = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, &raw mut usage) };
        if result >= 0 {
            break;
        }
        let errno = last_errno();
        if errno != Errno::INTR {
            return Err(errno);
        }
    }
    Ok(Reaped {
        exit_code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        exit_signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        voluntary_switches: usage.ru_nvcsw as u64,
        involuntary_switches: usage.ru_nivcsw as u64,
        minor_faults: usage.ru_minflt as u64,
        major_faults: usage.ru_majflt as u64,
    })
}

/// Reaps children, whoever they are and however they signal their end (`__WALL`), until this one was among them.
pub(crate) fn reap_through(last: Pid) -> Result<(), Errno> {
    loop {
        // SAFETY: wait4 takes null pointers for what is not wanted.
        let reaped = unsafe { libc::wait4(-1, std::ptr::null_mut(), libc::__WALL, std::ptr::null_mut()) };
        if reaped == last.as_raw_nonzero().get() {
            return Ok(());
        }
        if reaped < 0 {
            let errno = last_errno();
            if errno != Errno::INTR {
                return Err(errno);
            }
        }
    }
}

/// Replaces the program; returns only when that failed.
pub(crate) fn execve(path: &CStr, argv: &[*const libc::c_char], env: &[*const libc::c_char]) -> Errno {
    debug_assert!(argv.last().is_some_and(|last| last.is_null()));
    debug_assert!(env.last().is_some_and(|last| last.is_null()));
    // SAFETY: `path` is NUL-terminated; both arrays end with a null pointer and their other elements come from
    // `pointers`, which borrows live CStrings.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_errno()
}

/// write(2) with two words in the argument registers that it does not use; a filter can tell it by them.
pub(crate) fn write_marked(to: BorrowedFd<'_>, bytes: &[u8], mark: [u64; 2]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `bytes.len()` bytes from a live slice and ignores the last two arguments.
    let result = unsafe {
        libc::syscall(libc::SYS_write, to.as_raw_fd(), bytes.as_ptr(), bytes.len(), mark[0], mark[1])
    };
    usize::try_from(result).map_err(|_| last_errno())
}

/// read(2), in the same way.
pub(crate) fn read_marked(from: BorrowedFd<'_>, buffer: &mut [u8], mark: [u64; 2]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into a live slice and ignores the last two arguments.
    let result = unsafe {
        libc::syscall(libc::SYS_read, from.as_raw_fd(), buffer.as_mut_ptr(), buffer.len(), mark[0], mark[1])
    };
    usize::try_from(result).map_err(|_| last_errno())
}

/// A null-terminated array for [`execve`].
pub(crate) fn pointers(strings: &[std::ffi::CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// No signal blocked, as a program started by init would find them.
pub(crate) fn unblock_signals() -> Result<(), Errno> {
    set_mask(&SigSet::empty())
}

/// Every signal back to its default disposition; children inherit it.
pub(crate) fn default_signals() {
    // The kernel's struct sigaction with a null handler: SIG_DFL, no flags, empty mask.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: rt_sigaction(2) reads 32 bytes (x86_64 and aarch64 alike) from a live array and takes an 8-byte mask
        // size. Called directly since glibc refuses the two numbers that it keeps for itself, which may be ignored.
        // EINVAL for SIGKILL and SIGSTOP, whose dispositions cannot be anything else.
        unsafe {
            let nowhere = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nowhere, 8_usize);
        }
    }
}

/// Blocks every signal: they are taken by [`wait_for_child_signal`] or stay pending.
pub(crate) fn block_signals() -> Result<(), Errno> {
    set_mask(&SigSet::all())
}

fn set_mask(set: &SigSet) -> Result<(), Errno> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(set), None).map_err(errno_of)
}

/// Sleeps until SIGCHLD (which must be blocked) is pending, and takes it.
pub(crate) fn wait_for_child_signal() {
    // sigwait(3) has no error but for signal numbers that do not exist.
    let _taken = SigSet::from(Signal::SIGCHLD).wait();
}

/// Makes `target` a duplicate of `source` that survives exec; any descriptor that was there is closed.
pub(crate) fn duplicate_onto(source: BorrowedFd<'_>, target: i32) -> Result<(), Errno> {
    // SAFETY: plain integers. Only used for 0, 1 and 2, which no OwnedFd of the jail owns.
    let result = unsafe { libc::dup2(source.as_raw_fd(), target) };
    if result >= 0 { Ok(()) } else { Err(last_errno()) }
}

/// Moves the descriptor this process was started with on `number` to one above 2 that is closed on exec.
///
/// `number` itself stays open, for [`duplicate_onto`] to overwrite.
pub(crate) fn take_inherited(number: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC takes integers; on success the result is a new descriptor that nobody else owns.
    unsafe {
        let copy = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        if copy < 0 { Err(last_errno()) } else { Ok(OwnedFd::from_raw_fd(copy)) }
    }
}

/// Marks every descriptor from 3 on to be closed on exec.
pub(crate) fn close_on_exec_from_3() -> Result<(), Errno> {
    close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor but one above 0. Only for a process that will own no other again (the sandbox's init).
pub(crate) fn close_all_but(kept: BorrowedFd<'_>) -> Result<(), Errno> {
    let kept = kept.as_raw_fd().cast_unsigned();
    close_range(0, kept - 1, 0).and_then(|()| close_range(kept + 1, u32::MAX, 0))
}

fn close_range(first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    // SAFETY: integers only. With flags 0 every other OwnedFd of this process becomes stale; the one caller never drops
    // or uses one afterwards (it loops until it dies).
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Gives this process new namespaces of its own.
pub(crate) fn unshare(namespaces: CloneFlags) -> Result<(), Errno> {
    nix::sched::unshare(namespaces).map_err(errno_of)
}

/// Ends this process at once: no destructors, no exit handlers of the program that was forked.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

fn errno_of(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
