//! Tries: an image archive that makes a link outward and then writes through it.
//! Seen: CVE-2021-32803 and CVE-2018-20834 of node-tar; dpkg, bsdtar.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, file, link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a name through a link", &archive(&[link("out", "../../../../etc"), file("out/kiln-attack")])).await
}
