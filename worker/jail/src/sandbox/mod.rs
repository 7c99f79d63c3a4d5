//! One sandbox, for one command: its mounts, its first process, its command.
//!
//! [`prepare`] makes what stands before any command is known, [`command::wait_in`] puts the process there that will be one, and
//! [`command::order`] tells it which. States: prepared -> expecting -> started -> (supervised elsewhere) -> destroyed. Nothing
//! of it is ever used for a second command.

pub(crate) mod command;
pub(crate) mod dev;
pub(crate) mod files_in;
pub(crate) mod files_out;
pub(crate) mod handshake;
pub(crate) mod init;
pub(crate) mod privileges;
pub(crate) mod rlimits;
pub(crate) mod rootfs;
pub(crate) mod shown;

use std::os::fd::AsFd;

use rustix::process::Signal;

use crate::base::{Base, IdMapping};
use crate::network::Network;
use crate::plan::SandboxKind;
use crate::report::Failure;
use crate::sys::clone::Child;
use crate::sys::process;

use rootfs::Mounts;

/// Uid and gid of the command, inside.
pub(crate) const COMMAND_ID: u32 = 1000;

/// A sandbox with its init running and nothing of the job's in it.
pub(crate) struct Sandbox {
    pub(crate) mounts: Mounts,
    pub(crate) init: Child,
}

/// Makes the mounts and the first process, in the network that is kept or in one of its own.
pub(crate) fn prepare(
    base: &Base,
    network: Option<&Network>,
    kind: &SandboxKind,
    mapping: IdMapping,
) -> Result<Sandbox, Failure> {
    let mut mounts = Mounts::make(base, kind, mapping)?;
    let init = init::start(base, &mut mounts, network)?;
    mounts.keep_only_tmpfs();
    Ok(Sandbox { mounts, init })
}

/// Kills the sandbox's init, and so every process in its pid namespace, from outside (pid_namespaces(7)).
pub(crate) fn kill(init: &Child) -> Result<(), Failure> {
    match rustix::process::pidfd_send_signal(init.pidfd.as_fd(), Signal::KILL) {
        // Already dead, then so is everything else in there.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(Failure::new("kill_sandbox", errno.raw_os_error(), "kill the sandbox's init")),
    }
}

/// Ends a forked child of the jail that unwinds by a panic, before it could go on as a second jail.
pub(crate) struct ExitOnUnwind;

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        process::exit_now(70);
    }
}
