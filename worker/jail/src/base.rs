//! The jail's own small world: a private mount namespace with two mounts (an empty root and a whole /proc), so that
//! cloning it for a sandbox is cheap and nothing of the host can be reached by a path in it.
//!
//! Also the namespaces to step between: the host's mounts, which the jail enters only for the moment of taking an
//! image part, and the user namespace that maps an image's owners into this jail's uid range.
//!
//! As root of a user namespace ([`crate::rootless`]) "the host's mounts" are those of that namespace, owners cannot be mapped,
//! and devices are the host's own ([`crate::host_devices`]).

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::CloneFlags;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::host_devices::{self, HostDevices};
use crate::ids::{SandboxIds, WHOLE};
use crate::priority;
use crate::report::Failure;
use crate::sandbox::handshake;
use crate::standing::Standing;
use crate::sys::clone::{Cloned, Namespaces, clone3};
use crate::sys::mount::{attribute, mount_setattr};
use crate::sys::process;

/// Where a sandbox's root is attached before it becomes the root.
pub(crate) const NEW_ROOT: &str = "/new";
/// Where the per-command tmpfs is attached while overlays are made on it.
pub(crate) const SCRATCH: &str = "/scratch";

/// Where the directory of files that a command is shown is attached, and its overlay on top, until the command is gone.
pub(crate) const SHOWN: &str = "/shown";

/// Always empty: beside a part of an image, since an overlay of lower layers only needs two.
pub(crate) const EMPTY: &str = "/empty";

/// Whether image parts must be id-mapped, or may show as owned by nobody where the file system cannot do it, or where
/// this jail cannot (mount_setattr(2): that takes root of the user namespace in which the file system was mounted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdMapping {
    Required,
    WherePossible,
}

pub(crate) struct Base {
    host_mounts: OwnedFd,
    own_mounts: OwnedFd,
    own_pids: OwnedFd,
    /// `None` as root of a user namespace.
    id_map: Option<OwnedFd>,
    /// Those that sandboxes get instead of their own; `None` as root of the host.
    devices: Option<HostDevices>,
    ids: SandboxIds,
    standing: Standing,
    /// What commands run with.
    pub(crate) niceness: i32,
}

impl Base {
    /// Leaves the host's mount table for good, except through [`Base::take_parts`].
    pub(crate) fn enter(uid_base: u32, standing: Standing) -> Result<Self, Failure> {
        let niceness = priority::raise();
        let host_mounts = open_namespace("/proc/self/ns/mnt")?;
        let own_pids = open_namespace("/proc/self/ns/pid")?;
        let ids = SandboxIds::new(uid_base, standing);
        let (id_map, devices) = match standing.is_confined() {
            false => (Some(make_id_map(ids)?), None),
            true => (None, Some(HostDevices::hold()?)),
        };
        own_mount_namespace().map_err(Failure::of("base_unshare", "own mount namespace"))?;
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .map_err(Failure::of("base_private", "cut mount propagation"))?;
        let own_mounts = open_namespace("/proc/self/ns/mnt")?;
        replace_root()?;
        Ok(Self { host_mounts, own_mounts, own_pids, id_map, devices, ids, standing, niceness })
    }

    pub(crate) fn ids(&self) -> SandboxIds {
        self.ids
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Detached clones of the host's device nodes, by name; `None` where a sandbox makes its own.
    pub(crate) fn take_devices(&self) -> Result<Option<Vec<(&'static str, OwnedFd)>>, Failure> {
        let Some(devices) = &self.devices else { return Ok(None) };
        self.with_host_mounts(host_devices::clone_all)?
            .and_then(|clones| devices.confine(clones))
            .map(Some)
            .map_err(Failure::of("dev", "take the host's devices"))
    }

    /// Detached, read-only, id-mapped clones of host directories.
    pub(crate) fn take_parts(&self, sources: &[&[u8]], mapping: IdMapping) -> Result<Vec<OwnedFd>, Failure> {
        let clones = self.with_host_mounts(|| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            sources.iter().map(|source| rustix::mount::open_tree(CWD, *source, flags)).collect::<Vec<_>>()
        })?;
        let mut parts = Vec::with_capacity(clones.len());
        for (index, clone) in clones.into_iter().enumerate() {
            let clone = clone.map_err(|errno| self.part_failure(index, errno))?;
            self.confine_part(clone.as_fd(), mapping)
                .map_err(|errno| failure("image_idmap", errno, format!("map the owners of part {index}")))?;
            parts.push(clone);
        }
        Ok(parts)
    }

    /// Runs `action` with the pid namespace of `init` as the one that children are born in.
    pub(crate) fn with_pid_namespace_of<T>(
        &self,
        init: BorrowedFd<'_>,
        action: impl FnOnce() -> T,
    ) -> Result<T, Failure> {
        use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
        move_into_thread_name_spaces(init, ThreadNameSpaceType::PROCESS_ID)
            .map_err(Failure::of("enter_pid_namespace", "have children born in the sandbox"))?;
        let result = action();
        move_into_link_name_space(self.own_pids.as_fd(), Some(LinkNameSpaceType::ProcessID))
            .map_err(Failure::of("leave_pid_namespace", "have children born outside again"))?;
        Ok(result)
    }

    /// setns(2) moves root and working directory along, so absolute paths mean the host's inside `action` and the
    /// jail's own afterwards.
    fn with_host_mounts<T>(&self, action: impl FnOnce() -> T) -> Result<T, Failure> {
        move_into_link_name_space(self.host_mounts.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(Failure::of("enter_host_mounts", "step to the host's mounts"))?;
        let result = action();
        move_into_link_name_space(self.own_mounts.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(Failure::of("leave_host_mounts", "step back to the jail's own mounts"))?;
        Ok(result)
    }

    fn confine_part(&self, part: BorrowedFd<'_>, mapping: IdMapping) -> Result<(), Errno> {
        let attributes = attribute::RDONLY | attribute::NOSUID | attribute::NODEV;
        let Some(id_map) = &self.id_map else { return mount_setattr(part, attributes, 0, None) };
        let before = rustix::fs::fstat(part)?.st_uid;
        match mount_setattr(part, attributes, 0, Some(id_map.as_fd())) {
            Err(Errno::INVAL) if mapping == IdMapping::WherePossible => {
                mount_setattr(part, attributes, 0, None)
            }
            Ok(()) if before < WHOLE && rustix::fs::fstat(part)?.st_uid != self.ids.root() + before => {
                // It said yes and mapped nothing.
                Err(Errno::NOTSUP)
            }
            result => result,
        }
    }

    /// What was mounted on the host below a directory hides what root put there: a user namespace may not look beneath
    /// (mount_namespaces(7), "Restrictions").
    fn part_failure(&self, index: usize, errno: Errno) -> Failure {
        let why = match errno {
            Errno::INVAL if self.standing.is_confined() => {
                ": something is mounted below it, which an ordinary user cannot leave out"
            }
            _ => "",
        };
        failure("image_part", errno, format!("take part {index} of the image{why}"))
    }
}

/// Writes the uid and gid maps of a child in a new user namespace.
pub(crate) fn write_id_maps(child: Pid, ids: SandboxIds) -> Result<(), Failure> {
    for map in ["uid_map", "gid_map"] {
        let path = format!("/proc/{}/{map}", child.as_raw_nonzero());
        let write = || -> std::io::Result<()> {
            // One write call: the kernel accepts a map only once and whole (user_namespaces(7)).
            std::fs::OpenOptions::new().write(true).open(path)?.write_all(ids.map().as_bytes())
        };
        write().map_err(|error| {
            Failure::new("id_map", error.raw_os_error().unwrap_or(0), format!("write {map} of the sandbox"))
        })?;
    }
    Ok(())
}

/// Everything mounted, moved and detached from here on is this process's own matter: never taken on trust.
pub(crate) fn own_mount_namespace() -> Result<(), Errno> {
    let which = || rustix::fs::readlink("/proc/thread-self/ns/mnt", Vec::new());
    let before = which()?;
    process::unshare(CloneFlags::CLONE_NEWNS)?;
    if which()? == before { Err(Errno::NOTSUP) } else { Ok(()) }
}

/// A user namespace that lives as long as its descriptor, made by a child that waits until the jail is done with it, or
/// dead.
pub(crate) fn make_id_map(ids: SandboxIds) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = handshake::pair()?;
    let child =
        match clone3(Namespaces::USER, None).map_err(Failure::of("id_map", "clone a user namespace"))? {
            Cloned::Child => {
                drop(ours);
                let _ended = handshake::wait(theirs.as_fd());
                process::exit_now(0)
            }
            Cloned::Parent(child) => child,
        };
    let result = write_id_maps(child.pid, ids)
        .and_then(|()| open_namespace(&format!("/proc/{}/ns/user", child.pid.as_raw_nonzero())));
    drop((ours, theirs));
    process::wait4(child.pid).map_err(Failure::of("id_map", "reap the namespace's first process"))?;
    result
}

fn open_namespace(path: &str) -> Result<OwnedFd, Failure> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failure("base_namespace", errno, format!("open {path}")))
}

/// A fresh tmpfs becomes the root, with a fresh /proc and empty mount points; the host's tree is detached.
fn replace_root() -> Result<(), Failure> {
    let root = mount_new(
        "tmpfs",
        &[("size", "64k"), ("nr_inodes", "32"), ("mode", "0755")],
        MountAttrFlags::empty(),
    )
    .map_err(Failure::of("base_tmpfs", "mount the jail's own root"))?;
    for directory in ["proc", "new", "scratch", "shown", "empty"] {
        rustix::fs::mkdirat(&root, directory, Mode::from_raw_mode(0o755))
            .map_err(Failure::of("base_tmpfs", "make the jail's mount points"))?;
    }
    // /proc is the one directory of the host that must exist; it is covered for a moment in this namespace only.
    move_onto(root.as_fd(), CWD, "/proc")
        .map_err(Failure::of("base_attach", "attach the jail's own root"))?;
    let hidden = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = mount_new("proc", &[], hidden).map_err(Failure::of("base_proc", "mount a whole /proc"))?;
    move_onto(proc.as_fd(), root.as_fd(), "proc")
        .map_err(Failure::of("base_proc", "attach a whole /proc"))?;
    pivot_into(root.as_fd()).map_err(Failure::of("base_pivot", "leave the host's tree"))?;
    nothing_covers_the_root()
}

/// setns(2) to this namespace makes the topmost mount on `/` the root (LOOKUP_DOWN in mntns_install): the host's tree,
/// were it not detached.
fn nothing_covers_the_root() -> Result<(), Failure> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").map_err(|error| {
        Failure::new("base_pivot", error.raw_os_error().unwrap_or(0), "look at the jail's own mounts")
    })?;
    match mountinfo.lines().filter(|line| line.split(' ').nth(4) == Some("/")).count() {
        1 => Ok(()),
        roots => Err(Failure::new("base_pivot", 0, format!("the jail has {roots} roots"))),
    }
}

/// Makes the mount that `root` refers to the root of this mount namespace and detaches the old one (pivot_root(2),
/// "pivot_root(".", ".")").
pub(crate) fn pivot_into(root: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    let (wanted, found) = (rustix::fs::fstat(root)?, rustix::fs::stat("/")?);
    if (wanted.st_dev, wanted.st_ino) == (found.st_dev, found.st_ino) { Ok(()) } else { Err(Errno::XDEV) }
}

/// A new, detached mount. An option without a value is a flag.
pub(crate) fn mount_new(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        match *value {
            "" => rustix::mount::fsconfig_set_flag(context.as_fd(), *key)?,
            value => rustix::mount::fsconfig_set_string(context.as_fd(), *key, value)?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attaches a detached mount to a directory named by a path of the jail's own.
pub(crate) fn move_onto(mount: BorrowedFd<'_>, directory: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    rustix::mount::move_mount(mount, "", directory, path, flags)
}

fn failure(step: &str, errno: Errno, detail: String) -> Failure {
    Failure::new(step, errno.raw_os_error(), detail)
}
