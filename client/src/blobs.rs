//! The calls of `Blobs`: resumable upload, verified download. Nothing of a blob but one chunk is held in memory.

use std::io::SeekFrom;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use kiln_proto::v1;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tonic::{Code, Status};

use crate::retry::{Pauses, idempotent};
use crate::{Client, ClientError};

/// Chunks go up in this size: below the bound of 1 MiB, large enough that the framing costs nothing.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// Times an interrupted transfer is taken up again without any progress in between.
const RESUMPTIONS: u32 = 5;

/// A blob that the server holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `blake3:<64 hex>`.
    pub digest: String,
    pub size_bytes: u64,
    /// The server had it before: nothing was stored twice.
    pub already_stored: bool,
}

impl Client {
    /// Stores what `source` holds from its beginning. `what` names it in errors. Goes on where an interrupted upload ended.
    pub async fn put_blob<S>(&self, mut source: S, what: &str) -> Result<Stored, ClientError>
    where
        S: AsyncRead + AsyncSeek + Unpin,
    {
        let unreadable = |error| ClientError::Read { what: what.to_owned(), source: error };
        let (digest, size_bytes) = digest_of(&mut source).await.map_err(unreadable)?;
        let mut pauses = Pauses::default();
        let mut attempt = 0;
        loop {
            let stat = self.blob_stat(&digest).await?;
            if stat.stored {
                return Ok(Stored { digest, size_bytes, already_stored: true });
            }
            let offset = stat.size_bytes.min(size_bytes);
            source.seek(SeekFrom::Start(offset)).await.map_err(unreadable)?;
            let header = v1::PutBlobHeader { digest: digest.clone(), size_bytes, offset };
            match self.put_once(header, &mut source, what).await {
                Ok(answer) => {
                    return Ok(Stored { digest, size_bytes, already_stored: answer.already_stored });
                }
                Err(error) if error.code() == Some(Code::Unavailable) && attempt < RESUMPTIONS => {
                    attempt += 1;
                    tokio::time::sleep(pauses.next_pause()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a blob is stored, and how much of an interrupted upload is.
    pub async fn blob_stat(&self, digest: &str) -> Result<v1::StatBlobResponse, ClientError> {
        let request = v1::StatBlobRequest { digest: digest.to_owned() };
        idempotent(|| async { self.blobs().stat(request.clone()).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("Blobs.Stat"))
    }

    /// Writes a blob to `sink` and verifies its digest: when this fails, what was written must not be used.
    /// Goes on where an interrupted download ended. Returns the size.
    pub async fn blob_to<W>(&self, digest: &str, sink: &mut W) -> Result<u64, ClientError>
    where
        W: AsyncWrite + Unpin,
    {
        let mut hasher = blake3::Hasher::new();
        let mut received = 0_u64;
        let mut pauses = Pauses::default();
        let mut attempt = 0;
        loop {
            let before = received;
            match self.blob_once(digest, &mut received, &mut hasher, sink).await {
                Ok(()) => break,
                Err(error) if error.code() == Some(Code::Unavailable) && attempt < RESUMPTIONS => {
                    attempt = if received > before { 0 } else { attempt + 1 };
                    tokio::time::sleep(pauses.next_pause()).await;
                }
                Err(error) => return Err(error),
            }
        }
        let written = |source| ClientError::WriteContent { digest: digest.to_owned(), source };
        sink.flush().await.map_err(written)?;
        let found = name_of(&hasher);
        if found != digest {
            return Err(ClientError::DigestMismatch { wanted: digest.to_owned(), found });
        }
        Ok(received)
    }

    async fn blob_once<W>(
        &self,
        digest: &str,
        received: &mut u64,
        hasher: &mut blake3::Hasher,
        sink: &mut W,
    ) -> Result<(), ClientError>
    where
        W: AsyncWrite + Unpin,
    {
        let refused = ClientError::call("Blobs.Get");
        let request = v1::GetBlobRequest { digest: digest.to_owned(), offset: *received };
        let mut chunks = self.blobs().get(request).await.map_err(&refused)?.into_inner();
        while let Some(part) = chunks.message().await.map_err(&refused)? {
            hasher.update(&part.chunk);
            *received += part.chunk.len() as u64;
            let written = |source| ClientError::WriteContent { digest: digest.to_owned(), source };
            sink.write_all(&part.chunk).await.map_err(written)?;
        }
        Ok(())
    }

    async fn put_once<S>(
        &self,
        header: v1::PutBlobHeader,
        source: &mut S,
        what: &str,
    ) -> Result<v1::PutBlobResponse, ClientError>
    where
        S: AsyncRead + Unpin,
    {
        let left = header.size_bytes - header.offset;
        let header = v1::PutBlobRequest { part: Some(v1::put_blob_request::Part::Header(header)) };
        let wrap = |chunk| v1::PutBlobRequest { part: Some(v1::put_blob_request::Part::Chunk(chunk)) };
        let mut client = self.blobs();
        send_chunks(source, left, what, header, wrap, |requests| async move { client.put(requests).await })
            .await?
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("Blobs.Put"))
    }
}

/// Streams `header` and then `left` bytes of `source` into a client-streaming `call`. The outer error is our own reading, the inner the server's answer.
///
/// The requests must not borrow from `source` (tonic wants them `'static`), so chunks go through a channel of one, and reading goes on only as fast as the
/// server takes them.
pub(crate) async fn send_chunks<S, M, A, F>(
    source: &mut S,
    left: u64,
    what: &str,
    header: M,
    wrap: impl Fn(Bytes) -> M,
    call: impl FnOnce(stream::BoxStream<'static, M>) -> F,
) -> Result<Result<A, Status>, ClientError>
where
    S: AsyncRead + Unpin,
    M: Send + 'static,
    F: Future<Output = Result<A, Status>>,
{
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver).boxed();
    let feed = async move {
        let mut left = left;
        if sender.send(header).await.is_err() {
            return Ok(());
        }
        while left > 0 {
            let want = CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES));
            let mut chunk = vec![0; want];
            let got = source
                .read(&mut chunk)
                .await
                .map_err(|source| ClientError::Read { what: what.to_owned(), source })?;
            if got == 0 {
                return Err(ClientError::ChangedWhileRead { what: what.to_owned() });
            }
            chunk.truncate(got);
            left -= got as u64;
            // A closed channel means that the server has answered already; the answer says why.
            if sender.send(wrap(Bytes::from(chunk))).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    };
    let (answer, fed) = tokio::join!(call(requests), feed);
    // A refusal outranks our own trouble: it came first and explains it.
    match (answer, fed) {
        (Ok(_), Err(error)) => Err(error),
        (answer, _) => Ok(answer),
    }
}

/// Digest and size of everything from the beginning to the end.
pub(crate) async fn digest_of<S>(source: &mut S) -> std::io::Result<(String, u64)>
where
    S: AsyncRead + AsyncSeek + Unpin,
{
    source.seek(SeekFrom::Start(0)).await?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size = 0;
    loop {
        let got = source.read(&mut buffer).await?;
        if got == 0 {
            return Ok((name_of(&hasher), size));
        }
        hasher.update(&buffer[..got]);
        size += got as u64;
    }
}

fn name_of(hasher: &blake3::Hasher) -> String {
    format!("blake3:{}", hasher.finalize().to_hex())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn a_digest_is_of_the_whole_content_wherever_the_source_stood() {
        let mut source = Cursor::new(vec![7_u8; 3 * CHUNK_BYTES + 5]);
        source.set_position(11);
        let (digest, size) = digest_of(&mut source).await.expect("memory can be read");
        assert_eq!(size, 3 * CHUNK_BYTES as u64 + 5);
        assert_eq!(digest, format!("blake3:{}", blake3::hash(source.get_ref()).to_hex()));
    }

    #[tokio::test]
    async fn all_chunks_are_sent_in_order_after_the_header() {
        let content: Vec<u8> = (0..2 * CHUNK_BYTES + 3).map(|at| (at % 251) as u8).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let answer = send_chunks(
            &mut Cursor::new(content.clone()),
            content.len() as u64,
            "memory",
            Bytes::from_static(b"header"),
            |chunk| chunk,
            |mut requests| async move {
                while let Some(part) = requests.next().await {
                    sink.lock().expect("not poisoned").push(part);
                }
                Ok::<_, Status>(())
            },
        )
        .await;
        assert!(matches!(answer, Ok(Ok(()))));
        let seen = seen.lock().expect("not poisoned");
        assert_eq!(seen[0], Bytes::from_static(b"header"));
        assert_eq!(seen[1..].concat(), content);
        assert!(seen[1..].iter().all(|chunk| chunk.len() <= CHUNK_BYTES));
    }

    #[tokio::test]
    async fn a_source_that_shrinks_is_an_error_and_a_refusal_outranks_it() {
        let shrunk = send_chunks(
            &mut Cursor::new(b"abc".to_vec()),
            10,
            "input",
            Bytes::new(),
            |chunk| chunk,
            |mut requests| async move {
                while requests.next().await.is_some() {}
                Ok::<_, Status>(())
            },
        )
        .await;
        assert!(matches!(shrunk, Err(ClientError::ChangedWhileRead { .. })));

        let refused = send_chunks(
            &mut Cursor::new(vec![0; 4 * CHUNK_BYTES]),
            4 * CHUNK_BYTES as u64,
            "input",
            Bytes::new(),
            |chunk| chunk,
            |requests| async move {
                drop(requests);
                Err::<(), _>(Status::resource_exhausted("too large"))
            },
        )
        .await;
        assert!(matches!(refused, Ok(Err(status)) if status.code() == Code::ResourceExhausted));
    }
}
