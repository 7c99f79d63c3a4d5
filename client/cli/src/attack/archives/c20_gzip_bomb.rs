//! Tries: an image archive of a few kilobytes that unpacks to a gigabyte, compressed by gzip.
//! Seen: 42.zip; every unpacker without a cap.
//! Must: it is refused while it is unpacked, in bounded memory and disk.

use super::tar::{Entry, file, gzip, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let mut bomb = Entry { size: Some(1 << 40), ..file("bomb") }.bytes();
    bomb.resize(64 << 20, 0);
    must_be_refused(target, "a gzip bomb", &gzip(&bomb)?).await
}
