//! Tries: sends more bytes than its header said, and a header that says 2^63.
//! Seen: every upload that is believed.
//! Must: each is refused as soon as it is known, and nothing is stored.

use bytes::Bytes;
use kiln_proto::v1::{self, put_blob_request};

use super::asking::{self, blobs, refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let digest = || format!("blake3:{}", blake3::hash(b"endless").to_hex());
    for (size_bytes, offset) in [(10, 0), (1 << 63, 0), (u64::MAX, 0), (10, u64::MAX), (10, 5)] {
        let header = v1::PutBlobHeader { digest: digest(), size_bytes, offset };
        let chunks = (0..32).map(|_| put_blob_request::Part::Chunk(Bytes::from(vec![0; 1 << 20])));
        let parts: Vec<v1::PutBlobRequest> = std::iter::once(put_blob_request::Part::Header(header))
            .chain(chunks)
            .map(|part| v1::PutBlobRequest { part: Some(part) })
            .collect();
        let answer = blobs(target).put(futures_util::stream::iter(parts)).await;
        refused(&format!("an upload of {size_bytes} at {offset}"), answer)?;
    }
    asking::still_serves(target).await
}
