//! The jail's main loop: one worker, one plan at a time, from `Configure` to the end of the socket.
//!
//! Between plans it makes sandboxes in advance and buries those that were released. It must never report `Released` while something is
//! left of them: a jail that could not clean up says so and ends, and the worker starts another.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Pid;

use crate::base::Base;
use crate::cgroup::Hierarchies;
use crate::evidence::KernelLog;
use crate::execution::{self, Ran};
use crate::layers::Missing;
use crate::network::Network;
use crate::own_pids;
use crate::plan::{self, Plan, SandboxKind};
use crate::prepared::{Dying, Next, NotMade, Prepared, Ready};
use crate::report::{Failure, FileFound};
use crate::sandbox::command::Recording;
use crate::seccomp::Profiles;
use crate::standing::Standing;
use crate::supervise::{Worker, unix_us};
use crate::sys::process;
use crate::wire::{self, Reply, Request, Setup, WireError};

/// Released sandboxes that the kernel takes down beside the next command, at most.
const MOST_DYING: usize = 2;
/// How often those are reaped that a job made children of this process, while a sandbox dies: it cannot before they are.
const STRAYS: Duration = Duration::from_millis(5);

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
    pub(crate) network: Network,
    /// An ordered command was in the kept network since that was last found empty.
    network_was_used: bool,
    pub(crate) hierarchies: Hierarchies,
    pub(crate) missing: Missing,
    /// Where it can be read.
    pub(crate) kernel_log: Option<KernelLog>,
    /// Those among whose sandboxes a command was found to be confined as it should be.
    pub(crate) inspected: RefCell<Vec<plan::Network>>,
    pub(crate) profiles: Profiles,
    /// Sandboxes made so far.
    made: u64,
    ready: Ready,
    /// Of a finished command, until `Release`.
    held: Option<Prepared>,
    /// Those that were released, the earliest first.
    dying: VecDeque<Dying>,
    /// Counted when the first command was released, and with the first sandbox.
    descriptors_when_idle: Option<usize>,
    descriptors_of: Option<DescriptorsOf>,
}

/// What one sandbox has open in the jail; the same until one was seen to die.
#[derive(Clone, Copy, Debug, Default)]
struct DescriptorsOf {
    ready: usize,
    dying: usize,
}

/// What the jail found while it waited for its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Asked,
    /// A released sandbox is gone.
    Over,
    InVain,
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
    let standing = jail.held.take().into_iter().chain(jail.ready.give_back());
    let abandoned: Vec<_> = standing.map(Prepared::abandon).collect();
    let dying = jail.dying.drain(..).map(Ok).chain(abandoned);
    let released = dying.map(|dying| dying.and_then(Dying::bury)).fold(Ok(()), Result::and);
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
        let network = Network::enter()?;
        let socket = rustix::io::fcntl_dupfd_cloexec(socket, 3)
            .map_err(Failure::of("stdin", "keep the worker's socket"))?;
        let profiles = Profiles::compile(&setup.profiles)?;
        Ok(Self {
            socket,
            setup,
            base,
            network,
            network_was_used: false,
            hierarchies,
            missing,
            kernel_log,
            inspected: RefCell::default(),
            profiles,
            made: 0,
            ready: Ready::new(),
            held: None,
            dying: VecDeque::new(),
            descriptors_when_idle: None,
            descriptors_of: None,
        })
    }

    fn serve(&mut self) -> Result<(), Failure> {
        loop {
            self.while_nobody_asks()?;
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
                Some((Request::KeepReady(kinds), _)) => self.keep_ready(kinds)?,
                Some((Request::Configure(_), _)) => {
                    return Err(Failure::new("protocol", 0, "a jail is configured once"));
                }
            }
        }
    }

    /// Buries what was released, and makes sandboxes ready. Not beside one that still has a job's files for the worker.
    fn while_nobody_asks(&mut self) -> Result<(), Failure> {
        while self.held.is_none() {
            let next = self.ready.next(Instant::now());
            let patience = if let Next::Wait(patience) = next { patience } else { Some(Duration::ZERO) };
            match self.wait(patience)? {
                Waited::Asked => return Ok(()),
                Waited::Over => self.bury_the_first()?,
                Waited::InVain => self.prepare(next)?,
            }
        }
        Ok(())
    }

    fn wait(&self, patience: Option<Duration>) -> Result<Waited, Failure> {
        let first = self.dying.front().map(|dying| &dying.init.pidfd);
        let patience =
            first.map_or(patience, |_| Some(patience.map_or(STRAYS, |longest| longest.min(STRAYS))));
        let timeout = patience
            .map(|wait| Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) });
        let mut fds: Vec<_> = [Some(&self.socket), first]
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, timeout.as_ref()))
            .map_err(Failure::of("poll", "wait for the worker"))?;
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        if is_ready(0) {
            return Ok(Waited::Asked);
        }
        if is_ready(1) {
            return Ok(Waited::Over);
        }
        if first.is_some() {
            process::reap_strays().map_err(Failure::of("reap_strays", "reap a job's processes"))?;
        }
        Ok(Waited::InVain)
    }

    fn prepare(&mut self, next: Next) -> Result<(), Failure> {
        match next {
            Next::Make(kind) => self.make_one_ready(&kind),
            Next::GiveBack => Prepared::destroy_all(self.ready.give_back()),
            Next::Wait(_) => Ok(()),
        }
    }

    /// Where it fails, the next plan finds out why, from nothing, and somebody hears of it.
    fn make_one_ready(&mut self, kind: &SandboxKind) -> Result<(), Failure> {
        match self.make(kind) {
            Ok(prepared) => self.ready.keep(prepared),
            Err(NotMade { failure, left_behind }) => {
                eprintln!("kiln-jail: no sandbox could be made in advance: {failure}");
                let given_back = Prepared::destroy_all(self.ready.give_back());
                return left_behind.map_or(Ok(()), Err).and(given_back);
            }
        }
        Ok(())
    }

    fn make(&mut self, kind: &SandboxKind) -> Result<Prepared, NotMade> {
        self.made += 1;
        let name = format!("{}-{}", self.setup.jail, self.made);
        if self.descriptors_of.is_some() {
            return Prepared::make(self, kind, name);
        }
        let before = open_descriptors()?;
        let prepared = Prepared::make(self, kind, name)?;
        let ready = open_descriptors()?.saturating_sub(before);
        self.descriptors_of = Some(DescriptorsOf { ready, dying: ready });
        Ok(prepared)
    }

    fn keep_ready(&mut self, kinds: Vec<SandboxKind>) -> Result<(), Failure> {
        for kind in &kinds {
            kind.check().map_err(|error| Failure::new("plan", 0, error.to_string()))?;
        }
        let kinds = kinds.into_iter().map(|kind| self.within_reach(kind)).collect();
        Prepared::destroy_all(self.ready.want(kinds))
    }

    /// Carries a plan out and answers; what is left waits for `Release`.
    fn run(
        &mut self,
        plan: &Plan,
        descriptors: Vec<OwnedFd>,
        recording: Recording,
    ) -> Result<Worker, Failure> {
        let accepted_us = unix_us();
        let ran = execution::check(self, plan, descriptors).map_err(NotMade::from).and_then(|descriptors| {
            self.settle_network().map_err(NotMade::left)?;
            let kind = self.within_reach(plan.kind());
            let prepared = self.take_or_make(&kind)?;
            self.network_was_used |= kind.network == plan::Network::Kept;
            execution::run(self, prepared, plan, descriptors, recording, accepted_us)
        });
        match ran {
            Ok(Ran { report, files, sandbox, worker, learned }) => {
                self.held = Some(sandbox);
                if worker == Worker::Listening {
                    learned.map_or(Ok(()), |learned| self.reply(&Reply::Learned(Box::new(learned))))?;
                    self.finish(report, &files)?;
                }
                Ok(worker)
            }
            Err(NotMade { failure, left_behind }) => {
                self.reply(&Reply::Failed(failure))?;
                left_behind.map_or(Ok(Worker::Listening), Err)
            }
        }
    }

    /// Where calls may go unfiltered nobody knows what sockets a command has.
    fn within_reach(&self, kind: SandboxKind) -> SandboxKind {
        if self.missing.holds_calls() { kind } else { SandboxKind { network: plan::Network::Fresh, ..kind } }
    }

    /// Gives the kept network up where the last command left a socket in it. Nothing of that command runs any more.
    fn settle_network(&mut self) -> Result<(), Failure> {
        if self.network_was_used && !self.network.is_empty()? {
            self.network.renew()?;
            Prepared::destroy_all(self.ready.take_those_in_kept())?;
        }
        self.network_was_used = false;
        Ok(())
    }

    fn take_or_make(&mut self, kind: &SandboxKind) -> Result<Prepared, NotMade> {
        // First: while they are reaped another may be found to have died.
        Prepared::destroy_all(self.ready.take_dead()).map_err(NotMade::left)?;
        self.ready.take(kind).map_or_else(|| self.make(kind), Ok)
    }

    fn release(&mut self) -> Result<(), Failure> {
        let Some(held) = self.held.take() else {
            // Its set-up failed and left nothing; answers keep their order.
            while !self.dying.is_empty() {
                self.bury_the_first()?;
            }
            return self.reply(&Reply::Released);
        };
        if let Err(failure) = self.abandon(held).and_then(|()| self.settle_network()) {
            return self.not_released(failure);
        }
        while self.dying.len() > MOST_DYING || self.dying.front().is_some_and(Dying::is_over) {
            self.bury_the_first()?;
        }
        Ok(())
    }

    fn abandon(&mut self, held: Prepared) -> Result<(), Failure> {
        let before = match self.descriptors_of {
            Some(DescriptorsOf { ready, dying }) if ready == dying => Some(open_descriptors()?),
            _ => None,
        };
        self.dying.push_back(held.abandon()?);
        if let (Some(before), Some(of)) = (before, &mut self.descriptors_of) {
            of.dying -= before.saturating_sub(open_descriptors()?);
        }
        Ok(())
    }

    fn bury_the_first(&mut self) -> Result<(), Failure> {
        let buried = self.dying.pop_front().map_or(Ok(()), Dying::bury);
        match buried.and_then(|()| self.check_nothing_is_left()) {
            Ok(()) => self.reply(&Reply::Released),
            Err(failure) => self.not_released(failure),
        }
    }

    fn not_released(&self, failure: Failure) -> Result<(), Failure> {
        self.reply(&Reply::NotReleased(failure.clone())).and(Err(failure))
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
        match wire::send(self.socket.as_fd(), reply, &[], SendFlags::empty()) {
            // The worker is gone, as the next request finds out: it waits for no sandbox to be buried.
            Err(WireError::Send(Errno::PIPE | Errno::CONNRESET)) => Ok(()),
            sent => sent.map_err(protocol),
        }
    }

    /// No child and no descriptor but those of sandboxes that stand ready or die, beside what there was after the first command.
    fn check_nothing_is_left(&mut self) -> Result<(), Failure> {
        let ready = self.ready.all();
        let known: Vec<Pid> = ready.iter().flat_map(Prepared::processes).map(|child| child.pid).collect();
        let children = match process::children()? {
            // Some may be of a job whose sandbox still dies: looked at when the last of them is gone.
            _ if !self.dying.is_empty() => Vec::new(),
            Some(children) => children,
            // Not listed by this kernel. Those of ready sandboxes are some of them.
            None if !known.is_empty() => Vec::new(),
            None => return Err(Failure::new("leftovers", 0, "a process of the last command is left")),
        };
        if let Some(stranger) = children.into_iter().find(|child| !known.contains(child)) {
            let detail = format!("process {} of the last command is left", stranger.as_raw_nonzero());
            return Err(Failure::new("leftovers", 0, detail));
        }
        let of = self.descriptors_of.unwrap_or_default();
        let of_sandboxes = ready.len() * of.ready + self.dying.len() * of.dying;
        let now = open_descriptors()?.saturating_sub(of_sandboxes);
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

fn open_descriptors() -> Result<usize, Failure> {
    let entries = std::fs::read_dir("/proc/self/fd")
        .map_err(|error| Failure::new("leftovers", error.raw_os_error().unwrap_or(0), "count descriptors"))?;
    Ok(entries.count())
}

fn protocol(error: WireError) -> Failure {
    Failure::new("protocol", 0, error.to_string())
}
