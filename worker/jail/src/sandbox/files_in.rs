//! Files put into the sandbox before its command starts, by a trusted child inside the sandbox's mounts and cgroup
//! (so that their pages are the job's), while nothing of the job runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::base::move_onto;
use crate::plan::{FileIn, Owner, Way};
use crate::report::Failure;

use super::COMMAND_ID;

const CHUNK_BYTES: usize = 256 * 1024;

/// Bytes and inodes that the files will take, parents not counted; descriptors are the worker's. What is shown takes an inode only.
pub(crate) fn needed(files: &[FileIn], sources: &[OwnedFd]) -> Result<(u64, u64), Errno> {
    let mut bytes = 0_u64;
    let copied = files.iter().zip(sources).filter(|(file, _)| matches!(file.way, Way::Copied { .. }));
    for (_, source) in copied {
        let size = rustix::fs::fstat(source)?.st_size.max(0) as u64;
        bytes = bytes.saturating_add(size.next_multiple_of(4096));
    }
    Ok((bytes, sources.len() as u64))
}

/// Brings every file to its path below the sandbox's root, which is this process' root. The source of one that is shown is a mount.
pub(crate) fn put_all(files: &[FileIn], sources: &[OwnedFd]) -> Result<(), Failure> {
    for (index, (file, source)) in files.iter().zip(sources).enumerate() {
        let (step, put) = match file.way {
            Way::Copied { mode, owner } => ("files_in", copy(&file.path, source.as_fd(), mode, owner)),
            Way::Shown { .. } => ("show_files", show(&file.path, source.as_fd())),
        };
        put.map_err(|errno| {
            Failure::new(step, errno.raw_os_error(), format!("put file {index} into the sandbox"))
        })?;
    }
    Ok(())
}

fn copy(path: &[u8], source: BorrowedFd<'_>, mode: u32, owner: Owner) -> Result<(), Errno> {
    let target = create(path)?;
    copy_bytes(source, target.as_fd())?;
    let owner = match owner {
        Owner::Command => COMMAND_ID,
        Owner::Root => 0,
    };
    rustix::fs::fchown(&target, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(mode))
}

/// On an empty file, which nobody can reach beneath it.
fn show(path: &[u8], mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let target = create(path)?;
    rustix::fs::fchmod(&target, Mode::empty())?;
    move_onto(mount, target.as_fd(), "")
}

/// Makes the file, and the directories above it that are missing.
fn create(path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut components = path[1..].split(|&byte| byte == b'/').collect::<Vec<_>>();
    let name = components.pop().ok_or(Errno::INVAL)?;
    let mut directory = rustix::fs::open("/", directory_flags(), Mode::empty())?;
    for component in components {
        directory = enter(directory.as_fd(), component)?;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(0o600))
}

/// Opens a directory, making it for the command where it is missing.
fn enter(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let open = || rustix::fs::openat2(parent, name, directory_flags(), Mode::empty(), resolve);
    match open() {
        Err(Errno::NOENT) => {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
            let made = open()?;
            rustix::fs::fchown(&made, Some(Uid::from_raw(COMMAND_ID)), Some(Gid::from_raw(COMMAND_ID)))?;
            rustix::fs::fchmod(&made, Mode::from_raw_mode(0o755))?;
            Ok(made)
        }
        result => result,
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// From the file's start, whatever the descriptor's offset: it may be shared with other sandboxes.
fn copy_bytes(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        let length = match rustix::io::pread(source, &mut buffer, offset) {
            Err(Errno::SPIPE) => rustix::io::retry_on_intr(|| rustix::io::read(source, &mut buffer))?,
            result => result?,
        };
        if length == 0 {
            return Ok(());
        }
        let mut written = 0;
        while written < length {
            written += rustix::io::write(target, &buffer[written..length])?;
        }
        offset += length as u64;
    }
}
