//! How a command of `kiln` fails: an exit status, what happened, and what to do next.

use std::fmt;

use kiln_client::ClientError;
use kiln_proto::Violation;
use serde::Serialize;
use tonic::Code;

use crate::exit;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    pub(crate) message: String,
    /// What a person can do about it.
    pub(crate) next: Option<String>,
    /// Kiln's stable reason, when a server gave one.
    pub(crate) reason: Option<String>,
    pub(crate) violations: Vec<FieldViolation>,
}

/// One field that was wrong.
#[derive(Debug, Serialize)]
pub(crate) struct FieldViolation {
    pub(crate) field: String,
    pub(crate) why: String,
}

impl From<Violation> for FieldViolation {
    fn from(violation: Violation) -> FieldViolation {
        FieldViolation { field: violation.field, why: violation.why }
    }
}

impl Failure {
    /// The caller's mistake: wrong flags, files that are not there.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(exit::USAGE, message)
    }

    /// The answer is no: there is no such job, a check did not hold.
    pub(crate) fn negative(message: impl Into<String>) -> Failure {
        Failure::new(exit::NEGATIVE, message)
    }

    /// Kiln, or the way to it, failed.
    pub(crate) fn kiln(message: impl Into<String>) -> Failure {
        Failure::new(exit::KILN_FAILED, message)
    }

    /// As [`Failure::kiln`], with an error and its sources.
    pub(crate) fn caused(doing: &str, error: &dyn std::error::Error) -> Failure {
        Failure::kiln(format!("{doing}: {}", with_sources(error)))
    }

    /// Whoever read our output went away. Nothing is to be said about it.
    pub(crate) fn closed_pipe() -> Failure {
        Failure::new(exit::CLOSED_PIPE, "")
    }

    /// A signal asked us to end. Nothing more is to be said.
    pub(crate) fn interrupted(exit: u8) -> Failure {
        Failure::new(exit, "")
    }

    pub(crate) fn next(self, next: impl Into<String>) -> Failure {
        Failure { next: Some(next.into()), ..self }
    }

    fn new(exit: u8, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), next: None, reason: None, violations: Vec::new() }
    }

    /// The failure as one JSON object, for `--json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"error": {
            "message": self.message,
            "reason": self.reason,
            "violations": self.violations,
            "next": self.next,
            "exit_status": self.exit,
        }})
    }
}

/// For people, several lines.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "kiln: {}", self.message)?;
        for violation in &self.violations {
            write!(formatter, "\n  {}: {}", violation.field, violation.why)?;
        }
        match &self.next {
            Some(next) => write!(formatter, "\n  {next}"),
            None => Ok(()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let reason = error.reason();
        let violations: Vec<_> = error.violations().into_iter().map(FieldViolation::from).collect();
        let exit = match (&error, error.code()) {
            (ClientError::Read { .. } | ClientError::ChangedWhileRead { .. }, _)
            | (_, Some(Code::InvalidArgument | Code::OutOfRange)) => exit::USAGE,
            // A job that names what is not there is wrong usage; asking for what is not there has the answer no.
            (ClientError::Call { call: "Run" | "Submit" | "SubmitBatch", .. }, Some(Code::NotFound)) => {
                exit::USAGE
            }
            (_, Some(Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition)) => exit::NEGATIVE,
            _ => exit::KILN_FAILED,
        };
        let message = match &error {
            _ if violations.is_empty() => with_sources(&error),
            ClientError::Call { call: "Run" | "Submit" | "SubmitBatch", .. } => {
                "the server refused the job:".to_owned()
            }
            _ => "the server refused the request:".to_owned(),
        };
        let next = next_step(&error, reason.as_deref());
        Failure { exit, message, next, reason, violations }
    }
}

/// The kernel let us not in.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

fn next_step(error: &ClientError, reason: Option<&str>) -> Option<String> {
    if let ClientError::Connect { .. } = error {
        if is_forbidden(error) {
            return Some("its socket is for the server's user and root: run this as one of them".to_owned());
        }
        return Some("start one with `kiln up`, or name another with --server or KILN_SERVER".to_owned());
    }
    let next = match reason? {
        "UNKNOWN_JOB" => "`kiln list` shows the jobs that the server still has",
        "UNKNOWN_IMAGE" => "`kiln image list` shows the images there are",
        "IDEMPOTENCY_KEY_REUSED" => "use another --key, or submit the same job again",
        "QUEUE_FULL" => "wait for jobs to end and try again",
        "NO_WORKER" => "start a worker with `kiln worker`",
        "BLOB_TOO_LARGE" => "raise the server's blob limit in its configuration, or send less",
        _ => return None,
    };
    Some(next.to_owned())
}

/// An error and what caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some errors of libraries repeat their source in their own text.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> ClientError {
        ClientError::Call { call: "Get", status: Box::new(tonic::Status::new(code, "no")) }
    }

    #[test]
    fn codes_become_exit_statuses() {
        let table = [
            (Code::InvalidArgument, exit::USAGE),
            (Code::NotFound, exit::NEGATIVE),
            (Code::Unavailable, exit::KILN_FAILED),
            (Code::Internal, exit::KILN_FAILED),
        ];
        for (code, status) in table {
            assert_eq!(Failure::from(refused(code)).exit, status, "{code:?}");
        }
    }

    #[test]
    fn a_socket_that_is_not_for_us_is_told_apart_from_one_that_is_not_there() {
        let read = |kind: std::io::ErrorKind| ClientError::Read { what: "x".into(), source: kind.into() };
        assert!(is_forbidden(&read(std::io::ErrorKind::PermissionDenied)));
        assert!(!is_forbidden(&read(std::io::ErrorKind::NotFound)));
    }

    #[test]
    fn a_failure_says_what_and_what_next() {
        let failure = Failure::usage("no file").next("give one");
        assert_eq!(failure.to_string(), "kiln: no file\n  give one");
        assert_eq!(failure.to_json()["error"]["exit_status"], 2);
    }
}
