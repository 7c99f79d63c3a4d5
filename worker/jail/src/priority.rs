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

/// Raises this process, and gives what was before.
///
/// Not its autogroup, though where sessions are scheduled as groups a nice value counts only among the processes of one (sched(7), "The
/// autogroup feature"): the worker's session is not the jail's alone, and raised as a whole, a login or the machine's services
/// would starve the very commands, which are in groups of their own.
pub(crate) fn raise() -> i32 {
    let before = getpriority_process(None).unwrap_or(0);
    // EACCES, EPERM: not allowed here.
    let _ = setpriority_process(None, (before - AHEAD).max(FIRST));
    before
}

/// For a child of the jail.
pub(crate) fn give_back(before: i32) -> Result<(), Errno> {
    if getpriority_process(None)? == before { Ok(()) } else { setpriority_process(None, before) }
}
