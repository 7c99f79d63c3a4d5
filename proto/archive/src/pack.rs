//! Makes an archive of a directory, for `kiln image import DIR`.
//!
//! The order is that of the names' bytes, owners are root's, so the same tree gives the same bytes. What cannot be in an
//! image (devices, FIFOs, sockets) is left out and listed. Links are kept as text and never followed.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

/// What was packed, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    pub skipped: Vec<Skipped>,
}

/// An entry that an image cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Relative to the directory packed.
    pub path: PathBuf,
    /// e.g. "socket".
    pub kind: &'static str,
}

/// Why packing failed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("{}: cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: changed while it was read", path.display())]
    Changed { path: PathBuf },
    #[error("{}: cannot be added to the archive", path.display())]
    Append { path: PathBuf, source: io::Error },
    #[error("the end of the archive cannot be written")]
    Finish { source: io::Error },
}

/// Writes a plain tar of everything below `directory`.
pub fn pack(directory: &Path, write: impl Write) -> Result<Packed, PackError> {
    let mut packer = Packer {
        root: directory,
        builder: Builder::new(write),
        links: HashMap::new(),
        packed: Packed::default(),
    };
    packer.directory(Path::new(""))?;
    let mut write = packer.builder.into_inner().map_err(|source| PackError::Finish { source })?;
    write.flush().map_err(|source| PackError::Finish { source })?;
    Ok(packer.packed)
}

struct Packer<'dir, W: Write> {
    root: &'dir Path,
    builder: Builder<W>,
    /// Files with several names, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
    packed: Packed,
}

impl<W: Write> Packer<'_, W> {
    /// Everything below `relative`. Depth is bounded by the kernel's path length.
    fn directory(&mut self, relative: &Path) -> Result<(), PackError> {
        // Joining an empty path would add a slash to the root's name.
        let path = if relative == Path::new("") { self.root.to_owned() } else { self.root.join(relative) };
        let reading = |source| PackError::Read { path: path.clone(), source };
        let mut names = fs::read_dir(&path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(reading)?;
        names.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
        names.iter().try_for_each(|name| self.entry(&relative.join(name)))
    }

    fn entry(&mut self, relative: &Path) -> Result<(), PackError> {
        let path = self.root.join(relative);
        let reading = |source| PackError::Read { path: path.clone(), source };
        let metadata = fs::symlink_metadata(&path).map_err(reading)?;
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            let mut header = header(&metadata, EntryType::Directory);
            self.append(relative, |builder| builder.append_data(&mut header, relative, io::empty()))?;
            self.directory(relative)
        } else if file_type.is_symlink() {
            let target = fs::read_link(&path).map_err(reading)?;
            let mut header = header(&metadata, EntryType::Symlink);
            self.append(relative, |builder| builder.append_link(&mut header, relative, &target))
        } else if file_type.is_file() {
            self.file(relative, &metadata)
        } else {
            let kind = match () {
                () if file_type.is_socket() => "socket",
                () if file_type.is_fifo() => "FIFO",
                () => "device",
            };
            self.packed.skipped.push(Skipped { path: relative.to_owned(), kind });
            Ok(())
        }
    }

    fn file(&mut self, relative: &Path, metadata: &Metadata) -> Result<(), PackError> {
        let inode = (metadata.dev(), metadata.ino());
        if metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&inode).cloned() {
                let mut header = header(metadata, EntryType::Link);
                return self.append(relative, |builder| builder.append_link(&mut header, relative, &first));
            }
            self.links.insert(inode, relative.to_owned());
        }
        let path = self.root.join(relative);
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
        let file = File::options()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(&path)
            .and_then(|file| file.metadata().map(|opened| (file, opened)))
            .map_err(|source| PackError::Read { path: path.clone(), source });
        let (file, opened) = file?;
        if (opened.dev(), opened.ino()) != inode || !opened.is_file() {
            return Err(PackError::Changed { path });
        }
        let mut header = header(&opened, EntryType::Regular);
        header.set_size(opened.len());
        let mut content = file.take(opened.len());
        self.append(relative, |builder| builder.append_data(&mut header, relative, &mut content))?;
        self.packed.bytes += opened.len();
        match content.limit() {
            0 => Ok(()),
            _ => Err(PackError::Changed { path }),
        }
    }

    fn append(
        &mut self,
        relative: &Path,
        append: impl FnOnce(&mut Builder<W>) -> io::Result<()>,
    ) -> Result<(), PackError> {
        self.packed.entries += 1;
        append(&mut self.builder).map_err(|source| PackError::Append { path: relative.to_owned(), source })
    }
}

fn header(metadata: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o1777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header
}
