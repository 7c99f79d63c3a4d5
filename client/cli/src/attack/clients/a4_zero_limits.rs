//! Tries: asks for limits of zero, so that a job runs for ever.
//! Seen: Judge0: wall_time_limit 0 (CHANGELOG 1.13.0).
//! Must: each is an error that names its field.

use kiln_proto::v1;

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

type Set = fn(&mut v1::Limits);

/// Each limit alone.
const LIMITS: [(&str, Set); 10] = [
    ("cpu_ms", |limits| limits.cpu_ms = Some(0)),
    ("wall_ms", |limits| limits.wall_ms = Some(0)),
    ("memory_bytes", |limits| limits.memory_bytes = Some(0)),
    ("pids", |limits| limits.pids = Some(0)),
    ("output_bytes", |limits| limits.output_bytes = Some(0)),
    ("file_size_bytes", |limits| limits.file_size_bytes = Some(0)),
    ("disk_bytes", |limits| limits.disk_bytes = Some(0)),
    ("inodes", |limits| limits.inodes = Some(0)),
    ("open_files", |limits| limits.open_files = Some(0)),
    ("stack_bytes", |limits| limits.stack_bytes = Some(0)),
];

pub(super) async fn run(target: &Target) -> Held {
    for (field, set) in LIMITS {
        let spec = job(target, |command| set(command.limits.get_or_insert_default()));
        refused_field(&format!("{field} of zero"), asking::run(target, spec).await, field)?;
    }
    Ok(())
}
