//! Which languages this host has: each one's version command, run in the sandbox.

use futures_util::StreamExt;
use kiln_proto::language::Language;
use kiln_proto::model::JobSpec;
use kiln_proto::v1::{self, OutcomeKind};
use kiln_worker::library::Runner;

use crate::context::Context;
use crate::explain::check;
use crate::failure::Failure;

/// Longest version text that is shown.
const VERSION_CHARACTERS: usize = 60;

/// Asks every language of the table; `None` for those that this host lacks. In the table's order.
pub(crate) async fn find(
    context: &Context,
    runner: &Runner,
    at_once: usize,
) -> Result<Vec<(Language, Option<String>)>, Failure> {
    let asked = context.settings.languages.iter().map(|language| ask(language.clone(), context, runner));
    let answers: Vec<_> = futures_util::stream::iter(asked).buffered(at_once).collect().await;
    answers.into_iter().collect()
}

async fn ask(
    language: Language,
    context: &Context,
    runner: &Runner,
) -> Result<(Language, Option<String>), Failure> {
    // An imported image is not this host; its languages are the server's to tell.
    if language.image != "host" {
        return Ok((language, None));
    }
    let bounded = language.clone().bounded(&v1::Limits::from(&context.settings.limits.maximum));
    let step = v1::Step {
        name: "version".to_owned(),
        commands: vec![bounded.version_command()],
        ..v1::Step::default()
    };
    let spec: JobSpec = check(v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }, context)?;
    let results = runner
        .run(&spec.steps[0])
        .await
        .map_err(|error| Failure::caused(&format!("cannot ask for {}", language.name), &error))?;
    let version = results.first().and_then(version_of);
    Ok((language, version))
}

/// The first line that the tool said, when it exited 0.
fn version_of(result: &v1::CommandResult) -> Option<String> {
    let outcome = result.outcome.as_ref()?;
    if outcome.kind() != OutcomeKind::Exited || outcome.code != Some(0) {
        return None;
    }
    let said = |output: &Option<v1::Output>| {
        let data = output.as_ref().map(|output| String::from_utf8_lossy(&output.data).into_owned());
        data.unwrap_or_default().lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    };
    let line = said(&result.stdout).or_else(|| said(&result.stderr)).unwrap_or_default();
    Some(line.chars().filter(|character| !character.is_control()).take(VERSION_CHARACTERS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(code: i32, stdout: &'static str, stderr: &'static str) -> v1::CommandResult {
        let output = |text: &'static str| Some(v1::Output { data: text.into(), ..v1::Output::default() });
        v1::CommandResult {
            outcome: Some(v1::Outcome {
                kind: OutcomeKind::Exited.into(),
                code: Some(code),
                ..v1::Outcome::default()
            }),
            stdout: output(stdout),
            stderr: output(stderr),
            ..v1::CommandResult::default()
        }
    }

    #[test]
    fn the_first_line_that_says_something_is_the_version() {
        assert_eq!(version_of(&result(0, "\n  gcc 12\x1b[0m\nmore", "")).as_deref(), Some("gcc 12[0m"));
        assert_eq!(version_of(&result(0, "", "openjdk 17\n")).as_deref(), Some("openjdk 17"));
        assert_eq!(version_of(&result(0, "", "")).as_deref(), Some(""));
        assert_eq!(version_of(&result(127, "gcc 12", "")), None);
    }
}
