//! Tries: an image archive with a hard link to an absolute path of the host.
//! Seen: CVE-2016-6321 of GNU tar and its kin.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, hard_link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "an absolute hard link", &archive(&[hard_link("shadow", "/etc/shadow")])).await
}
