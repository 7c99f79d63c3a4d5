//! Tries: an image archive with a FIFO, on which whoever opens it waits for ever.
//! Seen: collectors that open what they unpacked.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, must_be_refused, special};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a FIFO", &archive(&[special("fifo", b'6')])).await
}
