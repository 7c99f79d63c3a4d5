//! Tries: names blobs by paths, to read or write files of the host through the blob store.
//! Seen: go-judge 5c5e788: `..` in stored-file ids.
//! Must: what is no digest is refused by every call.

use kiln_proto::v1::{self, put_blob_request};

use super::asking::{self, blobs, refused};
use crate::attack::Held;
use crate::attack::target::Target;

const DIGESTS: [&str; 7] = [
    "..",
    "../../../../etc/passwd",
    "blake3:../../../../../../../../../../../../../../../../../../../etc/passwd",
    "blake3:",
    "",
    "blake3:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
];

pub(super) async fn run(target: &Target) -> Held {
    for digest in DIGESTS {
        let digest = || digest.to_owned();
        refused("a path as a digest", blobs(target).get(v1::GetBlobRequest { digest: digest(), offset: 0 }).await)?;
        refused("a path as a digest", blobs(target).stat(v1::StatBlobRequest { digest: digest() }).await)?;
        let header = v1::PutBlobHeader { digest: digest(), size_bytes: 1, offset: 0 };
        let parts = [put_blob_request::Part::Header(header), put_blob_request::Part::Chunk("x".into())];
        let parts = parts.map(|part| v1::PutBlobRequest { part: Some(part) });
        refused("storing at a path", blobs(target).put(futures_util::stream::iter(parts)).await)?;
    }
    asking::still_serves(target).await
}
