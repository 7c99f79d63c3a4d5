//! Tries: sends arguments and variables that hold NUL bytes, no name, or nothing at all.
//! Seen: every execve wrapper that cuts at the first NUL.
//! Must: each is an error that names its field.

use kiln_proto::v1;

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

type Forge = fn(&mut v1::Command);

/// What is wrong, the field that must be named, and how.
const FORGED: [(&str, &str, Forge); 6] = [
    ("no argv", "argv", |command| command.argv.clear()),
    ("an empty program", "argv[0]", |command| command.argv[0] = "".into()),
    ("a NUL in an argument", "argv[1]", |command| command.argv[1] = "a\0b".into()),
    ("a variable with = in its name", "env", |command| push(command, "A=B", "x")),
    ("a variable without a name", "env", |command| push(command, "", "x")),
    ("a variable with a NUL", "env", |command| push(command, "A", "x\0LD_PRELOAD=y")),
];

fn push(command: &mut v1::Command, name: &'static str, value: &'static str) {
    command.env.push(v1::EnvVar { name: name.into(), value: value.into() });
}

pub(super) async fn run(target: &Target) -> Held {
    for (what, field, forge) in FORGED {
        refused_field(what, asking::run(target, job(target, forge)).await, field)?;
    }
    Ok(())
}
