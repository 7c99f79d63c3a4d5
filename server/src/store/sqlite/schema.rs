//! The tables, and how an older file is brought up to date. A schema that was released is never changed: a new step is added.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;

/// One step per schema version; `user_version` says how many were done.
const STEPS: &[&str] = &[
    // `jobs` is what lists and the recovery read: narrow, apart from the specifications and results.
    "CREATE TABLE life (epoch INTEGER NOT NULL);
     INSERT INTO life VALUES (0);
     CREATE TABLE jobs (
         id BLOB PRIMARY KEY,
         submitted_us INTEGER NOT NULL,
         cancelled INTEGER NOT NULL DEFAULT 0,
         finished_us INTEGER,
         verdict INTEGER,
         done_sequence INTEGER,
         last_sequence INTEGER NOT NULL,
         epoch INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX jobs_unfinished ON jobs (id) WHERE finished_us IS NULL;
     CREATE INDEX jobs_finished ON jobs (finished_us) WHERE finished_us IS NOT NULL;
     CREATE TABLE specs (
         job BLOB PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
         spec BLOB NOT NULL
     ) STRICT;
     CREATE TABLE steps (
         job BLOB NOT NULL REFERENCES jobs ON DELETE CASCADE,
         step INTEGER NOT NULL,
         status BLOB NOT NULL,
         summary BLOB NOT NULL,
         started_sequence INTEGER NOT NULL,
         finished_sequence INTEGER NOT NULL,
         UNIQUE (job, step)
     ) STRICT;
     CREATE TABLE labels (
         name TEXT NOT NULL,
         value TEXT NOT NULL,
         job BLOB NOT NULL REFERENCES jobs ON DELETE CASCADE,
         PRIMARY KEY (name, value, job)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX labels_by_job ON labels (job);
     CREATE TABLE idempotency (
         key TEXT PRIMARY KEY,
         fingerprint BLOB NOT NULL,
         job BLOB NOT NULL REFERENCES jobs ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX idempotency_by_job ON idempotency (job);
     CREATE TABLE blob_uses (
         digest BLOB NOT NULL,
         job BLOB NOT NULL REFERENCES jobs ON DELETE CASCADE,
         PRIMARY KEY (digest, job)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX blob_uses_by_job ON blob_uses (job);
     CREATE TABLE images (
         name TEXT PRIMARY KEY,
         digest BLOB NOT NULL,
         size_bytes INTEGER NOT NULL,
         unpacked_bytes INTEGER NOT NULL,
         entries INTEGER NOT NULL,
         imported_us INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX images_by_digest ON images (digest);",
];

/// Opens the file for writing, with its schema up to date.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let named = |source| StoreError::Open { path: path.display().to_string(), source: Arc::new(source) };
    keep_private(path).map_err(|source| StoreError::Create {
        path: path.display().to_string(),
        source: Arc::new(source),
    })?;
    let mut connection = Connection::open(path).map_err(named)?;
    set_up(&connection).map_err(named)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(named)?;
    // With WAL only FULL makes a commit durable against a power failure: https://sqlite.org/pragma.html#pragma_synchronous
    connection.pragma_update(None, "synchronous", "full").map_err(named)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(named)?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(StoreError::TooNew { path: path.display().to_string(), found, known });
    }
    migrate(&mut connection, usize::try_from(found).unwrap_or(0)).map_err(named)?;
    Ok(connection)
}

/// Jobs are nobody else's matter. SQLite gives its other files the mode of this one.
fn keep_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// Opens the file for reading, and reads: SQLite opens nothing before.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    connection.query_row("SELECT epoch FROM life", [], |_| Ok(()))?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)
}

fn migrate(connection: &mut Connection, done: usize) -> rusqlite::Result<()> {
    for (index, step) in STEPS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
