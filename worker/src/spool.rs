//! A spool: what a command wrote to one stream, kept for as long as somebody may read it.
//!
//! The first 64 KiB stay in memory, the rest goes to an unlinked file. One writer appends (see [`crate::output`]), any
//! number of readers follow from the beginning at their own pace. A reader must never slow the writer down, and the
//! spool must never hold more than its limit.
//!
//! Who keeps up never reads the file: while more may come, the latest chunks are in memory too, as the writer brought them.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;

/// Kept in memory, and sent inside a result: see `CommandResult.stdout` in the API.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;
/// A reader's largest chunk.
const CHUNK_BYTES: u64 = kiln_proto::OUTPUT_CHUNK_BYTES as u64;
/// Of the latest chunks, in memory.
const RECENT_BYTES: usize = 512 * 1024;
/// However small they are.
const RECENT_CHUNKS: usize = 64;

/// What a command wrote to one stream.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    limit_bytes: u64,
    head: Mutex<Vec<u8>>,
    tail: OnceLock<File>,
    recent: Mutex<Recent>,
    state: watch::Sender<SpoolState>,
}

/// How far a spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpoolState {
    pub(crate) kept_bytes: u64,
    /// More than the limit was written.
    pub(crate) truncated: bool,
    /// Nothing more will come.
    pub(crate) complete: bool,
}

impl Spool {
    /// An empty spool that keeps at most `limit_bytes`, beyond the head in an unlinked file in `directory`.
    pub(crate) fn new(directory: &Path, limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            directory: directory.to_owned(),
            limit_bytes,
            head: Mutex::default(),
            tail: OnceLock::new(),
            recent: Mutex::default(),
            state: watch::Sender::default(),
        })
    }

    pub(crate) fn state(&self) -> SpoolState {
        *self.state.borrow()
    }

    /// Sees every later change of the state.
    pub(crate) fn watch(&self) -> watch::Receiver<SpoolState> {
        self.state.subscribe()
    }

    /// The first 64 KiB, or all when there is less.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.head.lock().expect("no holder of this lock panics").clone()
    }

    /// Whether [`Spool::append`] of that many bytes stays in memory, so that it need not be called on a blocking thread.
    pub(crate) fn fits_in_head(&self, more_bytes: usize) -> bool {
        let kept = self.state.borrow().kept_bytes;
        kept + (more_bytes as u64) <= HEAD_BYTES as u64 || kept >= self.limit_bytes
    }

    /// Keeps what fits under the limit; notes when something did not. Only the one writer may call this.
    pub(crate) fn append(&self, data: &Bytes) -> io::Result<SpoolState> {
        let before = self.state();
        let room = self.limit_bytes - before.kept_bytes;
        let kept = data.slice(..data.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        let in_head = kept
            .len()
            .min(HEAD_BYTES.saturating_sub(usize::try_from(before.kept_bytes).unwrap_or(usize::MAX)));
        let (head, tail) = kept.split_at(in_head);
        if !head.is_empty() {
            self.head.lock().expect("no holder of this lock panics").extend_from_slice(head);
        }
        if !tail.is_empty() {
            let offset = before.kept_bytes + in_head as u64 - HEAD_BYTES as u64;
            self.tail_file()?.write_all_at(tail, offset)?;
            self.recent.lock().expect("no holder of this lock panics").add(before.kept_bytes, kept.clone());
        }
        let after = SpoolState {
            kept_bytes: before.kept_bytes + kept.len() as u64,
            truncated: before.truncated || kept.len() < data.len(),
            complete: false,
        };
        self.state.send_replace(after);
        Ok(after)
    }

    /// Tells the readers that nothing more will come.
    pub(crate) fn complete(&self) {
        self.state.send_modify(|state| state.complete = true);
        *self.recent.lock().expect("no holder of this lock panics") = Recent::default();
    }

    /// Reads what is there at `offset`, at most `CHUNK_BYTES`; empty when nothing is. Blocks on the disk beyond the head.
    pub(crate) fn read_at(&self, offset: u64) -> io::Result<Bytes> {
        let available = (self.state().kept_bytes.saturating_sub(offset)).min(CHUNK_BYTES);
        if available == 0 {
            return Ok(Bytes::new());
        }
        if offset < HEAD_BYTES as u64 {
            let head = self.head.lock().expect("no holder of this lock panics");
            let from = usize::try_from(offset).expect("less than a head");
            let to = head.len().min(from + usize::try_from(available).expect("at most a chunk"));
            return Ok(Bytes::copy_from_slice(&head[from..to]));
        }
        if let Some(chunk) = self.recent(offset) {
            return Ok(chunk);
        }
        let mut chunk = vec![0; usize::try_from(available).expect("at most a chunk")];
        self.tail_file()?.read_exact_at(&mut chunk, offset - HEAD_BYTES as u64)?;
        Ok(chunk.into())
    }

    /// What is there at `offset` of the latest chunks.
    fn recent(&self, offset: u64) -> Option<Bytes> {
        self.recent.lock().expect("no holder of this lock panics").at(offset)
    }

    /// A reader from the beginning.
    pub(crate) fn follow(self: &Arc<Self>) -> SpoolReader {
        SpoolReader { spool: Arc::clone(self), state: self.watch(), offset: 0 }
    }

    fn tail_file(&self) -> io::Result<&File> {
        if let Some(file) = self.tail.get() {
            return Ok(file);
        }
        let file = tempfile::tempfile_in(&self.directory)?;
        Ok(self.tail.get_or_init(|| file))
    }
}

/// The latest chunks of a spool, each with its offset.
#[derive(Debug, Default)]
struct Recent {
    chunks: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

impl Recent {
    fn add(&mut self, offset: u64, chunk: Bytes) {
        self.bytes += chunk.len();
        self.chunks.push_back((offset, chunk));
        while self.bytes > RECENT_BYTES || self.chunks.len() > RECENT_CHUNKS {
            let Some((_, oldest)) = self.chunks.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }

    fn at(&self, offset: u64) -> Option<Bytes> {
        let next = self.chunks.partition_point(|(begin, _)| *begin <= offset);
        let (begin, chunk) = self.chunks.get(next.checked_sub(1)?)?;
        let from = usize::try_from(offset - begin).ok().filter(|from| *from < chunk.len())?;
        Some(chunk.slice(from..chunk.len().min(from + kiln_proto::OUTPUT_CHUNK_BYTES)))
    }
}

/// Follows a spool from the beginning until it is complete.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    spool: Arc<Spool>,
    state: watch::Receiver<SpoolState>,
    offset: u64,
}

impl SpoolReader {
    /// The next chunk with its offset; `None` once everything was read and nothing more will come.
    pub(crate) async fn next(&mut self) -> io::Result<Option<(u64, Bytes)>> {
        let offset = self.offset;
        let seen = self.state.wait_for(|state| state.kept_bytes > offset || state.complete).await;
        let kept_bytes = seen.map_or(offset, |state| state.kept_bytes);
        if kept_bytes <= offset {
            return Ok(None);
        }
        let data = if offset < HEAD_BYTES as u64 {
            self.spool.read_at(offset)?
        } else if let Some(chunk) = self.spool.recent(offset) {
            chunk
        } else {
            let spool = Arc::clone(&self.spool);
            tokio::task::spawn_blocking(move || spool.read_at(offset)).await.map_err(io::Error::other)??
        };
        self.offset += data.len() as u64;
        Ok(Some((offset, data)))
    }
}

/// Reads a complete spool as a stream of bytes; for blocking threads.
#[derive(Debug)]
pub(crate) struct SpoolBytes {
    spool: Arc<Spool>,
    offset: u64,
}

impl SpoolBytes {
    pub(crate) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, offset: 0 }
    }
}

impl io::Read for SpoolBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.spool.read_at(self.offset)?;
        let read = chunk.len().min(buffer.len());
        buffer[..read].copy_from_slice(&chunk[..read]);
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn spool(limit_bytes: u64) -> Arc<Spool> {
        Spool::new(&std::env::temp_dir(), limit_bytes)
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 31 % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_follower_reads_from_the_beginning_until_the_end() {
        let spool = spool(1 << 30);
        spool.append(&Bytes::from_static(b"before ")).unwrap();
        let mut reader = spool.follow();
        let follower = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some((offset, data)) = reader.next().await.unwrap() {
                assert_eq!(offset, all.len() as u64);
                all.extend_from_slice(&data);
            }
            all
        });
        let bulk = pattern(300_000);
        for part in bulk.chunks(7_001) {
            spool.append(&Bytes::copy_from_slice(part)).unwrap();
            tokio::task::yield_now().await;
        }
        spool.complete();
        let all = follower.await.unwrap();
        assert_eq!(&all[..7], b"before ");
        assert_eq!(&all[7..], &bulk[..]);
    }

    #[tokio::test]
    async fn who_keeps_up_gets_what_the_writer_brought_and_who_does_not_reads_the_file() {
        let spool = spool(1 << 30);
        spool.append(&pattern(HEAD_BYTES).into()).unwrap();
        let mut reader = spool.follow();
        reader.next().await.unwrap();
        let chunks: Vec<Bytes> = (0..20_u8).map(|fill| vec![fill; 60_000].into()).collect();
        for chunk in &chunks {
            spool.append(chunk).unwrap();
        }
        let last = HEAD_BYTES as u64 + 19 * 60_000;
        assert_eq!(spool.read_at(last).unwrap().as_ptr(), chunks[19].as_ptr(), "no copy");
        let (_, first) = reader.next().await.unwrap().unwrap();
        assert_ne!(first.as_ptr(), chunks[0].as_ptr(), "it was in memory for long enough");
        assert_eq!(first[..60_000], chunks[0][..]);
        let kept: usize = spool.recent.lock().unwrap().chunks.iter().map(|(_, chunk)| chunk.len()).sum();
        assert!(kept <= RECENT_BYTES);
        spool.complete();
        assert_eq!(spool.recent(last), None);
        assert_eq!(spool.read_at(last).unwrap(), chunks[19]);
    }

    #[tokio::test]
    async fn an_empty_complete_spool_ends_at_once() {
        let spool = spool(10);
        spool.complete();
        assert_eq!(spool.follow().next().await.unwrap(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn keeps_exactly_the_limit(limit in 1u64..200_000, sizes in prop::collection::vec(0usize..70_000, 0..6)) {
            let spool = spool(limit);
            let data = pattern(sizes.iter().sum());
            let mut offset = 0;
            for size in sizes {
                spool.append(&Bytes::copy_from_slice(&data[offset..offset + size])).unwrap();
                offset += size;
            }
            let kept = data.len().min(limit as usize);
            prop_assert_eq!(spool.state().kept_bytes, kept as u64);
            prop_assert_eq!(spool.state().truncated, data.len() > kept);
            prop_assert_eq!(spool.head(), &data[..kept.min(HEAD_BYTES)]);
            let mut read = Vec::new();
            SpoolBytes::new(spool).read_to_end(&mut read).unwrap();
            prop_assert_eq!(&read[..], &data[..kept]);
        }
    }
}
