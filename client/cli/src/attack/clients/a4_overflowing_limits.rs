//! Tries: asks for the largest numbers there are, so that a sum or a product of them overflows.
//! Seen: Judge0 CHANGELOG 1.13.0; every limit that is multiplied.
//! Must: each is over the policy's maximum, and the error names its field.

use kiln_proto::v1;

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

type Set = fn(&mut v1::Limits);

/// Each limit alone.
const LIMITS: [(&str, Set); 10] = [
    ("cpu_ms", |limits| limits.cpu_ms = Some(u64::MAX)),
    ("wall_ms", |limits| limits.wall_ms = Some(u64::MAX)),
    ("memory_bytes", |limits| limits.memory_bytes = Some(u64::MAX)),
    ("pids", |limits| limits.pids = Some(u64::MAX)),
    ("output_bytes", |limits| limits.output_bytes = Some(u64::MAX)),
    ("file_size_bytes", |limits| limits.file_size_bytes = Some(u64::MAX)),
    ("disk_bytes", |limits| limits.disk_bytes = Some(u64::MAX)),
    ("inodes", |limits| limits.inodes = Some(u64::MAX)),
    ("open_files", |limits| limits.open_files = Some(u64::MAX)),
    ("stack_bytes", |limits| limits.stack_bytes = Some(u64::MAX)),
];

pub(super) async fn run(target: &Target) -> Held {
    for (field, set) in LIMITS {
        let spec = job(target, |command| set(command.limits.get_or_insert_default()));
        refused_field(&format!("{field} of 2^64-1"), asking::run(target, spec).await, field)?;
    }
    Ok(())
}
