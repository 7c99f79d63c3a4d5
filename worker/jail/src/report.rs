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
    /// Bytes of the writable tmpfs in use at the end, and whether it was full.
    pub disk_used_bytes: u64,
    pub disk_full: bool,
    pub inodes_used: u64,
    pub inodes_full: bool,
    /// CPU time over wall time, in thousandths: 0 is idle, 1000 is one busy CPU.
    pub busy_millis: u32,
    /// Processes still alive when the main process ended; all were killed.
    pub left_running: u64,
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
