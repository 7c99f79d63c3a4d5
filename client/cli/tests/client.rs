//! The client library against a real server in this process: uploads that were interrupted, contents that must fit, addresses where nobody is.

use std::io::Cursor;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kiln_client::{Address, Client, ClientError};
use kiln_proto::v1::{self, blobs_client::BlobsClient, content::Source, put_blob_request::Part};
use kiln_server::{Config, Server};
use tempfile::TempDir;

struct Place {
    server: Server,
    address: Address,
    _directory: TempDir,
}

async fn start() -> (Place, Client) {
    let directory = tempfile::Builder::new().prefix("kiln-client-").tempdir().expect("a temporary directory");
    let socket = directory.path().join("kiln.sock");
    let server = Server::start(Config::embedded(socket.clone())).await.expect("the server starts");
    let address = Address::Unix(socket);
    let client = Client::connect(&address).await.expect("it listens");
    (Place { server, address, _directory: directory }, client)
}

/// Bytes that are not all the same, so that a chunk in the wrong place shows.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 7 % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_goes_up_and_comes_back_and_is_stored_once() {
    let (place, client) = start().await;
    let bytes = content((3 << 20) + 5);
    let stored = client.put_blob(Cursor::new(bytes.clone()), "memory").await.expect("it fits");
    assert_eq!((stored.size_bytes, stored.already_stored), (bytes.len() as u64, false));
    let again = client.put_blob(Cursor::new(bytes.clone()), "memory").await.expect("it is there");
    assert!(again.already_stored && again.digest == stored.digest);
    let mut back = Vec::new();
    let size = client.blob_to(&stored.digest, &mut back).await.expect("it is there");
    assert_eq!(size, bytes.len() as u64);
    assert!(back == bytes);
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_is_taken_up_where_it_ended() {
    let (place, client) = start().await;
    let bytes = content(2 << 20);
    let digest = format!("blake3:{}", blake3::hash(&bytes).to_hex());
    let header = v1::PutBlobHeader { digest: digest.clone(), size_bytes: bytes.len() as u64, offset: 0 };
    let parts = [Part::Header(header), Part::Chunk(Bytes::copy_from_slice(&bytes[..1 << 20]))];
    let requests = parts.map(|part| v1::PutBlobRequest { part: Some(part) });
    let half = BlobsClient::new(client.channel()).put(futures_util::stream::iter(requests)).await;
    assert!(half.is_err(), "half a blob is no blob");
    let kept = client.blob_stat(&digest).await.expect("the server answers");
    assert!(!kept.stored);
    assert_eq!(kept.size_bytes, 1 << 20);
    let stored = client.put_blob(Cursor::new(bytes.clone()), "memory").await.expect("the rest fits");
    assert_eq!(stored.digest, digest);
    let mut back = Vec::new();
    client.blob_to(&digest, &mut back).await.expect("it is whole");
    assert!(back == bytes);
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_go_inline_while_they_are_small_and_a_spec_is_made_to_fit() {
    let (place, client) = start().await;
    let small = client.content_of(Cursor::new(content(1 << 20)), "memory").await.expect("it fits");
    assert!(matches!(small.source, Some(Source::Inline(_))));
    let large = client.content_of(Cursor::new(content((1 << 20) + 1)), "memory").await.expect("it fits");
    assert!(matches!(large.source, Some(Source::Blob(_))));
    let files = (0..10).map(|at| v1::FileIn {
        path: format!("/work/{at}").into(),
        content: Some(v1::Content { source: Some(Source::Inline(content((1 << 20) - at).into())) }),
        executable: false,
    });
    let command =
        v1::Command { argv: vec!["true".into()], files_in: files.collect(), ..v1::Command::default() };
    let step = v1::Step { name: "run".to_owned(), commands: vec![command], ..v1::Step::default() };
    let spec = v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() };
    let accepted = client.submit(client.fit(spec.clone()).await.expect("it fits"), String::new()).await;
    assert!(!accepted.expect("the server takes it").job_id.is_empty());
    let job = |spec| v1::SubmitRequest { spec: Some(spec), idempotency_key: String::new() };
    let batch = client.fit_batch(vec![spec; 5]).await.expect("it fits");
    let accepted = client.submit_batch(batch.into_iter().map(job).collect()).await;
    assert_eq!(accepted.expect("the server takes them").len(), 5);
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_carry_their_reason_and_fields() {
    let (place, client) = start().await;
    let unknown = client.job("0190a0b0-c0d0-7000-8000-000000000000").await.expect_err("there is none");
    assert_eq!(unknown.reason().as_deref(), Some("UNKNOWN_JOB"));
    let empty = client.submit(v1::JobSpec::default(), String::new()).await.expect_err("it has no steps");
    assert_eq!(empty.reason().as_deref(), Some("INVALID_JOB"));
    assert_eq!(empty.violations()[0].field, "steps");
    let mut sink = Vec::new();
    let absent = format!("blake3:{}", "0".repeat(64));
    let absent = client.blob_to(&absent, &mut sink).await.expect_err("there is none");
    assert_eq!(absent.reason().as_deref(), Some("UNKNOWN_BLOB"));
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_connecting_fails_at_once_or_when_patience_is_over() {
    let (place, client) = start().await;
    let Place { server, address, _directory } = place;
    drop(client);
    server.stop().await;
    let began = Instant::now();
    assert!(matches!(Client::connect(&address).await, Err(ClientError::Connect { .. })));
    assert!(began.elapsed() < Duration::from_secs(2));
    let patience = Duration::from_millis(400);
    assert!(Client::connect_within(&address, patience).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(4));
}
