//! The socket between worker and jail: one SOCK_SEQPACKET datagram per message, postcard inside, descriptors beside.
//!
//! States of the dialogue, seen from the worker: `Configure` -> `Ready | Failed`; then, again and again,
//! `Run` -> (`Started`, `Progress`*)? -> `Finished | Failed` -> `Release` -> `Released`. `Kill` may be sent at any time after
//! `Run` and is ignored when the command has ended. EOF in either direction ends the other side: a jail whose worker died
//! kills its sandbox, cleans up and exits.

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::report::{Failure, Report};

/// Worker to jail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    Configure(Setup),
    /// With descriptors as [`Plan`] says.
    Run(Box<Plan>),
    Kill(KillReason),
    /// The worker has closed every descriptor that came with the report: destroy what is left.
    Release,
}

/// What a jail is told once, before its first plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Names the jail's cgroups: `<cgroup_name>/<jail>-<n>`.
    pub jail: u32,
    /// Group that the worker made for itself in every hierarchy, `kiln-<pid of worker>`, made by the first jail that needs it.
    pub cgroup_name: String,
    /// CPUs commands may run on; empty: all.
    pub cpus: Vec<u32>,
    /// First host uid and gid of this jail's 65,536 (see `uid_range`).
    pub uid_base: u32,
    /// Layers the operator allows to be missing, by name; empty by default.
    pub allow_missing: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillReason {
    Cancelled,
    /// The worker counted more output than the limit; `seen` bytes on the stream.
    OutputLimit {
        seen: u64,
    },
}

/// Jail to worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The jail stands and can make sandboxes.
    Ready,
    /// The command was executed.
    Started {
        unix_us: u64,
    },
    /// A few times a second while a command runs.
    Progress {
        cpu_us: u64,
        memory_bytes: u64,
    },
    Finished(Box<Report>),
    /// Set-up or supervision failed; a `Release` is still expected when a plan was running.
    Failed(Failure),
    /// Everything of the last command is gone: processes, mounts, cgroups.
    Released,
}
