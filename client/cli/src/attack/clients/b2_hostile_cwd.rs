//! Tries: starts a command in a directory that leads to the service's or the host's descriptors.
//! Seen: runc CVE-2024-21626: a working directory in /proc/self/fd.
//! Must: the path is refused, or the command does not start there.

use kiln_proto::v1::OutcomeKind;

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

const SPELLINGS: [&str; 4] = ["/work/..", "work", "/proc/self/cwd/../..", "/work/"];

pub(super) async fn run(target: &Target) -> Held {
    for cwd in SPELLINGS {
        let spec = job(target, |command| command.cwd = cwd.into());
        refused_field(&format!("the directory {cwd}"), asking::run(target, spec).await, "cwd")?;
    }
    for cwd in (0..10).map(|fd| format!("/proc/self/fd/{fd}")).chain(["/proc/1/cwd".to_owned(), "/proc/1/root".to_owned()]) {
        let spec = job(target, |command| command.cwd = cwd.clone().into());
        let Ok(done) = asking::run(target, spec).await else { continue };
        let outcome = done.steps.first().and_then(|step| step.commands.first()).and_then(|result| result.outcome.clone());
        let outcome = outcome.unwrap_or_default();
        if outcome.kind() == OutcomeKind::Exited && outcome.code == Some(0) {
            return Err(format!("a command ran in {cwd}"));
        }
    }
    asking::still_serves(target).await
}
