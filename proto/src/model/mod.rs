//! The checked model: types that cannot hold nonsense, each with its way from and to the wire.
//!
//! A [`JobSpec`] exists only when every rule of the API holds; everything behind the API's edge works on these types. Checks collect every
//! violation, with the path of its field and what is allowed. Nothing here does I/O or reads a clock ([`JobId::now`] apart).

mod checker;
mod command;
mod content;
mod dag;
mod digest;
mod evidence;
mod job;
mod limit_name;
mod limit_policy;
mod limits;
mod names;
mod outcome;
mod path;
mod profile;
mod result;
mod sentence;
mod signal;
mod step;
mod units;
mod usage;
mod verdict;
mod violation;

pub use command::{
    Command, EnvVar, FileIn, FileOut, ImageRef, ImageRefError, MAX_ARGUMENT_BYTES, MAX_FILES_IN,
    MAX_FILES_OUT,
};
pub use content::{Content, OutputPart, Stream};
pub use digest::{Digest, DigestError};
pub use evidence::{Activity, AtKill, Evidence, Fault, Process, Role, SignalOrigin};
pub use job::{JobSpec, MAX_STEPS, Priority};
pub use limit_name::{LimitEffect, LimitName};
pub use limit_policy::{LimitPolicy, LimitsTable, PolicyError};
pub use limits::{Limits, MIN_DISK, MIN_INODES, MIN_MEMORY, MIN_STACK};
pub use names::{
    CommandName, IdempotencyKey, ImageName, JobId, LabelName, LabelValue, Labels, MAX_IDEMPOTENCY_KEY_BYTES,
    MAX_LABEL_VALUE_BYTES, MAX_LABELS, MAX_NAME_BYTES, MAX_WORKER_NAME_BYTES, NameError, ProfileName,
    StepName, WorkerName,
};
pub use outcome::{Ending, Outcome};
pub use path::{FilePath, MAX_COMPONENT_BYTES, MAX_PATH_BYTES, PathError, SandboxPath};
pub use profile::{Profile, ProfileError, ProfileNames};
pub use result::{CommandResult, FileContent, FileResult, FileState, Output, Phases};
pub use signal::signal_name;
pub use step::{MAX_COMMANDS, MAX_PIPES, Pipe, Step};
pub use units::{ByteSize, Count, CpuRate, CpuTime, UnitError, WallTime, human_bytes, human_micros};
pub use usage::{Usage, UsageField};
pub use verdict::{Verdict, command_verdict, job_verdict, step_succeeded, step_verdict};
pub use violation::{Invalid, Violation};
