//! System calls: each profile's allow-list, compiled once and loaded last before exec.
//!
//! Unknown calls get ENOSYS. Calls that only an exploit makes, and calls through a foreign ABI, wait for the listener:
//! the jail learns which it was and kills the sandbox from outside. If nobody listens, they fail with ENOSYS.

mod answers;
mod constants;
mod policy;
mod program;
mod tables;

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

pub use self::answers::{Answers, Convention, call_name};
pub use self::policy::Answer;
use self::policy::Policy;
use self::tables::Abi;
use crate::plan::Profile;
use crate::report::Failure;
use crate::sys::seccomp::{Instruction, install_with_listener, receive as receive_notification};

/// A profile's filter, ready to be loaded.
#[derive(Clone)]
pub struct Filters {
    program: Vec<Instruction>,
}

/// A call that was attempted and is waiting; its process is stopped in it until it is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenCall {
    /// Name in the ABI it was made through, or `syscall_N`.
    pub syscall: String,
    /// As the kernel told it: with the x32 bit, if any.
    pub number: i64,
    /// `x86_64`, `aarch64`, or the foreign `i386`, `x32`, `arm`.
    pub arch: String,
    pub args: [u64; 6],
    /// Thread that made it, in the pid namespace of the receiver; 0 when it is not visible there.
    pub pid: u32,
}

impl Filters {
    /// Compiles a profile's policy for this machine.
    pub fn compile(profile: Profile) -> Result<Self, Failure> {
        let policy = Policy::of(profile, Abi::NATIVE)
            .map_err(|error| Failure::new("seccomp", 0, format!("policy {error}")))?;
        Ok(Self { program: program::compile(&policy, Abi::NATIVE) })
    }

    /// Loads the filter for the calling thread, which has set no_new_privs, and returns the listener (close-on-exec).
    pub fn install(&self) -> Result<OwnedFd, Failure> {
        install_with_listener(&self.program).map_err(Failure::of("seccomp", "load the filter"))
    }
}

/// Takes one waiting call from the listener; `None` when its process is gone already.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Option<ForbiddenCall>, Failure> {
    let notification = loop {
        match receive_notification(listener) {
            Err(Errno::INTR) => {}
            Err(Errno::NOENT) => return Ok(None),
            received => break received.map_err(Failure::of("seccomp_receive", "take a waiting call"))?,
        }
    };
    let number = notification.number.cast_unsigned();
    let abi = Abi::of_call(notification.audit_arch, number);
    Ok(Some(ForbiddenCall {
        syscall: abi.call_name(number),
        number: i64::from(notification.number),
        arch: abi.name(),
        args: notification.args,
        pid: notification.pid,
    }))
}

#[cfg(test)]
mod tests;
