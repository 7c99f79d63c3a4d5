//! Tries: an image archive with one name twice, so that what is checked is not what is kept.
//! Seen: Android master key (bug 8219321).
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a name twice", &archive(&[file("twice"), file("twice")])).await
}
