//! Bytes of this machine on their way into a job: files, and our own stdin.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use kiln_client::Client;
use kiln_proto::v1::{self, content::Source};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::failure::Failure;
use crate::flags::pairs::FilePair;

/// Where contents go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contents<'a> {
    /// Small ones into the request, large ones to the server.
    Server { client: &'a Client, max_blob_bytes: u64 },
    /// Nowhere: they are only described (`--explain`).
    Described,
}

/// Where the program's stdin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    Empty,
    File(std::path::PathBuf),
    /// Our own, to its end.
    Ours,
}

impl Contents<'_> {
    pub(crate) async fn of_file(&self, path: &Path) -> Result<v1::Content, Failure> {
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{} is a directory", path.display()))
                .next("give single files, each with its own --file"));
        }
        match self {
            Contents::Server { client, .. } if metadata.is_file() => Ok(client.content_of_file(path).await?),
            // A pipe, e.g. of the shell's `<(...)`, cannot be read twice.
            Contents::Server { client, max_blob_bytes } => {
                let source = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, &error))?;
                read_once(client, source, &path.display().to_string(), *max_blob_bytes).await
            }
            Contents::Described => described(path).await.map_err(|error| unreadable(path, &error)),
        }
    }

    pub(crate) async fn file_in(&self, pair: &FilePair) -> Result<v1::FileIn, Failure> {
        let content = self.of_file(&pair.host).await?;
        let metadata = std::fs::metadata(&pair.host).map_err(|error| unreadable(&pair.host, &error))?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        Ok(v1::FileIn { path: pair.sandbox.clone().into(), content: Some(content), executable })
    }

    pub(crate) async fn of_stdin(&self, stdin: &Stdin) -> Result<Option<v1::Content>, Failure> {
        match (stdin, self) {
            (Stdin::Empty, _) | (Stdin::Ours, Contents::Described) => Ok(None),
            (Stdin::File(path), _) => self.of_file(path).await.map(Some),
            (Stdin::Ours, Contents::Server { client, max_blob_bytes }) => {
                read_once(client, tokio::io::stdin(), "stdin", *max_blob_bytes).await.map(Some)
            }
        }
    }
}

/// Reads what can be read only once, stdin or a pipe, to its end. What does not fit into a request goes over a temporary file, because a
/// blob's digest must be known before it is sent.
async fn read_once(
    client: &Client,
    mut source: impl AsyncRead + Unpin,
    what: &str,
    max_blob_bytes: u64,
) -> Result<v1::Content, Failure> {
    let broken = |error: std::io::Error| Failure::caused(&format!("cannot read {what}"), &error);
    let mut beginning = Vec::new();
    let probe = kiln_proto::MAX_INLINE_BYTES as u64 + 1;
    (&mut source).take(probe).read_to_end(&mut beginning).await.map_err(broken)?;
    if beginning.len() <= kiln_proto::MAX_INLINE_BYTES {
        return Ok(v1::Content { source: Some(Source::Inline(Bytes::from(beginning))) });
    }
    let stored =
        |error: std::io::Error| Failure::caused(&format!("cannot keep {what} in a temporary file"), &error);
    let mut spool = tokio::fs::File::from_std(tempfile::tempfile().map_err(stored)?);
    spool.write_all(&beginning).await.map_err(stored)?;
    let room = max_blob_bytes.saturating_sub(beginning.len() as u64).saturating_add(1);
    let more = tokio::io::copy(&mut source.take(room), &mut spool).await.map_err(stored)?;
    if more == room {
        let most = kiln_proto::model::human_bytes(max_blob_bytes);
        return Err(Failure::usage(format!("{what} is larger than the server takes, {most}")));
    }
    spool.flush().await.map_err(stored)?;
    spool.rewind().await.map_err(stored)?;
    Ok(client.content_of(spool, what).await?)
}

async fn described(path: &Path) -> std::io::Result<v1::Content> {
    let bytes = tokio::fs::read(path).await?;
    let source = if bytes.len() <= kiln_proto::MAX_INLINE_BYTES {
        Source::Inline(bytes.into())
    } else {
        Source::Blob(format!("blake3:{}", blake3::hash(&bytes).to_hex()))
    };
    Ok(v1::Content { source: Some(source) })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}
