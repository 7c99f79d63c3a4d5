//! Blobs on a real disk.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use kiln_proto::model::Digest;
use tempfile::TempDir;

use super::*;
use crate::store::{ImageRow, Sqlite, Store};

fn blobs() -> (TempDir, Arc<Blobs>) {
    let directory = tempfile::tempdir().unwrap();
    let limits = BlobLimits { max_blob_bytes: 1000, max_total_bytes: 1500 };
    let blobs = Blobs::open(&directory.path().join("blobs"), limits).unwrap();
    (directory, Arc::new(blobs))
}

fn digest(content: &[u8]) -> Digest {
    Digest::from(*blake3::hash(content).as_bytes())
}

fn put(blobs: &Arc<Blobs>, content: &[u8]) -> Result<Stored, BlobError> {
    let mut upload = blobs.upload(digest(content), content.len() as u64, 0)?.expect("not stored yet");
    upload.write(content)?;
    upload.finish()
}

fn content(blobs: &Arc<Blobs>, digest: &Digest, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    blobs.read(digest, offset).unwrap().0.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_put_is_read_back_and_stored_once() {
    let (_directory, blobs) = blobs();
    let stored = put(&blobs, b"hello").unwrap();
    assert_eq!(content(&blobs, &stored.digest, 0), b"hello");
    assert_eq!(content(&blobs, &stored.digest, 3), b"lo");
    assert!(blobs.upload(stored.digest, 5, 0).unwrap().is_none());
    assert_eq!(blobs.total_bytes(), 5);
    assert!(matches!(blobs.read(&stored.digest, 6), Err(BlobError::BeyondEnd { offset: 6, size_bytes: 5 })));
}

#[test]
fn an_interrupted_upload_goes_on() {
    let (directory, blobs) = blobs();
    let whole = digest(b"hello world");
    let mut upload = blobs.upload(whole, 11, 0).unwrap().unwrap();
    upload.write(b"hello ").unwrap();
    drop(upload);
    assert_eq!(blobs.stat(&whole).unwrap(), Stat::Partial(6));
    assert_eq!(blobs.total_bytes(), 6);
    drop(blobs);
    let limits = BlobLimits { max_blob_bytes: 1000, max_total_bytes: 1500 };
    let blobs = Arc::new(Blobs::open(&directory.path().join("blobs"), limits).unwrap());
    assert_eq!(blobs.total_bytes(), 6, "also after a restart");
    assert!(matches!(blobs.upload(whole, 11, 7), Err(BlobError::Gap { offset: 7, kept: 6 })));
    let mut upload = blobs.upload(whole, 11, 6).unwrap().unwrap();
    upload.write(b"world").unwrap();
    upload.finish().unwrap();
    assert_eq!(content(&blobs, &whole, 0), b"hello world");
    assert_eq!(blobs.total_bytes(), 11);
}

#[test]
fn wrong_bytes_are_refused_and_leave_nothing() {
    let (_directory, blobs) = blobs();
    let wanted = digest(b"right");
    let mut upload = blobs.upload(wanted, 5, 0).unwrap().unwrap();
    upload.write(b"wrong").unwrap();
    assert!(matches!(upload.finish(), Err(BlobError::DigestMismatch { .. })));
    assert_eq!(blobs.stat(&wanted).unwrap(), Stat::Absent);
    assert_eq!(blobs.total_bytes(), 0);
    let mut upload = blobs.upload(wanted, 5, 0).unwrap().unwrap();
    assert!(matches!(upload.write(b"too long"), Err(BlobError::WrongSize { received: 8, announced: 5 })));
    drop(upload);
    let upload = blobs.upload(wanted, 5, 0).unwrap().unwrap();
    assert!(matches!(upload.finish(), Err(BlobError::WrongSize { received: 0, announced: 5 })));
}

#[test]
fn limits_hold_before_a_byte_is_written() {
    let (_directory, blobs) = blobs();
    let refused = blobs.upload(digest(b"x"), 1001, 0);
    assert!(matches!(refused, Err(BlobError::TooLarge { size_bytes: 1001, max_blob_bytes: 1000 })));
    let _first = blobs.upload(digest(b"1"), 1000, 0).unwrap().unwrap();
    let full = blobs.upload(digest(b"2"), 501, 0);
    assert!(matches!(
        full,
        Err(BlobError::Full { size_bytes: 501, total_bytes: 1000, max_total_bytes: 1500 })
    ));
    let mut import = blobs.begin_import().unwrap();
    assert!(matches!(import.write(&[0; 501]), Err(BlobError::Full { .. })));
}

#[test]
fn an_upload_refused_for_want_of_room_changes_no_count_and_leaves_no_file() {
    let (_directory, blobs) = blobs();
    let half = digest(b"half");
    let mut upload = blobs.upload(half, 1000, 0).unwrap().unwrap();
    upload.write(&[b'h'; 400]).unwrap();
    drop(upload);
    let other = blobs.upload(digest(b"other"), 1000, 0).unwrap().unwrap();
    assert!(matches!(blobs.upload(half, 1000, 400), Err(BlobError::Full { .. })));
    assert_eq!((blobs.stat(&half).unwrap(), blobs.total_bytes()), (Stat::Partial(400), 1400));
    assert!(matches!(blobs.upload(digest(b"other"), 1000, 0), Err(BlobError::Full { .. })));
    assert_eq!(fs::read_dir(blobs.import()).unwrap().count(), 0, "the second upload's own file is gone");
    drop(other);
    drop(blobs.upload(half, 4, 0).unwrap().unwrap());
    assert_eq!(blobs.total_bytes(), 0);
}

#[test]
fn two_uploads_of_one_blob_do_not_disturb_each_other() {
    let (_directory, blobs) = blobs();
    let whole = digest(b"same");
    let mut first = blobs.upload(whole, 4, 0).unwrap().unwrap();
    first.write(b"sa").unwrap();
    assert_eq!(blobs.stat(&whole).unwrap(), Stat::Absent, "nobody else can resume it now");
    assert!(matches!(blobs.upload(whole, 4, 2), Err(BlobError::Busy(_))));
    let mut second = blobs.upload(whole, 4, 0).unwrap().unwrap();
    second.write(b"same").unwrap();
    second.finish().unwrap();
    first.write(b"me").unwrap();
    first.finish().unwrap();
    assert_eq!(content(&blobs, &whole, 0), b"same");
}

#[test]
fn an_import_gets_the_digest_that_it_has() {
    let (_directory, blobs) = blobs();
    let mut import = blobs.begin_import().unwrap();
    import.write(b"ar").unwrap();
    import.write(b"chive").unwrap();
    let stored = import.finish().unwrap();
    assert_eq!(stored.digest, digest(b"archive"));
    drop(blobs.begin_import().unwrap());
    assert_eq!(blobs.total_bytes(), 7);
    assert_eq!(fs::read_dir(blobs.import()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_sweep_spares_what_is_used_pinned_or_young() {
    let (directory, blobs) = blobs();
    let store = Sqlite::open(&directory.path().join("kiln.db")).unwrap();
    let [used, pinned, loose] =
        [b"used", b"pins", b"none"].map(|content| put(&blobs, content).unwrap().digest);
    let mut upload = blobs.upload(digest(b"half"), 4, 0).unwrap().unwrap();
    upload.write(b"ha").unwrap();
    drop(upload);
    let image = ImageRow {
        name: "i".into(),
        digest: *used.as_bytes(),
        size_bytes: 4,
        unpacked_bytes: 0,
        entries: 0,
        imported_unix_us: 0,
    };
    store.put_image(image).await.unwrap();
    let pins = blobs.pin([pinned]);
    assert_eq!(sweep(&blobs, &store, Duration::from_secs(60)).await.unwrap(), Removed::default());
    let removed = sweep(&blobs, &store, Duration::ZERO).await.unwrap();
    assert_eq!(removed, Removed { files: 2, bytes: 6 }, "the loose one and the half one");
    assert_eq!(blobs.stat(&loose).unwrap(), Stat::Absent);
    drop(pins);
    assert_eq!(sweep(&blobs, &store, Duration::ZERO).await.unwrap().files, 1);
    assert_eq!(blobs.stat(&used).unwrap(), Stat::Stored(4));
    assert_eq!(blobs.total_bytes(), 4);
}
