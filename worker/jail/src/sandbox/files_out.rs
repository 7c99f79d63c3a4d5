//! Files wanted back, opened after every process of the sandbox is gone.
//!
//! Opened from the jail's own descriptor of the tmpfs, beneath it, through no link, and only when regular: whatever
//! the job left at the path, no other file of any place can be reached, and nothing blocks.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::plan::FileOut;
use crate::report::FileFound;

/// What became of each wanted file, and the descriptors of the found ones, in order.
pub(crate) fn collect(tmpfs: BorrowedFd<'_>, wanted: &[FileOut]) -> (Vec<FileFound>, Vec<OwnedFd>) {
    let mut found = Vec::with_capacity(wanted.len());
    let mut descriptors = Vec::new();
    for file in wanted {
        match open(tmpfs, file) {
            Ok((entry, descriptor)) => {
                found.push(entry);
                descriptors.extend(descriptor);
            }
            Err(errno) => found.push(reason(errno)),
        }
    }
    (found, descriptors)
}

fn open(tmpfs: BorrowedFd<'_>, wanted: &FileOut) -> Result<(FileFound, Option<OwnedFd>), Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    // Inside, /work and /tmp are binds of the tmpfs' directories of the same names.
    let file = rustix::fs::openat2(tmpfs, &wanted.path[1..], flags, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok((FileFound::NotRegular, None));
    }
    let size = stat.st_size.max(0) as u64;
    if size > wanted.max_bytes.get() {
        return Ok((FileFound::TooLarge { size }, None));
    }
    Ok((FileFound::Found { size, mode: stat.st_mode & 0o777 }, Some(file)))
}

fn reason(errno: Errno) -> FileFound {
    match errno {
        Errno::NOENT | Errno::NOTDIR => FileFound::Missing,
        // A link; a socket or a FIFO without a reader; a device on a nodev mount; another mount.
        Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::XDEV => FileFound::NotRegular,
        errno => FileFound::Unreadable { errno: errno.raw_os_error() },
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_beneath_come_back_and_nothing_blocks() {
        let place = tempfile::tempdir().expect("tempdir");
        let work = place.path().join("work");
        std::fs::create_dir(&work).expect("mkdir");
        std::fs::write(work.join("good"), "12345").expect("write");
        std::fs::write(place.path().join("outside"), "secret").expect("write");
        symlink("/etc/passwd", work.join("link")).expect("symlink");
        symlink("/etc", work.join("etc")).expect("symlink");
        symlink("../outside", work.join("up")).expect("symlink");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            work.join("fifo"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .expect("mkfifo");
        let _socket = std::os::unix::net::UnixListener::bind(work.join("socket")).expect("bind");
        let table = [
            ("good", 5, FileFound::Found { size: 5, mode: 0o644 }),
            ("good", 4, FileFound::TooLarge { size: 5 }),
            ("none", 1, FileFound::Missing),
            ("good/below", 1, FileFound::Missing),
            ("link", 9999, FileFound::NotRegular),
            ("etc/passwd", 9999, FileFound::NotRegular),
            ("up", 9999, FileFound::NotRegular),
            ("fifo", 1, FileFound::NotRegular),
            ("socket", 1, FileFound::NotRegular),
        ];
        let wanted: Vec<_> = table
            .iter()
            .map(|(name, maximum, _)| FileOut {
                path: format!("/work/{name}").into_bytes(),
                max_bytes: NonZeroU64::new(*maximum).expect("not zero"),
            })
            .collect();
        let directory = std::fs::File::open(place.path()).expect("open");
        let (found, descriptors) = collect(directory.as_fd(), &wanted);
        assert_eq!(found, table.map(|(_, _, expected)| expected));
        assert_eq!(descriptors.len(), 1);
    }
}
