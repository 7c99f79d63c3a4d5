//! Tries: begins uploads of great size, and goes away in the middle.
//! Seen: tus and docker registries: disks filled by half uploads.
//! Must: room is given back, digests name nothing, and the service goes on.

use bytes::Bytes;
use futures_util::StreamExt;
use kiln_proto::v1::{self, put_blob_request};

use super::asking::{self, blobs, refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    for number in 0..30_u32 {
        let digest = format!("blake3:{}", blake3::hash(&number.to_le_bytes()).to_hex());
        let header = v1::PutBlobHeader { digest: digest.clone(), size_bytes: 1 << 20, offset: 0 };
        let parts = [put_blob_request::Part::Header(header), put_blob_request::Part::Chunk(Bytes::from(vec![0; 4096]))];
        let parts = futures_util::stream::iter(parts.map(|part| v1::PutBlobRequest { part: Some(part) }));
        refused("an upload that ends early", blobs(target).put(parts.boxed()).await)?;
        let stat = blobs(target).stat(v1::StatBlobRequest { digest }).await.map_err(|status| status.code().to_string())?;
        if stat.into_inner().stored {
            return Err("an upload that ended early is stored".to_owned());
        }
    }
    asking::still_serves(target).await
}
