//! Blobs: stored once, verified on both ends, resumable, bounded.

use kiln_proto::v1::{PutBlobHeader, PutBlobRequest, StatBlobRequest, put_blob_request};
use kiln_tests::api::{Api, assert_names_field, digest, reason};
use kiln_tests::service::{Options, Place, Service};
use tonic::Code;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_stored_once_and_read_from_any_offset() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let content = content(3_000_001);
    let first = api.put_blob(&content).await.expect("stored");
    assert_eq!((first.digest, first.size_bytes, first.already_stored), (digest(&content), 3_000_001, false));
    assert!(api.put_blob(&content).await.expect("known").already_stored);
    assert!(api.get_blob(&digest(&content), 0).await.expect("stored") == content);
    assert!(api.get_blob(&digest(&content), 2_999_999).await.expect("stored") == content[2_999_999..]);
    assert!(api.get_blob(&digest(&content), 3_000_001).await.expect("nothing behind the end").is_empty());
    let empty = api.put_blob(b"").await.expect("an empty blob is a blob");
    assert!(api.get_blob(&empty.digest, 0).await.expect("stored").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_what_they_claim_are_refused_and_not_kept() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let claimed = digest(b"something else");
    let refused = api.put_blob_as(&claimed, b"what came").await.expect_err("another digest");
    assert_eq!(reason(&refused), "DIGEST_MISMATCH", "{refused:?}");
    let missing = api.get_blob(&claimed, 0).await.expect_err("nothing was kept");
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "UNKNOWN_BLOB"), "{missing:?}");
    for nonsense in ["", "blake3:short", "sha256:00", "blake3:../../../../etc/passwd"] {
        assert_names_field(&api.put_blob_as(nonsense, b"x").await.expect_err("not a digest"), "digest");
        assert_names_field(&api.get_blob(nonsense, 0).await.expect_err("not a digest"), "digest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_goes_on_where_it_stopped() {
    let place = Place::new();
    let server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let content = content(5 << 20);
    let header = |offset| PutBlobRequest {
        part: Some(put_blob_request::Part::Header(PutBlobHeader {
            digest: digest(&content),
            size_bytes: content.len() as u64,
            offset,
        })),
    };
    let chunk = |bytes: &[u8]| PutBlobRequest {
        part: Some(put_blob_request::Part::Chunk(bytes::Bytes::copy_from_slice(bytes))),
    };
    let half = vec![header(0), chunk(&content[..1 << 20]), chunk(&content[1 << 20..2 << 20])];
    api.blobs.clone().put(tokio_stream::iter(half)).await.expect_err("it is not whole");
    server.kill_hard();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let stat = StatBlobRequest { digest: digest(&content) };
    let kept = api.blobs.clone().stat(stat.clone()).await.expect("stat").into_inner();
    assert!(!kept.stored && kept.size_bytes > 0 && kept.size_bytes <= 2 << 20, "{kept:?}");
    let mut rest = vec![header(kept.size_bytes)];
    rest.extend(content[kept.size_bytes as usize..].chunks(1 << 20).map(chunk));
    api.blobs.clone().put(tokio_stream::iter(rest)).await.expect("whole now");
    assert!(api.get_blob(&digest(&content), 0).await.expect("stored") == content);
    let whole = api.blobs.clone().stat(stat).await.expect("stat").into_inner();
    assert!(whole.stored && whole.size_bytes == content.len() as u64, "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_keep_to_their_announced_size() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let put = async |size_bytes: u64, bytes: &[u8]| {
        let header = PutBlobHeader { digest: digest(bytes), size_bytes, offset: 0 };
        let parts = vec![
            PutBlobRequest { part: Some(put_blob_request::Part::Header(header)) },
            PutBlobRequest {
                part: Some(put_blob_request::Part::Chunk(bytes::Bytes::copy_from_slice(bytes))),
            },
        ];
        api.blobs.clone().put(tokio_stream::iter(parts)).await
    };
    put(3, b"four").await.expect_err("more than announced");
    put(5, b"four").await.expect_err("less than announced");
    let huge = put(u64::MAX, b"x").await.expect_err("more than any blob may have");
    assert_eq!(reason(&huge), "BLOB_TOO_LARGE", "{huge:?}");
    let nothing: Vec<PutBlobRequest> = Vec::new();
    api.blobs.clone().put(tokio_stream::iter(nothing)).await.expect_err("no header");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_survive_a_restart() {
    let place = Place::new();
    let server = Service::server(&place, &Options::default());
    let content = content(700_000);
    Api::connect(&place.address()).await.put_blob(&content).await.expect("stored");
    server.kill_hard();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    assert!(api.get_blob(&digest(&content), 0).await.expect("stored") == content);
}
