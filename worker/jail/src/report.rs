//! What the jail tells about one command: how it ended, what it used, the evidence, and which files it left.

use serde::{Deserialize, Serialize};

/// The end of one command. Exactly one per accepted [`crate::plan::Plan`], unless a [`Failure`] was sent instead.
///
/// Descriptors travel beside it: one per entry of `files` that is [`FileFound::Found`], in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    pub evidence: Evidence,
    pub usage: Usage,
    pub phases: Phases,
    /// One entry per `files_out` of the plan, in order.
    pub files: Vec<FileFound>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Exited {
        code: i32,
    },
    Signalled {
        signal: i32,
    },
    Limit {
        which: LimitKind,
        limit: u64,
        seen: u64,
    },
    /// A call that only an exploit makes was attempted; the sandbox was killed before it ran.
    Forbidden {
        syscall: String,
        number: i64,
        arch: String,
        args: [u64; 6],
    },
    /// The worker asked for the kill: [`crate::wire::KillReason::Cancelled`].
    Cancelled,
}

/// The stopping limits. Units of `limit` and `seen`: microseconds for times, bytes, or a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    Cpu,
    Wall,
    Memory,
    Pids,
    Output,
    FileSize,
}

/// Measured facts behind an outcome. `None` where the kernel did not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How the main process ended, whatever the outcome says: wait status as exit code ...
    pub exit_code: Option<i32>,
    /// ... or signal.
    pub exit_signal: Option<i32>,
    /// The program could not be executed: errno of exec. The outcome is then exited with 127 (ENOENT, ENOTDIR) or 126.
    pub exec_errno: Option<i32>,
    /// The working directory could not be entered: errno. The outcome is then exited with 126.
    pub cwd_errno: Option<i32>,
    /// Processes the kernel's OOM killer ended in this sandbox.
    pub oom_kills: u64,
    /// Forks refused by the pids limit.
    pub pids_refused: u64,
    /// How long nobody could go on for lack of memory, where its limit was reached and the kernel tells.
    pub memory_stalled_us: Option<u64>,
    /// Bytes of the writable tmpfs in use at the end, and whether it was full.
    pub disk_used_bytes: u64,
    pub disk_full: bool,
    pub inodes_used: u64,
    pub inodes_full: bool,
    /// CPU time over wall time, in thousandths: 0 is idle, 1000 is one busy CPU.
    pub busy_millis: u32,
    /// Processes still alive when the main process ended; all were killed.
    pub left_running: u64,
    /// Who made the forbidden call.
    pub caller: Option<Process>,
    /// Whom the OOM killer took, as far as the kernel's log tells: a few of `oom_kills`.
    pub oom_victims: Vec<Process>,
    /// The memory that ran out was the host's or that of a group above, not the command's own.
    pub oom_elsewhere: Option<bool>,
    /// When the jail ended the command while its main process was alive.
    pub at_kill: Option<AtKill>,
    /// Where `exit_signal` came from, when it ended the command by itself.
    pub signal_origin: Option<SignalOrigin>,
    pub fault: Option<Fault>,
}

/// Most processes that [`AtKill`] shows.
pub const MAX_PROCESSES_SHOWN: usize = 8;

/// A process of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// As the sandbox numbers it.
    pub pid: Option<u32>,
    /// What it calls itself (comm): at most 15 bytes, any.
    pub name: Vec<u8>,
    pub role: Role,
    /// User and system time, to a hundredth of a second.
    pub cpu_us: Option<u64>,
    pub activity: Option<Activity>,
    /// The system call that it waits in.
    pub waits_in: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    Main,
    Descendant,
}

/// What a process was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// On a CPU, or waiting for one.
    Running,
    /// By a stopping signal.
    Stopped,
    /// Dead, and not yet waited for by its parent.
    Ended,
    ReadingStdin,
    WritingStdout,
    WritingStderr,
    /// Another descriptor.
    Reading,
    Writing,
    WaitingForChild,
    /// For some time.
    Sleeping,
    /// poll, select, epoll: of which descriptors is not known.
    WaitingForEvents,
    WaitingForLock,
    WaitingForSignal,
    /// In another call, or in none.
    Waiting,
}

/// The sandbox in the moment before it was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtKill {
    pub processes: u64,
    /// How many of them there was time to look at, the main one first.
    pub looked_at: u64,
    /// Processes and threads, as the pids limit counts them.
    pub tasks: Option<u64>,
    /// The main process, then the others by the CPU time that they used; at most [`MAX_PROCESSES_SHOWN`].
    pub shown: Vec<Process>,
    /// The one that explains why nothing went on, where none was running.
    pub held_up: Option<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalOrigin {
    /// There was never another process in its sandbox.
    Itself,
    /// A process of its sandbox, which may have been itself.
    Sandbox,
    /// The kernel, for an instruction that could not be carried out.
    Fault,
}

/// Where the main process crashed, as the kernel's log tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// `segfault`, `invalid opcode` ...; the kernel's own word.
    pub kind: String,
    /// What was accessed.
    pub address: Option<u64>,
    pub instruction: u64,
    pub stack: u64,
    /// The access was at the stack pointer, where no stack was left.
    pub at_stack_edge: Option<bool>,
}

/// What a command consumed. Microseconds and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_user_us: u64,
    pub cpu_system_us: u64,
    /// From exec to the end of the main process.
    pub wall_us: u64,
    pub peak_memory_bytes: u64,
    /// `None` where the kernel does not tell (before 6.1's pids.peak, cgroup v1).
    pub peak_pids: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub throttled_us: u64,
    pub oom_kills: u64,
    /// Names of the fields above that are lower bounds only (e.g. rusage misses processes that were never waited for).
    pub lower_bounds: Vec<String>,
}

/// Moments of one command, microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// The jail took the plan.
    pub accepted_us: u64,
    /// The sandbox stood, the command not yet executed.
    pub prepared_us: u64,
    /// exec.
    pub started_us: u64,
    /// The main process was reaped.
    pub ended_us: u64,
    /// Every process gone, counters read, files opened.
    pub collected_us: u64,
}

/// What became of one wanted file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileFound {
    /// A regular file; its descriptor is attached, open for reading.
    Found {
        size: u64,
        mode: u32,
    },
    Missing,
    /// A directory, link, device, FIFO or socket; or a link on the way.
    NotRegular,
    TooLarge {
        size: u64,
    },
    Unreadable {
        errno: i32,
    },
}

/// The infrastructure failed: the command did not run, or its end is unknown. Never the job's matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {detail} (errno {errno})")]
pub struct Failure {
    /// The step of sandbox making that failed, e.g. `mount_overlay`, `join_cgroup`, `landlock`, `seccomp`.
    pub step: String,
    /// errno of the failing call, 0 where none applies.
    pub errno: i32,
    /// What was attempted; no strings from the job.
    pub detail: String,
}

impl Failure {
    pub(crate) fn new(step: &str, errno: impl Into<i32>, detail: impl Into<String>) -> Self {
        Self { step: step.to_owned(), errno: errno.into(), detail: detail.into() }
    }

    /// For `map_err`: turns the errno of a system call into the failure of a step.
    pub(crate) fn of(step: &'static str, detail: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |errno| Self::new(step, errno.raw_os_error(), detail)
    }
}
