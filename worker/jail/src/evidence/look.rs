//! Looking at the processes of a group in the moment before they are killed, through the jail's own /proc.
//!
//! They are hostile and go on meanwhile. Each is held by a descriptor of its /proc directory, which never means another
//! process, and counts only if the group still lists it after that. Nothing is opened that a process chose: names, states,
//! calls and the text of links are read, in bounded numbers and within a budget of CPU time. What cannot be read is left out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use super::activity::{self, StreamLinks};
use super::parse::{Call, Stat, inner_pid, process_of_thread};
use crate::cgroup::Group;
use crate::report::{Activity, AtKill, MAX_PROCESSES_SHOWN, Process, Role};
use crate::seccomp::native_call_name;
use crate::sys::clone::Child;

/// A kill waits no longer than this for its evidence.
const BUDGET: Duration = Duration::from_millis(2);
/// USER_HZ of x86 and ARM (asm-generic/param.h): what /proc counts in, whatever the kernel's own tick.
const TICKS_PER_SECOND: u64 = 100;
const MAX_PROCESSES: usize = 32;
const MAX_THREADS: usize = 8;

/// The pipes that are a command's stdin, stdout and stderr.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(StreamLinks);

/// What was seen of a command's processes.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) at_kill: AtKill,
    /// Pids inside, by those that the jail sees.
    pub(crate) pids: Vec<(Pid, u32)>,
}

impl Streams {
    pub(crate) fn of(stdio: &[OwnedFd; 3]) -> Self {
        Self(std::array::from_fn(|index| {
            let state = rustix::fs::fstat(&stdio[index]).ok()?;
            let is_pipe = FileType::from_raw_mode(state.st_mode) == FileType::Fifo;
            is_pipe.then(|| format!("pipe:[{}]", state.st_ino).into_bytes())
        }))
    }
}

/// Looks at the group's processes, the main one first. `None` where not even that can be done.
pub(crate) fn look(group: &Group, main: &Child, streams: &Streams) -> Option<Looked> {
    let listed = group.processes().ok()?;
    let budget = Budget::start();
    let (held, listed) = hold(group, main.pid, listed, &budget)?;
    let mut seen: Vec<Seen<'_>> =
        held.iter().filter_map(|held| Seen::of(held, main.pid, streams, &budget)).collect();
    let held_up = {
        let processes: Vec<Process> = seen.iter().map(|seen| seen.process.clone()).collect();
        // One that was not looked at may be the one that runs.
        let found = activity::held_up(&processes).filter(|_| processes.len() == listed);
        found.and_then(|found| processes.iter().position(|process| std::ptr::eq(process, found)))
    };
    // Those that are shown, or explain the rest, get their pids too.
    let pid_of_held_up = held_up.map(|index| seen[index].held.pid);
    seen.sort_by_key(|seen| (seen.process.role != Role::Main, std::cmp::Reverse(seen.process.cpu_us)));
    let mut pids = Vec::new();
    for (rank, seen) in seen.iter_mut().enumerate() {
        if rank < MAX_PROCESSES_SHOWN || Some(seen.held.pid) == pid_of_held_up {
            seen.process.pid = read(seen.held.directory.as_fd(), "status").as_deref().and_then(inner_pid);
            pids.extend(seen.process.pid.map(|inner| (seen.held.pid, inner)));
        }
    }
    let held_up = seen.iter().find(|seen| Some(seen.held.pid) == pid_of_held_up);
    let at_kill = AtKill {
        processes: listed as u64,
        looked_at: seen.len() as u64,
        tasks: group.tasks().ok(),
        held_up: held_up.map(|seen| seen.process.clone()),
        shown: seen.iter().take(MAX_PROCESSES_SHOWN).map(|seen| seen.process.clone()).collect(),
    };
    Some(Looked { at_kill, pids })
}

/// The process of a thread that waits for an answer of the filter's listener, in which it cannot end by itself. The caller
/// makes sure that it still waits afterwards: else its number may be another's by now.
pub(crate) fn caller(thread: u32, main: &Child) -> Option<Process> {
    let thread = Pid::from_raw(i32::try_from(thread).ok()?)?;
    // Threads are not listed in /proc, but they can be opened (proc_pid_lookup).
    let status = read(directory(thread)?.as_fd(), "status")?;
    let process = Pid::from_raw(process_of_thread(&status)?)?;
    let directory = directory(process)?;
    let stat = Stat::parse(&read(directory.as_fd(), "stat")?)?;
    Some(Process {
        pid: read(directory.as_fd(), "status").as_deref().and_then(inner_pid),
        name: stat.name,
        role: role(process, main.pid),
        cpu_us: Some(cpu_us(stat.cpu_ticks)),
        activity: None,
        waits_in: None,
    })
}

/// CPU time of this thread, so that being preempted costs no evidence.
struct Budget(Duration);

impl Budget {
    fn start() -> Self {
        Self(Self::now() + BUDGET)
    }

    fn is_left(&self) -> bool {
        Self::now() < self.0
    }

    fn now() -> Duration {
        Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
    }
}

/// A process that cannot become another: its /proc directory answers ESRCH once it was reaped.
struct Held {
    pid: Pid,
    directory: OwnedFd,
}

/// Opens the first of them, the main process before all others; also tells how many there are.
fn hold(group: &Group, main: Pid, mut listed: Vec<Pid>, budget: &Budget) -> Option<(Vec<Held>, usize)> {
    listed.sort_by_key(|&pid| pid != main);
    let mut held: Vec<Held> = listed
        .iter()
        .take(MAX_PROCESSES)
        .take_while(|&&pid| pid == main || budget.is_left())
        .filter_map(|&pid| Some(Held { pid, directory: directory(pid)? }))
        .collect();
    let listed = group.processes().ok()?;
    held.retain(|held| listed.contains(&held.pid));
    Some((held, listed.len()))
}

struct Seen<'a> {
    held: &'a Held,
    process: Process,
}

impl<'a> Seen<'a> {
    fn of(held: &'a Held, main: Pid, streams: &Streams, budget: &Budget) -> Option<Self> {
        let role = role(held.pid, main);
        if role != Role::Main && !budget.is_left() {
            return None;
        }
        let directory = held.directory.as_fd();
        let stat = Stat::parse(&read(directory, "stat")?)?;
        let doing = doing(directory, &stat, streams);
        let process = Process {
            pid: None,
            role,
            cpu_us: Some(cpu_us(stat.cpu_ticks)),
            activity: doing.as_ref().map(|(activity, _)| *activity),
            waits_in: doing.and_then(|(_, waits_in)| waits_in),
            name: stat.name,
        };
        Some(Self { held, process })
    }
}

type Doing = (Activity, Option<String>);

/// What a process does: its only thread, or the first few of several.
fn doing(process: BorrowedFd<'_>, stat: &Stat, streams: &Streams) -> Option<Doing> {
    let link = |descriptor: u64| {
        rustix::fs::readlinkat(process, format!("fd/{descriptor}"), Vec::new())
            .ok()
            .map(std::ffi::CString::into_bytes)
    };
    if stat.threads <= 1 {
        return doing_of_thread(process, stat.state, streams, link);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tasks = rustix::fs::openat(process, "task", flags, Mode::empty()).ok()?;
    let mut threads = Vec::new();
    for thread in Dir::read_from(&tasks).ok()?.filter_map(Result::ok) {
        // All of a kernel's own making: numbers, `.` and `..`.
        if thread.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        let Ok(thread) = rustix::fs::openat(&tasks, thread.file_name(), flags, Mode::empty()) else {
            continue;
        };
        let stat = read(thread.as_fd(), "stat").as_deref().and_then(Stat::parse);
        threads.extend(stat.and_then(|stat| doing_of_thread(thread.as_fd(), stat.state, streams, link)));
        if threads.len() == MAX_THREADS {
            break;
        }
    }
    activity::of_threads(&threads)
}

fn doing_of_thread(
    thread: BorrowedFd<'_>,
    state: u8,
    streams: &Streams,
    link: impl Fn(u64) -> Option<Vec<u8>>,
) -> Option<Doing> {
    let waits = matches!(state, b'S' | b'D');
    let call = waits.then(|| read(thread, "syscall").as_deref().and_then(Call::parse)).flatten();
    let named = call.map(|call| (native_call_name(call.number), call));
    let of = named.as_ref().map(|(name, call)| (name.as_str(), call));
    let activity = activity::activity(state, of, &streams.0, link)?;
    Some((activity, named.map(|(name, _)| name)))
}

fn role(process: Pid, main: Pid) -> Role {
    if process == main { Role::Main } else { Role::Descendant }
}

fn cpu_us(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000 / TICKS_PER_SECOND)
}

fn directory(process: Pid) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, format!("/proc/{}", process.as_raw_nonzero()), flags, Mode::empty()).ok()
}

/// A small file of /proc, in one read.
fn read(directory: BorrowedFd<'_>, name: &str) -> Option<Vec<u8>> {
    let file = rustix::fs::openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = vec![0; 4096];
    let length = rustix::io::read(&file, &mut text).ok()?;
    text.truncate(length);
    Some(text)
}
