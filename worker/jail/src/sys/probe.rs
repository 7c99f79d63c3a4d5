//! Calls that are bound to fail, made only to see who refuses them: the kernel, or a filter in front of it.

use rustix::io::Errno;

use super::clone::last_errno;

/// A system call that the jail makes, with arguments that the kernel itself refuses before it reads any memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundToFail {
    pub(crate) name: &'static str,
    number: libc::c_long,
    arguments: [libc::c_long; 5],
}

/// No such descriptor, no such process, no such flag.
const NONE: libc::c_long = -1;
/// Flags of which no kernel knows all.
const UNKNOWN: libc::c_long = 0xffff_ffff;

/// What a sandbox is made with and container engines' filters are known to refuse.
pub(crate) const CALLS: [BoundToFail; 16] = [
    // A size below that of the first version is EINVAL (kernel/fork.c, copy_clone_args_from_user).
    call("clone3", libc::SYS_clone3, [0, 0, 0, 0, 0]),
    call("unshare", libc::SYS_unshare, [UNKNOWN, 0, 0, 0, 0]),
    call("setns", libc::SYS_setns, [NONE, 0, 0, 0, 0]),
    call("fsopen", libc::SYS_fsopen, [0, UNKNOWN, 0, 0, 0]),
    call("fsconfig", libc::SYS_fsconfig, [NONE, UNKNOWN, 0, 0, 0]),
    call("fsmount", libc::SYS_fsmount, [NONE, UNKNOWN, 0, 0, 0]),
    call("open_tree", libc::SYS_open_tree, [NONE, 0, UNKNOWN, 0, 0]),
    call("move_mount", libc::SYS_move_mount, [NONE, 0, NONE, 0, UNKNOWN]),
    call("mount_setattr", libc::SYS_mount_setattr, [NONE, 0, UNKNOWN, 0, 0]),
    call("pidfd_open", libc::SYS_pidfd_open, [NONE, UNKNOWN, 0, 0, 0]),
    call("pidfd_getfd", libc::SYS_pidfd_getfd, [NONE, NONE, UNKNOWN, 0, 0]),
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal, [NONE, 0, 0, UNKNOWN, 0]),
    call("openat2", libc::SYS_openat2, [NONE, 0, 0, 0, 0]),
    call("close_range", libc::SYS_close_range, [1, 0, 0, 0, 0]),
    call("memfd_create", libc::SYS_memfd_create, [0, UNKNOWN, 0, 0, 0]),
    call("seccomp", libc::SYS_seccomp, [UNKNOWN, 0, 0, 0, 0]),
];

const fn call(name: &'static str, number: libc::c_long, arguments: [libc::c_long; 5]) -> BoundToFail {
    BoundToFail { name, number, arguments }
}

/// How the call was refused. (That it succeeded cannot be; it would count as refused with EPERM, by nobody knows whom.)
pub(crate) fn refusal(call: &BoundToFail) -> Errno {
    let [one, two, three, four, five] = call.arguments;
    // SAFETY: only calls of `CALLS`, whose arguments are integers and null pointers that the kernel refuses for their
    // flags, sizes or descriptors; should it look at a null pointer first, that is EFAULT and reads nothing.
    let result = unsafe { libc::syscall(call.number, one, two, three, four, five) };
    if result == -1 { last_errno() } else { Errno::PERM }
}
