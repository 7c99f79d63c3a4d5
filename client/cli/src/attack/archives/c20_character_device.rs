//! Tries: an image archive with a device node for the host's memory.
//! Seen: rkt, LXD and docker load: device nodes in images.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, must_be_refused, special};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a character device", &archive(&[special("mem", b'3')])).await
}
