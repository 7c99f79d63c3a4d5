//! Tries: an image archive with a hard link to a file of the host.
//! Seen: CVE-2018-12015 of Archive::Tar; GNU tar.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, hard_link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a hard link outward", &archive(&[hard_link("shadow", "../../../../etc/shadow")])).await
}
