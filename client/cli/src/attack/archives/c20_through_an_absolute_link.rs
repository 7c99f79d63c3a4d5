//! Tries: an image archive that makes a link to the host's /etc and then writes through it.
//! Seen: CVE-2021-37701 of node-tar.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, file, link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a name through an absolute link", &archive(&[link("dir", "/etc"), file("dir/kiln-attack")])).await
}
