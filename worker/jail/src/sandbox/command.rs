//! The command: born in the sandbox's pid namespace and cgroup, it enters the other namespaces, loses everything it
//! could misuse, tells the jail so, and executes the program.
//!
//! The jail is its parent and reaps it, so that its true end is known. Up to exec this is trusted code; a step that
//! fails is reported as a [`Failure`] and can never look like an exit code.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::PidfdGetfdFlags;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::base::Base;
use crate::cgroup::Group;
use crate::landlock;
use crate::layers::Missing;
use crate::plan::{FileIn, Limits, Plan, Writes};
use crate::priority;
use crate::report::Failure;
use crate::seccomp::Filters;
use crate::sys::clone::{Child, Cloned, Namespaces, clone3};
use crate::sys::process;
use crate::wire::FilterUse;

use super::handshake::{self, Message};
use super::{COMMAND_ID, ExitOnUnwind, Sandbox, files_in, privileges, rlimits};

/// Where a program without `/` is looked for when the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Everything the child needs, made before it is cloned.
pub(crate) struct Launch<'a> {
    program: &'a [u8],
    path: &'a [u8],
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    limits: &'a Limits,
    writes: Writes,
    files: &'a [FileIn],
    descriptors: &'a Descriptors,
}

/// What came with a plan, in the order of [`Plan`]'s documentation.
pub(crate) struct Descriptors {
    stdio: [OwnedFd; 3],
    files_in: Vec<OwnedFd>,
}

/// A command that waits for the word to execute its program.
pub(crate) struct Waiting {
    pub(crate) child: Child,
    pub(crate) handshake: OwnedFd,
    pub(crate) listener: Option<OwnedFd>,
}

/// How starting went.
pub(crate) enum Start {
    Waiting(Waiting),
    /// The working directory could not be entered. The child is ending.
    NoCwd {
        child: Child,
        errno: i32,
    },
    /// The child died without a word: the kernel killed it.
    Died {
        child: Child,
    },
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
    pub(crate) fn of(plan: &'a Plan, descriptors: &'a Descriptors) -> Result<Self, Failure> {
        let strings =
            |all: Vec<Vec<u8>>| -> Result<Vec<CString>, Failure> { all.into_iter().map(c_string).collect() };
        let env = plan.env.iter().map(|(name, value)| [name, b"=".as_slice(), value].concat()).collect();
        Ok(Self {
            program: &plan.argv[0],
            path: plan.env.iter().find(|(name, _)| name == b"PATH").map_or(DEFAULT_PATH, |(_, path)| path),
            argv: strings(plan.argv.clone())?,
            env: strings(env)?,
            cwd: c_string(plan.cwd.clone())?,
            limits: &plan.limits,
            writes: plan.profile.writes(),
            files: &plan.files_in,
            descriptors,
        })
    }
}

/// Clones the command's process and waits until it is confined.
pub(crate) fn start(
    base: &Base,
    sandbox: &Sandbox,
    group: &Group,
    filters: &Filters,
    missing: &Missing,
    launch: &Launch<'_>,
) -> Result<Start, Failure> {
    launch
        .descriptors
        .let_pipes_be_opened_again()
        .map_err(Failure::of("stdio", "let the command open its pipes"))?;
    let (ours, theirs) = handshake::pair()?;
    let cloned = base.with_pid_namespace_of(sandbox.init.pidfd.as_fd(), || {
        let cloned = clone3(Namespaces::NONE, group.clone_into());
        if let Ok(Cloned::Child) = cloned {
            let _exit = ExitOnUnwind;
            run(theirs.as_fd(), base.niceness, sandbox, group, filters, missing, launch);
        }
        cloned
    })?;
    let child = match cloned.map_err(Failure::of("clone_command", "clone the command's process"))? {
        Cloned::Parent(child) => child,
        Cloned::Child => process::exit_now(70),
    };
    drop(theirs);
    greet(child, ours, launch.limits)
}

/// The jail's side, up to the moment where the child waits for the word.
fn greet(child: Child, handshake: OwnedFd, limits: &Limits) -> Result<Start, Failure> {
    let greeted = match handshake::hear(handshake.as_fd()) {
        Ok(Some(Message::Confined { listener })) => adopt(&child, listener, limits).map(Some),
        Ok(Some(Message::NoCwd { errno })) => return Ok(Start::NoCwd { child, errno }),
        Ok(None) => return Ok(Start::Died { child }),
        Ok(Some(Message::Failed(failure))) => Err(failure),
        Ok(Some(_)) => Err(Failure::new("handshake", 0, "the command's process spoke out of turn")),
        Err(failure) => Err(failure),
    };
    match greeted {
        Ok(listener) => Ok(Start::Waiting(Waiting { child, handshake, listener: listener.flatten() })),
        Err(failure) => {
            let _ = rustix::process::pidfd_send_signal(&child.pidfd, rustix::process::Signal::KILL);
            process::wait4(child.pid)
                .map_err(Failure::of("reap_command", "reap a command that never started"))?;
            Err(failure)
        }
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
    filters: &Filters,
    missing: &Missing,
    launch: &Launch<'_>,
) -> ! {
    // Before the filter is loaded: after it little more than exec should be needed.
    let argv = process::pointers(&launch.argv);
    let env = process::pointers(&launch.env);
    let message = match enter(niceness, sandbox, group, launch).and_then(|()| confine(launch, missing)) {
        Err(failure) => Message::Failed(failure),
        Ok(()) => match enter_cwd(&launch.cwd) {
            Err(errno) => Message::NoCwd { errno: errno.raw_os_error() },
            Ok(()) => match listen(filters, missing) {
                Err(failure) => Message::Failed(failure),
                Ok(listener) => {
                    let mark = filters.mark();
                    let number = listener.as_ref().map(AsRawFd::as_raw_fd);
                    if handshake::report_confined(jail, number, mark).is_err() {
                        process::exit_now(70);
                    }
                    Message::NoExec { errno: execute(launch, &argv, &env).raw_os_error() }
                }
            },
        },
    };
    let _ = handshake::send(jail, &message);
    process::exit_now(70)
}

/// Into the sandbox, as its root: cgroup, namespaces, files, descriptors.
fn enter(niceness: i32, sandbox: &Sandbox, group: &Group, launch: &Launch<'_>) -> Result<(), Failure> {
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
    privileges::become_id(0).map_err(Failure::of("sandbox_root", "become root of the sandbox"))?;
    files_in::copy_all(launch.files, launch.descriptors.files_in())?;
    for (number, end) in launch.descriptors.stdio.iter().enumerate() {
        process::duplicate_onto(end.as_fd(), number as i32)
            .map_err(Failure::of("stdio", "put stdin, stdout and stderr in place"))?;
    }
    Ok(())
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
fn confine(launch: &Launch<'_>, missing: &Missing) -> Result<(), Failure> {
    rlimits::apply(launch.limits).map_err(Failure::of("rlimits", "limit the process"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    process::unblock_signals().map_err(Failure::of("signals", "unblock signals"))?;
    process::close_on_exec_from_3().map_err(Failure::of("close_range", "have descriptors closed on exec"))?;
    privileges::drop_all(COMMAND_ID)?;
    if missing.filters == FilterUse::LeftOut {
        return Ok(());
    }
    match landlock::restrict(launch.writes) {
        Err(_) if missing.landlock && !landlock::is_present() => Ok(()),
        result => result,
    }
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
