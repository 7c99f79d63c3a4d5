//! Tries: sends a command with a hundred thousand files, labels and environment variables.
//! Seen: every service that makes an inode of each thing it is told.
//! Must: each is refused by the bound of its field or of the message.

use kiln_proto::v1;

use super::asking::{self, job, refused};
use crate::attack::Held;
use crate::attack::target::Target;
use crate::attack::programs::{file_in, inline};

const MANY: usize = 100_000;

pub(super) async fn run(target: &Target) -> Held {
    let files = job(target, |command| {
        command.files_in.extend((0..MANY).map(|n| file_in(&format!("/work/{n}"), inline(b"x"))));
    });
    refused("100,000 files", asking::run(target, files).await)?;
    let mut labels = job(target, |_| {});
    labels.labels = (0..MANY).map(|n| (format!("l{n}"), String::new())).collect();
    refused("100,000 labels", asking::run(target, labels).await)?;
    let variables = job(target, |command| {
        command.env.extend((0..MANY).map(|n| v1::EnvVar { name: format!("V{n}").into(), value: "x".repeat(64).into() }));
    });
    refused("100,000 variables", asking::run(target, variables).await)?;
    asking::still_serves(target).await
}
