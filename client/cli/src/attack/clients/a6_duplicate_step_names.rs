//! Tries: gives two steps, and two commands of a step, one name, so that the output of one stands for the other's.
//! Seen: every pipeline that finds results by name.
//! Must: each is an error that names its field.

use super::asking::{self, honest, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let mut steps = job(target, |_| {});
    steps.steps.push(steps.steps[0].clone());
    refused_field("two steps of one name", asking::run(target, steps).await, "steps[1]")?;
    let mut commands = job(target, |command| command.name = "one".to_owned());
    let mut second = honest(target);
    second.name = "one".to_owned();
    commands.steps[0].commands.push(second);
    refused_field("two commands of one name", asking::run(target, commands).await, "commands[1]")
}
