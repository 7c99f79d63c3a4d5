//! Tries: asks for limits so small that making the sandbox itself would meet them.
//! Seen: isolate and nsjail reports of set-up failures taken for verdicts.
//! Must: each is an error that names its field, never a failure of the service.

use kiln_proto::v1;

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

type Set = fn(&mut v1::Limits);

const LIMITS: [(&str, Set); 4] = [
    ("memory_bytes", |limits| limits.memory_bytes = Some(1)),
    ("disk_bytes", |limits| limits.disk_bytes = Some(1)),
    ("inodes", |limits| limits.inodes = Some(1)),
    ("stack_bytes", |limits| limits.stack_bytes = Some(1)),
];

pub(super) async fn run(target: &Target) -> Held {
    for (field, set) in LIMITS {
        let spec = job(target, |command| set(command.limits.get_or_insert_default()));
        refused_field(&format!("{field} of 1"), asking::run(target, spec).await, field)?;
    }
    Ok(())
}
