//! Tries: an image archive with an entry of 8 GiB in its header and nothing behind it.
//! Seen: sparse bombs; integer overflows of tar sizes.
//! Must: the archive is refused before room is taken for it.

use super::tar::{Entry, archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "8 GiB that are not there", &archive(&[Entry { size: Some(8 << 30), ..file("huge") }])).await
}
