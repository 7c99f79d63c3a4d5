//! Blobs over the wire: both directions resume where they broke off, with bounded, jittered retries.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use bytes::Bytes;
use kiln_proto::model::Digest;
use kiln_proto::v1;
use kiln_proto::v1::blobs_client::BlobsClient;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{BlobError, Incoming};
use crate::backoff::Backoff;

/// Failures of the server's that are tried again so often.
const TRIES: u32 = 6;
/// A server that cannot be reached is waited for this long: a restart must not cost a step its result. Whoever no longer
/// wants the transfer drops it.
const AWAY: Duration = Duration::from_secs(15 * 60);
const UPLOAD_CHUNK_BYTES: usize = 1024 * 1024;

/// Why a transfer failed for good.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("the server answered: {} ({:?})", .0.message(), .0.code())]
    Server(Status),
    #[error("{tries} tries failed, the last by: {}", last.message())]
    GaveUp { tries: u32, last: Status },
    #[error("what came has digest {found}")]
    DigestMismatch { found: Digest },
    #[error("keep what came")]
    Keep(#[source] Box<BlobError>),
    #[error("read the blob")]
    Read(#[source] io::Error),
}

/// Fetches a whole blob and verifies it.
pub(super) async fn fetch(
    server: Channel,
    digest: &Digest,
    mut incoming: Incoming,
) -> Result<Incoming, TransferError> {
    let mut client = client(server);
    let mut retry = Retry::new();
    while let Err(error) = fetch_rest(&mut client, digest, &mut incoming).await {
        retry.after(error).await?;
    }
    let found = incoming.digest();
    if found == *digest { Ok(incoming) } else { Err(TransferError::DigestMismatch { found }) }
}

/// Makes sure that the server has the blob in `file`.
pub(super) async fn upload(server: Channel, digest: &Digest, file: File) -> Result<(), TransferError> {
    let mut client = client(server);
    let mut retry = Retry::new();
    while let Err(error) = upload_rest(&mut client, digest, &file).await {
        retry.after(error).await?;
    }
    Ok(())
}

async fn fetch_rest(
    client: &mut BlobsClient<Channel>,
    digest: &Digest,
    incoming: &mut Incoming,
) -> Result<(), TransferError> {
    let request = v1::GetBlobRequest { digest: digest.to_string(), offset: incoming.size_bytes };
    let mut chunks = client.get(request).await.map_err(TransferError::Server)?.into_inner();
    while let Some(message) = chunks.message().await.map_err(TransferError::Server)? {
        // A chunk is at most 256 KiB and goes to the page cache: too short to be worth a blocking thread.
        incoming.append(&message.chunk).map_err(|error| TransferError::Keep(Box::new(error)))?;
    }
    Ok(())
}

async fn upload_rest(
    client: &mut BlobsClient<Channel>,
    digest: &Digest,
    file: &File,
) -> Result<(), TransferError> {
    let stat = v1::StatBlobRequest { digest: digest.to_string() };
    let kept = client.stat(stat).await.map_err(TransferError::Server)?.into_inner();
    if kept.stored {
        return Ok(());
    }
    let size_bytes = file.metadata().map_err(TransferError::Read)?.len();
    let offset = if kept.size_bytes <= size_bytes { kept.size_bytes } else { 0 };
    let header = v1::PutBlobHeader { digest: digest.to_string(), size_bytes, offset };
    let file = file.try_clone().map_err(TransferError::Read)?;
    let (send, receive) = mpsc::channel(2);
    let reading = tokio::task::spawn_blocking(move || read_chunks(file, header, &send));
    let put = client.put(ReceiverStream::new(receive)).await;
    match reading.await {
        Ok(read) => read.map_err(TransferError::Read)?,
        Err(stopped) => return Err(TransferError::Read(io::Error::other(stopped))),
    }
    put.map(drop).map_err(TransferError::Server)
}

/// Sends the header and what follows its offset, until the receiver is gone. Blocks.
fn read_chunks(
    mut file: File,
    header: v1::PutBlobHeader,
    send: &mpsc::Sender<v1::PutBlobRequest>,
) -> io::Result<()> {
    use v1::put_blob_request::Part;
    file.seek(SeekFrom::Start(header.offset))?;
    let mut part = Part::Header(header);
    while send.blocking_send(v1::PutBlobRequest { part: Some(part) }).is_ok() {
        let mut chunk = Vec::with_capacity(UPLOAD_CHUNK_BYTES);
        if (&mut file).take(UPLOAD_CHUNK_BYTES as u64).read_to_end(&mut chunk)? == 0 {
            break;
        }
        part = Part::Chunk(Bytes::from(chunk));
    }
    Ok(())
}

fn client(server: Channel) -> BlobsClient<Channel> {
    BlobsClient::new(server)
        .max_decoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
}

/// Waits after errors that may pass; gives up on the others, after `TRIES`, and when the server stays away.
struct Retry {
    backoff: Backoff,
    failures: u32,
    since: Instant,
}

impl Retry {
    fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { backoff, failures: 0, since: Instant::now() }
    }

    async fn after(&mut self, error: TransferError) -> Result<(), TransferError> {
        let TransferError::Server(status) = error else { return Err(error) };
        match status.code() {
            Code::Unavailable if self.since.elapsed() < AWAY => {}
            Code::Unavailable
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted => {
                self.failures += 1;
                if self.failures >= TRIES {
                    return Err(TransferError::GaveUp { tries: TRIES, last: status });
                }
            }
            _ => return Err(TransferError::Server(status)),
        }
        tokio::time::sleep(self.backoff.after_failure()).await;
        Ok(())
    }
}
