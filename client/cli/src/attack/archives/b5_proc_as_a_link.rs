//! Tries: an image whose /proc is a link, so that what is mounted there lands elsewhere.
//! Seen: runc CVE-2026-41579.
//! Must: the image is refused.

use super::tar::{archive, directory, link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "/proc as a link", &archive(&[directory("etc"), link("proc", "etc")])).await
}
