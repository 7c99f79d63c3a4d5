//! Tries: an image archive that is none: noise, and a header whose checksum is wrong.
//! Seen: every parser's first day.
//! Must: it is refused, and nothing of it is kept.

use super::tar::{archive, file, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "noise", &[0x42; 10_000]).await?;
    let mut forged = archive(&[file("a")]);
    forged[0] = b'b';
    must_be_refused(target, "a wrong checksum", &forged).await
}
