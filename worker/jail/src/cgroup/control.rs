//! One group directory of one cgroup hierarchy, reached by descriptor only: the jail leaves the host's root behind.
//!
//! Owns reading, writing, creating and removing control files. It must never build a path from a job's data.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{Errno, pread, write};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How often removing a group whose last process is still being torn down is tried again, and the longest pause.
const REMOVE_TRIES: u32 = 200;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);
/// How long the processes of a group are listed and killed where the kernel cannot kill a group.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// A group that exists, with its directory open.
#[derive(Debug)]
pub(super) struct ControlGroup {
    root: Rc<OwnedFd>,
    path: String,
    directory: OwnedFd,
}

impl ControlGroup {
    /// Makes the group `path` below `root`. One that is left over with the same name is removed first.
    pub(super) fn create(root: &Rc<OwnedFd>, path: String) -> Result<Self, Errno> {
        match make(root.as_fd(), &path) {
            Err(Errno::EXIST) => {
                unlinkat(&**root, &path, AtFlags::REMOVEDIR)?;
                make(root.as_fd(), &path)?;
            }
            made => made?,
        }
        match open_directory(root.as_fd(), &path) {
            Ok(directory) => Ok(Self { root: Rc::clone(root), path, directory }),
            Err(errno) => {
                let _ = unlinkat(&**root, &path, AtFlags::REMOVEDIR);
                Err(errno)
            }
        }
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Below the root that it was made in.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn open(&self, file: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat(&self.directory, file, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    }

    pub(super) fn read(&self, file: &str) -> Result<String, Errno> {
        read_at(self.directory(), file)
    }

    /// `None` where this kernel has no such file.
    pub(super) fn read_optional(&self, file: &str) -> Result<Option<String>, Errno> {
        match self.read(file) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<(), Errno> {
        write_at(self.directory(), file, text)
    }

    /// Kills every process by listing them, for kernels that cannot kill a group.
    ///
    /// A pid may be used again between list and signal: the process is held by a pidfd and must still be listed
    /// after it was taken.
    pub(super) fn kill_listed(&self, list: &str) -> Result<(), Errno> {
        let start = Instant::now();
        while start.elapsed() < KILL_PATIENCE {
            let held: Vec<_> = self.processes(list)?.into_iter().filter_map(hold).collect();
            let listed = self.processes(list)?;
            if listed.is_empty() {
                return Ok(());
            }
            for (_, pidfd) in held.iter().filter(|(pid, _)| listed.contains(pid)) {
                match pidfd_send_signal(pidfd, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => return Err(errno),
                }
            }
            wait_for_one(&held)?;
        }
        Err(Errno::BUSY)
    }

    /// Processes of the group as this pid namespace sees them; those it cannot see are listed as 0 and left out.
    pub(super) fn processes(&self, list: &str) -> Result<Vec<Pid>, Errno> {
        let text = self.read(list)?;
        Ok(text.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)).collect())
    }

    /// Removes the group. `emptied` becomes ready when its last process has left, where the kernel tells.
    pub(super) fn remove(self, emptied: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        for attempt in 0..REMOVE_TRIES {
            match unlinkat(&*self.root, &self.path, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::BUSY) => {
                    pause(emptied, Duration::from_millis(u64::from(attempt)).min(REMOVE_PAUSE))?
                }
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::BUSY)
    }
}

/// Makes a group; EEXIST when it is there already.
pub(super) fn make(root: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    mkdirat(root, path, Mode::from_raw_mode(0o755))
}

pub(super) fn open_directory(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    openat(root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

pub(super) fn read_at(directory: BorrowedFd<'_>, file: &str) -> Result<String, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    read_all(openat(directory, file, flags, Mode::empty())?.as_fd())
}

/// Reads a control file from its start. On a descriptor that is polled this also takes note of the event.
pub(super) fn read_all(file: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut text = Vec::with_capacity(1024);
    let mut part = [0u8; 4096];
    loop {
        let count = pread(file, &mut part, text.len() as u64)?;
        text.extend_from_slice(&part[..count]);
        // The kernel gives a page less one record at most (seq_read_iter in fs/seq_file.c), and no record is half a page long.
        if count < part.len() / 2 {
            return String::from_utf8(text).map_err(|_| Errno::ILSEQ);
        }
    }
}

/// Control files take a value in one write.
pub(super) fn write_at(directory: BorrowedFd<'_>, file: &str, text: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = openat(directory, file, flags, Mode::empty())?;
    match write(&opened, text.as_bytes())? {
        count if count == text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// The value of `key` in a flat keyed file (`key value` per line).
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key { value.trim().parse().ok() } else { None }
    })
}

fn hold(pid: Pid) -> Option<(Pid, OwnedFd)> {
    Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?))
}

/// Waits until the first of these has ended, or a short while: a process in an uninterruptible wait must not hold us.
fn wait_for_one(held: &[(Pid, OwnedFd)]) -> Result<(), Errno> {
    if let Some((_, pidfd)) = held.first() {
        let _ready = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timespec(REMOVE_PAUSE)))?;
    }
    Ok(())
}

fn pause(emptied: Option<BorrowedFd<'_>>, longest: Duration) -> Result<(), Errno> {
    if let Some(events) = emptied {
        read_all(events)?;
        let _ready = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timespec(longest)))?;
    } else {
        std::thread::sleep(longest);
    }
    Ok(())
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().expect("pauses here are milliseconds"),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::keyed;

    #[test]
    fn keyed_files_are_matched_by_whole_key() {
        let text = "oom 1\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), Some(1));
        assert_eq!(keyed(text, "max"), None);
    }
}
