//! Tries: an image archive whose second link is only outward by way of the first.
//! Seen: CVE-2021-37712 of node-tar: caches of directories that became links.
//! Must: the archive is refused, and nothing of it is kept.

use super::tar::{archive, directory, file, link, must_be_refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    must_be_refused(target, "a name through two links", &archive(&[directory("a"), link("a/b", "../.."), link("a/c", "b/etc"), file("a/c/kiln-attack")])).await
}
