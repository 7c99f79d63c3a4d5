//! Becoming root of a user namespace: how an ordinary user makes sandboxes.
//!
//! The process makes a user namespace in which it is root and has its user's subordinate ids (subuid(5)), a mount namespace
//! that belongs to it, and executes itself again: same process, same descriptors, same program. From then on the kernel
//! says that it is root ([`crate::standing`]); nothing is remembered in an environment that somebody could forge.
//!
//! Only `newuidmap` and `newgidmap` may map more than the own id: they are started by a child that stays outside. With
//! one id a command would have the uid of its init and of its worker, so without subordinate ids this refuses.

mod subordinate;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sched::CloneFlags;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{Gid, Uid};

use crate::report::Failure;
use crate::sandbox::handshake::{self, Message};
use crate::sys::clone::{Child, Cloned, Namespaces, clone3};
use crate::sys::process;

pub use subordinate::{Subordinate, SubordinateError};

/// The name under which the program enters the namespace, before any thread exists.
pub const NAME: &str = "kiln-rootless";
const OWN_PROGRAM: &str = "/proc/self/exe";
/// What is kept of the mapping programs' words.
const SAID_BYTES: usize = 1024;

/// Why an ordinary user cannot make sandboxes here. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RootlessError {
    #[error(transparent)]
    Subordinate(#[from] SubordinateError),
    #[error("make a user namespace: {}", userns_fix(*errno))]
    UserNamespace { errno: Errno },
    #[error("map ids into the user namespace: {0}")]
    Map(Failure),
    #[error("become root of the user namespace: {0}")]
    BecomeRoot(Errno),
    #[error("make a mount namespace below the user namespace ({errno}): {}", restriction_fix())]
    MountNamespace { errno: Errno },
    #[error("execute kiln again")]
    Execute { source: io::Error },
}

/// Replaces this program, whatever threads it has, by one that will [`enter`]. Returns only when that failed.
pub fn start_over() -> RootlessError {
    let arguments = std::env::args_os().skip(1);
    RootlessError::Execute { source: Command::new(OWN_PROGRAM).arg0(NAME).args(arguments).exec() }
}

/// Becomes root of a new user namespace and executes this program again as `name`. Call it before any thread exists.
/// Returns only when that failed.
pub fn enter(name: &str) -> RootlessError {
    match become_root() {
        Ok(()) => {
            let arguments = std::env::args_os().skip(1);
            RootlessError::Execute { source: Command::new(OWN_PROGRAM).arg0(name).args(arguments).exec() }
        }
        Err(error) => error,
    }
}

/// Tries it in a child that does nothing else.
pub(crate) fn can_make_user_namespace() -> Result<(), RootlessError> {
    match clone3(Namespaces::USER, None) {
        Ok(Cloned::Child) => process::exit_now(0),
        Ok(Cloned::Parent(child)) => process::wait4(child.pid).map(drop),
        Err(errno) => Err(errno),
    }
    .map_err(|errno| RootlessError::UserNamespace { errno })
}

fn become_root() -> Result<(), RootlessError> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let subordinate = Subordinate::of_user(uid)?;
    let (mapper, socket) = start_mapper(uid, gid, &subordinate).map_err(RootlessError::Map)?;
    process::unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| RootlessError::UserNamespace { errno })?;
    let mapped = handshake::tell(socket.as_fd()).and_then(|()| match handshake::hear(socket.as_fd())? {
        Some(Message::Stands) => Ok(()),
        Some(Message::Failed(failure)) => Err(failure),
        _ => Err(Failure::new("id_map", 0, "the process that maps ids died")),
    });
    drop(socket);
    process::wait4(mapper.pid).map_err(RootlessError::BecomeRoot)?;
    mapped.map_err(RootlessError::Map)?;
    take_root().map_err(RootlessError::BecomeRoot)?;
    own_mounts().map_err(|errno| RootlessError::MountNamespace { errno })
}

/// The groups stay: they are the user's, and his files may be theirs. A command gets none.
fn take_root() -> Result<(), Errno> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// What the host mounts later is seen, what happens here is not seen there. A first use of the new capabilities, too: some
/// distributions grant a user namespace and then none of its capabilities.
fn own_mounts() -> Result<(), Errno> {
    process::unshare(CloneFlags::CLONE_NEWNS)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
}

/// A child that stays outside and maps ids when it is told to.
fn start_mapper(uid: u32, gid: u32, subordinate: &Subordinate) -> Result<(Child, OwnedFd), Failure> {
    let pid = std::process::id();
    let (ours, theirs) = handshake::pair()?;
    match clone3(Namespaces::NONE, None).map_err(Failure::of("id_map", "clone the process that maps ids"))? {
        Cloned::Parent(child) => Ok((child, ours)),
        Cloned::Child => {
            drop(ours);
            let mapped = handshake::wait(theirs.as_fd())
                .and_then(|()| map("newuidmap", pid, uid, subordinate.uids()))
                .and_then(|()| map("newgidmap", pid, gid, subordinate.gids()));
            let message = mapped.map_or_else(Message::Failed, |()| Message::Stands);
            let told = handshake::send(theirs.as_fd(), &message);
            process::exit_now(i32::from(told.is_err()))
        }
    }
}

/// `0 OWN 1` and then the subordinate ids (newuidmap(1)).
fn map(program: &str, pid: u32, own: u32, (first, count): (u32, u32)) -> Result<(), Failure> {
    let numbers = [pid, 0, own, 1, 1, first, count].map(|number| number.to_string());
    let said = Command::new(program).args(numbers).stdin(Stdio::null()).output().map_err(|error| {
        let fix = match error.kind() {
            io::ErrorKind::NotFound => {
                ": install it (Debian, Ubuntu: apt install uidmap; Fedora: dnf install shadow-utils)"
            }
            _ => "",
        };
        Failure::new("id_map", error.raw_os_error().unwrap_or(0), format!("run {program}{fix}"))
    })?;
    if said.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&said.stderr[..said.stderr.len().min(SAID_BYTES)]).trim().to_owned();
    let why = if no_new_privileges() {
        "; this process has no_new_privs, with which newuidmap has no privileges: start kiln without it (systemd: \
         NoNewPrivileges=no)"
    } else {
        ""
    };
    Err(Failure::new("id_map", 0, format!("{program} refused: {words}{why}")))
}

fn no_new_privileges() -> bool {
    rustix::thread::no_new_privs().unwrap_or(false)
}

fn userns_fix(errno: Errno) -> String {
    let zero = read("/proc/sys/user/max_user_namespaces").as_deref() == Some("0");
    let fix = match errno {
        Errno::NOSPC if zero => "sysctl -w user.max_user_namespaces=15000 (RHEL and hardened hosts set 0)",
        Errno::NOSPC => "too many are in use, or too deeply nested: see /proc/sys/user/max_user_namespaces",
        Errno::PERM if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") => {
            "sysctl -w kernel.unprivileged_userns_clone=1 (Debian before 11 and hardened kernels set 0)"
        }
        _ => restriction_fix(),
    };
    format!("{errno}: {fix}")
}

fn restriction_fix() -> &'static str {
    match read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() {
        Some("1") => {
            "AppArmor restricts user namespaces (Ubuntu 23.10 and later): \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile for kiln with `userns,`"
        }
        _ => "unprivileged user namespaces are forbidden here; containers and chroots forbid them, too",
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
