//! Errors on the wire: the one way from a refusal to a [`Status`], and back.
//!
//! Every refusal carries `google.rpc.ErrorInfo` with the domain `kiln` and a stable reason; bad input also carries
//! `google.rpc.BadRequest`. What is said here is bounded: it travels in HTTP/2 trailers, which many clients cut off at 8 KiB.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::model::{Invalid, Violation};

/// Domain of every ErrorInfo.
pub const DOMAIN: &str = "kiln";

/// Most bytes of violations in one answer; the details travel as base64, a third larger.
const MAX_VIOLATION_BYTES: usize = 3_000;
/// Most bytes of a message; non-ASCII bytes travel percent-encoded, three times as large.
const MAX_MESSAGE_TEXT_BYTES: usize = 1_000;

/// Makes the enum, its texts and its codes from one list.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $text:literal $code:ident),* $(,)?) => {
        /// Why a call was refused. Stable: clients may match on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Reason] = &[$(Reason::$variant),*];

            /// The stable word in ErrorInfo.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $text,)*
                }
            }

            /// The gRPC code that goes with it.
            pub const fn code(self) -> Code {
                match self {
                    $(Reason::$variant => Code::$code,)*
                }
            }
        }
    };
}

reasons! {
    /// The job's spec breaks a rule; BadRequest says which fields.
    InvalidJob "INVALID_JOB" InvalidArgument,
    /// Another field of the request breaks a rule; BadRequest says which.
    InvalidRequest "INVALID_REQUEST" InvalidArgument,
    /// The key was used with another spec.
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" AlreadyExists,
    /// No such job, or it is no longer retained.
    UnknownJob "UNKNOWN_JOB" NotFound,
    /// No such image.
    UnknownImage "UNKNOWN_IMAGE" NotFound,
    /// No such blob.
    UnknownBlob "UNKNOWN_BLOB" NotFound,
    /// No such language.
    UnknownLanguage "UNKNOWN_LANGUAGE" NotFound,
    /// The bytes do not have the digest that was promised.
    DigestMismatch "DIGEST_MISMATCH" InvalidArgument,
    /// More jobs wait than the server allows.
    QueueFull "QUEUE_FULL" ResourceExhausted,
    /// The blob is larger than the server stores.
    BlobTooLarge "BLOB_TOO_LARGE" InvalidArgument,
    /// The blob's bytes are not as many as its header said, or do not continue what is kept.
    BlobOffset "BLOB_OFFSET" FailedPrecondition,
    /// The server's blob store has no room.
    StoreFull "STORE_FULL" ResourceExhausted,
    /// The image's archive breaks a rule.
    ArchiveRefused "ARCHIVE_REFUSED" InvalidArgument,
    /// No worker is connected that could run this.
    NoWorker "NO_WORKER" Unavailable,
    /// The messages of a stream came in a wrong order, or one was missing.
    StreamOrder "STREAM_ORDER" InvalidArgument,
    /// The watcher or worker was replaced or is not registered.
    NotRegistered "NOT_REGISTERED" FailedPrecondition,
    /// The caller may not talk to this server.
    PeerRefused "PEER_REFUSED" PermissionDenied,
    /// The server is stopping.
    ShuttingDown "SHUTTING_DOWN" Unavailable,
    /// The server failed; its log says more.
    Internal "INTERNAL" Internal,
}

impl Reason {
    /// By its word.
    pub fn from_text(text: &str) -> Option<Self> {
        Reason::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }

    /// Refuses with a message for people.
    pub fn status(self, message: impl AsRef<str>) -> Status {
        self.status_with(message, [])
    }

    /// Refuses with a message for people and facts for programs.
    pub fn status_with<const N: usize>(self, message: impl AsRef<str>, facts: [(&str, String); N]) -> Status {
        let details = ErrorDetails::with_error_info(self.as_str(), DOMAIN, metadata(facts));
        Status::with_error_details(self.code(), cut(message.as_ref(), MAX_MESSAGE_TEXT_BYTES), details)
    }

    /// Refuses because of fields of the request.
    pub fn status_for(self, invalid: &Invalid) -> Status {
        let mut details = ErrorDetails::with_error_info(self.as_str(), DOMAIN, metadata([]));
        details.set_bad_request(bounded(&invalid.violations));
        let first = invalid.violations.first().map(Violation::to_string).unwrap_or_default();
        let message = match invalid.violations.len() {
            0 | 1 => first,
            several => format!("{first} (and {} more)", several - 1),
        };
        Status::with_error_details(self.code(), cut(&message, MAX_MESSAGE_TEXT_BYTES), details)
    }
}

impl From<&Invalid> for Status {
    fn from(invalid: &Invalid) -> Self {
        Reason::InvalidJob.status_for(invalid)
    }
}

/// The reason of a refusal, when it is one of Kiln's that this version knows.
pub fn reason_of(status: &Status) -> Option<Reason> {
    Reason::from_text(&reason_text_of(status)?)
}

/// The reason's word, also of a newer server.
pub fn reason_text_of(status: &Status) -> Option<String> {
    status.get_details_error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason)
}

/// Facts of a refusal, e.g. how much of an upload is kept.
pub fn facts_of(status: &Status) -> HashMap<String, String> {
    status.get_details_error_info().map(|info| info.metadata).unwrap_or_default()
}

/// What is wrong with the request, field by field; empty when the refusal is about something else.
pub fn violations_of(status: &Status) -> Vec<Violation> {
    let fields =
        status.get_details_bad_request().map(|bad_request| bad_request.field_violations).unwrap_or_default();
    fields.into_iter().map(|violation| Violation::new(violation.field, violation.description)).collect()
}

fn metadata<const N: usize>(facts: [(&str, String); N]) -> HashMap<String, String> {
    facts.into_iter().map(|(name, value)| (name.to_owned(), cut(&value, MAX_MESSAGE_TEXT_BYTES))).collect()
}

/// As many violations as fit; one more says how many did not.
fn bounded(violations: &[Violation]) -> Vec<FieldViolation> {
    let mut room = MAX_VIOLATION_BYTES;
    let mut fitting = Vec::new();
    for violation in violations {
        let (field, why) = (cut(&violation.field, 400), cut(&violation.why, 600));
        let Some(left) = room.checked_sub(field.len() + why.len() + 8) else {
            break;
        };
        room = left;
        fitting.push(FieldViolation::new(field, why));
    }
    let unlisted = violations.len() - fitting.len();
    if unlisted > 0 {
        fitting.push(FieldViolation::new("...", format!("and {unlisted} more violations, not listed")));
    }
    fitting
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_back() {
        for reason in Reason::ALL {
            let status = reason.status_with("told", [("kept_bytes", "5".to_owned())]);
            assert_eq!(status.code(), reason.code());
            assert_eq!(status.message(), "told");
            assert_eq!(reason_of(&status), Some(*reason));
            assert_eq!(facts_of(&status)["kept_bytes"], "5");
            assert_eq!(violations_of(&status), []);
        }
    }

    #[test]
    fn reasons_are_distinct_words() {
        let words: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn violations_are_read_back() {
        let invalid = Invalid { violations: vec![Violation::new("a.b", "x"), Violation::new("c", "y")] };
        let status = Status::from(&invalid);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(reason_of(&status), Some(Reason::InvalidJob));
        assert_eq!(status.message(), "a.b: x (and 1 more)");
        assert_eq!(violations_of(&status), invalid.violations);
    }

    #[test]
    fn many_violations_fit_into_trailers() {
        let violation = |index| Violation::new(format!("steps[{index}].name"), "é".repeat(500));
        let invalid = Invalid { violations: (0..100).map(violation).collect() };
        let status = Reason::InvalidJob.status_for(&invalid);
        let size = status.details().len() * 4 / 3 + status.message().len() * 3;
        assert!(size < 8_000, "{size} bytes");
        let last = violations_of(&status).pop().expect("there are some");
        assert!(last.why.ends_with("not listed"), "{last}");
    }

    #[test]
    fn other_statuses_have_no_reason() {
        assert_eq!(reason_of(&Status::unavailable("connection refused")), None);
        assert_eq!(violations_of(&Status::unavailable("connection refused")), []);
    }
}
