//! Bytes on their way in: counted against the limits before they are written, hashed while they are, and given their name only after
//! an fsync. An interrupted upload keeps its partial file; an import, whose digest nobody announced, keeps nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_proto::model::Digest;
use tempfile::NamedTempFile;

use super::{BlobError, Blobs};

/// A blob that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// It was there before.
    pub already_stored: bool,
}

/// An upload whose digest and size were announced.
#[derive(Debug)]
pub struct Upload {
    sink: Sink,
    digest: Digest,
    announced: u64,
    /// The partial file is ours until dropped.
    claim: Option<Claim>,
}

/// A stream whose digest is not known yet.
#[derive(Debug)]
pub struct Import {
    sink: Sink,
    file: NamedTempFile,
}

#[derive(Debug)]
struct Sink {
    blobs: Arc<Blobs>,
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    written: u64,
    /// Counted in the total beyond what is on disk; given back when dropped.
    reserved: u64,
}

#[derive(Debug)]
struct Claim {
    blobs: Arc<Blobs>,
    digest: Digest,
}

impl Blobs {
    /// Begins or resumes an upload; `None` when the blob is stored already.
    pub fn upload(
        self: &Arc<Self>,
        digest: Digest,
        size_bytes: u64,
        offset: u64,
    ) -> Result<Option<Upload>, BlobError> {
        if self.refresh(&digest)? {
            return Ok(None);
        }
        self.check_size(size_bytes)?;
        let (path, claim) = match self.claim(digest) {
            Some(claim) => (self.partial(&digest), Some(claim)),
            None if offset > 0 => return Err(BlobError::Busy(digest)),
            // A second upload at the same time writes to a file of its own; whoever is first wins.
            None => (self.private_file()?, None),
        };
        // Dropped when it cannot go on: what is on disk stays counted, and a private file goes.
        let mut upload = Upload { sink: Sink::open(self, path)?, digest, announced: size_bytes, claim };
        upload.sink.resume(offset)?;
        upload.sink.reserve(size_bytes.saturating_sub(upload.sink.written))?;
        Ok(Some(upload))
    }

    /// Begins a stream whose digest will be known at its end.
    pub fn begin_import(self: &Arc<Self>) -> Result<Import, BlobError> {
        let file = NamedTempFile::new_in(self.import()).map_err(BlobError::Write)?;
        let sink = Sink::open(self, file.path().to_owned())?;
        Ok(Import { sink, file })
    }

    fn private_file(&self) -> Result<PathBuf, BlobError> {
        let file = NamedTempFile::new_in(self.import()).map_err(BlobError::Write)?;
        let (_, path) = file.keep().map_err(|error| BlobError::Write(error.error))?;
        Ok(path)
    }

    fn check_size(&self, size_bytes: u64) -> Result<(), BlobError> {
        let max_blob_bytes = self.limits.max_blob_bytes;
        if size_bytes > max_blob_bytes {
            return Err(BlobError::TooLarge { size_bytes, max_blob_bytes });
        }
        Ok(())
    }

    fn claim(self: &Arc<Self>, digest: Digest) -> Option<Claim> {
        self.state().uploading.insert(digest).then(|| Claim { blobs: self.clone(), digest })
    }

    /// Gives a complete, synced file its name; false when somebody else was first, and the file is gone.
    fn adopt(&self, path: &Path, digest: &Digest) -> Result<bool, BlobError> {
        let target = self.path(digest);
        let directory = target.parent().expect("a blob's path has a directory");
        fs::create_dir_all(directory).map_err(BlobError::Write)?;
        // Under the lock, so that the sweep never sees the file with an old time.
        let _state = self.state();
        if target.exists() {
            fs::remove_file(path).map_err(BlobError::Remove)?;
            return Ok(false);
        }
        fs::rename(path, &target).map_err(BlobError::Write)?;
        // The name is durable only once its directory is, fsync(2).
        for directory in [directory, &self.root] {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(BlobError::Write)?;
        }
        Ok(true)
    }
}

impl Upload {
    /// Bytes there so far, those of an earlier try included.
    pub fn written(&self) -> u64 {
        self.sink.written
    }

    /// Takes the next bytes.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        let received = self.sink.written + chunk.len() as u64;
        if received > self.announced {
            return Err(BlobError::WrongSize { received, announced: self.announced });
        }
        self.sink.write(chunk)
    }

    /// Verifies and stores the whole. Wrong bytes are thrown away: nobody could resume them.
    pub fn finish(mut self) -> Result<Stored, BlobError> {
        let (received, announced) = (self.sink.written, self.announced);
        if received != announced {
            return Err(BlobError::WrongSize { received, announced });
        }
        let found = self.sink.digest();
        if found != self.digest {
            self.sink.discard()?;
            return Err(BlobError::DigestMismatch { found, wanted: self.digest });
        }
        self.sink.file.sync_all().map_err(BlobError::Write)?;
        let new = self.sink.blobs.adopt(&self.sink.path, &self.digest)?;
        self.sink.keep_if(new);
        Ok(Stored { digest: self.digest, size_bytes: received, already_stored: !new })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.claim.is_none() {
            // A private file; gone already when it was stored.
            let _ = fs::remove_file(&self.sink.path);
        } else if self.sink.path.exists() {
            // The partial file stays on disk, so it stays counted: as long as it is, also after a write that failed half-way.
            let kept = self.sink.file.metadata().map_or(self.sink.written, |metadata| metadata.len());
            self.sink.reserved = self.sink.reserved.saturating_sub(kept);
        }
    }
}

impl Import {
    /// Takes the next bytes.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        self.sink.blobs.check_size(self.sink.written + chunk.len() as u64)?;
        self.sink.reserve(chunk.len() as u64)?;
        self.sink.write(chunk)
    }

    /// Bytes there so far.
    pub fn written(&self) -> u64 {
        self.sink.written
    }

    /// The digest of what came.
    pub fn digest(&self) -> Digest {
        self.sink.digest()
    }

    /// What came, from its beginning.
    pub fn reader(&self) -> Result<File, BlobError> {
        File::open(self.file.path()).map_err(BlobError::Read)
    }

    /// Stores it under its digest.
    pub fn finish(mut self) -> Result<Stored, BlobError> {
        let (digest, size_bytes) = (self.sink.digest(), self.sink.written);
        if self.sink.blobs.refresh(&digest)? {
            return Ok(Stored { digest, size_bytes, already_stored: true });
        }
        self.sink.file.sync_all().map_err(BlobError::Write)?;
        let (_, path) = self.file.keep().map_err(|error| BlobError::Write(error.error))?;
        let new = self.sink.blobs.adopt(&path, &digest)?;
        self.sink.keep_if(new);
        Ok(Stored { digest, size_bytes, already_stored: !new })
    }
}

impl Sink {
    fn open(blobs: &Arc<Blobs>, path: PathBuf) -> Result<Self, BlobError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(BlobError::Write)?;
        Ok(Self { blobs: blobs.clone(), path, file, hasher: blake3::Hasher::new(), written: 0, reserved: 0 })
    }

    /// Goes on behind the first `offset` bytes of what is kept; those are hashed again.
    fn resume(&mut self, offset: u64) -> Result<(), BlobError> {
        let kept = self.file.metadata().map_err(BlobError::Read)?.len();
        if offset > kept {
            return Err(BlobError::Gap { offset, kept });
        }
        self.file.set_len(offset).map_err(BlobError::Write)?;
        // What was kept is counted already: from here on the reservation is ours to give back.
        self.reserved = offset;
        self.blobs.state().total_bytes -= kept - offset;
        let mut kept = (&self.file).take(offset);
        io::copy(&mut kept, &mut self.hasher).map_err(BlobError::Read)?;
        self.file.seek(SeekFrom::Start(offset)).map_err(BlobError::Write)?;
        self.written = offset;
        Ok(())
    }

    fn reserve(&mut self, size_bytes: u64) -> Result<(), BlobError> {
        let max_total_bytes = self.blobs.limits.max_total_bytes;
        let mut state = self.blobs.state();
        let total_bytes = state.total_bytes;
        if total_bytes.saturating_add(size_bytes) > max_total_bytes {
            return Err(BlobError::Full { size_bytes, total_bytes, max_total_bytes });
        }
        state.total_bytes += size_bytes;
        self.reserved += size_bytes;
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        if let Err(error) = self.file.write_all(chunk) {
            // The disk is full, most likely: what came makes room again, for the database above all.
            let _ = self.file.set_len(0);
            return Err(BlobError::Write(error));
        }
        self.hasher.update(chunk);
        self.written += chunk.len() as u64;
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest::from(*self.hasher.finalize().as_bytes())
    }

    fn discard(&mut self) -> Result<(), BlobError> {
        fs::remove_file(&self.path).map_err(BlobError::Remove)
    }

    /// Bytes that are stored for good stay counted.
    fn keep_if(&mut self, new: bool) {
        if new {
            self.reserved = 0;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.blobs.state().total_bytes -= self.reserved;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.blobs.state().uploading.remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::super::BlobLimits;
    use super::*;

    #[test]
    fn an_upload_that_cannot_be_written_makes_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let limits = BlobLimits { max_blob_bytes: 1000, max_total_bytes: 1000 };
        let blobs = Arc::new(Blobs::open(directory.path(), limits).unwrap());
        let mut upload = blobs.upload(Digest::from([7; 32]), 10, 0).unwrap().unwrap();
        // A file that may not grow stands for a full disk.
        let full = memfd_create("full", MemfdFlags::ALLOW_SEALING).unwrap();
        upload.sink.file = File::from(full);
        upload.write(b"hello").unwrap();
        fcntl_add_seals(&upload.sink.file, SealFlags::GROW).unwrap();
        assert!(matches!(upload.write(b"world"), Err(BlobError::Write(_))));
        assert_eq!(upload.sink.file.metadata().unwrap().len(), 0);
        drop(upload);
        assert_eq!(blobs.total_bytes(), 0);
    }
}
