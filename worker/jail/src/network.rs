//! The empty network namespaces of a jail: its own, and one that its sandboxes have one after another.
//!
//! Making a network namespace and taking it down is the dearest part of a sandbox. Nothing but local sockets can leave anything in one
//! from which nothing leads anywhere, so that it may serve the next command where no profile let the last one have any other, and where
//! the kernel lists no socket in it. It belongs to the jail's user namespace and not to the sandbox's: nobody in there is root over
//! it. It must never be kept where either cannot be shown: a socket that is in flight in a cycle of sockets outlives its processes
//! (unix(7), "BUGS").

use std::os::fd::{AsFd, OwnedFd};

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::report::Failure;
use crate::sys::process;

/// More than the one line of an empty table.
const TABLE_BYTES: usize = 4096;

pub(crate) struct Network {
    /// Where the jail itself is. Its sockets to processes in sandboxes belong here, so that no sandbox sees them.
    own: OwnedFd,
    /// The one that this process was started in, as /proc names it.
    started_in: String,
    kept: Kept,
}

struct Kept {
    namespace: OwnedFd,
    /// Its /proc/net/unix.
    sockets: OwnedFd,
}

impl Network {
    /// Leaves the network that this process was started in, for good.
    pub(crate) fn enter() -> Result<Self, Failure> {
        let enter = || -> Result<Self, Errno> {
            let started_in = which()?;
            make()?;
            let own = open_own()?;
            let kept = Kept::make(&own)?;
            Ok(Self { own, started_in, kept })
        };
        enter().map_err(Failure::of("own_network", "make an own network namespace"))
    }

    pub(crate) fn started_in(&self) -> &str {
        &self.started_in
    }

    /// Runs `action` where the kept namespace is the one that children are born in.
    pub(crate) fn within_kept<T>(&self, action: impl FnOnce() -> T) -> Result<T, Failure> {
        step(&self.kept.namespace)
            .map_err(Failure::of("enter_network", "have children born in the kept network"))?;
        let result = action();
        step(&self.own)
            .map_err(Failure::of("leave_network", "have children born in the own network again"))?;
        Ok(result)
    }

    /// Whether the kernel lists no socket in the kept namespace.
    pub(crate) fn is_empty(&self) -> Result<bool, Failure> {
        let mut table = [0; TABLE_BYTES];
        let length = rustix::io::pread(&self.kept.sockets, &mut table, 0)
            .map_err(Failure::of("kept_network", "list the sockets of the kept network"))?;
        // A heading, and a line for each socket, bound or not (unix_seq_show in net/unix/af_unix.c).
        Ok(length > 0 && table[..length].iter().filter(|&&byte| byte == b'\n').count() == 1)
    }

    /// A new one for what is made from here on.
    pub(crate) fn renew(&mut self) -> Result<(), Failure> {
        self.kept = Kept::make(&self.own).map_err(Failure::of("kept_network", "make a network namespace"))?;
        Ok(())
    }
}

impl Kept {
    /// Returns to `own`.
    fn make(own: &OwnedFd) -> Result<Self, Errno> {
        make()?;
        let kept = open_own().and_then(|namespace| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let sockets = rustix::fs::open("/proc/thread-self/net/unix", flags, Mode::empty())?;
            Ok(Self { namespace, sockets })
        });
        step(own).and(kept)
    }
}

fn make() -> Result<(), Errno> {
    let before = which()?;
    process::unshare(CloneFlags::CLONE_NEWNET)?;
    if which()? == before { Err(Errno::NOTSUP) } else { Ok(()) }
}

fn step(namespace: &OwnedFd) -> Result<(), Errno> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

fn which() -> Result<String, Errno> {
    let link = rustix::fs::readlink("/proc/thread-self/ns/net", Vec::new())?;
    link.into_string().map_err(|_| Errno::ILSEQ)
}

fn open_own() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}
