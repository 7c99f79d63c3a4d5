//! Outcomes in a few words.

use kiln_proto::model::signal_name;
use kiln_proto::v1::{self, OutcomeKind};

use crate::json::word;

/// For a column of a table: `exited 0`, `signal 11 SIGSEGV`, `limit memory`.
pub(crate) fn in_short(outcome: Option<&v1::Outcome>) -> String {
    let Some(outcome) = outcome else { return "unknown".to_owned() };
    match outcome.kind() {
        OutcomeKind::Exited => format!("exited {}", outcome.code.unwrap_or_default()),
        OutcomeKind::Signalled => {
            let number = outcome.signal.unwrap_or_default();
            signal_name(number)
                .map_or_else(|| format!("signal {number}"), |name| format!("signal {number} {name}"))
        }
        OutcomeKind::Limit => format!("limit {}", word(outcome.limit().as_str_name(), "LIMIT_NAME_")),
        // The call's name comes from the kernel's table, not from the job.
        OutcomeKind::Forbidden => format!("forbidden {}", outcome.syscall),
        OutcomeKind::Cancelled => "cancelled".to_owned(),
        OutcomeKind::Infrastructure => format!("kiln failed: {}", outcome.infrastructure_step),
        OutcomeKind::Unspecified => "unknown".to_owned(),
    }
}

/// Whether the outcome needs a sentence: an exit status alone explains itself, unless the program never ran.
pub(crate) fn needs_sentence(outcome: &v1::Outcome) -> bool {
    let never_ran = outcome.evidence.as_ref().is_some_and(|evidence| evidence.exec_errno.is_some());
    outcome.kind() != OutcomeKind::Exited || never_ran
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: OutcomeKind) -> v1::Outcome {
        v1::Outcome { kind: kind.into(), ..v1::Outcome::default() }
    }

    #[test]
    fn every_kind_has_its_words() {
        let table = [
            (v1::Outcome { code: Some(3), ..outcome(OutcomeKind::Exited) }, "exited 3"),
            (v1::Outcome { signal: Some(11), ..outcome(OutcomeKind::Signalled) }, "signal 11 SIGSEGV"),
            (v1::Outcome { signal: Some(40), ..outcome(OutcomeKind::Signalled) }, "signal 40"),
            (
                v1::Outcome { limit: v1::LimitName::OpenFiles.into(), ..outcome(OutcomeKind::Limit) },
                "limit open_files",
            ),
            (
                v1::Outcome { syscall: "ptrace".to_owned(), ..outcome(OutcomeKind::Forbidden) },
                "forbidden ptrace",
            ),
            (outcome(OutcomeKind::Cancelled), "cancelled"),
            (
                v1::Outcome {
                    infrastructure_step: "mount_proc".to_owned(),
                    ..outcome(OutcomeKind::Infrastructure)
                },
                "kiln failed: mount_proc",
            ),
        ];
        for (outcome, words) in table {
            assert_eq!(in_short(Some(&outcome)), words);
        }
    }
}
