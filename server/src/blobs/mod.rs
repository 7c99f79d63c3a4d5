//! Content-addressed bytes on disk: `blobs/ab/cdef…`, verified while they come in, never changed after.
//!
//! File names are made of digests only: no path ever comes from a client. Everything here blocks; callers use a blocking thread.
//! A blob stays while a stored job or image names it, while it is pinned, and for the retention time after it was last asked for.

mod sweep;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use kiln_proto::model::Digest;

pub use sweep::{Removed, sweep};
pub use upload::{Import, Stored, Upload};

/// What the operator may choose.
#[derive(Debug, Clone, Copy)]
pub struct BlobLimits {
    /// Of one blob.
    pub max_blob_bytes: u64,
    /// Of all together, uploads under way included.
    pub max_total_bytes: u64,
}

/// What is known of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Complete, with this size.
    Stored(u64),
    /// So much of an interrupted upload is kept.
    Partial(u64),
    /// Nothing.
    Absent,
}

/// The blobs.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    limits: BlobLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes on disk and promised to uploads.
    total_bytes: u64,
    /// Digests whose partial file somebody writes to.
    uploading: HashSet<Digest>,
    pins: HashMap<Digest, usize>,
}

/// Keeps blobs from being collected until dropped.
#[derive(Debug)]
pub struct Pins {
    blobs: Arc<Blobs>,
    digests: Vec<Digest>,
}

/// Why a blob could not be had or stored.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No such blob.
    #[error("there is no blob {0}")]
    Unknown(Digest),
    /// Over the limit of one blob.
    #[error("the blob has {size_bytes} bytes; at most {max_blob_bytes} are allowed")]
    TooLarge {
        /// What was announced or came.
        size_bytes: u64,
        /// The limit.
        max_blob_bytes: u64,
    },
    /// Over the limit of all.
    #[error(
        "the blob store holds {total_bytes} of {max_total_bytes} bytes: there is no room for {size_bytes} more"
    )]
    Full {
        /// What was announced or came.
        size_bytes: u64,
        /// Bytes stored now.
        total_bytes: u64,
        /// The limit.
        max_total_bytes: u64,
    },
    /// An upload that cannot go on from there.
    #[error(
        "the upload begins at byte {offset}, but {kept} bytes are kept: begin there, or at an earlier byte"
    )]
    Gap {
        /// What the client said.
        offset: u64,
        /// What we have.
        kept: u64,
    },
    /// Somebody else uploads it now.
    #[error("the blob {0} is being uploaded by somebody else, so this upload has to begin at byte 0")]
    Busy(Digest),
    /// More or fewer bytes than announced.
    #[error("{received} bytes came; {announced} were announced")]
    WrongSize {
        /// What came.
        received: u64,
        /// What was announced.
        announced: u64,
    },
    /// The bytes are not what the digest says.
    #[error("the content is {found}, not {wanted}")]
    DigestMismatch {
        /// Of what came.
        found: Digest,
        /// What was announced.
        wanted: Digest,
    },
    /// An offset behind the end.
    #[error("offset {offset} is behind the end: the blob has {size_bytes} bytes")]
    BeyondEnd {
        /// What the client said.
        offset: u64,
        /// The blob's size.
        size_bytes: u64,
    },
    /// The directories could not be made or read.
    #[error("set up the blob directory {path}")]
    SetUp {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading failed.
    #[error("read a blob")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("write a blob")]
    Write(#[source] io::Error),
    /// Removing failed.
    #[error("remove a blob")]
    Remove(#[source] io::Error),
}

impl Blobs {
    /// Opens the directory, counts what is there, and drops imports that a crash left half done.
    pub fn open(root: &Path, limits: BlobLimits) -> Result<Self, BlobError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| BlobError::SetUp { path, source }
        };
        for directory in [root.to_owned(), root.join("partial"), root.join("import")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            made.map_err(failed(&directory))?;
        }
        for entry in fs::read_dir(root.join("import")).map_err(failed(root))? {
            let path = entry.map_err(failed(root))?.path();
            fs::remove_file(&path).map_err(failed(&path))?;
        }
        let blobs = Self { root: root.to_owned(), limits, state: Mutex::default() };
        let mut total_bytes = 0;
        blobs.each_file(|_, metadata| total_bytes += metadata.len()).map_err(failed(root))?;
        blobs.state().total_bytes = total_bytes;
        Ok(blobs)
    }

    /// The largest blob allowed.
    pub fn max_blob_bytes(&self) -> u64 {
        self.limits.max_blob_bytes
    }

    /// Bytes on disk and promised to uploads.
    pub fn total_bytes(&self) -> u64 {
        self.state().total_bytes
    }

    /// What is known of a digest.
    pub fn stat(&self, digest: &Digest) -> Result<Stat, BlobError> {
        if let Some(size) = size_of(&self.path(digest))? {
            return Ok(Stat::Stored(size));
        }
        if self.state().uploading.contains(digest) {
            return Ok(Stat::Absent);
        }
        Ok(size_of(&self.partial(digest))?.map_or(Stat::Absent, Stat::Partial))
    }

    /// Is it stored? If so its retention time begins anew.
    pub fn refresh(&self, digest: &Digest) -> Result<bool, BlobError> {
        // Under the lock, so that the sweep sees either the new time or removes the blob before we look.
        let _state = self.state();
        match File::open(self.path(digest)) {
            Ok(file) => {
                file.set_modified(SystemTime::now()).map_err(BlobError::Write)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::Read(error)),
        }
    }

    /// The blob, positioned at `offset`, with its size.
    pub fn read(&self, digest: &Digest, offset: u64) -> Result<(File, u64), BlobError> {
        if !self.refresh(digest)? {
            return Err(BlobError::Unknown(*digest));
        }
        let mut file = File::open(self.path(digest)).map_err(BlobError::Read)?;
        let size_bytes = file.metadata().map_err(BlobError::Read)?.len();
        if offset > size_bytes {
            return Err(BlobError::BeyondEnd { offset, size_bytes });
        }
        file.seek(SeekFrom::Start(offset)).map_err(BlobError::Read)?;
        Ok((file, size_bytes))
    }

    /// Keeps these blobs for as long as the answer lives.
    pub fn pin(self: &Arc<Self>, digests: impl IntoIterator<Item = Digest>) -> Pins {
        let mut pins = Pins { blobs: self.clone(), digests: Vec::new() };
        pins.add(digests);
        pins
    }

    /// Where a complete blob lies.
    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(&hex[..2]).join(&hex[2..])
    }

    fn partial(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.hex())
    }

    fn import(&self) -> PathBuf {
        self.root.join("import")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single step: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every complete and partial blob.
    fn each_file(&self, mut visit: impl FnMut(&Path, &fs::Metadata)) -> io::Result<()> {
        for directory in fs::read_dir(&self.root)? {
            let directory = directory?;
            if directory.file_name() == "import" || !directory.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(directory.path())? {
                let file = file?;
                visit(&file.path(), &file.metadata()?);
            }
        }
        Ok(())
    }
}

impl Pins {
    /// Keeps more.
    pub fn add(&mut self, digests: impl IntoIterator<Item = Digest>) {
        let mut state = self.blobs.state();
        for digest in digests {
            *state.pins.entry(digest).or_default() += 1;
            self.digests.push(digest);
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut state = self.blobs.state();
        for digest in &self.digests {
            if let Some(pins) = state.pins.get_mut(digest) {
                *pins -= 1;
                if *pins == 0 {
                    state.pins.remove(digest);
                }
            }
        }
    }
}

fn size_of(path: &Path) -> Result<Option<u64>, BlobError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BlobError::Read(error)),
    }
}
