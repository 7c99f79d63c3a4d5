//! Watching one command from exec to the moment where nothing of it is left.
//!
//! One poll loop over everything that can happen: the command ends, its init dies, the worker speaks or is gone, the
//! filter reports, the cgroup announces an OOM or a refused fork, a timer is due. Clocks and kills are outside of the
//! sandbox; a kill always takes all of it.

mod clock;
mod verdict;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags};

use crate::cgroup::Group;
use crate::evidence::{self, Looked, Streams};
use crate::learned::Learned;
use crate::plan::Limits;
use crate::report::{Failure, Process};
use crate::sandbox::handshake::{self, Message};
use crate::seccomp::{self, ForbiddenCall, Recorder, Verdict};
use crate::sys::clone::Child;
use crate::sys::seccomp::Notification;
use crate::wire::{self, KillReason, Reply, Request};

use clock::Clock;
pub(crate) use verdict::{Facts, outcome};

/// What a command is watched with.
pub(crate) struct Post<'a> {
    pub(crate) worker: BorrowedFd<'a>,
    pub(crate) group: &'a Group,
    pub(crate) init: &'a Child,
    pub(crate) limits: &'a Limits,
    pub(crate) streams: Streams,
    /// CPUs that the command may use.
    pub(crate) cpus: u32,
    /// Answers every call of a command that is recorded.
    pub(crate) recorder: Option<Recorder<'a>>,
}

/// Whether there is still somebody to report to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Worker {
    #[default]
    Listening,
    Gone,
}

/// What the watch saw. The sandbox may still be alive: the caller ends it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) started_us: u64,
    pub(crate) ended_us: u64,
    pub(crate) wall_us: u64,
    /// CPU time of set-up, charged to the group before exec.
    pub(crate) cpu_before_us: u64,
    pub(crate) exec_errno: Option<i32>,
    pub(crate) forbidden: Option<ForbiddenCall>,
    /// Who made it.
    pub(crate) caller: Option<Process>,
    /// Its processes, where the main one was alive at the end and must be killed.
    pub(crate) looked: Option<Looked>,
    /// The main process ended by itself.
    pub(crate) natural: bool,
    pub(crate) asked: Option<KillReason>,
    pub(crate) worker: Worker,
    pub(crate) learned: Option<Learned>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Command,
    Init,
    Worker,
    Handshake,
    Listener,
    Group,
}

/// Whether to go on watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Watch,
    Stop,
}

struct Watch<'a> {
    post: Post<'a>,
    child: &'a Child,
    handshake: Option<OwnedFd>,
    listener: Option<BorrowedFd<'a>>,
    clock: Clock,
    seen: Seen,
}

/// Lets the command execute its program and watches it until it ends or must be ended.
pub(crate) fn watch(
    post: Post<'_>,
    child: &Child,
    handshake: OwnedFd,
    listener: Option<BorrowedFd<'_>>,
) -> Result<Seen, Failure> {
    post.group.throttle()?;
    // A control file that was never read counts as changed (kernfs_generic_poll in fs/kernfs/file.c), and would have the counters
    // read again and again for nothing.
    post.group.clear_watch();
    let cpu_before_us = post.group.cpu_us()?;
    let started = Instant::now();
    let seen = Seen { started_us: unix_us(), cpu_before_us, ..Seen::default() };
    let clock = Clock::start(started, post.limits, post.cpus, post.group.refused_fork_poll());
    handshake::tell(handshake.as_fd())?;
    let mut watch = Watch { post, child, handshake: Some(handshake), listener, clock, seen };
    while watch.step()? == Next::Watch {}
    watch.seen.wall_us = started.elapsed().as_micros() as u64;
    watch.seen.ended_us = unix_us();
    watch.last_look()?;
    watch.seen.learned = watch.post.recorder.take().map(Recorder::finish);
    watch.look_before_the_kill();
    Ok(watch.seen)
}

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

impl Watch<'_> {
    fn step(&mut self) -> Result<Next, Failure> {
        let ready = self.poll()?;
        let mut next = Next::Watch;
        for source in ready {
            if self.handle(source)? == Next::Stop {
                next = Next::Stop;
            }
        }
        if next == Next::Watch { self.look_at_clock() } else { Ok(next) }
    }

    fn poll(&self) -> Result<Vec<Source>, Failure> {
        let mut sources = vec![Source::Command, Source::Init, Source::Worker];
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.child.pidfd.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.post.init.pidfd.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.post.worker, PollFlags::IN),
        ];
        let handshake = self.handshake.as_ref().map(AsFd::as_fd);
        for (source, fd) in [(Source::Handshake, handshake), (Source::Listener, self.listener)] {
            if let Some(fd) = fd {
                sources.push(source);
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            }
        }
        for (fd, flags) in self.post.group.watch_fds() {
            sources.push(Source::Group);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let wait = self.clock.next().saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&timeout)))
            .map_err(Failure::of("poll", "watch the command"))?;
        let ready = fds.iter().zip(sources).filter(|(fd, _)| !fd.revents().is_empty());
        Ok(ready.map(|(_, source)| source).collect())
    }

    fn handle(&mut self, source: Source) -> Result<Next, Failure> {
        match source {
            Source::Command => Ok(Next::Stop),
            Source::Init => Err(Failure::new("init", 0, "the sandbox's init died before its command")),
            Source::Worker => self.hear_worker(),
            Source::Handshake => self.hear_command(),
            Source::Listener => self.hear_filter(),
            Source::Group => {
                self.post.group.clear_watch();
                self.clock.look_again_soon(Instant::now());
                self.look_at_counters()
            }
        }
    }

    fn hear_worker(&mut self) -> Result<Next, Failure> {
        let heard = wire::receive(self.post.worker, RecvFlags::DONTWAIT);
        match heard {
            Ok(Some((Request::Kill(reason), _))) => {
                self.seen.asked = Some(reason);
                Ok(Next::Stop)
            }
            Ok(Some(_)) => Err(Failure::new("protocol", 0, "a request out of turn while a command runs")),
            Ok(None) => {
                self.seen.worker = Worker::Gone;
                Ok(Next::Stop)
            }
            Err(error) if error.would_block() => Ok(Next::Watch),
            Err(error) => Err(Failure::new("protocol", 0, error.to_string())),
        }
    }

    /// The handshake's end closes when the program is executed: from here on the command runs.
    fn hear_command(&mut self) -> Result<Next, Failure> {
        let Some(handshake) = self.handshake.take() else { return Ok(Next::Watch) };
        match handshake::hear(handshake.as_fd())? {
            None => {
                self.tell_worker(&Reply::Started { unix_us: self.seen.started_us }, SendFlags::empty());
                Ok(Next::Watch)
            }
            Some(Message::NoExec { errno }) => {
                self.seen.exec_errno = Some(errno);
                Ok(Next::Watch)
            }
            Some(_) => Err(Failure::new("handshake", 0, "the command's process spoke out of turn")),
        }
    }

    fn hear_filter(&mut self) -> Result<Next, Failure> {
        let Some(listener) = self.listener else { return Ok(Next::Watch) };
        let now = state(listener);
        if !now.contains(PollFlags::IN) {
            // Every process with this filter is gone (seccomp_unotify(2)); to receive now would wait for ever.
            if now.contains(PollFlags::HUP) {
                self.listener = None;
            }
            return Ok(Next::Watch);
        }
        self.take_call(listener)
    }

    /// One waiting call. Not more than one between two looks at the clock: a program that makes nothing but calls cannot keep the
    /// jail from its limits.
    fn take_call(&mut self, listener: BorrowedFd<'_>) -> Result<Next, Failure> {
        let Some(call) = seccomp::take(listener)? else { return Ok(Next::Watch) };
        match self.judge(listener, &call) {
            Verdict::Forbid => return Ok(Next::Stop),
            Verdict::Continue => seccomp::answer(listener, &call, None)?,
            Verdict::Return(errno) => seccomp::answer(listener, &call, Some(errno))?,
        }
        Ok(Next::Watch)
    }

    /// Only a recorded command's calls are not all forbidden.
    fn judge(&mut self, listener: BorrowedFd<'_>, call: &Notification) -> Verdict {
        let verdict = self.post.recorder.as_mut().map_or(Verdict::Forbid, |recorder| recorder.judge(call));
        if verdict == Verdict::Forbid {
            let call = ForbiddenCall::from(call);
            let caller = evidence::caller(call.pid, self.child);
            self.seen.caller = caller.filter(|_| call.still_waits(listener));
            self.seen.forbidden = Some(call);
        }
        verdict
    }

    fn look_at_clock(&mut self) -> Result<Next, Failure> {
        let now = Instant::now();
        if self.clock.wall_is_over(now) {
            return Ok(Next::Stop);
        }
        if self.clock.counters_are_due(now) && self.look_at_counters()? == Next::Stop {
            return Ok(Next::Stop);
        }
        let progress = self.clock.progress_is_due(now);
        if progress || self.clock.cpu_is_due(now) {
            let cpu_us = self.post.group.cpu_us()?.saturating_sub(self.seen.cpu_before_us);
            if cpu_us > self.post.limits.cpu_us.get() {
                return Ok(Next::Stop);
            }
            self.clock.cpu_was(now, cpu_us);
            if progress {
                let memory_bytes = self.post.group.memory_bytes()?;
                // A worker that does not read loses progress, and nothing waits for it.
                self.tell_worker(&Reply::Progress { cpu_us, memory_bytes }, SendFlags::DONTWAIT);
            }
        }
        Ok(Next::Watch)
    }

    fn look_at_counters(&mut self) -> Result<Next, Failure> {
        let crossed = self.post.group.oom_kills()? > 0 || self.post.group.pids_refused()? > 0;
        Ok(if crossed { Next::Stop } else { Next::Watch })
    }

    /// A forbidden call may have been reported in the moment when the main process ended.
    ///
    /// Among a recorded command's calls it may be any: each thread has at most one, and none is answered any more, so
    /// there are no more of them than the limit on threads.
    fn last_look(&mut self) -> Result<(), Failure> {
        let mut left = if self.post.recorder.is_some() { self.post.limits.pids.get() } else { 1 };
        while let Some(listener) = self.listener
            && self.seen.forbidden.is_none()
            && left > 0
            && state(listener).contains(PollFlags::IN)
        {
            left -= 1;
            if let Some(call) = seccomp::take(listener)? {
                self.judge(listener, &call);
            }
        }
        // Not to be waited for: a command that was ended before exec says nothing.
        if self.handshake.as_ref().is_some_and(|handshake| !state(handshake.as_fd()).is_empty()) {
            self.hear_command()?;
        }
        Ok(())
    }

    /// Nothing to look at where the main process has ended, and nothing to explain where a call does.
    fn look_before_the_kill(&mut self) {
        self.seen.natural = state(self.child.pidfd.as_fd()).contains(PollFlags::IN);
        if !self.seen.natural && self.seen.forbidden.is_none() {
            // A process that executes a program holds a lock that looking needs while it frees its old memory (exec_mmap in
            // fs/exec.c), which it must do before it can die anyway: at full speed. The kill hastens it too, and may fail.
            let _ = self.post.group.hasten();
            self.seen.looked = evidence::look(self.post.group, self.child, &self.post.streams);
        }
    }

    fn tell_worker(&mut self, reply: &Reply, flags: SendFlags) {
        match wire::send(self.post.worker, reply, &[], flags) {
            Err(error) if !error.would_block() => self.seen.worker = Worker::Gone,
            _ => {}
        }
    }
}

/// What is ready on one descriptor now.
fn state(fd: BorrowedFd<'_>) -> PollFlags {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) => fds[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}
