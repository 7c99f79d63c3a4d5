//! Blobs on this worker: a cache on disk by digest, filled from the server and from what commands leave behind.
//!
//! A file appears under its digest only whole and verified; until then it has no name, so nothing is left after a crash.
//! Whoever opened a blob keeps it, whatever is evicted meanwhile; one that is [`Held`] keeps its name too, in this process: two workers that
//! share a directory may evict what the other is about to show, which is an infrastructure failure and tried again. The transfers are in [`transfer`].

mod transfer;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use kiln_proto::model::Digest;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tokio::sync::Semaphore;
use tonic::transport::Channel;

pub(crate) use transfer::TransferError;

/// A command that is shown a file of the cache is none of those that own it.
const READABLE: u32 = 0o444;
/// Transfers at the same time.
const TRANSFERS: usize = 4;

/// The cache.
#[derive(Debug)]
pub(crate) struct Blobs {
    directory: PathBuf,
    max_bytes: u64,
    index: Mutex<Index>,
    fetching: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    transfers: Semaphore,
    server: Option<Channel>,
}

/// A blob that is not evicted for as long as this lives. (Its room would not be free any sooner: somebody has it open.)
#[derive(Debug)]
pub(crate) struct Held {
    blobs: Arc<Blobs>,
    digest: Digest,
}

/// Why a blob is not there, or could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("make the blob cache {}", path.display())]
    MakeDirectory { path: PathBuf, source: io::Error },
    #[error("list the blob cache {}", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("open blob {digest}")]
    Open { digest: Digest, source: io::Error },
    #[error("store a blob")]
    Store { source: io::Error },
    #[error("read what becomes a blob")]
    Read { source: io::Error },
    #[error("blob {digest} is not here and there is no server to ask")]
    NoServer { digest: Digest },
    #[error("fetch blob {digest}")]
    Fetch { digest: Digest, source: TransferError },
    #[error("upload blob {digest}")]
    Upload { digest: Digest, source: TransferError },
    #[error("a task was stopped")]
    Stopped,
}

impl Blobs {
    /// Opens the cache in `directory` and takes over what it holds.
    pub(crate) fn open(directory: &Path, max_bytes: u64, server: Option<Channel>) -> Result<Self, BlobError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| BlobError::MakeDirectory { path: directory.to_owned(), source })?;
        let index = Index::load(directory)
            .map_err(|source| BlobError::List { path: directory.to_owned(), source })?;
        let blobs = Self {
            directory: directory.to_owned(),
            max_bytes,
            index: Mutex::new(index),
            fetching: Mutex::default(),
            transfers: Semaphore::new(TRANSFERS),
            server,
        };
        blobs.evict();
        Ok(blobs)
    }

    /// A blob, open for reading; fetched and verified first when it is not here. Callers for one digest share a fetch.
    pub(crate) async fn get(&self, digest: &Digest) -> Result<File, BlobError> {
        if let Some(file) = self.open_cached(digest)? {
            return Ok(file);
        }
        let turn = Arc::clone(
            self.fetching.lock().expect("no holder of this lock panics").entry(*digest).or_default(),
        );
        let fetched = {
            let _turn = turn.lock().await;
            self.fetch_unless_cached(digest).await
        };
        let mut fetching = self.fetching.lock().expect("no holder of this lock panics");
        // Two references: the map's and this one. Whoever waits keeps the entry alive.
        if Arc::strong_count(&turn) <= 2 {
            fetching.remove(digest);
        }
        fetched
    }

    /// Keeps the name of a blob that was opened, for a jail to find it by.
    pub(crate) fn hold(self: &Arc<Self>, digest: &Digest) -> Held {
        self.index.lock().expect("no holder of this lock panics").hold(*digest);
        Held { blobs: Arc::clone(self), digest: *digest }
    }

    /// Where the files lie.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stores at most `max_bytes` of `read`. Blocks; for blocking threads.
    pub(crate) fn store(&self, mut read: impl Read) -> Result<(Digest, u64), BlobError> {
        let mut incoming = self.incoming()?;
        let mut chunk = vec![0; 256 * 1024];
        loop {
            match read.read(&mut chunk).map_err(|source| BlobError::Read { source })? {
                0 => break,
                length => incoming.append(&chunk[..length])?,
            }
        }
        let digest = incoming.digest();
        let size_bytes = incoming.size_bytes;
        self.keep(incoming, &digest)?;
        Ok((digest, size_bytes))
    }

    /// Makes sure that the server has a blob that is here.
    pub(crate) async fn upload(&self, digest: &Digest) -> Result<(), BlobError> {
        let server = self.server.clone().ok_or_else(|| BlobError::NoServer { digest: *digest })?;
        let _permit = self.transfers.acquire().await.map_err(|_closed| BlobError::Stopped)?;
        let file = self
            .open_cached(digest)?
            .ok_or_else(|| BlobError::Open { digest: *digest, source: io::ErrorKind::NotFound.into() })?;
        transfer::upload(server, digest, file)
            .await
            .map_err(|source| BlobError::Upload { digest: *digest, source })
    }

    /// Whether results may refer to blobs at the server.
    pub(crate) fn has_server(&self) -> bool {
        self.server.is_some()
    }

    async fn fetch_unless_cached(&self, digest: &Digest) -> Result<File, BlobError> {
        if let Some(file) = self.open_cached(digest)? {
            return Ok(file);
        }
        let server = self.server.clone().ok_or_else(|| BlobError::NoServer { digest: *digest })?;
        let _permit = self.transfers.acquire().await.map_err(|_closed| BlobError::Stopped)?;
        let incoming = transfer::fetch(server, digest, self.incoming()?)
            .await
            .map_err(|source| BlobError::Fetch { digest: *digest, source })?;
        self.keep(incoming, digest)
    }

    fn open_cached(&self, digest: &Digest) -> Result<Option<File>, BlobError> {
        match File::open(self.path(digest)) {
            Ok(file) => {
                self.index.lock().expect("no holder of this lock panics").touch(digest);
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.index.lock().expect("no holder of this lock panics").forget(digest);
                Ok(None)
            }
            Err(source) => Err(BlobError::Open { digest: *digest, source }),
        }
    }

    fn incoming(&self) -> Result<Incoming, BlobError> {
        Incoming::open(&self.directory).map_err(|source| BlobError::Store { source })
    }

    /// Names a complete file by its digest, and gives back a descriptor that can only read.
    fn keep(&self, incoming: Incoming, digest: &Digest) -> Result<File, BlobError> {
        let path = self.path(digest);
        incoming.link(&path).map_err(|source| BlobError::Store { source })?;
        let file = File::open(&path).map_err(|source| BlobError::Open { digest: *digest, source })?;
        self.index.lock().expect("no holder of this lock panics").add(*digest, incoming.size_bytes);
        self.evict();
        Ok(file)
    }

    /// Removes the least recently used until the rest fits; never the latest.
    fn evict(&self) {
        let mut index = self.index.lock().expect("no holder of this lock panics");
        while index.total_bytes > self.max_bytes {
            let Some(oldest) = index.oldest_unheld_but_the_latest() else { return };
            index.forget(&oldest);
            if let Err(error) = std::fs::remove_file(self.path(&oldest))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(digest = %oldest, %error, "cannot remove a cached blob");
            }
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(file_name(digest))
    }
}

impl Held {
    /// In [`Blobs::directory`].
    pub(crate) fn file_name(&self) -> String {
        file_name(&self.digest)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.blobs.index.lock().expect("no holder of this lock panics").let_go(&self.digest);
        self.blobs.evict();
    }
}

/// A blob that is not whole yet: a file without a name.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: File,
    hasher: blake3::Hasher,
    pub(crate) size_bytes: u64,
}

impl Incoming {
    fn open(directory: &Path) -> io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::TMPFILE.bits().cast_signed())
            .open(directory)?;
        // Whatever this process' mask is.
        file.set_permissions(PermissionsExt::from_mode(READABLE))?;
        Ok(Self { file, hasher: blake3::Hasher::new(), size_bytes: 0 })
    }

    pub(crate) fn append(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(chunk).map_err(|source| BlobError::Store { source })?;
        self.hasher.update(chunk);
        self.size_bytes += chunk.len() as u64;
        Ok(())
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from(*self.hasher.finalize().as_bytes())
    }

    /// open(2) describes naming an O_TMPFILE this way. Somebody else's file of that name has the same content.
    fn link(&self, path: &Path) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let own = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
        match rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What the cache holds, for eviction.
#[derive(Debug, Default)]
struct Index {
    entries: HashMap<Digest, Entry>,
    total_bytes: u64,
    clock: u64,
    held: HashMap<Digest, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    size_bytes: u64,
    used: u64,
}

impl Index {
    fn load(directory: &Path) -> io::Result<Self> {
        let mut found: Vec<(SystemTime, Digest, u64)> = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if let Some(digest) = entry.file_name().to_str().and_then(digest_of_file_name) {
                // Earlier versions kept them for themselves.
                if metadata.permissions().mode() & 0o777 != READABLE {
                    std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(READABLE))?;
                }
                found.push((metadata.modified()?, digest, metadata.len()));
            }
        }
        found.sort_by_key(|(modified, _, _)| *modified);
        let mut index = Self::default();
        for (_, digest, size_bytes) in found {
            index.add(digest, size_bytes);
        }
        Ok(index)
    }

    fn add(&mut self, digest: Digest, size_bytes: u64) {
        self.forget(&digest);
        self.clock += 1;
        self.total_bytes += size_bytes;
        self.entries.insert(digest, Entry { size_bytes, used: self.clock });
    }

    fn touch(&mut self, digest: &Digest) {
        self.clock += 1;
        let clock = self.clock;
        if let Some(entry) = self.entries.get_mut(digest) {
            entry.used = clock;
        }
    }

    fn forget(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.remove(digest) {
            self.total_bytes -= entry.size_bytes;
        }
    }

    fn oldest_unheld_but_the_latest(&self) -> Option<Digest> {
        let latest = self.entries.values().map(|entry| entry.used).max()?;
        let evictable =
            |digest: &Digest, entry: &Entry| entry.used != latest && !self.held.contains_key(digest);
        let evictable = self.entries.iter().filter(|(digest, entry)| evictable(digest, entry));
        evictable.min_by_key(|(_, entry)| entry.used).map(|(digest, _)| *digest)
    }

    fn hold(&mut self, digest: Digest) {
        *self.held.entry(digest).or_default() += 1;
    }

    fn let_go(&mut self, digest: &Digest) {
        if let Some(holders) = self.held.get_mut(digest) {
            *holders -= 1;
            if *holders == 0 {
                self.held.remove(digest);
            }
        }
    }
}

/// `blake3-<hex>`: a digest's text without the colon.
fn file_name(digest: &Digest) -> String {
    digest.to_string().replace(':', "-")
}

fn digest_of_file_name(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}

/// Bytes as a file that nobody can write any more, positioned at its beginning: how inline content enters a sandbox.
pub(crate) fn sealed_file(content: &[u8]) -> io::Result<File> {
    use std::io::Seek;
    let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("kiln-input", flags)?);
    file.write_all(content)?;
    file.rewind()?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o400))?;
    let seals = rustix::fs::SealFlags::WRITE
        | rustix::fs::SealFlags::GROW
        | rustix::fs::SealFlags::SHRINK
        | rustix::fs::SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(max_bytes: u64) -> (tempfile::TempDir, Blobs) {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&directory.path().join("blobs"), max_bytes, None).unwrap();
        (directory, blobs)
    }

    #[tokio::test]
    async fn what_was_stored_is_read_back_by_digest() {
        let (_directory, blobs) = cache(1 << 20);
        let (digest, size_bytes) = blobs.store(&b"content"[..]).unwrap();
        assert_eq!(size_bytes, 7);
        assert_eq!(digest.to_string(), format!("blake3:{}", blake3::hash(b"content")));
        assert_eq!(io::read_to_string(blobs.get(&digest).await.unwrap()).unwrap(), "content");
        blobs.store(&b"content"[..]).unwrap();
        assert_eq!(blobs.index.lock().unwrap().total_bytes, 7);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_first_and_open_files_stay_readable() {
        let (_directory, blobs) = cache(25);
        let (first, _) = blobs.store(&[b'1'; 10][..]).unwrap();
        let (second, _) = blobs.store(&[b'2'; 10][..]).unwrap();
        let held = blobs.get(&first).await.unwrap();
        let open_second = blobs.get(&second).await.unwrap();
        blobs.get(&first).await.unwrap();
        blobs.store(&[b'3'; 10][..]).unwrap();
        assert!(matches!(blobs.get(&second).await, Err(BlobError::NoServer { .. })));
        assert_eq!(io::read_to_string(open_second).unwrap(), "2222222222");
        assert_eq!(io::read_to_string(held).unwrap(), "1111111111");
    }

    #[tokio::test]
    async fn what_is_held_keeps_its_name_for_as_long_and_no_longer() {
        let (_directory, blobs) = cache(15);
        let blobs = Arc::new(blobs);
        let (first, _) = blobs.store(&[b'1'; 10][..]).unwrap();
        let (held, again) = (blobs.hold(&first), blobs.hold(&first));
        let (second, _) = blobs.store(&[b'2'; 10][..]).unwrap();
        drop(again);
        assert!(blobs.directory().join(held.file_name()).exists());
        drop(held);
        assert!(matches!(blobs.get(&first).await, Err(BlobError::NoServer { .. })));
        assert!(blobs.get(&second).await.is_ok());
    }

    #[test]
    fn everybody_may_read_a_blob_and_nobody_write_it() {
        let (directory, blobs) = cache(1 << 20);
        let (digest, _) = blobs.store(&b"content"[..]).unwrap();
        let mode =
            |blobs: &Blobs| std::fs::metadata(blobs.path(&digest)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&blobs), 0o444);
        std::fs::set_permissions(blobs.path(&digest), PermissionsExt::from_mode(0o400)).unwrap();
        let reopened = Blobs::open(&directory.path().join("blobs"), 1 << 20, None).unwrap();
        assert_eq!(mode(&reopened), 0o444, "one of an earlier version");
    }

    #[tokio::test]
    async fn a_restart_takes_the_cache_over_within_its_bound() {
        let (directory, blobs) = cache(1 << 20);
        let (first, _) = blobs.store(&[b'1'; 100][..]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (second, _) = blobs.store(&[b'2'; 100][..]).unwrap();
        drop(blobs);
        let blobs = Blobs::open(&directory.path().join("blobs"), 150, None).unwrap();
        assert!(blobs.get(&first).await.is_err());
        assert!(blobs.get(&second).await.is_ok());
    }

    #[test]
    fn sealed_files_cannot_change() {
        let mut file = sealed_file(b"input").unwrap();
        assert!(file.write_all(b"x").is_err());
        assert_eq!(io::read_to_string(file).unwrap(), "input");
    }
}
