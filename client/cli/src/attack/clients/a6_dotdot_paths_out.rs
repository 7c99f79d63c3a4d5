//! Tries: asks for files back from paths that lead out of the job's directories.
//! Seen: go-judge 0.3.0 to 1.10.0: host files through copy-out.
//! Must: every such path is an error that names its field.

use kiln_proto::v1;

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

const PATHS: [&str; 9] = [
    "/work/../etc/shadow",
    "/etc/shadow",
    "shadow",
    "/proc/self/root/etc/shadow",
    "/proc/1/environ",
    "/work/",
    "/",
    "/work/a\0b",
    "",
];

pub(super) async fn run(target: &Target) -> Held {
    for path in PATHS {
        let file = v1::FileOut { path: path.into(), optional: true, max_bytes: None };
        let spec = job(target, |command| command.files_out.push(file));
        let what = format!("a file out from {}", path.escape_default());
        refused_field(&what, asking::run(target, spec).await, "files_out[0]")?;
    }
    Ok(())
}
