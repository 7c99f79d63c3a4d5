//! `Blobs`: streaming in and out, a chunk at a time.

use std::fs::File;
use std::io::Read;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use kiln_proto::model::Digest;
use kiln_proto::v1::blobs_server::Blobs;
use kiln_proto::v1::put_blob_request::Part;
use kiln_proto::{BLOB_DOWNLOAD_CHUNK_BYTES, BLOB_UPLOAD_CHUNK_BYTES, v1};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use super::errors::{blob_refused, field, not_joined, order};
use crate::blobs::{BlobError, Stat, Stored, Upload};

/// An upload that brings nothing for so long gives back the room that it was promised. What came is kept, to be resumed.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(60);

type Chunks = Pin<Box<dyn Stream<Item = Result<v1::GetBlobResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Blobs for Api {
    type GetStream = Chunks;

    async fn put(
        &self,
        request: Request<Streaming<v1::PutBlobRequest>>,
    ) -> Result<Response<v1::PutBlobResponse>, Status> {
        let mut parts = request.into_inner();
        let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
            return Err(order("the first message of an upload must be its header"));
        };
        let digest = digest(&header.digest)?;
        let blobs = self.0.blobs.clone();
        let begin = move || blobs.upload(digest, header.size_bytes, header.offset);
        let Some(upload) = blocking(begin).await? else {
            let stored = Stored { digest, size_bytes: header.size_bytes, already_stored: true };
            return Ok(Response::new(answer(stored)));
        };
        receive(upload, &mut parts, UPLOAD_PATIENCE).await.map(answer).map(Response::new)
    }

    async fn get(&self, request: Request<v1::GetBlobRequest>) -> Result<Response<Chunks>, Status> {
        let request = request.into_inner();
        let digest = digest(&request.digest)?;
        let blobs = self.0.blobs.clone();
        let (file, _) = blocking(move || blobs.read(&digest, request.offset)).await?;
        let chunks = stream::try_unfold(file, |file| async move {
            let (file, chunk) = blocking(move || read_chunk(file)).await?;
            Ok((!chunk.is_empty()).then_some((v1::GetBlobResponse { chunk }, file)))
        });
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn stat(
        &self,
        request: Request<v1::StatBlobRequest>,
    ) -> Result<Response<v1::StatBlobResponse>, Status> {
        let digest = digest(&request.into_inner().digest)?;
        let blobs = self.0.blobs.clone();
        let (stored, size_bytes) = match blocking(move || blobs.stat(&digest)).await? {
            Stat::Stored(size) => (true, size),
            Stat::Partial(kept) => (false, kept),
            Stat::Absent => (false, 0),
        };
        Ok(Response::new(v1::StatBlobResponse { stored, size_bytes }))
    }
}

/// Takes chunks until the client ends its side. A client that vanishes leaves what came, to be resumed.
async fn receive(
    mut upload: Upload,
    parts: &mut (impl Stream<Item = Result<v1::PutBlobRequest, Status>> + Unpin),
    patience: Duration,
) -> Result<Stored, Status> {
    let stalled =
        |_| order(&format!("no chunk came for {patience:?}; `Stat` says where the upload can go on"));
    while let Some(message) = timeout(patience, parts.try_next()).await.map_err(stalled)?? {
        let chunk = match message.part {
            Some(Part::Chunk(chunk)) => chunk,
            Some(Part::Header(_)) | None => return Err(order("after the header come chunks only")),
        };
        check_chunk(&chunk)?;
        upload = blocking(move || upload.write(&chunk).map(|()| upload)).await?;
    }
    blocking(move || upload.finish()).await
}

/// Chunks are bounded, so that memory is.
pub(super) fn check_chunk(chunk: &Bytes) -> Result<(), Status> {
    if chunk.len() > BLOB_UPLOAD_CHUNK_BYTES {
        let why = format!("has {} bytes; at most {BLOB_UPLOAD_CHUNK_BYTES} are allowed", chunk.len());
        return Err(field("chunk", why));
    }
    Ok(())
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Status> {
    spawn_blocking(work).await.map_err(not_joined)?.map_err(blob_refused)
}

fn read_chunk(file: File) -> Result<(File, Bytes), BlobError> {
    let mut chunk = Vec::with_capacity(BLOB_DOWNLOAD_CHUNK_BYTES);
    (&file).take(BLOB_DOWNLOAD_CHUNK_BYTES as u64).read_to_end(&mut chunk).map_err(BlobError::Read)?;
    Ok((file, chunk.into()))
}

fn digest(text: &str) -> Result<Digest, Status> {
    text.parse().map_err(|error| field("digest", error))
}

fn answer(stored: Stored) -> v1::PutBlobResponse {
    v1::PutBlobResponse {
        digest: stored.digest.to_string(),
        size_bytes: stored.size_bytes,
        already_stored: stored.already_stored,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt;

    use super::*;
    use crate::blobs::{BlobLimits, Blobs};

    #[tokio::test]
    async fn an_upload_that_stalls_gives_its_room_back() {
        let directory = tempfile::tempdir().unwrap();
        let limits = BlobLimits { max_blob_bytes: 1000, max_total_bytes: 1000 };
        let blobs = Arc::new(Blobs::open(directory.path(), limits).unwrap());
        let upload = blobs.upload(Digest::from([7; 32]), 1000, 0).unwrap().unwrap();
        let chunk = v1::PutBlobRequest { part: Some(Part::Chunk("hello".into())) };
        let mut parts = Box::pin(stream::iter([Ok(chunk)]).chain(stream::pending()));
        let status = receive(upload, &mut parts, Duration::from_millis(50)).await.unwrap_err();
        assert!(status.message().contains("no chunk came"), "{status}");
        assert_eq!(blobs.total_bytes(), 5, "what came is kept");
    }
}
