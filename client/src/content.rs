//! Turning bytes into `Content`: inline when they are few, a stored blob when they are many.

use std::path::Path;

use bytes::Bytes;
use kiln_proto::v1::{self, content::Source};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt};

use crate::{Client, ClientError};

/// Inline contents of all jobs of a batch together; the rest of the message is for everything else.
const BATCH_INLINE_BYTES: usize = kiln_proto::MAX_MESSAGE_BYTES / 2;

/// Something whose content can be read twice: to find its digest, then to send it.
pub trait ContentReader: AsyncRead + AsyncSeek + Unpin + Send {}
impl<T: AsyncRead + AsyncSeek + Unpin + Send> ContentReader for T {}

impl Client {
    /// The content of a file on this machine: inline up to [`kiln_proto::MAX_INLINE_BYTES`], else uploaded.
    pub async fn content_of_file(&self, path: &Path) -> Result<v1::Content, ClientError> {
        let what = path.display().to_string();
        let file = tokio::fs::File::open(path)
            .await
            .map_err(|source| ClientError::Read { what: what.clone(), source })?;
        self.content_of(file, &what).await
    }

    /// The content of something that can be read from its beginning; `what` names it in errors.
    pub async fn content_of(
        &self,
        mut source: impl ContentReader,
        what: &str,
    ) -> Result<v1::Content, ClientError> {
        let unreadable = |error| ClientError::Read { what: what.to_owned(), source: error };
        source.rewind().await.map_err(unreadable)?;
        let mut beginning = Vec::new();
        let probe = kiln_proto::MAX_INLINE_BYTES as u64 + 1;
        (&mut source).take(probe).read_to_end(&mut beginning).await.map_err(unreadable)?;
        if beginning.len() <= kiln_proto::MAX_INLINE_BYTES {
            return Ok(inline(beginning));
        }
        drop(beginning);
        let stored = self.put_blob(source, what).await?;
        Ok(v1::Content { source: Some(Source::Blob(stored.digest)) })
    }

    /// Makes a spec fit into one message: uploads inline contents, the largest first, until what is left is at most
    /// [`kiln_proto::MAX_JOB_INLINE_BYTES`].
    pub async fn fit(&self, mut spec: v1::JobSpec) -> Result<v1::JobSpec, ClientError> {
        self.fit_within(&mut spec, kiln_proto::MAX_JOB_INLINE_BYTES).await?;
        Ok(spec)
    }

    /// As [`Client::fit`], for several specs that go in one message.
    pub async fn fit_batch(&self, mut specs: Vec<v1::JobSpec>) -> Result<Vec<v1::JobSpec>, ClientError> {
        let share = BATCH_INLINE_BYTES / specs.len().max(1);
        for spec in &mut specs {
            self.fit_within(spec, share.min(kiln_proto::MAX_JOB_INLINE_BYTES)).await?;
        }
        Ok(specs)
    }

    async fn fit_within(&self, spec: &mut v1::JobSpec, budget: usize) -> Result<(), ClientError> {
        loop {
            let (total, largest) = inline_contents(spec);
            let Some(largest) = largest else { return Ok(()) };
            let bytes = inline_bytes(largest).cloned().unwrap_or_default();
            if total <= budget && bytes.len() <= kiln_proto::MAX_INLINE_BYTES {
                return Ok(());
            }
            let stored = self.put_blob(std::io::Cursor::new(bytes), "an inline content").await?;
            largest.source = Some(Source::Blob(stored.digest));
        }
    }
}

fn inline(bytes: Vec<u8>) -> v1::Content {
    v1::Content { source: Some(Source::Inline(Bytes::from(bytes))) }
}

fn inline_bytes(content: &v1::Content) -> Option<&Bytes> {
    match &content.source {
        Some(Source::Inline(bytes)) => Some(bytes),
        _ => None,
    }
}

/// The size of all inline contents, and the largest of them.
fn inline_contents(spec: &mut v1::JobSpec) -> (usize, Option<&mut v1::Content>) {
    let commands = spec.steps.iter_mut().flat_map(|step| step.commands.iter_mut());
    let contents = commands.flat_map(|command| {
        command.stdin.iter_mut().chain(command.files_in.iter_mut().filter_map(|file| file.content.as_mut()))
    });
    let mut total = 0;
    let mut largest: Option<&mut v1::Content> = None;
    for content in contents {
        let Some(bytes) = inline_bytes(content) else { continue };
        let size = bytes.len();
        total += size;
        let before = largest.as_deref().and_then(inline_bytes).map_or(0, Bytes::len);
        if largest.is_none() || size > before {
            largest = Some(content);
        }
    }
    (total, largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: usize) -> v1::FileIn {
        v1::FileIn { content: Some(inline(vec![1; bytes])), ..v1::FileIn::default() }
    }

    #[test]
    fn the_largest_inline_content_is_found_among_stdin_and_files() {
        let command = v1::Command {
            stdin: Some(inline(vec![0; 10])),
            files_in: vec![file(5), file(30), v1::FileIn::default(), file(20)],
            ..v1::Command::default()
        };
        let step = v1::Step { commands: vec![command], ..v1::Step::default() };
        let mut spec = v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() };
        let (total, largest) = inline_contents(&mut spec);
        assert_eq!(total, 65);
        assert_eq!(largest.and_then(|content| inline_bytes(content).map(Bytes::len)), Some(30));
    }
}
