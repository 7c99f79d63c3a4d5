//! The store: a port in the queue's words, and what passes through it.
//!
//! It owns what must survive a crash: accepted jobs, their results, idempotency keys, images. It knows no policy: what may be done when
//! is the queue's matter. Specifications and results are opaque bytes here.

mod sqlite;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

pub use sqlite::Sqlite;

use crate::queue::JobKey;

/// A BLAKE3 digest.
pub type DigestBytes = [u8; 32];

/// What a verb of the store answers, later. The work is under way as soon as the verb returns.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Ten verbs. Writes are durable when they answer.
pub trait Store: Send + Sync + 'static {
    /// Accepts all of these or none; answers in their order.
    fn accept(&self, jobs: Vec<AcceptJob>) -> Answer<Result<Vec<Accepted>, KeyReused>>;
    /// Writes down what became of a job. Once per step; saying the same thing twice changes nothing.
    fn record(&self, record: Record) -> Answer<()>;
    /// One job, whole.
    fn job(&self, key: JobKey) -> Answer<Option<StoredJob>>;
    /// All jobs that have not ended, oldest first.
    fn unfinished(&self) -> Answer<Vec<StoredJob>>;
    /// A page of jobs, newest first.
    fn list(&self, filter: ListFilter) -> Answer<Vec<ListedJob>>;
    /// Forgets ended jobs: those that ended before a moment, and the oldest beyond a number. Answers how many; call again until 0.
    fn sweep(&self, sweep: Sweep) -> Answer<usize>;
    /// Is a blob named by a job or an image?
    fn is_blob_used(&self, digest: DigestBytes) -> Answer<bool>;
    /// Registers an image, or moves its name to another digest.
    fn put_image(&self, image: ImageRow) -> Answer<()>;
    /// Removes an image by name; false when there was none.
    fn remove_image(&self, name: String) -> Answer<bool>;
    /// All images, by name.
    fn images(&self) -> Answer<Vec<ImageRow>>;
}

/// A job to be accepted.
#[derive(Debug, Clone)]
pub struct AcceptJob {
    /// New and unique.
    pub key: JobKey,
    /// The specification, encoded.
    pub spec: Bytes,
    /// For finding it.
    pub labels: Vec<(String, String)>,
    /// Microseconds since the Unix epoch.
    pub submitted_unix_us: u64,
    /// The client's word that this is the same job as another one.
    pub idempotency: Option<Idempotency>,
    /// Blobs that must stay for as long as the job does.
    pub blobs: Vec<DigestBytes>,
    /// The server's life in which it was accepted.
    pub epoch: u64,
}

/// An idempotency key and what it stands for.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// As the client said it.
    pub key: String,
    /// BLAKE3 of the normalised specification.
    pub fingerprint: DigestBytes,
}

/// What became of an [`AcceptJob`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is there now.
    New,
    /// The same job was accepted before under this key.
    Already(JobKey),
}

/// The key stands for another specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReused {
    /// Position in the batch.
    pub index: usize,
    /// The job that has the key.
    pub job: JobKey,
}

/// Something that became of a job.
#[derive(Debug, Clone)]
pub struct Record {
    /// Which.
    pub job: JobKey,
    /// The server's life in which it happened.
    pub epoch: u64,
    /// The highest event number that this record makes known.
    pub last_sequence: u64,
    /// Steps that ended.
    pub steps: Vec<StepRow>,
    /// Cancelling was asked for.
    pub cancelled: bool,
    /// Set when the job has ended.
    pub done: Option<DoneRow>,
}

/// A step that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// Index in the job.
    pub step: usize,
    /// Its status with results, encoded.
    pub status: Bytes,
    /// Its status without results, encoded.
    pub summary: Bytes,
    /// Number of the event that it started; 0 when it never did.
    pub started_sequence: u64,
    /// Number of the event that it ended; those of its commands are the numbers before.
    pub finished_sequence: u64,
    /// Blobs that its results name.
    pub blobs: Vec<DigestBytes>,
}

/// The end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoneRow {
    /// As on the wire.
    pub verdict: i32,
    /// Microseconds since the Unix epoch.
    pub finished_unix_us: u64,
    /// Number of the last event.
    pub sequence: u64,
}

/// A job, as stored.
#[derive(Debug, Clone)]
pub struct StoredJob {
    /// Which.
    pub key: JobKey,
    /// The specification, encoded.
    pub spec: Bytes,
    /// Microseconds since the Unix epoch.
    pub submitted_unix_us: u64,
    /// Cancelling was asked for.
    pub cancelled: bool,
    /// Steps that ended, in the order of their index. Their `blobs` are not read back.
    pub steps: Vec<StepRow>,
    /// Set when it has ended.
    pub done: Option<DoneRow>,
    /// The highest event number written down.
    pub last_sequence: u64,
    /// The server's life in which that was.
    pub epoch: u64,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only ended ones, or only others.
    pub done: Option<bool>,
    /// As on the wire.
    pub verdict: Option<i32>,
    /// All of these.
    pub labels: Vec<(String, String)>,
    /// Only jobs older than this one.
    pub before: Option<JobKey>,
    /// At most.
    pub limit: usize,
}

/// A job in a list.
#[derive(Debug, Clone)]
pub struct ListedJob {
    /// Which.
    pub key: JobKey,
    /// Microseconds since the Unix epoch.
    pub submitted_unix_us: u64,
    /// Set when it has ended.
    pub done: Option<DoneRow>,
    /// Summaries of the steps that ended, by index.
    pub steps: Vec<(usize, Bytes)>,
}

/// What to forget.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// Jobs that ended before this.
    pub ended_before_unix_us: u64,
    /// Ended jobs to keep, at most.
    pub keep: u64,
    /// Jobs to forget in one go, at most.
    pub batch: usize,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRow {
    /// Unique.
    pub name: String,
    /// Of the archive.
    pub digest: DigestBytes,
    /// Of the archive.
    pub size_bytes: u64,
    /// Unpacked.
    pub unpacked_bytes: u64,
    /// Files, directories and links in it.
    pub entries: u64,
    /// Microseconds since the Unix epoch.
    pub imported_unix_us: u64,
}

/// Why the store could not do it. The cause is shared: one failed transaction answers many.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file could not be created.
    #[error("create the database {path}")]
    Create {
        /// The file.
        path: String,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The file could not be opened or brought to this version.
    #[error("open the database {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: Arc<rusqlite::Error>,
    },
    /// It was written by a later version of Kiln.
    #[error("the database {path} has schema {found}; this program knows schemas up to {known}")]
    TooNew {
        /// The file.
        path: String,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A transaction failed: nothing of it was written.
    #[error("write to the database")]
    Write(#[source] Arc<rusqlite::Error>),
    /// A query failed.
    #[error("read from the database")]
    Read(#[source] Arc<rusqlite::Error>),
    /// The writer has stopped.
    #[error("the database is closed")]
    Closed,
}
