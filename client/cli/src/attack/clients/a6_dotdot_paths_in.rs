//! Tries: puts files in at paths that lead out of the job's directories.
//! Seen: Judge0 CVE-2024-28185; zip slip.
//! Must: every path that is not below /work or /tmp, in one spelling, is an error that names its field.

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;
use crate::attack::programs::{file_in, inline};

const PATHS: [&str; 12] = [
    "/work/../etc/passwd",
    "/etc/passwd",
    "../etc/passwd",
    "/work",
    "/work/",
    "/work//a",
    "/work/./a",
    "/proc/self/environ",
    "/dev/null",
    "/dev/shm/a",
    "/work/a\0b",
    "",
];

pub(super) async fn run(target: &Target) -> Held {
    for path in PATHS {
        let spec = job(target, |command| command.files_in.push(file_in(path, inline(b"hostile"))));
        let what = format!("a file in at {}", path.escape_default());
        refused_field(&what, asking::run(target, spec).await, "files_in[1]")?;
    }
    Ok(())
}
