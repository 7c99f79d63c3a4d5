//! A pid namespace for the jail of a user namespace, and the process that stays outside for it.
//!
//! The jail enters a sandbox's pid namespace to have the command born in it, and must come back: into a namespace that
//! belongs to the host it may not (setns(2) asks for root of the user namespace that owns it). So its own must belong to
//! its own user namespace. A process never changes its pid namespace: the one that the worker started stays as a
//! stand-in, which holds nothing, waits, and ends as the jail ended. The kernel kills everything of the jail with it.

use std::os::fd::{AsFd, OwnedFd};

use nix::sched::CloneFlags;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{PidfdFlags, Signal};

use crate::report::Failure;
use crate::sys::clone::{Cloned, Namespaces, clone3};
use crate::sys::process;

/// Returns in a new process, the first of a new pid namespace, which goes on as the jail.
pub(crate) fn enter() -> Result<(), Failure> {
    let outside = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(Failure::of("own_pids", "hold the process that stays outside"))?;
    process::unshare(CloneFlags::CLONE_NEWPID)
        .map_err(Failure::of("own_pids", "make a pid namespace for the jail"))?;
    match clone3(Namespaces::NONE, None)
        .map_err(Failure::of("own_pids", "clone the jail into its pid namespace"))?
    {
        Cloned::Child => die_with(outside),
        Cloned::Parent(jail) => {
            // The worker's socket among them: it must see the jail's end, not the stand-in's. Not stderr, our last words.
            let closed = process::close_all_but(0, std::io::stderr().as_fd());
            let ended = process::wait4(jail.pid);
            process::exit_now(match (closed, ended.map(|ended| (ended.exit_code, ended.exit_signal))) {
                (Ok(()), Ok((Some(code), _))) => code,
                (Ok(()), Ok((None, Some(signal)))) => {
                    eprintln!("kiln-jail: killed by signal {signal}");
                    128 + signal
                }
                _ => 1,
            })
        }
    }
}

/// When the stand-in is killed, so is this process, and with it, the first of its namespace, everything in it.
fn die_with(outside: OwnedFd) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Failure::of("own_pids", "die with the process outside"))?;
    // It may have died before that; its pid cannot be asked for in here.
    let mut ended = [PollFd::new(&outside, PollFlags::IN)];
    match rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
    }) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Failure::new("own_pids", 0, "the process outside is dead")),
        Err(errno) => Err(Failure::new("own_pids", errno.raw_os_error(), "look at the process outside")),
    }
}
