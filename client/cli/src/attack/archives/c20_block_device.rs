//! Tries: an image archive with a device node for the host's disk.
//! Seen: rkt, LXD and docker load: device nodes in images.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, must_be_refused, special};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a block device", &archive(&[special("disk", b'4')])).await
}
