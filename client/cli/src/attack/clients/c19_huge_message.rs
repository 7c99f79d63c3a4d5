//! Tries: sends a message that is larger than any message may be.
//! Seen: every gRPC server without a bound on what it decodes.
//! Must: it is refused before it is read to its end, and the service goes on.

use super::asking::{self, job, refused};
use crate::attack::Held;
use crate::attack::target::Target;
use crate::attack::programs::{file_in, inline};

const BYTES: usize = 32 << 20;

pub(super) async fn run(target: &Target) -> Held {
    let content = vec![b'x'; BYTES];
    let spec = job(target, |command| command.files_in.push(file_in("/work/a", inline(&content))));
    refused("a message of 32 MiB", asking::run(target, spec).await)?;
    asking::still_serves(target).await
}
