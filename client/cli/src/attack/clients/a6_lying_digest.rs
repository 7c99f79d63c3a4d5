//! Tries: stores bytes under the digest of others, so that a job of somebody else takes them.
//! Seen: every content-addressed store that believes its clients.
//! Must: the upload is refused, and the digest names nothing.

use kiln_proto::status::Reason;
use kiln_proto::v1::{self, put_blob_request};

use super::asking::{blobs, refused_as};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let digest = format!("blake3:{}", blake3::hash(b"the honest bytes").to_hex());
    let header = v1::PutBlobHeader { digest: digest.clone(), size_bytes: 17, offset: 0 };
    let parts = [put_blob_request::Part::Header(header), put_blob_request::Part::Chunk("the hostile bytes".into())];
    let parts = parts.map(|part| v1::PutBlobRequest { part: Some(part) });
    let answer = blobs(target).put(futures_util::stream::iter(parts)).await;
    refused_as("bytes of another digest", answer, Reason::DigestMismatch)?;
    let stat = blobs(target).stat(v1::StatBlobRequest { digest }).await.map_err(|status| status.code().to_string())?;
    if stat.into_inner().stored { Err("the lying digest names a blob".to_owned()) } else { Ok(()) }
}
