//! The store in one SQLite file: WAL, synchronous=FULL, one writer thread with group commit, a few readers.

mod reader;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    AcceptJob, Accepted, Answer, DigestBytes, ImageRow, KeyReused, ListFilter, ListedJob, Record, Store,
    StoreError, StoredJob, Sweep,
};
use crate::queue::JobKey;
use reader::Readers;
use writer::{Write, Writer};

/// The embedded default.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    epoch: u64,
}

impl Sqlite {
    /// Opens or creates the file, brings its schema up to date, and begins a new epoch: one durable write.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = schema::open(path)?;
        let epoch = begin_epoch(&mut connection).map_err(|error| StoreError::Write(Arc::new(error)))?;
        let readers = Readers::open(path).map_err(|error| StoreError::Read(Arc::new(error)))?;
        Ok(Self { writer: Writer::start(connection), readers: Arc::new(readers), epoch })
    }

    /// Rises with each opening: the number of this life of the server.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    fn write<T: Send + 'static>(&self, make: impl FnOnce(writer::Reply<T>) -> Write) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.writer.send(make(reply));
        Box::pin(async move {
            sent.await?;
            answer.await.map_err(|_| StoreError::Closed)?
        })
    }

    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let readers = self.readers.clone();
        Box::pin(async move { readers.run(query).await })
    }
}

fn begin_epoch(connection: &mut Connection) -> rusqlite::Result<u64> {
    connection.query_row("UPDATE life SET epoch = epoch + 1 RETURNING epoch", [], |row| row.get(0))
}

impl Store for Sqlite {
    fn accept(&self, jobs: Vec<AcceptJob>) -> Answer<Result<Vec<Accepted>, KeyReused>> {
        self.write(|reply| Write::Accept(jobs, reply))
    }

    fn record(&self, record: Record) -> Answer<()> {
        self.write(|reply| Write::Record(Box::new(record), reply))
    }

    fn job(&self, key: JobKey) -> Answer<Option<StoredJob>> {
        self.read(move |connection| reader::job(connection, key))
    }

    fn unfinished(&self) -> Answer<Vec<StoredJob>> {
        self.read(reader::unfinished)
    }

    fn list(&self, filter: ListFilter) -> Answer<Vec<ListedJob>> {
        self.read(move |connection| reader::list(connection, &filter))
    }

    fn sweep(&self, sweep: Sweep) -> Answer<usize> {
        self.write(|reply| Write::Sweep(sweep, reply))
    }

    fn is_blob_used(&self, digest: DigestBytes) -> Answer<bool> {
        self.read(move |connection| reader::is_blob_used(connection, &digest))
    }

    fn put_image(&self, image: ImageRow) -> Answer<()> {
        self.write(|reply| Write::PutImage(image, reply))
    }

    fn remove_image(&self, name: String) -> Answer<bool> {
        self.write(|reply| Write::RemoveImage(name, reply))
    }

    fn images(&self) -> Answer<Vec<ImageRow>> {
        self.read(reader::images)
    }
}
