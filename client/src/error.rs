//! What can go wrong between a client and its server, with what to do next where that is known.

use kiln_proto::{Violation, status};
use tonic::{Code, Status};

use crate::Address;

/// A call that gave no answer, or an answer that cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach a server at {address}")]
    Connect { address: Address, source: tonic::transport::Error },
    /// The server refused, or the connection broke. `call` is the RPC, e.g. `Submit`.
    #[error("{call}: {}", status.message())]
    Call { call: &'static str, status: Box<Status> },
    #[error("{call}: the server's answer lacks `{field}`")]
    Incomplete { call: &'static str, field: &'static str },
    #[error("cannot read {what}")]
    Read { what: String, source: std::io::Error },
    #[error("cannot write the content of {digest}")]
    WriteContent { digest: String, source: std::io::Error },
    /// The bytes that came do not have the digest they were asked by.
    #[error("the content received for {wanted} has the digest {found}")]
    DigestMismatch { wanted: String, found: String },
    #[error("{what} changed while it was read; try again")]
    ChangedWhileRead { what: String },
}

impl ClientError {
    pub(crate) fn call(call: &'static str) -> impl Fn(Status) -> ClientError {
        move |status| ClientError::Call { call, status: Box::new(status) }
    }

    /// The gRPC code, when a server answered.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            ClientError::Call { status, .. } => Some(status.code()),
            _ => None,
        }
    }

    /// Kiln's stable reason, e.g. `UNKNOWN_JOB`, when a server gave one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            ClientError::Call { status, .. } => status::reason_text_of(status),
            _ => None,
        }
    }

    /// Everything the server found wrong with the request, field by field.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        match self {
            ClientError::Call { status, .. } => status::violations_of(status),
            _ => Vec::new(),
        }
    }
}
