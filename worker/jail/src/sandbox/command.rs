//! The command: its process is born in the sandbox's pid namespace and cgroup, enters the other namespaces, and waits there
//! for its order, perhaps long. Then it puts the files in place, loses everything it could misuse, tells the jail so, and executes the program.
//!
//! The jail is its parent and reaps it, so that its true end is known. Up to exec this is trusted code; a step that
//! fails is reported as a [`Failure`] and can never look like an exit code.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::PidfdGetfdFlags;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::cgroup::Group;
use crate::landlock::{self, Rights};
use crate::layers::Missing;
use crate::plan::{Limits, Plan, Writes};
use crate::priority;
use crate::report::Failure;
use crate::seccomp::{Filters, Profiles};
use crate::sys::clone::{Child, Cloned, Namespaces, clone3};
use crate::sys::process;
use crate::wire::{self, FilterUse};

use super::handshake::{self, Message};
use super::{COMMAND_ID, ExitOnUnwind, Sandbox, files_in, privileges, rlimits, shown};

/// Where a program without `/` is looked for when the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Whether a command's calls are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Recording {
    Off,
    On,
}

/// Everything of a plan in the form that the kernel takes.
struct Launch<'a> {
    program: &'a [u8],
    path: &'a [u8],
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

/// What came with a plan, in the order of [`Plan`]'s documentation.
pub(crate) struct Descriptors {
    stdio: [OwnedFd; 3],
    files_in: Vec<OwnedFd>,
}

/// A process that waits in its sandbox for an order.
pub(crate) struct Expecting {
    pub(crate) child: Child,
    handshake: OwnedFd,
}

/// A command that waits for the word to execute its program.
pub(crate) struct Waiting {
    pub(crate) handshake: OwnedFd,
    pub(crate) listener: Option<OwnedFd>,
}

/// How starting went.
pub(crate) enum Start {
    Waiting(Waiting),
    /// The working directory could not be entered. The child is ending.
    NoCwd {
        errno: i32,
    },
    /// The child died without a word: the kernel killed it.
    Died,
}

impl Descriptors {
    pub(crate) fn take(plan: &Plan, mut all: Vec<OwnedFd>) -> Result<Self, Failure> {
        if all.len() != 3 + plan.files_in.len() {
            let detail = format!("{} descriptors came, {} are needed", all.len(), 3 + plan.files_in.len());
            return Err(Failure::new("descriptors", 0, detail));
        }
        let files_in = all.split_off(3);
        let stdio = all.try_into().map_err(|_| Failure::new("descriptors", 0, "no stdin, stdout, stderr"))?;
        Ok(Self { stdio, files_in })
    }

    pub(crate) fn stdio(&self) -> &[OwnedFd; 3] {
        &self.stdio
    }

    pub(crate) fn files_in(&self) -> &[OwnedFd] {
        &self.files_in
    }

    /// With a mount in the place of every file that is to be shown.
    pub(crate) fn with_shown(self, base: &Base, plan: &Plan) -> Result<(Self, shown::Attached), Failure> {
        let (files_in, attached) = shown::take(base, plan, self.files_in)?;
        Ok((Self { files_in, ..self }, attached))
    }

    fn all(&self) -> Vec<BorrowedFd<'_>> {
        self.stdio.iter().chain(&self.files_in).map(AsFd::as_fd).collect()
    }

    /// A pipe belongs to who made it, the worker; the command may open /dev/stdout again. By mode and not by owner, since
    /// a pipe may join two commands of different uid ranges; only who holds an end can reach it.
    fn let_pipes_be_opened_again(&self) -> Result<(), Errno> {
        for end in &self.stdio {
            let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(end)?.st_mode);
            if kind == rustix::fs::FileType::Fifo {
                rustix::fs::fchmod(end, Mode::from_raw_mode(0o666))?;
            }
        }
        Ok(())
    }
}

impl<'a> Launch<'a> {
    fn of(plan: &'a Plan) -> Result<Self, Failure> {
        let strings = |all: &[Vec<u8>]| -> Result<Vec<CString>, Failure> {
            all.iter().map(|bytes| c_string(bytes.clone())).collect()
        };
        let env: Vec<_> =
            plan.env.iter().map(|(name, value)| [name, b"=".as_slice(), value].concat()).collect();
        Ok(Self {
            program: &plan.argv[0],
            path: plan.env.iter().find(|(name, _)| name == b"PATH").map_or(DEFAULT_PATH, |(_, path)| path),
            argv: strings(&plan.argv)?,
            env: strings(&env)?,
            cwd: c_string(plan.cwd.clone())?,
        })
    }
}

/// Clones the process that will be the command. It goes into the sandbox by itself; whether it got there is heard when it is
/// given its [`order`].
pub(crate) fn wait_in(
    base: &Base,
    sandbox: &Sandbox,
    group: &Group,
    writes: Writes,
    profiles: &Profiles,
    missing: &Missing,
) -> Result<Expecting, Failure> {
    let (ours, theirs) = handshake::pair()?;
    let cloned = base.with_pid_namespace_of(sandbox.init.pidfd.as_fd(), || {
        let cloned = clone3(Namespaces::NONE, group.clone_into());
        if let Ok(Cloned::Child) = cloned {
            let _exit = ExitOnUnwind;
            run(theirs.as_fd(), base.niceness, sandbox, group, writes, profiles, missing);
        }
        cloned
    })?;
    match cloned.map_err(Failure::of("clone_command", "clone the command's process"))? {
        Cloned::Parent(child) => Ok(Expecting { child, handshake: ours }),
        Cloned::Child => process::exit_now(70),
    }
}

/// Tells the process in the sandbox what to become, and waits until it is confined.
pub(crate) fn order(
    expecting: &Expecting,
    plan: &Plan,
    recording: Recording,
    descriptors: &Descriptors,
) -> Result<Start, Failure> {
    descriptors
        .let_pipes_be_opened_again()
        .map_err(Failure::of("stdio", "let the command open its pipes"))?;
    let handshake = expecting.handshake.as_fd();
    match wire::send(handshake, &(plan, recording), &descriptors.all(), SendFlags::empty()) {
        // It is dead, and may have said why.
        Ok(()) | Err(wire::WireError::Send(Errno::PIPE | Errno::CONNRESET)) => {}
        Err(error) => return Err(Failure::new("handshake", 0, format!("send a command its order: {error}"))),
    }
    match handshake::hear(handshake)? {
        Some(Message::Confined { listener }) => {
            let listener = adopt(&expecting.child, listener, &plan.limits)?;
            let handshake = rustix::io::fcntl_dupfd_cloexec(handshake, 3)
                .map_err(Failure::of("handshake", "keep the way to a command"))?;
            Ok(Start::Waiting(Waiting { handshake, listener }))
        }
        Some(Message::NoCwd { errno }) => Ok(Start::NoCwd { errno }),
        None => Ok(Start::Died),
        Some(Message::Failed(failure)) => Err(failure),
        Some(_) => Err(Failure::new("handshake", 0, "the command's process spoke out of turn")),
    }
}

fn adopt(child: &Child, listener: Option<i32>, limits: &Limits) -> Result<Option<OwnedFd>, Failure> {
    let listener = listener
        .map(|number| rustix::process::pidfd_getfd(&child.pidfd, number, PidfdGetfdFlags::empty()))
        .transpose()
        .map_err(Failure::of("seccomp_listener", "take the filter's listener"))?;
    rlimits::limit_open_files(child.pid, limits).map_err(Failure::of("rlimits", "limit open files"))?;
    Ok(listener)
}

/// The child. Never returns.
fn run(
    jail: BorrowedFd<'_>,
    niceness: i32,
    sandbox: &Sandbox,
    group: &Group,
    writes: Writes,
    profiles: &Profiles,
    missing: &Missing,
) -> ! {
    let message = match enter(jail, niceness, sandbox, group).and_then(|()| rights(writes, missing)) {
        Err(failure) => Message::Failed(failure),
        // Nobody is there any more.
        Ok(rights) => match wire::receive::<(Plan, Recording)>(jail, RecvFlags::empty()) {
            Ok(None) => process::exit_now(70),
            Err(error) => Message::Failed(Failure::new("handshake", 0, format!("hear an order: {error}"))),
            Ok(Some(((plan, recording), descriptors))) => {
                carry_out(jail, &plan, recording, descriptors, rights, profiles, missing)
            }
        },
    };
    let _ = handshake::send(jail, &message);
    process::exit_now(70)
}

/// Into the sandbox, as its root: cgroup and namespaces. Nothing of the jail's is held there: what waits for long would keep what
/// other sandboxes of the jail had.
fn enter(jail: BorrowedFd<'_>, niceness: i32, sandbox: &Sandbox, group: &Group) -> Result<(), Failure> {
    rustix::process::setsid().map_err(Failure::of("setsid", "begin an own session"))?;
    priority::give_back(niceness).map_err(Failure::of("priority", "run the command behind its jail"))?;
    be_first_to_die()?;
    group.join()?;
    // After joining, and before the user namespace, which may make no cgroup namespace: else the host's path shows.
    process::unshare(CloneFlags::CLONE_NEWCGROUP)
        .map_err(Failure::of("cgroup_namespace", "hide the cgroup's path"))?;
    let namespaces = ThreadNameSpaceType::USER
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
    move_into_thread_name_spaces(sandbox.init.pidfd.as_fd(), namespaces)
        .map_err(Failure::of("enter_namespaces", "enter the sandbox's namespaces"))?;
    // From 3 on: whatever is opened below would else be taken for stdin, stdout and stderr.
    process::close_all_but(3, jail).map_err(Failure::of("close_range", "close what the jail has open"))?;
    privileges::become_id(0).map_err(Failure::of("sandbox_root", "become root of the sandbox"))?;
    privileges::empty_bounding_set()
}

fn rights(writes: Writes, missing: &Missing) -> Result<Option<Rights>, Failure> {
    if missing.filters == FilterUse::LeftOut {
        return Ok(None);
    }
    match Rights::of(writes) {
        Err(_) if missing.landlock && !landlock::is_present() => Ok(None),
        result => result.map(Some),
    }
}

/// Up to exec. What is left to be told.
fn carry_out(
    jail: BorrowedFd<'_>,
    plan: &Plan,
    recording: Recording,
    descriptors: Vec<OwnedFd>,
    rights: Option<Rights>,
    profiles: &Profiles,
    missing: &Missing,
) -> Message {
    let ready = || -> Result<(Launch<'_>, &Filters), Failure> {
        let descriptors = Descriptors::take(plan, descriptors)?;
        files_in::put_all(&plan.files_in, descriptors.files_in())?;
        for (number, end) in descriptors.stdio.iter().enumerate() {
            process::duplicate_onto(end.as_fd(), number as i32)
                .map_err(Failure::of("stdio", "put stdin, stdout and stderr in place"))?;
        }
        confine(&plan.limits, rights)?;
        Ok((Launch::of(plan)?, profiles.find(&plan.profile)?))
    };
    let (launch, profile) = match ready() {
        Ok(ready) => ready,
        Err(failure) => return Message::Failed(failure),
    };
    if let Err(errno) = enter_cwd(&launch.cwd) {
        return Message::NoCwd { errno: errno.raw_os_error() };
    }
    let recorded = match recording {
        Recording::Off => None,
        Recording::On => Some(profile.recording()),
    };
    let filters = recorded.as_ref().unwrap_or(profile);
    // Before the filter is loaded: after it little more than exec should be needed.
    let argv = process::pointers(&launch.argv);
    let env = process::pointers(&launch.env);
    let listener = match listen(filters, missing) {
        Ok(listener) => listener,
        Err(failure) => return Message::Failed(failure),
    };
    let number = listener.as_ref().map(AsRawFd::as_raw_fd);
    if handshake::report_confined(jail, number, filters.mark()).is_err() {
        process::exit_now(70);
    }
    Message::NoExec { errno: execute(&launch, &argv, &env).raw_os_error() }
}

/// When the whole host is out of memory, any job goes before the jail, the worker or anybody else's process; and a
/// worker that is protected (OOMScoreAdjust=-1000) would else hand down processes that its own memory limit cannot end.
fn be_first_to_die() -> Result<(), Failure> {
    // The jail's own /proc, still in sight.
    std::fs::write("/proc/self/oom_score_adj", "1000").map_err(|error| {
        Failure::new("oom_score", error.raw_os_error().unwrap_or(0), "offer the command to the OOM killer")
    })
}

/// Everything that needs no privilege later on; after this only the filter is left.
fn confine(limits: &Limits, rights: Option<Rights>) -> Result<(), Failure> {
    rlimits::apply(limits).map_err(Failure::of("rlimits", "limit the process"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    process::unblock_signals().map_err(Failure::of("signals", "unblock signals"))?;
    process::close_on_exec_from_3().map_err(Failure::of("close_range", "have descriptors closed on exec"))?;
    privileges::drop_all(COMMAND_ID)?;
    rights.map_or(Ok(()), Rights::restrict)
}

/// As the command's user, and by a descriptor, so that a path that is none any more cannot become the place.
fn enter_cwd(cwd: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(cwd, flags, Mode::empty())?;
    rustix::process::fchdir(&directory)?;
    // "(unreachable)" in front means: outside the root (getcwd(3)).
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        Ok(_) => Err(Errno::NOENT),
        Err(errno) => Err(errno),
    }
}

fn listen(filters: &Filters, missing: &Missing) -> Result<Option<OwnedFd>, Failure> {
    if missing.filters == FilterUse::LeftOut {
        return Ok(None);
    }
    match filters.install() {
        // No filters, no notification, or somebody listens already (seccomp(2)): nothing that a job can bring about.
        Err(failure)
            if missing.seccomp && [libc::ENOSYS, libc::EINVAL, libc::EBUSY].contains(&failure.errno) =>
        {
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// As execvp(3): the first candidate that can be executed; a refusal is remembered over a miss.
fn execute(launch: &Launch<'_>, argv: &[*const libc::c_char], env: &[*const libc::c_char]) -> Errno {
    let mut remembered = Errno::NOENT;
    for program in programs(launch.program, launch.path) {
        let Ok(program) = CString::new(program) else { return Errno::INVAL };
        match process::execve(&program, argv, env) {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => remembered = Errno::ACCESS,
            errno => return errno,
        }
    }
    remembered
}

/// The paths that may be the program. One at a time and in the job's own group: all those of a long name and a long
/// PATH together are gigabytes.
fn programs<'a>(program: &'a [u8], path: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let is_path = program.contains(&b'/');
    let found = path
        .split(|&byte| byte == b':')
        .filter(move |directory| !is_path && directory.starts_with(b"/"))
        .map(move |directory| [directory, b"/", program].concat());
    is_path.then(|| program.to_vec()).into_iter().chain(found)
}

fn c_string(bytes: Vec<u8>) -> Result<CString, Failure> {
    CString::new(bytes).map_err(|_| Failure::new("plan", 0, "a NUL byte in an argument"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_in_the_plans_path_or_the_default() {
        let all = |program, path| programs(program, path).collect::<Vec<_>>();
        assert_eq!(all(b"/bin/cat", DEFAULT_PATH), [b"/bin/cat"]);
        let found = [&b"/usr/local/bin/cat"[..], b"/usr/bin/cat", b"/bin/cat"];
        assert_eq!(all(b"cat", DEFAULT_PATH), found);
        assert_eq!(all(b"cat", b"/a::.:b:/c"), [b"/a/cat", b"/c/cat"]);
    }
}
