//! `clone3(2)`: new processes in new namespaces, optionally born in a cgroup.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Pid;

/// `libc::CLONE_INTO_CGROUP` evaluates to 0 on gnu; this is the kernel's value (linux/sched.h).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_PIDFD: u64 = 0x1000;

/// Namespaces for [`clone3`], bits of linux/sched.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Namespaces(pub(crate) u64);

impl Namespaces {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const USER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// Everything a sandbox has of its own.
    pub(crate) const SANDBOX: Self = Self(Self::SANDBOX_IN_THIS_NETWORK.0 | libc::CLONE_NEWNET as u64);
    /// But for a network.
    pub(crate) const SANDBOX_IN_THIS_NETWORK: Self = Self(
        (libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP) as u64,
    );
}

/// In the parent: the child. In the child: nothing.
pub(crate) enum Cloned {
    Parent(Child),
    Child,
}

/// A process made by [`clone3`], not yet reaped.
#[derive(Debug)]
pub(crate) struct Child {
    /// As this process sees it.
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

/// Forks (memory is copied on write, descriptors are duplicated) into new namespaces and, on cgroup v2, a cgroup.
pub(crate) fn clone3(namespaces: Namespaces, into_cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    let mut pidfd: libc::c_int = -1;
    let mut arguments = libc::clone_args {
        flags: CLONE_PIDFD | namespaces.0,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(group) = into_cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = group.as_raw_fd() as u64;
    }
    // SAFETY: `arguments` is a valid clone_args of the stated size and `pidfd` outlives the call. Without CLONE_VM the
    // child gets a copy of the whole address space, as by fork(2), and the jail has a single thread, so no lock of the
    // C library can be held by a thread that does not exist in the child.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(last_errno()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: the kernel stored a new descriptor, owned by nobody else, before it returned a pid.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = Pid::from_raw(pid as i32).expect("clone3 returned a positive pid");
            Ok(Cloned::Parent(Child { pid, pidfd }))
        }
    }
}

pub(super) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
