//! Tries: an image whose /proc is a file.
//! Seen: runc CVE-2026-41579, the other way.
//! Must: the image is refused.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "/proc as a file", &archive(&[file("proc")])).await
}
