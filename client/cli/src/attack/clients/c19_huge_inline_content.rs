//! Tries: sends content in the request that belongs into a blob.
//! Seen: every queue whose rows hold what clients send.
//! Must: it is an error that names the field and the bound.

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;
use crate::attack::programs::{file_in, inline};

pub(super) async fn run(target: &Target) -> Held {
    let content = vec![b'x'; kiln_proto::MAX_INLINE_BYTES + 1];
    let spec = job(target, |command| command.files_in.push(file_in("/work/a", inline(&content))));
    refused_field("1 MiB and a byte inline", asking::run(target, spec).await, "inline")?;
    let content = vec![b'x'; kiln_proto::MAX_INLINE_BYTES];
    let spec = job(target, |command| {
        command.files_in.extend((0..5).map(|n| file_in(&format!("/work/{n}"), inline(&content))));
    });
    asking::refused("5 MiB inline together", asking::run(target, spec).await)
}
