//! Image archives: reading a hostile tar under strict rules.
//!
//! [`inspect`] says whether an archive may become an image, [`unpack`] makes its files below one directory descriptor,
//! [`pack`] makes an archive of a directory. Names are refused rather than mended, bytes are counted as they are read,
//! and nothing is ever created through a link. Trailing data after the end of the archive is refused; zero padding is not.

mod extension;
mod header;
mod pack;
mod refusal;
mod stream;
mod tree;
mod unpack;
mod walk;

use std::io::Read;
use std::os::fd::BorrowedFd;

pub use pack::{PackError, Packed, Skipped, pack};
pub use refusal::Refusal;

/// Directories that the sandbox mounts over. An image may hold them only as directories (CVE-2026-41579 was an image
/// with a link there).
pub const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "sys", "tmp", "work"];

/// What an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Bytes of all files together, and of extension headers.
    pub max_bytes: u64,
    /// Files, directories and links, parents that the archive leaves out among them.
    pub max_entries: u64,
    /// Of one name. The kernel's own bound of 4,095 applies as well.
    pub max_path_bytes: usize,
}

/// What an archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files, directories and links, parents that the archive leaves out among them.
    pub entries: u64,
    /// Bytes of all files together.
    pub unpacked_bytes: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { max_bytes: 8 << 30, max_entries: 1_000_000, max_path_bytes: 4096 }
    }
}

/// Reads a whole archive (plain, gzip or zstd) and creates nothing.
pub fn inspect(read: impl Read, rules: &Rules) -> Result<Summary, Refusal> {
    walk::walk(read, rules, &mut walk::Ignore)
}

/// Makes the files of an archive below `into`, an empty directory that nobody else writes. After a refusal the directory
/// holds the entries before it; the caller removes it.
pub fn unpack(read: impl Read, into: BorrowedFd<'_>, rules: &Rules) -> Result<Summary, Refusal> {
    walk::walk(read, rules, &mut unpack::Unpacker::new(into))
}
