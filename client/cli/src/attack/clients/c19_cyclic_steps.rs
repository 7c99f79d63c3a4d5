//! Tries: lets steps wait for themselves and for each other, for ever.
//! Seen: every scheduler without a check for cycles.
//! Must: each is an error that names its field; nothing is queued.

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let mut own = job(target, |_| {});
    own.steps[0].needs = vec!["attack".to_owned()];
    refused_field("a step that needs itself", asking::run(target, own).await, "needs")?;
    let mut spec = job(target, |_| {});
    let mut other = spec.steps[0].clone();
    other.name = "other".to_owned();
    other.needs = vec!["attack".to_owned()];
    spec.steps[0].needs = vec!["other".to_owned()];
    spec.steps.push(other);
    refused_field("two steps that need each other", asking::run(target, spec).await, "steps")
}
