//! Tries: sends the messages of a stream in a wrong order, twice, or none.
//! Seen: every state machine that was drawn for honest clients.
//! Must: each is refused, and the service goes on.

use kiln_proto::v1::{self, put_blob_request};

use super::asking::{self, blobs, images, refused};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let header = || {
        let digest = format!("blake3:{}", blake3::hash(b"twice").to_hex());
        Some(put_blob_request::Part::Header(v1::PutBlobHeader { digest, size_bytes: 5, offset: 0 }))
    };
    let chunk = || Some(put_blob_request::Part::Chunk("twice".into()));
    let orders: [(&str, Vec<Option<put_blob_request::Part>>); 5] = [
        ("nothing", vec![]),
        ("a message of nothing", vec![None]),
        ("a chunk first", vec![chunk(), header()]),
        ("two headers", vec![header(), header(), chunk()]),
        ("nothing in between", vec![header(), None, chunk()]),
    ];
    for (what, parts) in orders {
        let parts = parts.into_iter().map(|part| v1::PutBlobRequest { part });
        refused(what, blobs(target).put(futures_util::stream::iter(parts.collect::<Vec<_>>())).await)?;
    }
    let none: Vec<v1::ImportImageRequest> = Vec::new();
    refused("an import of nothing", images(target).import(futures_util::stream::iter(none)).await)?;
    asking::still_serves(target).await
}
