//! Processes: reaping with usage, replacing the program, signals, and the descriptors this process was born with.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::clone::{Child, last_errno};
use crate::report::Failure;

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

/// Waits until this child is gone, and reaps it. Meanwhile whoever else has ended is reaped too: a pid namespace's first
/// process cannot end before all of its processes are reaped, and some may have become children of this one.
pub(crate) fn reap(last: &Child) -> Result<(), Errno> {
    const STRAYS: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    loop {
        let mut ready = [PollFd::new(&last.pidfd, PollFlags::IN)];
        if rustix::io::retry_on_intr(|| poll(&mut ready, Some(&STRAYS)))? > 0 {
            // ECHILD: reaped as a stray of another's.
            return match waitid(WaitId::PidFd(last.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(_) | Err(Errno::CHILD) => Ok(()),
                Err(errno) => Err(errno),
            };
        }
        reap_strays()?;
    }
}

/// Every child of this process, dead or alive, where the kernel lists them (CONFIG_PROC_CHILDREN); else none only where there is none.
pub(crate) fn children() -> Result<Option<Vec<Pid>>, Failure> {
    match std::fs::read_to_string("/proc/thread-self/children") {
        Ok(text) => {
            Ok(Some(text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match waitid(WaitId::All, look) {
                Err(Errno::CHILD) => Ok(Some(Vec::new())),
                Ok(_) => Ok(None),
                Err(errno) => Err(Failure::new("leftovers", errno.raw_os_error(), "look for children")),
            }
        }
        Err(error) => {
            Err(Failure::new("leftovers", error.raw_os_error().unwrap_or(0), "list this jail's children"))
        }
    }
}

/// Whether it has ended, reaped or not.
pub(crate) fn has_ended(child: &Child) -> bool {
    let mut ready = [PollFd::new(&child.pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(rustix::io::retry_on_intr(|| poll(&mut ready, Some(&now))), Ok(0))
}

/// Reaps every child that has ended, however it signals its end (`__WALL`): a job can make children of the jail.
pub(crate) fn reap_strays() -> Result<(), Errno> {
    loop {
        let flags = libc::__WALL | libc::WNOHANG;
        // SAFETY: wait4 takes null pointers for what is not wanted.
        let reaped = unsafe { libc::wait4(-1, std::ptr::null_mut(), flags, std::ptr::null_mut()) };
        match reaped {
            0 => return Ok(()),
            1.. => {}
            _ => match last_errno() {
                Errno::CHILD => return Ok(()),
                Errno::INTR => {}
                errno => return Err(errno),
            },
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

/// Closes every descriptor from `first` on but one above it. Only for a process that never drops nor uses another that it was
/// born with: the sandbox's init, the process that waits to be a command, the one that waits for a jail.
pub(crate) fn close_all_but(first: u32, kept: BorrowedFd<'_>) -> Result<(), Errno> {
    let kept = kept.as_raw_fd().cast_unsigned();
    if kept > first {
        close_range(first, kept - 1, 0)?;
    }
    close_range(kept + 1, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    // SAFETY: integers only. With flags 0 every other OwnedFd of this process becomes stale; the callers never drop
    // or uses one afterwards (they loop, or execute a program, or die).
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
