//! A census of what a sandbox answers: every system call number, each way of making calls, with harmless and hostile
//! arguments, one process per call; and every path of the host's /proc, /sys and /dev. What comes back is compared with the
//! profile's own table (`kiln_jail::seccomp::Answers`), which is told by the policy and not by the compiled filter.
//!
//! Every number is counted: what was left out of a short form is printed. `KILN_CENSUS=full` leaves nothing out.

mod foreign;
mod judging;
mod native;
mod paths;
mod program;
mod special;
