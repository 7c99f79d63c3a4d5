//! Tries: an image archive with names that are empty, end in NUL or a slash, or are only dots.
//! Seen: unpackers that normalise after they have checked.
//! Must: it is refused, and nothing of it is kept.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    for name in ["", ".", "..", "a/..", "./../b"] {
        must_be_refused(target, "an odd name", &archive(&[file(name)])).await?;
    }
    Ok(())
}
