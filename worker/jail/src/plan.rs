//! A plan: everything the jail will do for one command, as data.
//!
//! Owns the description only. It is checked by [`Plan::check`] before anything irreversible happens, and printed by
//! `kiln run --explain`. It must never hold a descriptor or touch the host.

mod check;

#[cfg(test)]
pub(crate) use check::tests::example;

pub use check::{MAX_ARGUMENT_BYTES, MAX_FILES_IN, MAX_FILES_OUT, MAX_NAME_BYTES, MAX_PARTS, MAX_PATH_BYTES};

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

/// What to run, in which root, under which limits.
///
/// Descriptors travel beside it, in this order: stdin, stdout, stderr, then one per entry of `files_in`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Program and arguments as bytes, at least one. A first argument without `/` is looked up in `PATH` of `env`, or in
    /// `/usr/local/bin:/usr/bin:/bin` when `env` has none, inside the sandbox.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment. Nothing is inherited.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Absolute path inside the sandbox.
    pub cwd: Vec<u8>,
    pub rootfs: Rootfs,
    pub limits: Limits,
    pub profile: Profile,
    pub files_in: Vec<FileIn>,
    /// Absolute directory on the host where the files lie that are shown, never one that a job can write. `None` where all are copied.
    pub shown_from: Option<Vec<u8>>,
    pub files_out: Vec<FileOut>,
}

/// What a sandbox is made for: as much of a plan as must be known before. Everything else is told to the process that becomes the
/// command, once it waits in there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxKind {
    pub rootfs: Rootfs,
    pub writes: Writes,
    pub network: Network,
}

/// The empty network namespace of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The jail's, which the next command may have too, where nothing was left in it: for profiles without any but local sockets.
    Kept,
    /// Its own.
    Fresh,
}

impl Plan {
    pub fn kind(&self) -> SandboxKind {
        let network = self.profile.network();
        SandboxKind { rootfs: self.rootfs.clone(), writes: self.profile.writes(), network }
    }
}

/// A read-only image: parts of the host's file system, each below an overlay of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// The first part's target is `/`; the others' targets are directories that the parts before them contain.
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Absolute directory on the host, never one that a job can write.
    pub source: Vec<u8>,
    /// Absolute directory inside the sandbox.
    pub target: Vec<u8>,
}

/// Limits of one command. No field is optional and none can be zero: the caller has clamped them to its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time of all processes together, microseconds. Stops.
    pub cpu_us: NonZeroU64,
    /// Wall time since exec, microseconds. Stops.
    pub wall_us: NonZeroU64,
    /// Memory of all processes, page cache and tmpfs included; swap is off. Stops.
    pub memory_bytes: NonZeroU64,
    /// Processes and threads alive together. Stops at the first refused fork.
    pub pids: NonZeroU64,
    /// Bytes of stdout, and of stderr, each. Counted by the worker. Stops.
    pub output_bytes: NonZeroU64,
    /// Largest file that can be written (RLIMIT_FSIZE). Stops, by SIGXFSZ.
    pub file_size_bytes: NonZeroU64,
    /// Bytes in all writable places together (size of the tmpfs). Refuses with ENOSPC.
    pub disk_bytes: NonZeroU64,
    /// Inodes in all writable places together. Refuses with ENOSPC.
    pub inodes: NonZeroU64,
    /// Descriptors of one process (RLIMIT_NOFILE). Refuses with EMFILE.
    pub open_files: NonZeroU64,
    /// Stack of the main thread (RLIMIT_STACK). Refuses with SIGSEGV.
    pub stack_bytes: NonZeroU64,
    /// Thousandths of one CPU per second; 1000 is one whole CPU. Throttles.
    pub cpu_rate_millis: NonZeroU32,
}

/// Confinement profile: which system calls are allowed and where the command may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Computing and files.
    Strict,
    /// Languages with threads and JITs.
    Default,
    /// Compilers and build tools: may write anywhere in the throwaway root.
    Build,
    /// One of those that the jail was configured with.
    Custom { name: String, writes: Writes },
}

/// Where a command may write: the overlay and Landlock both say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// `/work`, `/tmp` and `/dev/shm`.
    #[default]
    Work,
    /// Anywhere in the throwaway root.
    Root,
}

/// A profile of the operator's, told to the jail once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomProfile {
    pub name: String,
    pub writes: Writes,
    /// The text of its policy file; see `docs/profiles.md`.
    pub policy: String,
}

impl Profile {
    /// As users call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Strict => "strict",
            Self::Default => "default",
            Self::Build => "build",
            Self::Custom { name, .. } => name,
        }
    }

    pub fn writes(&self) -> Writes {
        match self {
            Self::Strict | Self::Default => Writes::Work,
            Self::Build => Writes::Root,
            Self::Custom { writes, .. } => *writes,
        }
    }

    /// What an operator's profile allows is not known here.
    pub fn network(&self) -> Network {
        match self {
            Self::Strict | Self::Default | Self::Build => Network::Kept,
            Self::Custom { .. } => Network::Fresh,
        }
    }
}

/// A file put into the sandbox before the command starts, from its descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIn {
    /// Absolute path below `/work` or `/tmp`; missing parents are made.
    pub path: Vec<u8>,
    pub way: Way,
}

/// How a file gets into a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A copy of its own, in memory.
    Copied {
        /// Permission bits, 0o000 to 0o777.
        mode: u32,
        owner: Owner,
    },
    /// The file itself, without a copy and read-only for everybody: the one of this name in [`Plan::shown_from`], which the
    /// descriptor says too.
    Shown { name: Vec<u8> },
}

/// Who owns a file put into the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The command's own user: it may change the file.
    Command,
    /// The sandbox's root: read-only to the command (outputs of earlier steps).
    Root,
}

/// A file wanted back after any outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOut {
    /// Absolute path below `/work` or `/tmp`.
    pub path: Vec<u8>,
    /// A larger file is not returned.
    pub max_bytes: NonZeroU64,
}

/// Where a plan cannot be carried out, found before anything irreversible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("plan: {field}: {why}")]
pub struct PlanError {
    /// The plan's field, e.g. `files_in[2].path`.
    pub field: String,
    pub why: String,
}
