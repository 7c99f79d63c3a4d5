//! Tries: sends a job of ten thousand steps, and a step of a thousand commands.
//! Seen: every queue that counts jobs and not their parts.
//! Must: each is an error that says how many are allowed.

use super::asking::{self, honest, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let mut steps = job(target, |_| {});
    let one = steps.steps.remove(0);
    steps.steps = (0..10_000).map(|n| kiln_proto::v1::Step { name: format!("s{n}"), ..one.clone() }).collect();
    refused_field("10,000 steps", asking::run(target, steps).await, "steps")?;
    let mut commands = job(target, |_| {});
    commands.steps[0].commands = (0..1_000).map(|_| honest(target)).collect();
    refused_field("1,000 commands", asking::run(target, commands).await, "commands")
}
