//! The only writer: a thread that takes what has piled up, writes it in one transaction, and then answers all of it.

use std::future::Future;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::super::{
    AcceptJob, Accepted, DigestBytes, ImageRow, KeyReused, Record, StepRow, StoreError, Sweep,
};
use super::reader::{blob_of, key_of};
use crate::queue::JobKey;

/// Writes in one transaction, at most.
const GROUP: usize = 256;
/// Writes that wait, at most; beyond it the senders wait.
const WAITING: usize = 4096;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A write.
#[derive(Debug)]
pub(super) enum Write {
    Accept(Vec<AcceptJob>, Reply<Result<Vec<Accepted>, KeyReused>>),
    Record(Box<Record>, Reply<()>),
    Sweep(Sweep, Reply<usize>),
    PutImage(ImageRow, Reply<()>),
    RemoveImage(String, Reply<bool>),
}

/// The way to the writer thread. The thread ends when this is dropped and everything sent has been written.
#[derive(Debug)]
pub(super) struct Writer {
    writes: mpsc::Sender<Write>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Self {
        let (writes, waiting) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("kiln-store".into())
            .spawn(move || run(connection, waiting))
            .expect("a thread can be started: the server is just starting up");
        Self { writes }
    }

    /// In line at once when there is room, else as soon as there is.
    pub(super) fn send(&self, write: Write) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let full = match self.writes.try_send(write) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(write)) => Some((self.writes.clone(), write)),
            // The reply was dropped with the write: the caller sees that.
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        };
        async move {
            match full {
                None => Ok(()),
                Some((writes, write)) => writes.send(write).await.map_err(|_| StoreError::Closed),
            }
        }
    }
}

/// Answers once it is known whether the transaction was committed.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

fn run(mut connection: Connection, mut waiting: mpsc::Receiver<Write>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut answers = Vec::with_capacity(group.len());
        let outcome = commit(&mut connection, group.drain(..), &mut answers);
        for answer in answers {
            answer(outcome.clone());
        }
    }
}

/// One transaction. When a statement fails, the writes not reached yet are dropped, and their senders see a closed reply.
fn commit(
    connection: &mut Connection,
    group: impl Iterator<Item = Write>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::Write(Arc::new(error));
    let transaction = connection.transaction().map_err(failed)?;
    for write in group {
        answers.push(perform(&transaction, write).map_err(failed)?);
    }
    transaction.commit().map_err(failed)
}

fn perform(transaction: &Transaction<'_>, write: Write) -> rusqlite::Result<Answer> {
    Ok(match write {
        Write::Accept(jobs, reply) => later(reply, accept(transaction, &jobs)?),
        Write::Record(what, reply) => later(reply, record(transaction, &what)?),
        Write::Sweep(what, reply) => later(reply, sweep(transaction, what)?),
        Write::PutImage(image, reply) => later(reply, put_image(transaction, &image)?),
        Write::RemoveImage(name, reply) => {
            later(reply, transaction.execute("DELETE FROM images WHERE name = ?1", [name])? > 0)
        }
    })
}

fn later<T: 'static>(reply: Reply<T>, value: T) -> Answer {
    // Whoever asked may be gone; the write stands all the same.
    Box::new(move |outcome| drop(reply.send(outcome.map(|()| value))))
}

/// Looks before it writes, so that a refusal leaves nothing behind in a transaction shared with others.
fn accept(
    transaction: &Transaction<'_>,
    jobs: &[AcceptJob],
) -> rusqlite::Result<Result<Vec<Accepted>, KeyReused>> {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut in_batch: std::collections::HashMap<&str, (JobKey, &DigestBytes)> = Default::default();
    for (index, job) in jobs.iter().enumerate() {
        let Some(idempotency) = &job.idempotency else {
            answers.push(Accepted::New);
            continue;
        };
        let known = match in_batch.get(idempotency.key.as_str()) {
            Some((key, fingerprint)) => Some((*key, **fingerprint)),
            None => find_key(transaction, &idempotency.key)?,
        };
        match known {
            None => {
                in_batch.insert(&idempotency.key, (job.key, &idempotency.fingerprint));
                answers.push(Accepted::New);
            }
            Some((key, fingerprint)) if fingerprint == idempotency.fingerprint => {
                answers.push(Accepted::Already(key));
            }
            Some((job, _)) => return Ok(Err(KeyReused { index, job })),
        }
    }
    for (job, answer) in jobs.iter().zip(&answers) {
        if *answer == Accepted::New {
            insert_job(transaction, job)?;
        }
    }
    Ok(Ok(answers))
}

fn find_key(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<(JobKey, DigestBytes)>> {
    transaction
        .prepare_cached("SELECT job, fingerprint FROM idempotency WHERE key = ?1")?
        .query_row([key], |row| Ok((key_of(row, 0)?, row.get(1)?)))
        .optional()
}

fn insert_job(transaction: &Transaction<'_>, job: &AcceptJob) -> rusqlite::Result<()> {
    let id = blob_of(job.key);
    transaction
        .prepare_cached("INSERT INTO jobs (id, submitted_us, last_sequence, epoch) VALUES (?1, ?2, 1, ?3)")?
        .execute(params![id, job.submitted_unix_us, job.epoch])?;
    transaction
        .prepare_cached("INSERT INTO specs (job, spec) VALUES (?1, ?2)")?
        .execute(params![id, &job.spec[..]])?;
    for (name, value) in &job.labels {
        transaction
            .prepare_cached("INSERT INTO labels (name, value, job) VALUES (?1, ?2, ?3)")?
            .execute(params![name, value, id])?;
    }
    if let Some(idempotency) = &job.idempotency {
        transaction
            .prepare_cached("INSERT INTO idempotency (key, fingerprint, job) VALUES (?1, ?2, ?3)")?
            .execute(params![idempotency.key, idempotency.fingerprint, id])?;
    }
    use_blobs(transaction, &id, &job.blobs)
}

fn use_blobs(transaction: &Transaction<'_>, id: &[u8; 16], blobs: &[DigestBytes]) -> rusqlite::Result<()> {
    for digest in blobs {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO blob_uses (digest, job) VALUES (?1, ?2)")?
            .execute(params![digest, id])?;
    }
    Ok(())
}

fn record(transaction: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    let id = blob_of(record.job);
    let known = transaction
        .prepare_cached(
            "UPDATE jobs SET last_sequence = max(last_sequence, ?2), epoch = ?3, cancelled = max(cancelled, ?4)
             WHERE id = ?1",
        )?
        .execute(params![id, record.last_sequence, record.epoch, record.cancelled])?;
    if known == 0 {
        return Ok(());
    }
    for step in &record.steps {
        insert_step(transaction, &id, step)?;
    }
    if let Some(done) = &record.done {
        transaction
            .prepare_cached(
                "UPDATE jobs SET finished_us = ?2, verdict = ?3, done_sequence = ?4
                 WHERE id = ?1 AND finished_us IS NULL",
            )?
            .execute(params![id, done.finished_unix_us, done.verdict, done.sequence])?;
    }
    Ok(())
}

/// The first result of a step stands: IGNORE is the last line of defence of "recorded exactly once".
fn insert_step(transaction: &Transaction<'_>, id: &[u8; 16], step: &StepRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO steps (job, step, status, summary, started_sequence, finished_sequence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            step.step,
            &step.status[..],
            &step.summary[..],
            step.started_sequence,
            step.finished_sequence
        ])?;
    use_blobs(transaction, id, &step.blobs)
}

fn sweep(transaction: &Transaction<'_>, sweep: Sweep) -> rusqlite::Result<usize> {
    let ended: u64 =
        transaction
            .query_row("SELECT count(*) FROM jobs WHERE finished_us IS NOT NULL", [], |row| row.get(0))?;
    let beyond = ended.saturating_sub(sweep.keep);
    transaction
        .prepare_cached(
            "DELETE FROM jobs WHERE id IN (
                 SELECT id FROM (
                     SELECT id, finished_us, row_number() OVER (ORDER BY finished_us) AS place
                     FROM (SELECT id, finished_us FROM jobs WHERE finished_us IS NOT NULL
                           ORDER BY finished_us LIMIT ?3)
                 ) WHERE finished_us < ?1 OR place <= ?2)",
        )?
        .execute(params![sweep.ended_before_unix_us, beyond, sweep.batch])
}

fn put_image(transaction: &Transaction<'_>, image: &ImageRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO images (name, digest, size_bytes, unpacked_bytes, entries, imported_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            image.name,
            image.digest,
            image.size_bytes,
            image.unpacked_bytes,
            image.entries,
            image.imported_unix_us
        ])?;
    Ok(())
}
