//! System calls: each profile's allow-list, compiled once and loaded last before exec.
//!
//! Unknown calls get ENOSYS. Calls that only an exploit makes, and calls through a foreign ABI, wait for the listener:
//! the jail learns which it was and kills the sandbox from outside. If nobody listens, they fail with ENOSYS.

mod answers;
mod constants;
mod custom;
mod file;
mod learn;
mod policy;
mod program;
mod tables;

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

use self::policy::{BuiltIn, Policy};
use self::tables::Abi;
use crate::plan::{CustomProfile, Profile};
use crate::report::Failure;
use crate::sys::seccomp::{
    Instruction, Notification, Wakeup, install_with_listener, is_waiting, receive as receive_notification,
    respond,
};

pub use self::answers::{Answers, Convention, call_name};
pub use self::constants::errno_name;
pub(crate) use self::file::RuleText;
pub use self::file::{Fault, MAX_POLICY_BYTES, PolicyError};
pub(crate) use self::learn::{Mark, Recorder, Verdict};
pub use self::policy::Answer;

/// A profile's filter, ready to be loaded.
#[derive(Clone)]
pub struct Filters {
    policy: Policy,
    program: Vec<Instruction>,
    wakeup: Wakeup,
    mark: Mark,
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
    /// For [`ForbiddenCall::still_waits`].
    id: u64,
}

impl ForbiddenCall {
    /// Whether what was learnt by `pid` is of who made the call: it cannot have ended and been replaced since.
    pub fn still_waits(&self, listener: BorrowedFd<'_>) -> bool {
        is_waiting(listener, self.id)
    }
}

/// Name of a call of this machine's own ABI.
pub(crate) fn native_call_name(number: u32) -> String {
    Abi::NATIVE.call_name(number)
}

/// Checks the policy of a custom profile: everything that can be wrong with it is found here. `file` names it in errors.
pub fn check(file: &str, text: &str) -> Result<(), PolicyError> {
    custom::compile(file, text, Abi::NATIVE).map(drop)
}

/// The filters of every profile of this jail.
pub(crate) struct Profiles(Vec<(Profile, Filters)>);

impl Profiles {
    /// Compiles the built-in ones and the operator's.
    pub(crate) fn compile(custom: &[CustomProfile]) -> Result<Self, Failure> {
        let mut all = Filters::built_in()?;
        for profile in custom {
            all.push(Filters::custom(profile)?);
        }
        Ok(Self(all))
    }

    /// A profile is found with what it may write: a plan cannot make more of one than the operator did.
    pub(crate) fn find(&self, profile: &Profile) -> Result<&Filters, Failure> {
        let found = self.0.iter().find(|(of, _)| of == profile).map(|(_, filters)| filters);
        found.ok_or_else(|| {
            Failure::new("profile", 0, format!("this worker has no profile {}", profile.name()))
        })
    }
}

impl Filters {
    /// Compiles the policy of each built-in profile for this machine.
    pub fn built_in() -> Result<Vec<(Profile, Self)>, Failure> {
        let compile = |profile: BuiltIn| {
            let policy = Policy::of(profile, Abi::NATIVE).map_err(refused)?;
            let program = program::compile(&policy, Abi::NATIVE);
            Ok((profile.profile(), Self::enforcing(policy, program)))
        };
        BuiltIn::ALL.into_iter().map(compile).collect()
    }

    /// Compiles a custom profile's policy for this machine.
    pub fn custom(profile: &CustomProfile) -> Result<(Profile, Self), Failure> {
        let file = format!("profile {}", profile.name);
        let (policy, program) = custom::compile(&file, &profile.policy, Abi::NATIVE).map_err(refused)?;
        let compiled = Profile::Custom { name: profile.name.clone(), writes: profile.writes };
        Ok((compiled, Self::enforcing(policy, program)))
    }

    /// A filter below which every call waits for the jail, which has to answer with a [`Recorder`] of this one.
    pub(crate) fn recording(&self) -> Self {
        let mark = Mark::random();
        let program = program::record(Abi::NATIVE, mark);
        Self { policy: Policy::default(), program, wakeup: Wakeup::FatalOnly, mark }
    }

    /// Answers in this filter's place.
    pub(crate) fn recorder(&self) -> Recorder<'_> {
        Recorder::new(&self.policy)
    }

    /// What lets the command's process write and read below this filter before the jail listens.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Loads the filter for the calling thread, which has set no_new_privs, and returns the listener (close-on-exec).
    pub fn install(&self) -> Result<OwnedFd, Failure> {
        install_with_listener(&self.program, self.wakeup).map_err(Failure::of("seccomp", "load the filter"))
    }

    fn enforcing(policy: Policy, program: Vec<Instruction>) -> Self {
        Self { policy, program, wakeup: Wakeup::AnySignal, mark: Mark::default() }
    }
}

fn refused(error: PolicyError) -> Failure {
    Failure::new("seccomp", 0, format!("policy {error}"))
}

/// Takes one waiting call from the listener; `None` when its process is gone already.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Option<ForbiddenCall>, Failure> {
    Ok(take(listener)?.map(|notification| ForbiddenCall::from(&notification)))
}

/// The same, as the kernel tells it.
pub(crate) fn take(listener: BorrowedFd<'_>) -> Result<Option<Notification>, Failure> {
    loop {
        match receive_notification(listener) {
            Err(Errno::INTR) => {}
            Err(Errno::NOENT) => return Ok(None),
            received => {
                let taken = received.map_err(Failure::of("seccomp_receive", "take a waiting call"))?;
                return Ok(Some(taken));
            }
        }
    }
}

/// Lets a waiting call go on or return. One whose process is gone needs no answer.
pub(crate) fn answer(
    listener: BorrowedFd<'_>,
    call: &Notification,
    errno: Option<u16>,
) -> Result<(), Failure> {
    match respond(listener, call.id, errno) {
        Err(Errno::NOENT) => Ok(()),
        answered => answered.map_err(Failure::of("seccomp_answer", "answer a waiting call")),
    }
}

impl From<&Notification> for ForbiddenCall {
    fn from(notification: &Notification) -> Self {
        let number = notification.number.cast_unsigned();
        let abi = Abi::of_call(notification.audit_arch, number);
        Self {
            syscall: abi.call_name(number),
            number: i64::from(notification.number),
            arch: abi.name(),
            args: notification.args,
            pid: notification.pid,
            id: notification.id,
        }
    }
}

#[cfg(test)]
mod tests;
