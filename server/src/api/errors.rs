//! From the server's errors to what a client is told. Our own failures are logged here and told without their inside.

use kiln_archive::Refusal;
use kiln_proto::Invalid;
use kiln_proto::status::Reason;
use tonic::Status;

use crate::blobs::BlobError;
use crate::jobs::recovery::RecoveryError;
use crate::store::StoreError;

/// A failure of ours.
pub(super) fn internal(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::error!(what, error, "a call failed");
    Reason::Internal.status(format!("the server failed: {what}; its log says more"))
}

pub(super) fn store_failed(error: StoreError) -> Status {
    internal("the database", &error)
}

pub(super) fn unreadable(error: RecoveryError) -> Status {
    internal("a stored job cannot be read", &error)
}

/// A blocking task that did not end by itself: it panicked, or the server is shutting down.
pub(super) fn not_joined(error: tokio::task::JoinError) -> Status {
    internal("a task did not end", &error)
}

pub(super) fn blob_refused(error: BlobError) -> Status {
    let message = error.to_string();
    match error {
        BlobError::Unknown(_) => Reason::UnknownBlob.status(message),
        BlobError::TooLarge { max_blob_bytes, .. } => {
            Reason::BlobTooLarge.status_with(message, [("max_blob_bytes", max_blob_bytes.to_string())])
        }
        BlobError::Full { .. } => Reason::StoreFull.status(message),
        BlobError::Gap { kept, .. } => {
            Reason::BlobOffset.status_with(message, [("kept_bytes", kept.to_string())])
        }
        BlobError::Busy(_) => Reason::BlobOffset.status_with(message, [("kept_bytes", "0".to_owned())]),
        BlobError::WrongSize { .. } => Reason::BlobOffset.status(message),
        BlobError::DigestMismatch { .. } => Reason::DigestMismatch.status(message),
        BlobError::BeyondEnd { .. } => Reason::InvalidRequest.status_for(&Invalid::new("offset", message)),
        BlobError::SetUp { .. } | BlobError::Read(_) | BlobError::Write(_) | BlobError::Remove(_) => {
            internal("the blob store", &error)
        }
    }
}

pub(super) fn archive_refused(refusal: &Refusal) -> Status {
    Reason::ArchiveRefused.status(refusal.to_string())
}

/// A field of a request other than a job's specification.
pub(super) fn field(field: &str, why: impl ToString) -> Status {
    Reason::InvalidRequest.status_for(&Invalid::new(field, why.to_string()))
}

/// A stream that began or went on wrongly.
pub(super) fn order(message: &str) -> Status {
    Reason::StreamOrder.status(message)
}
