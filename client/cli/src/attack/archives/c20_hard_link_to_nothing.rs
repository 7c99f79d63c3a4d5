//! Tries: an image archive with a hard link to an entry that is not there.
//! Seen: parsers that make what is missing.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, hard_link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a hard link to nothing", &archive(&[hard_link("hard", "no/such/entry")])).await
}
