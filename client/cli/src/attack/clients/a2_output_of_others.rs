//! Tries: takes the output of steps that are not there, come later, or are itself.
//! Seen: every build graph that resolves references late.
//! Must: each is an error that names its field.

use kiln_proto::v1::{self, content, step_output};

use super::asking::{self, job, refused_field};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    for step in ["attack", "nobody", "", "../attack", "later"] {
        let what = step_output::What::File("/work/a".into());
        let output = v1::StepOutput { step: step.to_owned(), command: String::new(), what: Some(what) };
        let mut spec = job(target, |command| {
            command.stdin = Some(v1::Content { source: Some(content::Source::OutputOf(output)) });
        });
        let mut later = spec.steps[0].clone();
        later.name = "later".to_owned();
        later.commands[0].stdin = None;
        spec.steps.push(later);
        refused_field(&format!("the output of {step:?}"), asking::run(target, spec).await, "stdin")?;
    }
    Ok(())
}
