//! The jail runs ahead of what it watches: a limit is crossed while every CPU is busy, mostly by the very command that must be
//! stopped.
//!
//! Commands get back what the worker had, before they lose the right to. Where a host does not allow it (no CAP_SYS_NICE), kills come
//! as late as the scheduler lets them; nothing of the sandbox depends on it.

use rustix::io::Errno;
use rustix::process::{getpriority_process, setpriority_process};

/// How much nicer to the jail than to everybody else: nine times the weight (sched(7)).
const AHEAD: i32 = 10;
const FIRST: i32 = -20;

/// Raises this process and, where sessions are scheduled as groups, its own: there a nice value counts only among the processes of
/// one session (sched(7), "The autogroup feature"). Call it as the leader of a session. Gives what was before.
pub(crate) fn raise() -> i32 {
    let before = getpriority_process(None).unwrap_or(0);
    let ahead = (before - AHEAD).max(FIRST);
    // EACCES, EPERM: not allowed here.
    let _ = setpriority_process(None, ahead);
    // Absent on kernels without it; refused like the other.
    let _ = std::fs::write("/proc/self/autogroup", format!("-{AHEAD}"));
    before
}

/// For a child of the jail. A session of its own, which it must begin too, is a group of its own at once.
pub(crate) fn give_back(before: i32) -> Result<(), Errno> {
    if getpriority_process(None)? == before { Ok(()) } else { setpriority_process(None, before) }
}
