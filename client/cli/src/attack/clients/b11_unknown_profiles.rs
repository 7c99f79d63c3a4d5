//! Tries: asks for no confinement, by the names that other services have for it.
//! Seen: docker run --privileged, seccomp=unconfined.
//! Must: only the profiles that there are can be asked for.

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

const PROFILES: [&str; 8] =
    ["unconfined", "none", "privileged", "../default", "default\0", "/etc/kiln/profile.json", "DEFAULT ", "{}"];

pub(super) async fn run(target: &Target) -> Held {
    for profile in PROFILES {
        let spec = job(target, |command| command.profile = profile.to_owned());
        refused_field(&format!("the profile {profile:?}"), asking::run(target, spec).await, "profile")?;
    }
    Ok(())
}
