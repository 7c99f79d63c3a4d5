//! What a command left: its output streams and the files it was asked for, as they go into its result.
//!
//! Files are read through the jail's descriptors only, size-capped, on blocking threads. What is too large for a result becomes a
//! blob, stored here and at the server.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kiln_jail::plan::FileOut;
use kiln_jail::report::{Failure, FileFound};
use kiln_proto::model::Digest;
use kiln_proto::v1;
use tokio_util::sync::CancellationToken;

use crate::blobs::{BlobError, Blobs};
use crate::command::io_failure;
use crate::spool::{Spool, SpoolBytes};

/// Collects into one cache, and uploads unless nobody wants the result any more.
pub(crate) struct Collector<'a> {
    pub(crate) blobs: &'a Arc<Blobs>,
    pub(crate) abandoned: &'a CancellationToken,
    pub(crate) inline: &'a InlineBudget,
}

/// How many bytes of files one step's report may still hold: with 8 commands of 250 files each, 64 KiB per file would
/// not fit into a message.
#[derive(Debug)]
pub(crate) struct InlineBudget(AtomicU64);

impl Default for InlineBudget {
    fn default() -> Self {
        Self(AtomicU64::new(kiln_proto::MAX_MESSAGE_BYTES as u64 / 2))
    }
}

impl InlineBudget {
    fn take(&self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// A stream that went into another command: nothing was kept.
pub(crate) fn piped_output() -> v1::Output {
    v1::Output { piped: true, ..v1::Output::default() }
}

/// A stream as far as it fits into a result.
pub(crate) fn output(spool: &Spool) -> v1::Output {
    let state = spool.state();
    v1::Output {
        data: spool.head().into(),
        size_bytes: state.kept_bytes,
        truncated: state.truncated,
        ..v1::Output::default()
    }
}

impl Collector<'_> {
    /// A stream, with the whole of it as a blob where it does not fit into a result.
    pub(crate) async fn durable_output(&self, spool: &Arc<Spool>) -> Result<v1::Output, Failure> {
        let mut output = output(spool);
        if output.size_bytes > output.data.len() as u64 {
            let bytes = SpoolBytes::new(Arc::clone(spool));
            let (digest, _) = self.store(bytes).await?;
            output.blob = self.publish(digest).await?;
        }
        Ok(output)
    }

    /// Every wanted file, in order. `descriptors` has one for each that was found.
    pub(crate) async fn files(
        &self,
        wanted: &[FileOut],
        found: Vec<FileFound>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Vec<v1::FileResult>, Failure> {
        let mut descriptors = descriptors.into_iter();
        let mut results = Vec::with_capacity(wanted.len());
        for (file, found) in wanted.iter().zip(found) {
            let mut result = v1::FileResult { path: file.path.clone().into(), ..v1::FileResult::default() };
            let state = match found {
                FileFound::Found { mode, .. } => {
                    let descriptor = descriptors.next().ok_or_else(missing_descriptor)?;
                    result.executable = mode & 0o111 != 0;
                    self.content(descriptor, file.max_bytes.get(), &mut result).await?
                }
                FileFound::Missing => v1::FileState::Missing,
                FileFound::NotRegular => v1::FileState::NotRegular,
                FileFound::TooLarge { size } => {
                    result.size_bytes = size;
                    v1::FileState::TooLarge
                }
                FileFound::Unreadable { .. } => v1::FileState::Unreadable,
            };
            result.set_state(state);
            results.push(result);
        }
        Ok(results)
    }

    /// Reads what is really there: the size in the report was true when the file was opened.
    async fn content(
        &self,
        descriptor: OwnedFd,
        max_bytes: u64,
        result: &mut v1::FileResult,
    ) -> Result<v1::FileState, Failure> {
        let blobs = Arc::clone(self.blobs);
        let read = tokio::task::spawn_blocking(move || read_file(File::from(descriptor), max_bytes, &blobs));
        match read.await.map_err(stopped)?.map_err(|error| blob_failure(&error))? {
            Content::Small(data) if self.inline.take(data.len() as u64) => {
                result.size_bytes = data.len() as u64;
                result.data = data;
            }
            Content::Small(data) => {
                let (digest, size_bytes) = self.store(io::Cursor::new(data)).await?;
                result.size_bytes = size_bytes;
                result.blob = self.publish(digest).await?;
            }
            Content::Blob(digest, size_bytes) => {
                result.size_bytes = size_bytes;
                result.blob = self.publish(digest).await?;
            }
            Content::TooLarge(size_bytes) => {
                result.size_bytes = size_bytes;
                return Ok(v1::FileState::TooLarge);
            }
        }
        Ok(v1::FileState::Found)
    }

    async fn store(&self, read: impl Read + Send + 'static) -> Result<(Digest, u64), Failure> {
        let blobs = Arc::clone(self.blobs);
        let stored = tokio::task::spawn_blocking(move || blobs.store(read)).await;
        stored.map_err(stopped)?.map_err(|error| blob_failure(&error))
    }

    /// Makes a stored blob known to the server, where there is one; gives its text.
    async fn publish(&self, digest: Digest) -> Result<String, Failure> {
        if self.blobs.has_server() {
            tokio::select! {
                uploaded = self.blobs.upload(&digest) => uploaded.map_err(|error| blob_failure(&error))?,
                () = self.abandoned.cancelled() => return Err(abandoned()),
            }
        }
        Ok(digest.to_string())
    }
}

enum Content {
    Small(Bytes),
    Blob(Digest, u64),
    TooLarge(u64),
}

fn read_file(file: File, max_bytes: u64, blobs: &Blobs) -> Result<Content, BlobError> {
    let mut capped = (&file).take(max_bytes.saturating_add(1));
    let mut head = Vec::new();
    let inline = kiln_proto::MAX_RESULT_BYTES as u64;
    let read = (&mut capped).take(inline + 1).read_to_end(&mut head);
    read.map_err(|source| BlobError::Read { source })?;
    if head.len() as u64 > max_bytes {
        return Ok(Content::TooLarge(file.metadata().map_or(head.len() as u64, |metadata| metadata.len())));
    }
    if head.len() as u64 <= inline {
        return Ok(Content::Small(head.into()));
    }
    let (digest, size_bytes) = blobs.store(head.as_slice().chain(capped))?;
    Ok(if size_bytes > max_bytes { Content::TooLarge(size_bytes) } else { Content::Blob(digest, size_bytes) })
}

fn blob_failure(error: &BlobError) -> Failure {
    let mut detail = error.to_string();
    let mut errno = 0;
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        errno = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).unwrap_or(errno);
        source = cause.source();
    }
    Failure { step: "collect".to_owned(), errno, detail }
}

fn stopped(error: tokio::task::JoinError) -> Failure {
    io_failure("collect", "read what the command left", &io::Error::other(error))
}

fn missing_descriptor() -> Failure {
    Failure {
        step: "collect".to_owned(),
        errno: 0,
        detail: "a file was found but its descriptor did not come".to_owned(),
    }
}

fn abandoned() -> Failure {
    Failure { step: "collect".to_owned(), errno: 0, detail: "the attempt is no longer wanted".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn file(length: usize) -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'f'; length]).unwrap();
        file.rewind().unwrap();
        file.into()
    }

    async fn collect(length: usize, max_bytes: u64) -> (v1::FileResult, Arc<Blobs>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::open(directory.path(), 1 << 30, None).unwrap());
        let wanted = FileOut { path: b"/work/out".to_vec(), max_bytes: max_bytes.try_into().unwrap() };
        let found = FileFound::Found { size: 5, mode: 0o755 };
        let abandoned = CancellationToken::new();
        let inline = InlineBudget::default();
        let collector = Collector { blobs: &blobs, abandoned: &abandoned, inline: &inline };
        let mut results = collector.files(&[wanted], vec![found], vec![file(length)]).await.unwrap();
        (results.remove(0), blobs, directory)
    }

    #[tokio::test]
    async fn files_come_inline_or_as_blobs_by_what_is_really_there() {
        for length in [0, 1, 64 * 1024] {
            let (result, ..) = collect(length, 1 << 30).await;
            assert_eq!(
                (result.state(), result.data.len(), result.size_bytes),
                (v1::FileState::Found, length, length as u64)
            );
            assert!(result.executable && result.blob.is_empty());
        }
        let (result, blobs, _directory) = collect(64 * 1024 + 1, 1 << 30).await;
        assert_eq!((result.state(), result.size_bytes), (v1::FileState::Found, 64 * 1024 + 1));
        assert!(result.data.is_empty());
        let blob = blobs.get(&result.blob.parse().unwrap()).await.unwrap();
        assert_eq!(blob.metadata().unwrap().len(), 64 * 1024 + 1);
    }

    #[tokio::test]
    async fn a_file_that_grew_beyond_its_cap_is_too_large() {
        for (length, max_bytes) in [(11, 10), (100_000, 10), (200_000, 100_000)] {
            let (result, ..) = collect(length, max_bytes).await;
            assert_eq!(result.state(), v1::FileState::TooLarge, "{length} of {max_bytes}");
            assert!(result.data.is_empty() && result.blob.is_empty());
        }
        let (result, ..) = collect(10, 10).await;
        assert_eq!(result.state(), v1::FileState::Found);
    }
}
