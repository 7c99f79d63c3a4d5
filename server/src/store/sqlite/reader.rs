//! Queries, on a few connections of their own: with WAL they never wait for the writer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use tokio::sync::Semaphore;

use super::super::{DigestBytes, DoneRow, ImageRow, ListFilter, ListedJob, StepRow, StoreError, StoredJob};
use super::schema;
use crate::queue::JobKey;

/// Queries at the same time.
const READERS: usize = 4;

/// Idle connections, and the right to have one.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl Readers {
    /// All of them are opened now: what the server holds does not depend on how many ever asked at once.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let idle = (0..READERS).map(|_| schema::open_reader(path)).collect::<rusqlite::Result<_>>()?;
        Ok(Self { path: path.to_owned(), idle: Mutex::new(idle), places: Semaphore::new(READERS) })
    }

    pub(super) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let readers = self.clone();
        tokio::task::spawn_blocking(move || readers.run_here(query))
            .await
            .map_err(|_| StoreError::Closed)?
            .map_err(|error| StoreError::Read(Arc::new(error)))
    }

    fn run_here<T>(&self, query: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            // A query that panicked took one along.
            None => schema::open_reader(&self.path)?,
        };
        let answer = query(&mut connection);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        answer
    }
}

/// How a key stands in the database: big-endian, so that the order of bytes is the order of time.
pub(super) fn blob_of(key: JobKey) -> [u8; 16] {
    key.0.to_be_bytes()
}

pub(super) fn key_of(row: &Row<'_>, column: usize) -> rusqlite::Result<JobKey> {
    Ok(JobKey(u128::from_be_bytes(row.get(column)?)))
}

const JOB: &str =
    "SELECT id, submitted_us, cancelled, finished_us, verdict, done_sequence, last_sequence, epoch, spec
    FROM jobs JOIN specs ON specs.job = jobs.id";

pub(super) fn job(connection: &mut Connection, key: JobKey) -> rusqlite::Result<Option<StoredJob>> {
    // One transaction, so that job and steps are of the same moment.
    let transaction = connection.transaction()?;
    let found = transaction
        .prepare_cached(&format!("{JOB} WHERE id = ?1"))?
        .query_row([blob_of(key)], stored_job)
        .optional()?;
    let Some(mut job) = found else { return Ok(None) };
    job.steps = steps(&transaction, key)?;
    Ok(Some(job))
}

pub(super) fn unfinished(connection: &mut Connection) -> rusqlite::Result<Vec<StoredJob>> {
    let transaction = connection.transaction()?;
    let mut jobs: Vec<StoredJob> = transaction
        .prepare_cached(&format!("{JOB} WHERE finished_us IS NULL ORDER BY id"))?
        .query_map([], stored_job)?
        .collect::<rusqlite::Result<_>>()?;
    for job in &mut jobs {
        job.steps = steps(&transaction, job.key)?;
    }
    Ok(jobs)
}

fn stored_job(row: &Row<'_>) -> rusqlite::Result<StoredJob> {
    Ok(StoredJob {
        key: key_of(row, 0)?,
        submitted_unix_us: row.get(1)?,
        cancelled: row.get(2)?,
        done: done(row, 3)?,
        last_sequence: row.get(6)?,
        epoch: row.get(7)?,
        spec: Bytes::from(row.get::<_, Vec<u8>>(8)?),
        steps: Vec::new(),
    })
}

fn done(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<DoneRow>> {
    let Some(finished_unix_us) = row.get(first)? else { return Ok(None) };
    Ok(Some(DoneRow { finished_unix_us, verdict: row.get(first + 1)?, sequence: row.get(first + 2)? }))
}

fn steps(connection: &Connection, key: JobKey) -> rusqlite::Result<Vec<StepRow>> {
    connection
        .prepare_cached(
            "SELECT step, status, summary, started_sequence, finished_sequence FROM steps
             WHERE job = ?1 ORDER BY step",
        )?
        .query_map([blob_of(key)], |row| {
            Ok(StepRow {
                step: row.get(0)?,
                status: Bytes::from(row.get::<_, Vec<u8>>(1)?),
                summary: Bytes::from(row.get::<_, Vec<u8>>(2)?),
                started_sequence: row.get(3)?,
                finished_sequence: row.get(4)?,
                blobs: Vec::new(),
            })
        })?
        .collect()
}

pub(super) fn list(connection: &mut Connection, filter: &ListFilter) -> rusqlite::Result<Vec<ListedJob>> {
    let (sql, values) = list_query(filter);
    let transaction = connection.transaction()?;
    let mut jobs: Vec<ListedJob> = transaction
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| {
            Ok(ListedJob {
                key: key_of(row, 0)?,
                submitted_unix_us: row.get(1)?,
                done: done(row, 2)?,
                steps: vec![],
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for job in &mut jobs {
        job.steps = transaction
            .prepare_cached("SELECT step, summary FROM steps WHERE job = ?1 ORDER BY step")?
            .query_map([blob_of(job.key)], |row| Ok((row.get(0)?, Bytes::from(row.get::<_, Vec<u8>>(1)?))))?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(jobs)
}

/// The text has only our own words in it; everything from outside is a bound value.
fn list_query(filter: &ListFilter) -> (String, Vec<Value>) {
    let mut sql =
        String::from("SELECT id, submitted_us, finished_us, verdict, done_sequence FROM jobs WHERE 1");
    let mut values = Vec::new();
    match filter.done {
        Some(true) => sql += " AND finished_us IS NOT NULL",
        Some(false) => sql += " AND finished_us IS NULL",
        None => {}
    }
    if let Some(verdict) = filter.verdict {
        sql += " AND verdict = ?";
        values.push(Value::Integer(verdict.into()));
    }
    for (name, value) in &filter.labels {
        sql += " AND EXISTS (SELECT 1 FROM labels WHERE name = ? AND value = ? AND job = jobs.id)";
        values.extend([Value::Text(name.clone()), Value::Text(value.clone())]);
    }
    if let Some(before) = filter.before {
        sql += " AND id < ?";
        values.push(Value::Blob(blob_of(before).to_vec()));
    }
    sql += " ORDER BY id DESC LIMIT ?";
    values.push(Value::Integer(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    (sql, values)
}

pub(super) fn is_blob_used(connection: &mut Connection, digest: &DigestBytes) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM blob_uses WHERE digest = ?1)
                 OR EXISTS (SELECT 1 FROM images WHERE digest = ?1)",
        )?
        .query_row(params![digest], |row| row.get(0))
}

pub(super) fn images(connection: &mut Connection) -> rusqlite::Result<Vec<ImageRow>> {
    connection
        .prepare_cached(
            "SELECT name, digest, size_bytes, unpacked_bytes, entries, imported_us FROM images ORDER BY name",
        )?
        .query_map([], |row| {
            Ok(ImageRow {
                name: row.get(0)?,
                digest: row.get(1)?,
                size_bytes: row.get(2)?,
                unpacked_bytes: row.get(3)?,
                entries: row.get(4)?,
                imported_unix_us: row.get(5)?,
            })
        })?
        .collect()
}
