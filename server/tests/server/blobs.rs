//! Blobs and images over the wire.

use bytes::Bytes;
use kiln_proto::status::{Reason, facts_of, reason_of, violations_of};
use kiln_proto::v1;
use kiln_proto::v1::put_blob_request::Part;
use tonic::Status;

use crate::harness::*;

fn digest(content: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(content).to_hex())
}

fn header(digest: String, size_bytes: u64, offset: u64) -> Part {
    Part::Header(v1::PutBlobHeader { digest, size_bytes, offset })
}

async fn put(kiln: &Kiln, parts: Vec<Part>) -> Result<v1::PutBlobResponse, Status> {
    let parts = parts.into_iter().map(|part| v1::PutBlobRequest { part: Some(part) });
    let answer = kiln.blobs().await.put(tokio_stream::iter(parts.collect::<Vec<_>>())).await?;
    Ok(answer.into_inner())
}

async fn read(kiln: &Kiln, digest: &str, offset: u64) -> Result<Vec<u8>, Status> {
    let request = v1::GetBlobRequest { digest: digest.into(), offset };
    let mut chunks = kiln.blobs().await.get(request).await?.into_inner();
    let mut content = Vec::new();
    while let Some(part) = chunks.message().await? {
        assert!(part.chunk.len() <= 256 << 10);
        content.extend_from_slice(&part.chunk);
    }
    Ok(content)
}

async fn stat(kiln: &Kiln, digest: &str) -> (bool, u64) {
    let request = v1::StatBlobRequest { digest: digest.into() };
    let stat = kiln.blobs().await.stat(request).await.unwrap().into_inner();
    (stat.stored, stat.size_bytes)
}

#[tokio::test]
async fn a_blob_comes_back_as_it_went() {
    let kiln = Kiln::start().await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let name = digest(&content);
    let chunks = content.chunks(1 << 20).map(|chunk| Part::Chunk(Bytes::copy_from_slice(chunk)));
    let parts: Vec<_> =
        std::iter::once(header(name.clone(), content.len() as u64, 0)).chain(chunks).collect();
    let stored = put(&kiln, parts.clone()).await.unwrap();
    assert_eq!(
        (stored.digest.as_str(), stored.size_bytes, stored.already_stored),
        (name.as_str(), 3_000_000, false)
    );
    assert!(put(&kiln, parts).await.unwrap().already_stored);
    assert_eq!(read(&kiln, &name, 0).await.unwrap(), content);
    assert_eq!(read(&kiln, &name, 2_999_990).await.unwrap(), content[2_999_990..]);
    assert_eq!(stat(&kiln, &name).await, (true, 3_000_000));
}

#[tokio::test]
async fn an_upload_that_broke_off_is_resumed() {
    let kiln = Kiln::start().await;
    let content = b"hello world";
    let name = digest(content);
    // The client's stream breaks off after six bytes: an error is what a vanished client looks like.
    let refused =
        put(&kiln, vec![header(name.clone(), 11, 0), Part::Chunk("hello ".into())]).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::BlobOffset));
    assert_eq!(stat(&kiln, &name).await, (false, 6));
    let gap = put(&kiln, vec![header(name.clone(), 11, 7)]).await.unwrap_err();
    assert_eq!((reason_of(&gap), facts_of(&gap)["kept_bytes"].as_str()), (Some(Reason::BlobOffset), "6"));
    put(&kiln, vec![header(name.clone(), 11, 6), Part::Chunk("world".into())]).await.unwrap();
    assert_eq!(read(&kiln, &name, 0).await.unwrap(), content);
}

#[tokio::test]
async fn corrupt_and_oversized_blobs_are_refused_precisely() {
    let kiln = Kiln::with(|config| config.blob_max_bytes = 1 << 20).await;
    let name = digest(b"right");
    let corrupt =
        put(&kiln, vec![header(name.clone(), 5, 0), Part::Chunk("wrong".into())]).await.unwrap_err();
    assert_eq!(reason_of(&corrupt), Some(Reason::DigestMismatch));
    assert_eq!(stat(&kiln, &name).await, (false, 0), "nothing is left");
    let large = put(&kiln, vec![header(name.clone(), (1 << 20) + 1, 0)]).await.unwrap_err();
    assert_eq!(reason_of(&large), Some(Reason::BlobTooLarge));
    assert_eq!(facts_of(&large)["max_blob_bytes"], "1048576");
    let liar = put(&kiln, vec![header(name.clone(), 3, 0), Part::Chunk("right".into())]).await.unwrap_err();
    assert_eq!(reason_of(&liar), Some(Reason::BlobOffset));
    let fat = vec![header(name.clone(), 1 << 20, 0), Part::Chunk(vec![0; (1 << 20) + 1].into())];
    assert_eq!(violations_of(&put(&kiln, fat).await.unwrap_err())[0].field, "chunk");
    let odd = put(&kiln, vec![header("blake3:../../etc/passwd".into(), 3, 0)]).await.unwrap_err();
    assert_eq!(violations_of(&odd)[0].field, "digest");
    let headless = put(&kiln, vec![Part::Chunk("right".into())]).await.unwrap_err();
    assert_eq!(reason_of(&headless), Some(Reason::StreamOrder));
    let unknown = read(&kiln, &digest(b"nobody"), 0).await.unwrap_err();
    assert_eq!(reason_of(&unknown), Some(Reason::UnknownBlob));
}

#[tokio::test]
async fn a_job_reads_a_blob_that_is_there() {
    let kiln = Kiln::start().await;
    let name = digest(b"input");
    put(&kiln, vec![header(name.clone(), 5, 0), Part::Chunk("input".into())]).await.unwrap();
    let mut job = simple();
    let content = v1::Content { source: Some(v1::content::Source::Blob(name)) };
    job.steps[0].commands[0].stdin = Some(content.clone());
    submit(&mut kiln.jobs().await, job).await;
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    assert_eq!(lease.step.unwrap().commands[0].stdin, Some(content));
}

async fn import(kiln: &Kiln, name: &str, wanted: &str, archive: &[u8]) -> Result<v1::ImageInfo, Status> {
    use v1::import_image_request::Part;
    let header = Part::Header(v1::ImportImageHeader { name: name.into(), digest: wanted.into() });
    let chunk = Part::Chunk(Bytes::copy_from_slice(archive));
    let parts = [header, chunk].map(|part| v1::ImportImageRequest { part: Some(part) });
    Ok(kiln.images().await.import(tokio_stream::iter(parts)).await?.into_inner())
}

/// One file, written by hand: a ustar header, its content, and the two empty blocks of the end.
fn archive(path: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(b"00000000003");
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(b"abc");
    archive.resize(512 * 4, 0);
    archive
}

#[tokio::test]
async fn an_image_is_imported_used_and_removed() {
    let kiln = Kiln::start().await;
    let tar = archive("bin/tool");
    let info = import(&kiln, "tools", &digest(&tar), &tar).await.unwrap();
    assert_eq!((info.name.as_str(), info.digest.as_str()), ("tools", digest(&tar).as_str()));
    assert_eq!((info.size_bytes, info.unpacked_bytes), (tar.len() as u64, 3));
    let mut job = simple();
    job.steps[0].commands[0].image = "tools".into();
    let mut jobs = kiln.jobs().await;
    submit(&mut jobs, job.clone()).await;
    let images = |kiln: &Kiln| {
        let socket = kiln.socket();
        async move { v1::images_client::ImagesClient::new(connect(&socket).await) }
    };
    let remove = v1::RemoveImageRequest { image: "tools".into() };
    images(&kiln).await.remove(remove.clone()).await.unwrap();
    let mut worker = kiln.worker("w", 1).await;
    let lease = worker.lease().await;
    assert_eq!(lease.step.unwrap().commands[0].image, digest(&tar), "an accepted job keeps its image");
    let status = jobs.submit(v1::SubmitRequest { spec: Some(job), ..Default::default() }).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::UnknownImage));
    let status = images(&kiln).await.remove(remove).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::UnknownImage));
}

#[tokio::test]
async fn hostile_archives_and_odd_names_are_refused() {
    let kiln = Kiln::start().await;
    let status = import(&kiln, "evil", "", &archive("../../etc/passwd")).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::ArchiveRefused));
    assert!(status.message().contains("etc/passwd"), "{}", status.message());
    let tar = archive("bin/tool");
    let status = import(&kiln, "tools", &digest(b"other"), &tar).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::DigestMismatch));
    for name in ["host", "", "../x", "UPPER", &"a".repeat(64)] {
        let status = import(&kiln, name, "", &tar).await.unwrap_err();
        assert_eq!(violations_of(&status)[0].field, "name", "{name:?}");
    }
    assert_eq!(stat(&kiln, &digest(&tar)).await, (false, 0), "nothing is left of what was refused");
    let listed = kiln.images().await.list(v1::ListImagesRequest {}).await.unwrap().into_inner().images;
    assert!(listed.is_empty());
}
