//! How a case must end, and whether it did: read off a command's result, never off what the program claims alone.

use std::fmt;

use kiln_proto::model::{self, LimitName};
use kiln_proto::v1::{self, OutcomeKind};

/// What a case prints when it got through.
const ESCAPED: &str = "ESCAPED";
const HELD: &str = "HELD";
/// A sentence of a complaint quotes at most this much of a hostile output.
const QUOTED_BYTES: usize = 200;

/// One right end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Everything was refused: a line that starts with `HELD`, exit status 0.
    Held,
    Exit(i32),
    Signal(i32),
    /// The limit stopped it, with a value seen that reaches it.
    Limit(LimitName),
    /// The outcome names one of these calls.
    Forbidden(Vec<String>),
}

impl Expectation {
    /// Whether a result is one of those expected; the error is a sentence for people, with hostile bytes escaped.
    pub fn judge(expected: &[Expectation], result: &v1::CommandResult) -> Result<(), String> {
        let stdout = text(result.stdout.as_ref());
        let stderr = text(result.stderr.as_ref());
        if let Some(line) = stdout.lines().chain(stderr.lines()).find(|line| line.contains(ESCAPED)) {
            return Err(format!("it says {}", quoted(line)));
        }
        let Some(outcome) = &result.outcome else { return Err("there is no outcome".to_owned()) };
        let told = complete(outcome)?;
        if expected.iter().any(|one| one.fits(outcome, &stdout)) {
            return Ok(());
        }
        let wanted: Vec<String> = expected.iter().map(Expectation::to_string).collect();
        let said = if stdout.trim().is_empty() && stderr.trim().is_empty() {
            String::new()
        } else {
            format!("; it says {}", quoted(&format!("{stdout}{stderr}")))
        };
        Err(format!("expected {}, but it {told}{said}", wanted.join(" or ")))
    }

    fn fits(&self, outcome: &v1::Outcome, stdout: &str) -> bool {
        let kind = outcome.kind();
        match self {
            Expectation::Held => {
                kind == OutcomeKind::Exited
                    && outcome.code == Some(0)
                    && stdout.lines().any(|line| line.starts_with(HELD))
            }
            Expectation::Exit(code) => kind == OutcomeKind::Exited && outcome.code == Some(*code),
            Expectation::Signal(signal) => kind == OutcomeKind::Signalled && outcome.signal == Some(*signal),
            Expectation::Limit(limit) => {
                kind == OutcomeKind::Limit && LimitName::from_wire(outcome.limit()) == Some(*limit)
            }
            Expectation::Forbidden(calls) => {
                kind == OutcomeKind::Forbidden && calls.contains(&outcome.syscall)
            }
        }
    }
}

/// Asserts that an outcome carries what belongs to its kind; the answer is its sentence.
fn complete(outcome: &v1::Outcome) -> Result<String, String> {
    let sentence = quoted(&outcome.sentence);
    let complete = match outcome.kind() {
        OutcomeKind::Exited => outcome.code.is_some(),
        OutcomeKind::Signalled => outcome.signal.is_some(),
        OutcomeKind::Limit => {
            let reached =
                outcome.seen_value.zip(outcome.limit_value).is_some_and(|(seen, limit)| seen >= limit);
            if !reached {
                let (seen, limit) = (outcome.seen_value, outcome.limit_value);
                return Err(format!(
                    "stopped at a limit that was not reached: seen {seen:?}, limit {limit:?}"
                ));
            }
            true
        }
        OutcomeKind::Forbidden => !outcome.syscall.is_empty(),
        OutcomeKind::Cancelled => true,
        OutcomeKind::Infrastructure => {
            let (step, detail) = (&outcome.infrastructure_step, &outcome.infrastructure_detail);
            return Err(format!("Kiln itself failed: {}: {}", quoted(step), quoted(detail)));
        }
        OutcomeKind::Unspecified => false,
    };
    if !complete || outcome.sentence.is_empty() || outcome.evidence.is_none() {
        return Err(format!("the outcome lacks what explains it: {sentence}"));
    }
    Ok(sentence)
}

/// A number of a signal by name.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    (1..=64).find(|&number| model::signal_name(number) == Some(name))
}

fn text(output: Option<&v1::Output>) -> String {
    output.map(|output| String::from_utf8_lossy(&output.data).into_owned()).unwrap_or_default()
}

/// Hostile text, short and without a byte that a terminal would act on.
pub(crate) fn quoted(text: &str) -> String {
    let mut end = text.len().min(QUOTED_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let more = if end < text.len() { "…" } else { "" };
    let printable = |c: char| {
        if c == ' ' || (!c.is_control() && !c.is_whitespace()) {
            c.to_string()
        } else {
            c.escape_default().to_string()
        }
    };
    text[..end].trim().chars().map(printable).collect::<String>() + more
}

impl fmt::Display for Expectation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Held => formatter.write_str("HELD and exit status 0"),
            Expectation::Exit(code) => write!(formatter, "exit status {code}"),
            Expectation::Signal(signal) => {
                formatter.write_str(model::signal_name(*signal).unwrap_or("a signal"))
            }
            Expectation::Limit(limit) => write!(formatter, "the {limit} limit"),
            Expectation::Forbidden(calls) => write!(formatter, "the forbidden call {}", calls.join(" or ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_proto::v1::{CommandResult, Evidence, Outcome, Output};

    use super::*;

    fn result(outcome: Outcome, stdout: &str) -> CommandResult {
        let outcome =
            Outcome { sentence: "it ended".to_owned(), evidence: Some(Evidence::default()), ..outcome };
        let output = Output { data: stdout.to_owned().into(), ..Output::default() };
        CommandResult { outcome: Some(outcome), stdout: Some(output), ..CommandResult::default() }
    }

    fn exited(code: i32) -> Outcome {
        Outcome { kind: OutcomeKind::Exited.into(), code: Some(code), ..Outcome::default() }
    }

    fn limit(name: v1::LimitName, seen: u64) -> Outcome {
        Outcome {
            kind: OutcomeKind::Limit.into(),
            limit: name.into(),
            limit_value: Some(10),
            seen_value: Some(seen),
            ..Outcome::default()
        }
    }

    fn forbidden(call: &str) -> Outcome {
        Outcome { kind: OutcomeKind::Forbidden.into(), syscall: call.to_owned(), ..Outcome::default() }
    }

    #[test]
    fn each_end_fits_its_expectation_and_no_other() {
        let signal = Outcome { kind: OutcomeKind::Signalled.into(), signal: Some(11), ..Outcome::default() };
        let ends = [
            (Expectation::Held, result(exited(0), "a line\nHELD: refused\n")),
            (Expectation::Exit(3), result(exited(3), "")),
            (Expectation::Signal(11), result(signal, "")),
            (Expectation::Limit(LimitName::Wall), result(limit(v1::LimitName::Wall, 10), "")),
            (Expectation::Forbidden(vec!["i386:getpid".into()]), result(forbidden("i386:getpid"), "")),
        ];
        for (expected, _) in &ends {
            for (fitting, result) in &ends {
                let judged = Expectation::judge(std::slice::from_ref(expected), result);
                assert_eq!(judged.is_ok(), expected == fitting, "{expected} {result:?}");
            }
        }
        let either = [Expectation::Held, Expectation::Exit(3)];
        assert!(Expectation::judge(&either, &ends[1].1).is_ok());
    }

    #[test]
    fn an_escape_is_never_held_whatever_the_outcome() {
        for outcome in [exited(0), forbidden("unshare")] {
            let result = result(outcome, "HELD\nESCAPED: \x1b[2J a file\n");
            let expected = [Expectation::Held, Expectation::Forbidden(vec!["unshare".into()])];
            let why = Expectation::judge(&expected, &result).unwrap_err();
            assert!(why.contains("ESCAPED: \\u{1b}[2J a file"), "{why}");
        }
    }

    #[test]
    fn held_needs_the_line_and_the_status() {
        for result in
            [result(exited(0), "well\n"), result(exited(1), "HELD\n"), result(exited(0), "not HELD\n")]
        {
            assert!(Expectation::judge(&[Expectation::Held], &result).is_err(), "{result:?}");
        }
    }

    #[test]
    fn an_outcome_without_its_evidence_is_refused() {
        let short = result(limit(v1::LimitName::Wall, 9), "");
        let why = Expectation::judge(&[Expectation::Limit(LimitName::Wall)], &short).unwrap_err();
        assert!(why.contains("not reached"), "{why}");
        let mut bare = result(exited(0), "HELD\n");
        bare.outcome.as_mut().unwrap().evidence = None;
        assert!(Expectation::judge(&[Expectation::Held], &bare).is_err());
        let ours = Outcome {
            kind: OutcomeKind::Infrastructure.into(),
            infrastructure_step: "mount".to_owned(),
            ..Outcome::default()
        };
        let why = Expectation::judge(&[Expectation::Held], &result(ours, "HELD\n")).unwrap_err();
        assert!(why.contains("Kiln itself failed: mount"), "{why}");
        assert!(Expectation::judge(&[Expectation::Held], &CommandResult::default()).is_err());
    }

    #[test]
    fn signals_have_numbers() {
        assert_eq!(
            (signal_number("SIGSEGV"), signal_number("SIGABRT"), signal_number("SIGNAL")),
            (Some(11), Some(6), None)
        );
    }

    #[test]
    fn long_hostile_text_is_cut_between_characters() {
        let cut = quoted(&"é".repeat(500));
        assert!(cut.ends_with('…') && cut.chars().count() == 101, "{cut}");
    }
}
