//! The jail's main loop: one worker, one plan at a time, from `Configure` to the end of the socket.
//!
//! It must never keep anything of a command beyond `Release`, and never report `Released` while something is left: a
//! jail that could not clean up says so and ends, and the worker starts another.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{WaitId, WaitIdOptions};

use crate::base::Base;
use crate::cgroup::{Group, Hierarchies};
use crate::evidence::KernelLog;
use crate::execution::{self, NotRun, Ran, Recording};
use crate::layers::Missing;
use crate::own_pids;
use crate::plan::{Plan, Profile};
use crate::report::{Failure, FileFound};
use crate::sandbox::command::Descriptors;
use crate::sandbox::rootfs::Mounts;
use crate::seccomp::Filters;
use crate::standing::Standing;
use crate::supervise::Worker;
use crate::sys::process;
use crate::wire::{self, Reply, Request, Setup};

/// Runs the jail on descriptor 0, a SOCK_SEQPACKET socket to the worker. Call it before any thread exists.
///
/// Ends with 0 when the worker has closed its end, and with 1 when it could not serve it; says why on stderr.
pub fn run_jail() -> ! {
    match serve() {
        Ok(()) => std::process::exit(0),
        Err(failure) => {
            eprintln!("kiln-jail: {failure}");
            std::process::exit(1);
        }
    }
}

/// A configured jail.
pub(crate) struct Jail {
    pub(crate) socket: OwnedFd,
    pub(crate) setup: Setup,
    pub(crate) base: Base,
    pub(crate) hierarchies: Hierarchies,
    pub(crate) missing: Missing,
    /// Where it can be read.
    pub(crate) kernel_log: Option<KernelLog>,
    /// Whether a command of this jail was found to be confined as it should be.
    pub(crate) inspected: Cell<bool>,
    filters: Vec<(Profile, Filters)>,
    commands: u64,
    held: Option<Held>,
    /// Counted when the first command was released.
    descriptors_when_idle: Option<usize>,
}

/// What of a finished command lives until `Release`: its files and the group that they are charged to.
struct Held {
    mounts: Mounts,
    group: Group,
}

fn serve() -> Result<(), Failure> {
    let socket = take_socket()?;
    let Some(setup) = first_request(&socket)? else { return Ok(()) };
    let mut jail = match Jail::stand_up(&socket, setup) {
        Ok(jail) => jail,
        Err(failure) => {
            let _ = wire::send(socket.as_fd(), &Reply::Failed(failure.clone()), &[], SendFlags::empty());
            return Err(failure);
        }
    };
    let served = jail.reply(&Reply::Ready).and_then(|()| jail.serve());
    let released = jail.held.take().map_or(Ok(()), Held::release);
    jail.hierarchies.remove_parent(&jail.setup.cgroup_name);
    served.and(released)
}

/// Leaves nothing of how the worker was started: neither its terminal, nor its signals, nor its stdin and stdout.
fn take_socket() -> Result<OwnedFd, Failure> {
    let take = || -> Result<OwnedFd, Errno> {
        let socket = process::take_inherited(0)?;
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
        let nowhere = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
        process::duplicate_onto(nowhere.as_fd(), 0)?;
        process::duplicate_onto(nowhere.as_fd(), 1)?;
        // Ctrl-C and a service manager's SIGTERM are the worker's to handle: the jail ends when its worker does.
        process::block_signals()?;
        // For the commands, which inherit this. Here none arrives.
        process::default_signals();
        // EPERM: it leads a group already.
        let _ = rustix::process::setsid();
        // What is made gets exactly the mode that is asked for; the command takes a mask of its own.
        rustix::process::umask(rustix::fs::Mode::empty());
        Ok(socket)
    };
    take().map_err(Failure::of("stdin", "take the worker's socket"))
}

fn first_request(socket: &OwnedFd) -> Result<Option<Setup>, Failure> {
    match wire::receive(socket.as_fd(), RecvFlags::empty()).map_err(protocol)? {
        Some((Request::Configure(setup), _)) => Ok(Some(setup)),
        Some(_) => Err(Failure::new("protocol", 0, "the first request must configure the jail")),
        None => Ok(None),
    }
}

impl Jail {
    fn stand_up(socket: &OwnedFd, setup: Setup) -> Result<Self, Failure> {
        let missing = Missing::of(&setup.allow_missing, setup.filters)?;
        let standing = Standing::of_this_process().map_err(|error| {
            Failure::new("standing", error.raw_os_error().unwrap_or(0), "find out whose root this is")
        })?;
        // While the host's mounts are still in sight, and its processes, which may have to move.
        let hierarchies = Hierarchies::detect()?;
        let kernel_log = KernelLog::open();
        if standing.is_confined() {
            own_pids::enter()?;
        }
        let base = Base::enter(setup.uid_base, standing)?;
        let socket = rustix::io::fcntl_dupfd_cloexec(socket, 3)
            .map_err(Failure::of("stdin", "keep the worker's socket"))?;
        let mut jail = Self {
            socket,
            setup,
            base,
            hierarchies,
            missing,
            kernel_log,
            inspected: Cell::new(false),
            filters: Vec::new(),
            commands: 0,
            held: None,
            descriptors_when_idle: None,
        };
        jail.compile_filters()?;
        Ok(jail)
    }

    fn compile_filters(&mut self) -> Result<(), Failure> {
        self.filters = Filters::built_in()?;
        for profile in &self.setup.profiles {
            self.filters.push(Filters::custom(profile)?);
        }
        Ok(())
    }

    /// A profile is found with what it may write: a plan cannot make more of one than the operator did.
    pub(crate) fn filters(&self, profile: &Profile) -> Result<&Filters, Failure> {
        let found = self.filters.iter().find(|(of, _)| of == profile).map(|(_, filters)| filters);
        found.ok_or_else(|| {
            Failure::new("profile", 0, format!("this worker has no profile {}", profile.name()))
        })
    }

    fn serve(&mut self) -> Result<(), Failure> {
        loop {
            let request = wire::receive::<Request>(self.socket.as_fd(), RecvFlags::empty());
            match request.map_err(protocol)? {
                None => return Ok(()),
                Some((Request::Run(_) | Request::Learn(_), _)) if self.held.is_some() => {
                    return Err(Failure::new("protocol", 0, "a plan before the last one was released"));
                }
                Some((Request::Run(plan), descriptors)) => {
                    if self.run(&plan, descriptors, Recording::Off)? == Worker::Gone {
                        return Ok(());
                    }
                }
                Some((Request::Learn(plan), descriptors)) => {
                    if self.run(&plan, descriptors, Recording::On)? == Worker::Gone {
                        return Ok(());
                    }
                }
                // The command has ended already.
                Some((Request::Kill(_), _)) => {}
                Some((Request::Release, _)) => self.release()?,
                Some((Request::Configure(_), _)) => {
                    return Err(Failure::new("protocol", 0, "a jail is configured once"));
                }
            }
        }
    }

    /// Carries a plan out and answers; what is left waits for `Release`.
    fn run(
        &mut self,
        plan: &Plan,
        descriptors: Vec<OwnedFd>,
        recording: Recording,
    ) -> Result<Worker, Failure> {
        self.commands += 1;
        let name = format!("{}-{}", self.setup.jail, self.commands);
        let ran = plan
            .check()
            .map_err(|error| Failure::new("plan", 0, error.to_string()))
            .and_then(|()| Descriptors::take(plan, descriptors))
            .map_err(NotRun::from)
            .and_then(|descriptors| execution::run(self, plan, descriptors, recording, &name));
        match ran {
            Ok(Ran { report, files, mounts, group, worker, learned }) => {
                self.held = Some(Held { mounts, group });
                if worker == Worker::Listening {
                    learned.map_or(Ok(()), |learned| self.reply(&Reply::Learned(Box::new(learned))))?;
                    self.finish(report, &files)?;
                }
                Ok(worker)
            }
            Err(NotRun { failure, left_behind }) => {
                self.reply(&Reply::Failed(failure))?;
                left_behind.map_or(Ok(Worker::Listening), Err)
            }
        }
    }

    fn release(&mut self) -> Result<(), Failure> {
        let released = self.held.take().map_or(Ok(()), Held::release);
        match released.and_then(|()| self.check_nothing_is_left()) {
            Ok(()) => self.reply(&Reply::Released),
            Err(failure) => self.reply(&Reply::Failed(failure.clone())).and(Err(failure)),
        }
    }

    fn finish(&self, report: crate::report::Report, files: &[OwnedFd]) -> Result<(), Failure> {
        debug_assert_eq!(
            report.files.iter().filter(|file| matches!(file, FileFound::Found { .. })).count(),
            files.len()
        );
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        wire::send(self.socket.as_fd(), &Reply::Finished(Box::new(report)), &borrowed, SendFlags::empty())
            .map_err(protocol)
    }

    fn reply(&self, reply: &Reply) -> Result<(), Failure> {
        wire::send(self.socket.as_fd(), reply, &[], SendFlags::empty()).map_err(protocol)
    }

    /// No child, and as many descriptors as after the first command.
    fn check_nothing_is_left(&mut self) -> Result<(), Failure> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match rustix::process::waitid(WaitId::All, options) {
            Err(Errno::CHILD) => {}
            Err(errno) => return Err(Failure::new("leftovers", errno.raw_os_error(), "look for children")),
            Ok(_) => return Err(Failure::new("leftovers", 0, "a process of the last command is left")),
        }
        let now = std::fs::read_dir("/proc/self/fd")
            .map_err(|error| {
                Failure::new("leftovers", error.raw_os_error().unwrap_or(0), "count descriptors")
            })?
            .count();
        let before = *self.descriptors_when_idle.get_or_insert(now);
        if now == before {
            Ok(())
        } else {
            Err(Failure::new(
                "leftovers",
                0,
                format!("{now} descriptors are open, {before} were after the first"),
            ))
        }
    }
}

impl Held {
    /// The mounts first: the group's memory is gone when its files are.
    fn release(self) -> Result<(), Failure> {
        drop(self.mounts);
        self.group.remove()
    }
}

fn protocol(error: wire::WireError) -> Failure {
    Failure::new("protocol", 0, error.to_string())
}
