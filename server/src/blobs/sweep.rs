//! Collecting blobs that nobody names any more. Who names what is for the caller to say.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kiln_proto::model::Digest;

use super::{BlobError, Blobs};
use crate::store::{Store, StoreError};

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The directory could not be read, or a file not removed.
    #[error("sweep the blobs")]
    Files(#[source] BlobError),
    /// The store could not say who uses a blob.
    #[error("ask who uses a blob")]
    Uses(#[source] StoreError),
}

/// Removes what was not asked for since `retention`, is not pinned, and that no stored job or image names.
pub async fn sweep(
    blobs: &Arc<Blobs>,
    store: &dyn Store,
    retention: Duration,
) -> Result<Removed, SweepError> {
    let mut removed = Removed::default();
    let listing = blobs.clone();
    let old = blocking(move || listing.older_than(retention)).await?;
    for (path, digest) in old {
        if store.is_blob_used(*digest.as_bytes()).await.map_err(SweepError::Uses)? {
            continue;
        }
        let blobs = blobs.clone();
        if let Some(bytes) = blocking(move || blobs.remove_if_old(&path, &digest, retention)).await? {
            removed.files += 1;
            removed.bytes += bytes;
        }
    }
    Ok(removed)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, SweepError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer.map_err(SweepError::Files),
        Err(_) => Err(SweepError::Uses(StoreError::Closed)),
    }
}

impl Blobs {
    fn older_than(&self, retention: Duration) -> Result<Vec<(PathBuf, Digest)>, BlobError> {
        let mut old = Vec::new();
        self.each_file(|path, metadata| {
            if is_old(metadata, retention)
                && let Some(digest) = digest_of(path)
            {
                old.push((path.to_owned(), digest));
            }
        })
        .map_err(BlobError::Read)?;
        Ok(old)
    }

    /// Looks again under the lock: it may have been asked for, pinned or taken up since.
    fn remove_if_old(
        &self,
        path: &Path,
        digest: &Digest,
        retention: Duration,
    ) -> Result<Option<u64>, BlobError> {
        let mut state = self.state();
        if state.pins.contains_key(digest) || state.uploading.contains(digest) {
            return Ok(None);
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BlobError::Read(error)),
        };
        if !is_old(&metadata, retention) {
            return Ok(None);
        }
        fs::remove_file(path).map_err(BlobError::Remove)?;
        state.total_bytes = state.total_bytes.saturating_sub(metadata.len());
        Ok(Some(metadata.len()))
    }
}

fn is_old(metadata: &Metadata, retention: Duration) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age >= retention)
}

/// `…/ab/cdef…` or `…/partial/abcdef…`, back to the digest.
fn digest_of(path: &Path) -> Option<Digest> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent()?.file_name()?.to_str()?;
    let hex = if directory == "partial" { name.to_owned() } else { format!("{directory}{name}") };
    format!("blake3:{hex}").parse().ok()
}
