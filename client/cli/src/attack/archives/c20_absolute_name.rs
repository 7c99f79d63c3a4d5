//! Tries: an image archive with a name that begins at the host's root.
//! Seen: zip slip; tar traversal (CVE-2007-4559).
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "an absolute name", &archive(&[file("/tmp/kiln-attack-escaped")])).await
}
