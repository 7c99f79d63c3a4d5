//! Tries: an image archive with a name that leads out by way of a directory of its own.
//! Seen: zip slip; tar traversal (CVE-2007-4559).
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, directory, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a name with .. in the middle", &archive(&[directory("a"), file("a/../../escaped")])).await
}
