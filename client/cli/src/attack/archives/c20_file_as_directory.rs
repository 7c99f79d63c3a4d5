//! Tries: an image archive that puts a file below a file.
//! Seen: unpackers that replace what is in their way.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a file below a file", &archive(&[file("a"), file("a/b")])).await
}
