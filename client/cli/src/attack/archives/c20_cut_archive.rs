//! Tries: an image archive that ends in the middle of an entry.
//! Seen: every reader that trusts a size.
//! Must: it is refused, and nothing of it is kept.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let whole = archive(&[file("first"), file("second")]);
    for length in [1, 511, 512, 513, 600, 1_100] {
        must_be_refused(target, "a cut archive", &whole[..length]).await?;
    }
    Ok(())
}
