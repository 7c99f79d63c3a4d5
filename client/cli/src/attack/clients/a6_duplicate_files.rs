//! Tries: names one file twice, and a file as the directory of another, so that what is checked is not what is written.
//! Seen: zip archives with duplicate names, parsed twice.
//! Must: each is an error that names its field.

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;
use crate::attack::programs::{file_in, inline};

pub(super) async fn run(target: &Target) -> Held {
    for second in ["/work/a", "/work/a/b"] {
        let spec = job(target, |command| {
            command.files_in.extend(["/work/a", second].map(|path| file_in(path, inline(b"x"))));
        });
        refused_field(&format!("/work/a and {second}"), asking::run(target, spec).await, "files_in")?;
    }
    Ok(())
}
