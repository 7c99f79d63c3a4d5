//! The facts behind an outcome that no counter tells: who made a forbidden call, what the processes were doing when they
//! were killed, whom the kernel's OOM killer took, where a signal came from.
//!
//! Everything here is told by the kernel about hostile processes: names are bytes that they chose, and each fact is left
//! out where it cannot be had for sure. Nothing here decides an outcome, fails a command, or may hold up a kill for longer
//! than its budget.

mod activity;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod kernel_log;
mod look;
mod origin;
mod parse;

pub(crate) use kernel_log::{KernelLog, OomKills, Victim};
pub(crate) use look::{Looked, Streams, caller, look};
pub(crate) use origin::{may_be_a_fault, signal_origin};
