//! The sandbox's file systems, all made in the jail's own mount namespace and held by descriptors: overlays over the
//! image's parts, and one size-limited tmpfs for every writable place.
//!
//! The sandbox's init attaches them ([`super::init`]). Everything here disappears when the descriptors and the
//! sandbox's mount namespace do; nothing is ever deleted by path.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, UnmountFlags};

use crate::base::{Base, EMPTY, IdMapping, SCRATCH, mount_new, move_onto};
use crate::ids::SandboxIds;
use crate::plan::{Limits, SandboxKind, Writes};
use crate::report::Failure;
use crate::standing::Standing;
use crate::sys::mount::{attribute, mount_setattr};

use super::dev::{self, Nodes};

/// Directories that the image's root must offer as mount points; missing ones are made in the upper layer.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "tmp", "work"];

/// Whatever this kernel's defaults are: attributes of an image's files never lead to other files.
const NO_EXTENSIONS: [(&str, &str); 3] = [("redirect_dir", "nofollow"), ("metacopy", "off"), ("xino", "off")];

/// In a user namespace the overlay's own attributes are `user.*` ones: it may not set others (overlayfs.rst, "Unprivileged
/// mounts"). A directory of a lower layer can be removed only where tmpfs takes them, since 6.6.
const NO_EXTENSIONS_UNPRIVILEGED: [(&str, &str); 4] =
    [("redirect_dir", "nofollow"), ("metacopy", "off"), ("xino", "off"), ("userxattr", "")];

/// More than any memory holds, and few enough for the kernel, which refuses numbers whose bytes overflow
/// (shmem_parse_one in mm/shmem.c).
const MOST_INODES: u64 = 1 << 40;

/// A detached mount and where it belongs, relative to the sandbox's root.
pub(crate) struct Placed {
    pub(crate) target: Vec<u8>,
    pub(crate) mount: OwnedFd,
}

/// Every mount of one sandbox but its /proc.
pub(crate) struct Mounts {
    pub(crate) root: Option<OwnedFd>,
    /// In the order they are attached.
    pub(crate) placed: Vec<Placed>,
    /// The tmpfs' own root directory: `work`, `tmp`, `shm`, `dev` and the overlays' upper layers lie in it.
    pub(crate) tmpfs: OwnedFd,
    /// Of the tmpfs, for setting its limits.
    context: OwnedFd,
    /// Until init has its own copy of the jail's mounts.
    attached: Option<Attached>,
    pub(crate) layout: Occupied,
}

/// What a tmpfs holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupied {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
    pub(crate) bytes_free: u64,
    pub(crate) inodes_free: u64,
}

impl Mounts {
    pub(crate) fn make(base: &Base, kind: &SandboxKind, mapping: IdMapping) -> Result<Self, Failure> {
        let sources: Vec<&[u8]> = kind.rootfs.parts.iter().map(|part| part.source.as_slice()).collect();
        let mut parts = base.take_parts(&sources, mapping)?;
        let nodes = base.take_devices()?.map_or(Nodes::Made, Nodes::OfTheHost);
        let owners = Owners(base.ids());
        let layering = Layering { writes: kind.writes, standing: base.standing() };
        let scratch = Scratch::make()?;
        owners.make_writable_places(&scratch)?;
        dev::fill(scratch.directory(), owners.root(), &nodes)?;
        let root_part = parts.remove(0);
        make_mount_points(root_part.as_fd(), &scratch, owners)?;
        let root = overlay(0, root_part, &scratch, layering)?;
        let mut placed = Vec::new();
        for (index, (part, source)) in (1..).zip(kind.rootfs.parts[1..].iter().zip(parts)) {
            if kind.writes == Writes::Root {
                make_layers(source.as_fd(), &scratch, index, owners)?;
            }
            let mount = overlay(index, source, &scratch, layering)?;
            placed.push(Placed { target: part.target[1..].to_vec(), mount });
        }
        placed.extend(scratch.writable_places(&nodes)?);
        let layout =
            occupied(scratch.directory()).map_err(Failure::of("statvfs", "measure the sandbox's layout"))?;
        let Scratch { context, directory, attached } = scratch;
        Ok(Self { root: Some(root), placed, tmpfs: directory, context, attached: Some(attached), layout })
    }

    /// Takes the tmpfs, with every layer below it, out of the jail's own mount table. That waits for an RCU grace period (namespace_unlock
    /// in fs/namespace.c): best while init has work to do.
    pub(crate) fn detach(&mut self) {
        self.attached = None;
    }

    /// The job's number of bytes and inodes, beside those of the layout.
    pub(crate) fn limit(&self, limits: &Limits) -> Result<(), Failure> {
        let limit = || -> Result<(), Errno> {
            let inodes = (limits.inodes.get().min(MOST_INODES) + self.layout.inodes).to_string();
            let bytes = limits.disk_bytes.get().saturating_add(self.layout.bytes).to_string();
            rustix::mount::fsconfig_set_string(self.context.as_fd(), "nr_inodes", inodes.as_str())?;
            rustix::mount::fsconfig_set_string(self.context.as_fd(), "size", bytes.as_str())?;
            rustix::mount::fsconfig_reconfigure(self.context.as_fd())
        };
        limit().map_err(Failure::of("tmpfs", "limit the writable tmpfs"))
    }

    /// After init has attached them, the jail needs no other mount than the tmpfs.
    pub(crate) fn keep_only_tmpfs(&mut self) {
        self.root = None;
        self.placed.clear();
    }

    pub(crate) fn occupied(&self) -> Result<Occupied, Failure> {
        occupied(self.tmpfs.as_fd()).map_err(Failure::of("statvfs", "measure the writable places"))
    }
}

/// Ids of the sandbox's users, outside.
#[derive(Clone, Copy)]
struct Owners(SandboxIds);

impl Owners {
    fn root(self) -> (Uid, Gid) {
        (Uid::from_raw(self.0.root()), Gid::from_raw(self.0.root()))
    }

    fn command(self) -> (Uid, Gid) {
        (Uid::from_raw(self.0.command()), Gid::from_raw(self.0.command()))
    }

    fn make_writable_places(self, scratch: &Scratch) -> Result<(), Failure> {
        scratch
            .make_directory("work", 0o755, self.command())
            .and_then(|()| scratch.make_directory("tmp", 0o1777, self.root()))
            .and_then(|()| scratch.make_directory("shm", 0o1777, self.root()))
            .and_then(|()| scratch.make_directory("dev", 0o755, self.root()))
            .map_err(Failure::of("writable_places", "make the sandbox's writable directories"))
    }
}

/// How overlays are mounted.
#[derive(Clone, Copy)]
struct Layering {
    writes: Writes,
    standing: Standing,
}

/// What every overlay is mounted with beside its layers.
pub(crate) fn overlay_options(standing: Standing) -> &'static [(&'static str, &'static str)] {
    if standing.is_confined() { &NO_EXTENSIONS_UNPRIVILEGED } else { &NO_EXTENSIONS }
}

/// The one tmpfs, while it is attached in the jail's own mount namespace.
struct Scratch {
    context: OwnedFd,
    directory: OwnedFd,
    attached: Attached,
}

/// What is attached at [`SCRATCH`]. The jail's own table is small again when this is dropped, also where making the sandbox failed half-way.
struct Attached;

impl Scratch {
    /// As wide as its layout needs; [`Mounts::limit`] sets the true numbers.
    fn make() -> Result<Self, Failure> {
        let make = || -> Result<Self, Errno> {
            let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            rustix::mount::fsconfig_set_string(context.as_fd(), "size", "1m")?;
            rustix::mount::fsconfig_set_string(context.as_fd(), "nr_inodes", "1024")?;
            rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "0755")?;
            rustix::mount::fsconfig_create(context.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
            let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
            move_onto(mount.as_fd(), CWD, SCRATCH)?;
            let attached = Attached;
            let directory = open_directory(CWD, SCRATCH)?;
            Ok(Self { context, directory, attached })
        };
        make().map_err(Failure::of("tmpfs", "mount the writable tmpfs"))
    }

    fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn make_directory(&self, name: &str, mode: u32, owner: (Uid, Gid)) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.directory, name, Mode::from_raw_mode(mode))?;
        rustix::fs::chownat(&self.directory, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Detached binds of the tmpfs' directories, /dev read-only but with its devices usable.
    fn writable_places(&self, nodes: &Nodes) -> Result<Vec<Placed>, Failure> {
        let bind = |name: &str, target: &str, attributes: u64| -> Result<Placed, Errno> {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let mount = rustix::mount::open_tree(&self.directory, name, flags)?;
            mount_setattr(mount.as_fd(), attributes, 0, None)?;
            Ok(Placed { target: target.as_bytes().to_vec(), mount })
        };
        let bind_all = || -> Result<Vec<Placed>, Errno> {
            let confined = attribute::NOSUID | attribute::NODEV;
            Ok(vec![
                dev::bind(self.directory(), nodes)?,
                bind("shm", "dev/shm", confined)?,
                bind("work", "work", confined)?,
                bind("tmp", "tmp", confined)?,
            ])
        };
        bind_all().map_err(Failure::of("writable_places", "bind the sandbox's writable directories"))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(SCRATCH, UnmountFlags::DETACH);
    }
}

fn occupied(directory: BorrowedFd<'_>) -> Result<Occupied, Errno> {
    let numbers = rustix::fs::fstatvfs(directory)?;
    Ok(Occupied {
        bytes: (numbers.f_blocks - numbers.f_bfree) * numbers.f_frsize,
        inodes: numbers.f_files - numbers.f_ffree,
        bytes_free: numbers.f_bfree * numbers.f_frsize,
        inodes_free: numbers.f_ffree,
    })
}

/// Makes the root's upper layer with the mount points that the image lacks. An image where one of them is anything
/// but a directory is refused: a mount would follow it elsewhere.
fn make_mount_points(image: BorrowedFd<'_>, scratch: &Scratch, owners: Owners) -> Result<(), Failure> {
    make_layers(image, scratch, 0, owners)?;
    for name in MOUNT_POINTS {
        let step = "image_mount_point";
        match rustix::fs::statat(image, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
            Ok(_) => {
                let errno = Errno::NOTDIR.raw_os_error();
                return Err(Failure::new(step, errno, format!("the image's /{name} is not a directory")));
            }
            Err(Errno::NOENT) => scratch
                .make_directory(&format!("upper0/{name}"), 0o755, owners.root())
                .map_err(Failure::of("image_mount_point", "make a mount point"))?,
            Err(errno) => {
                return Err(Failure::new(step, errno.raw_os_error(), format!("look at the image's /{name}")));
            }
        }
    }
    Ok(())
}

/// Makes upper and work directories of overlay `index`; the merged root shows the upper's owner and mode.
fn make_layers(
    lower: BorrowedFd<'_>,
    scratch: &Scratch,
    index: usize,
    owners: Owners,
) -> Result<(), Failure> {
    let make = || -> Result<(), Errno> {
        let mode = rustix::fs::fstat(lower)?.st_mode & 0o1777;
        scratch.make_directory(&format!("upper{index}"), mode, owners.root())?;
        scratch.make_directory(&format!("tempo{index}"), 0o700, owners.root())
    };
    make().map_err(Failure::of("overlay_layers", "make an overlay's upper layer"))
}

/// Mounts overlay `index` over `lower` by path: layers given as descriptors are refused by kernels up to 6.12.
///
/// The path lies in the scratch tmpfs, so that one umount takes them all.
///
/// A plain bind would do for a part that is only read, but would show the host's path in /proc/self/mountinfo.
fn overlay(index: usize, source: OwnedFd, scratch: &Scratch, layering: Layering) -> Result<OwnedFd, Failure> {
    let lower = format!("{SCRATCH}/lower{index}");
    let upper = format!("{SCRATCH}/upper{index}");
    let work = format!("{SCRATCH}/tempo{index}");
    let confined = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = || -> Result<OwnedFd, Errno> {
        let name = format!("lower{index}");
        rustix::fs::mkdirat(scratch.directory(), &name, Mode::RWXU)?;
        move_onto(source.as_fd(), scratch.directory(), &name)?;
        let options = overlay_options(layering.standing);
        match layering.writes {
            // Only `build` may write in its throwaway root.
            Writes::Root => {
                let layers = [("lowerdir", lower.as_str()), ("upperdir", &upper), ("workdir", &work)];
                mount_new("overlay", &[&layers, options].concat(), confined)
            }
            Writes::Work => {
                // The topmost layer of the root has the mount points.
                let layers = if index == 0 { format!("{upper}:{lower}") } else { format!("{lower}:{EMPTY}") };
                let attributes = confined | MountAttrFlags::MOUNT_ATTR_RDONLY;
                let layers = [("lowerdir", layers.as_str())];
                mount_new("overlay", &[&layers, options].concat(), attributes)
            }
        }
    };
    mount().map_err(|errno| {
        Failure::new("mount_overlay", errno.raw_os_error(), format!("mount the overlay of part {index}"))
    })
}

pub(crate) fn open_directory(at: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(
        at,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}
