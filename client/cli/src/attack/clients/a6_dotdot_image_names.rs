//! Tries: names images by paths, at import and in a job.
//! Seen: every image store that makes a path of a name.
//! Must: a name that is none is refused, and names no image.

use kiln_proto::status::Reason;

use super::asking::{self, job, refused};
use crate::attack::Held;
use crate::attack::archives::tar::{archive, directory, import};
use crate::attack::target::Target;

const NAMES: [&str; 8] = ["..", "../../etc", "/etc", "a/b", "host", "a\0b", "A", "-x"];

pub(super) async fn run(target: &Target) -> Held {
    let archive = archive(&[directory("bin")]);
    for name in NAMES {
        refused("a path as the name of an image", import(target, name, &archive).await)?;
    }
    for name in NAMES.iter().filter(|name| **name != "host") {
        let spec = job(target, |command| command.image = (*name).to_owned());
        refused("a job in an image named by a path", asking::run(target, spec).await)?;
    }
    let spec = job(target, |command| command.image = "kiln-attack-no-such-image".to_owned());
    asking::refused_as("a job in an image that is not there", asking::run(target, spec).await, Reason::UnknownImage)
}
