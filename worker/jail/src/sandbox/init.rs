//! The sandbox's first process: a child of the jail that assembles the sandbox from inside and then only reaps.
//!
//! It is not the command and not in the job's cgroup, has another uid than the command, no capability, no descriptor
//! and is not dumpable. When it is killed, the kernel kills every process of the sandbox (pid_namespaces(7)).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::process::{DumpableBehavior, Signal, WaitOptions};

use crate::base::{Base, NEW_ROOT, mount_new, move_onto, pivot_into, write_id_maps};
use crate::network::Network;
use crate::report::Failure;
use crate::standing::Standing;
use crate::sys::clone::{Child, Cloned, Namespaces, clone3};
use crate::sys::process;

use super::rootfs::{Mounts, open_directory};
use super::{ExitOnUnwind, handshake, kill, privileges, rlimits};

/// Uid and gid of init, inside: neither root nor the command's.
pub(crate) const INIT_ID: u32 = 65_533;

/// Namespaces that nothing in the sandbox may make more of; the kernel keeps these limits per user namespace
/// (namespaces(7)).
const NAMESPACE_LIMITS: [&str; 8] = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"];

/// Inotify of one sandbox. The kernel counts it for who made the user namespace, too: without a share of its own one job
/// takes all of the jail's user, 128 instances by default, from every other job (inc_ucount in kernel/ucount.c).
const INOTIFY_LIMITS: [(&str, &str); 2] = [("instances", "8"), ("watches", "8192")];

/// Clones init into new namespaces, or all but a network's, and waits until the sandbox stands.
pub(crate) fn start(base: &Base, mounts: &mut Mounts, network: Option<&Network>) -> Result<Child, Failure> {
    let (ours, theirs) = handshake::pair()?;
    let mut ours = Some(ours);
    // The child never leaves this: it must not step back from the kept network, nor go on as a second jail.
    let theirs_to_mount = &*mounts;
    let clone = |namespaces| {
        let cloned = clone3(namespaces, None);
        if let Ok(Cloned::Child) = cloned {
            let _exit = ExitOnUnwind;
            drop(ours.take());
            run(theirs, theirs_to_mount, base.standing());
        }
        cloned
    };
    let cloned = match network {
        Some(network) => network.within_kept(|| clone(Namespaces::SANDBOX_IN_THIS_NETWORK))?,
        None => clone(Namespaces::SANDBOX),
    };
    let child = match cloned.map_err(Failure::of("clone_init", "clone the sandbox's namespaces"))? {
        Cloned::Parent(child) => child,
        Cloned::Child => process::exit_now(70),
    };
    let ours = ours.expect("only the child takes it");
    let stands = write_id_maps(child.pid, base.ids()).and_then(|()| {
        handshake::tell(ours.as_fd())?;
        mounts.detach();
        match handshake::hear(ours.as_fd())? {
            // Then it has let go of its last descriptor.
            Some(handshake::Message::Stands) if handshake::hear(ours.as_fd())?.is_none() => Ok(()),
            Some(handshake::Message::Failed(failure)) => Err(failure),
            _ => Err(Failure::new("init", 0, "the sandbox's init died")),
        }
    });
    match stands {
        Ok(()) => Ok(child),
        Err(failure) => {
            kill(&child)?;
            process::wait4(child.pid).map_err(Failure::of("reap_init", "reap a failed init"))?;
            Err(failure)
        }
    }
}

fn run(jail: OwnedFd, mounts: &Mounts, standing: Standing) -> ! {
    let stands = handshake::wait(jail.as_fd())
        .and_then(|()| assemble(mounts, standing))
        .and_then(|()| shed())
        // Before the word that lets the command start: nothing of the jail's is held beside it.
        .and_then(|()| {
            process::close_all_but(0, jail.as_fd())
                .map_err(Failure::of("init_shed", "close what init inherited"))
        })
        .and_then(|()| {
            rlimits::leave_nothing().map_err(Failure::of("rlimits", "let init have nothing more"))
        });
    let told = match &stands {
        Ok(()) => handshake::send(jail.as_fd(), &handshake::Message::Stands),
        Err(failure) => handshake::send(jail.as_fd(), &handshake::Message::Failed(failure.clone())),
    };
    // Where the jail is dead, its death signal may have been missed: end here.
    if stands.is_err() || told.is_err() {
        process::exit_now(1);
    }
    drop(jail);
    loop {
        process::wait_for_child_signal();
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

/// From inside the new namespaces, as their root: names, mounts, limits on namespaces, and out of the jail's tree.
fn assemble(mounts: &Mounts, standing: Standing) -> Result<(), Failure> {
    privileges::become_id(0).map_err(Failure::of("init_root", "become root of the sandbox"))?;
    rustix::system::sethostname(b"kiln")
        .and_then(|()| rustix::system::setdomainname(b"(none)"))
        .map_err(Failure::of("hostname", "name the sandbox"))?;
    let root = attach(mounts)?;
    let proc = mount_proc()?;
    let target = open_inside(root.as_fd(), b"proc").map_err(Failure::of("attach_proc", "find /proc"))?;
    move_onto(proc.as_fd(), target.as_fd(), "").map_err(Failure::of("attach_proc", "attach /proc"))?;
    // After fsmount, whose anonymous mount namespace counts too, and while /proc/sys is still in sight.
    limit_namespaces()?;
    limit_inotify(standing)?;
    pivot_into(root.as_fd()).map_err(Failure::of("pivot_root", "make the sandbox's root the root"))
}

fn limit_namespaces() -> Result<(), Failure> {
    for kind in NAMESPACE_LIMITS {
        let path = format!("/proc/sys/user/max_{kind}_namespaces");
        std::fs::write(path, "0").map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            Failure::new("limit_namespaces", errno, format!("forbid new {kind} namespaces"))
        })?;
    }
    Ok(())
}

/// None at all where the sandbox's devices are inodes of the host's: a watch would tell who else on the host opens them, other
/// sandboxes among them.
fn limit_inotify(standing: Standing) -> Result<(), Failure> {
    for (kind, most) in INOTIFY_LIMITS {
        let most = if standing.is_confined() { "0" } else { most };
        std::fs::write(format!("/proc/sys/user/max_inotify_{kind}"), most).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            Failure::new("limit_inotify", errno, format!("limit inotify {kind}"))
        })?;
    }
    Ok(())
}

fn attach(mounts: &Mounts) -> Result<OwnedFd, Failure> {
    let root = mounts.root.as_ref().expect("mounts are attached once, before they are dropped");
    move_onto(root.as_fd(), CWD, NEW_ROOT).map_err(Failure::of("attach_root", "attach the root overlay"))?;
    let root = open_directory(CWD, NEW_ROOT).map_err(Failure::of("attach_root", "open the root overlay"))?;
    for (index, placed) in mounts.placed.iter().enumerate() {
        open_inside(root.as_fd(), &placed.target)
            .and_then(|directory| move_onto(placed.mount.as_fd(), directory.as_fd(), ""))
            .map_err(|errno| {
                Failure::new(
                    "attach_part",
                    errno.raw_os_error(),
                    format!("attach mount {index} of the sandbox"),
                )
            })?;
    }
    Ok(root)
}

/// A mount point, without following a link anywhere on the way.
fn open_inside(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(
        root,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

/// Only the sandbox's own processes, and of those only one's own; nothing of the kernel's.
fn mount_proc() -> Result<OwnedFd, Failure> {
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = mount_new("proc", &[("subset", "pid"), ("hidepid", "invisible")], attributes)
        .map_err(Failure::of("mount_proc", "mount the sandbox's /proc"))?;
    let kind = rustix::fs::fstatfs(&proc).map_err(Failure::of("mount_proc", "look at the new /proc"))?;
    if kind.f_type == PROC_SUPER_MAGIC {
        Ok(proc)
    } else {
        Err(Failure::new("mount_proc", 0, "the new /proc is no proc file system"))
    }
}

/// Nothing left that a command could gain by taking init over.
fn shed() -> Result<(), Failure> {
    privileges::empty_bounding_set()?;
    privileges::drop_all(INIT_ID)?;
    // After the uid has changed, which would clear both (PR_SET_PDEATHSIG(2const), PR_SET_DUMPABLE(2const)).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .and_then(|()| rustix::process::set_parent_process_death_signal(Some(Signal::KILL)))
        .and_then(|()| process::block_signals())
        .map_err(Failure::of("init_shed", "make init untouchable"))
}
