//! The conformance suite of a store, run against SQLite on a real disk.

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

fn store() -> (TempDir, Sqlite) {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("kiln.db")).unwrap();
    (directory, store)
}

fn job(key: u128) -> AcceptJob {
    AcceptJob {
        key: JobKey(key),
        spec: Bytes::from(format!("spec {key}")),
        labels: vec![("parity".into(), if key.is_multiple_of(2) { "even" } else { "odd" }.into())],
        submitted_unix_us: 1_000 + key as u64,
        idempotency: None,
        blobs: vec![],
        epoch: 1,
    }
}

fn with_key(key: u128, word: &str, fingerprint: u8) -> AcceptJob {
    let idempotency = Some(Idempotency { key: word.into(), fingerprint: [fingerprint; 32] });
    AcceptJob { idempotency, ..job(key) }
}

fn done(key: u128, finished: u64) -> Record {
    let step = StepRow {
        step: 0,
        status: Bytes::from_static(b"status"),
        summary: Bytes::from_static(b"summary"),
        started_sequence: 2,
        finished_sequence: 4,
        blobs: vec![[key as u8; 32]],
    };
    let done = DoneRow { verdict: 1, finished_unix_us: finished, sequence: 5 };
    Record {
        job: JobKey(key),
        epoch: 1,
        last_sequence: 5,
        steps: vec![step],
        cancelled: false,
        done: Some(done),
    }
}

async fn listed(store: &Sqlite, filter: ListFilter) -> Vec<u128> {
    let filter = ListFilter { limit: if filter.limit == 0 { 100 } else { filter.limit }, ..filter };
    store.list(filter).await.unwrap().iter().map(|job| job.key.0).collect()
}

#[tokio::test]
async fn what_was_accepted_and_recorded_is_there_after_reopening() {
    let (directory, store) = store();
    store.accept(vec![job(1), job(2)]).await.unwrap().unwrap();
    store.record(done(1, 9)).await.unwrap();
    assert_eq!(store.epoch(), 1);
    drop(store);
    let store = Sqlite::open(&directory.path().join("kiln.db")).unwrap();
    assert_eq!(store.epoch(), 2);
    let open: Vec<_> = store.unfinished().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].key, &open[0].spec[..]), (JobKey(2), &b"spec 2"[..]));
    let ended = store.job(JobKey(1)).await.unwrap().unwrap();
    assert_eq!(ended.done, Some(DoneRow { verdict: 1, finished_unix_us: 9, sequence: 5 }));
    assert_eq!((ended.steps[0].finished_sequence, ended.last_sequence), (4, 5));
    assert!(store.job(JobKey(3)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_means_one_job_and_another_spec_is_refused() {
    let (_directory, store) = store();
    let first = store.accept(vec![with_key(1, "k", 7)]).await.unwrap();
    assert_eq!(first, Ok(vec![Accepted::New]));
    let again = store.accept(vec![with_key(2, "k", 7)]).await.unwrap();
    assert_eq!(again, Ok(vec![Accepted::Already(JobKey(1))]));
    let other = store.accept(vec![with_key(3, "k", 8)]).await.unwrap();
    assert_eq!(other, Err(KeyReused { index: 0, job: JobKey(1) }));
    assert_eq!(listed(&store, ListFilter::default()).await, [1]);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_knows_its_own_keys() {
    let (_directory, store) = store();
    let batch = vec![job(1), with_key(2, "a", 1), with_key(3, "a", 2)];
    assert_eq!(store.accept(batch).await.unwrap(), Err(KeyReused { index: 2, job: JobKey(2) }));
    assert!(listed(&store, ListFilter::default()).await.is_empty());
    let batch = vec![with_key(2, "a", 1), with_key(3, "a", 1)];
    let answers = store.accept(batch).await.unwrap();
    assert_eq!(answers, Ok(vec![Accepted::New, Accepted::Already(JobKey(2))]));
}

#[tokio::test]
async fn the_first_result_of_a_step_stands() {
    let (_directory, store) = store();
    store.accept(vec![job(1)]).await.unwrap().unwrap();
    store.record(done(1, 9)).await.unwrap();
    let mut second = done(1, 99);
    second.steps[0].status = Bytes::from_static(b"other");
    store.record(second).await.unwrap();
    let stored = store.job(JobKey(1)).await.unwrap().unwrap();
    assert_eq!(&stored.steps[0].status[..], b"status");
    assert_eq!(stored.done.unwrap().finished_unix_us, 9);
}

#[tokio::test]
async fn pages_are_stable_while_jobs_come() {
    let (_directory, store) = store();
    store.accept((1..=5).map(job).collect()).await.unwrap().unwrap();
    assert_eq!(listed(&store, ListFilter { limit: 2, ..Default::default() }).await, [5, 4]);
    store.accept(vec![job(6)]).await.unwrap().unwrap();
    let next = ListFilter { limit: 2, before: Some(JobKey(4)), ..Default::default() };
    assert_eq!(listed(&store, next).await, [3, 2]);
}

#[tokio::test]
async fn lists_are_filtered() {
    let (_directory, store) = store();
    store.accept((1..=4).map(job).collect()).await.unwrap().unwrap();
    store.record(done(2, 9)).await.unwrap();
    assert_eq!(listed(&store, ListFilter { done: Some(true), ..Default::default() }).await, [2]);
    assert_eq!(listed(&store, ListFilter { done: Some(false), ..Default::default() }).await, [4, 3, 1]);
    let labels = vec![("parity".to_owned(), "even".to_owned())];
    assert_eq!(listed(&store, ListFilter { labels: labels.clone(), ..Default::default() }).await, [4, 2]);
    assert_eq!(listed(&store, ListFilter { labels, verdict: Some(1), ..Default::default() }).await, [2]);
}

#[tokio::test]
async fn sweeping_forgets_old_jobs_with_all_that_is_theirs() {
    let (_directory, store) = store();
    store.accept(vec![with_key(1, "k", 7), job(2), job(3), job(4)]).await.unwrap().unwrap();
    for (key, finished) in [(1, 10), (2, 20), (3, 30)] {
        store.record(done(key, finished)).await.unwrap();
    }
    assert!(store.is_blob_used([1; 32]).await.unwrap());
    let by_age = Sweep { ended_before_unix_us: 15, keep: 100, batch: 100 };
    assert_eq!(store.sweep(by_age).await.unwrap(), 1);
    assert!(!store.is_blob_used([1; 32]).await.unwrap());
    let by_count = Sweep { ended_before_unix_us: 0, keep: 1, batch: 100 };
    assert_eq!(store.sweep(by_count).await.unwrap(), 1);
    assert_eq!(listed(&store, ListFilter::default()).await, [4, 3], "what runs and the newest stay");
    let reused = store.accept(vec![with_key(5, "k", 8)]).await.unwrap();
    assert_eq!(reused, Ok(vec![Accepted::New]), "the key is free again");
}

#[tokio::test]
async fn cancelling_is_remembered() {
    let (_directory, store) = store();
    store.accept(vec![job(1)]).await.unwrap().unwrap();
    let asked =
        Record { job: JobKey(1), epoch: 1, last_sequence: 1, steps: vec![], cancelled: true, done: None };
    store.record(asked).await.unwrap();
    assert!(store.unfinished().await.unwrap()[0].cancelled);
}

#[tokio::test]
async fn images_are_named_once_and_keep_their_blobs() {
    let (_directory, store) = store();
    let image = |digest| ImageRow {
        name: "alpine".into(),
        digest: [digest; 32],
        size_bytes: 1,
        unpacked_bytes: 2,
        entries: 3,
        imported_unix_us: 4,
    };
    store.put_image(image(1)).await.unwrap();
    store.put_image(image(2)).await.unwrap();
    assert_eq!(store.images().await.unwrap(), [image(2)]);
    assert!(!store.is_blob_used([1; 32]).await.unwrap());
    assert!(store.is_blob_used([2; 32]).await.unwrap());
    assert!(store.remove_image("alpine".into()).await.unwrap());
    assert!(!store.remove_image("alpine".into()).await.unwrap());
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused() {
    let (directory, store) = store();
    drop(store);
    let path = directory.path().join("kiln.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Sqlite::open(&path), Err(StoreError::TooNew { found: 99, .. })));
}

#[tokio::test]
async fn many_writers_share_commits_and_all_are_answered() {
    let (_directory, store) = store();
    let answers: Vec<_> = (1..=500).map(|key| store.accept(vec![job(key)])).collect();
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Ok(vec![Accepted::New]));
    }
    assert_eq!(store.unfinished().await.unwrap().len(), 500);
}

/// Descriptors of the database: a store that opens more as more ask would look like one that loses them.
#[tokio::test]
async fn queries_at_once_open_nothing_more() {
    let (directory, store) = store();
    let opened = || {
        let links = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| entry.unwrap().path().read_link().ok());
        links.filter(|link| link.starts_with(directory.path())).count()
    };
    let before = opened();
    futures_util::future::join_all((0..100).map(|key| store.job(JobKey(key)))).await;
    assert_eq!(opened(), before);
}
