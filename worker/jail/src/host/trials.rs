//! Namespaces, overlay and id-mapped mounts: really tried, each in a thread that takes what it made with it.

use std::os::fd::AsFd;
use std::path::Path;

use nix::sched::CloneFlags;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, OpenTreeFlags, mount, mount_change, open_tree};

use super::Status::{Degraded, Missing, Ok as Fine};
use super::{Finding, Status, look, read};
use crate::base::make_id_map;
use crate::report::Failure;
use crate::sys::mount::mount_setattr;
use crate::sys::process::unshare;

const AS_ROOT: &str = "run the worker as root, or with CAP_SYS_ADMIN in the initial user namespace (systemd unit in deploy/; \
                       containers: the capabilities and options that deploy/README.md lists)";
/// Where the uids of trial namespaces begin: unused by any slot, never written to a disk.
const TRIAL_UID_BASE: u32 = 0x7000_0000;

pub(super) fn namespaces_and_mounts() -> Vec<Finding> {
    let kinds = [
        ("mount", CloneFlags::CLONE_NEWNS, "a root of its own"),
        ("pid", CloneFlags::CLONE_NEWPID, "no other process can be seen or signalled, and all die together"),
        ("network", CloneFlags::CLONE_NEWNET, "no network"),
        ("ipc", CloneFlags::CLONE_NEWIPC, "no shared queues and memory"),
        ("uts", CloneFlags::CLONE_NEWUTS, "a host name that tells nothing"),
        ("cgroup", CloneFlags::CLONE_NEWCGROUP, "the host's groups cannot be seen"),
    ];
    let mut findings = vec![user_namespace()];
    for (name, flag, why) in kinds {
        let looked = look("namespaces", &format!("{name} namespace"), why);
        findings.push(tried(looked, in_thread(move || unshare(flag)), Missing, AS_ROOT));
    }
    findings.push(tried(
        look("rootfs", "overlay file system", "each command's root is a writable overlay over a read-only image"),
        in_thread(overlay),
        Missing,
        "modprobe overlay (Debian, Ubuntu, Fedora: in the kernel package); not on overlayfs itself: give a container's \
         temporary directory a volume",
    ));
    findings.push(tried(
        look("rootfs", "id-mapped mounts", "image files keep their owners while each slot has uids of its own"),
        in_thread(id_mapped),
        Missing,
        "use an image directory on ext4, xfs or btrfs and Linux 5.19 or later, or allow the layer `idmap` to be missing",
    ));
    findings.push(proc_visible());
    findings
}

fn user_namespace() -> Finding {
    let looked = look("namespaces", "user namespace", "root inside the sandbox is nobody outside");
    let fix = match (
        read("/proc/sys/user/max_user_namespaces").as_deref(),
        read("/proc/sys/kernel/unprivileged_userns_clone"),
    ) {
        (Some("0"), _) => "sysctl -w user.max_user_namespaces=15000 (RHEL and hardened hosts set 0)",
        (_, Some(clone)) if clone == "0" => {
            "sysctl -w kernel.unprivileged_userns_clone=1 (Debian), or run the worker as root"
        }
        _ if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") => {
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 23.10 and later), or run the worker as root"
        }
        _ => AS_ROOT,
    };
    match make_id_map(TRIAL_UID_BASE) {
        Ok(_namespace) => looked.is(Fine, "made one, with 65,536 mapped ids", fix),
        Err(Failure { errno, detail, .. }) => looked.is(Missing, format!("{detail}: {}", told(errno)), fix),
    }
}

/// mount_too_revealing() of the kernel: a mount over a part of /proc forbids a fresh one in a user namespace.
fn proc_visible() -> Finding {
    let mountinfo = read("/proc/self/mountinfo").unwrap_or_default();
    let mut points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    // An automount point for binfmt_misc lies on a directory that is always empty, and hides nothing.
    let masked =
        points.find(|point| point.starts_with("/proc/") && !point.starts_with("/proc/sys/fs/binfmt_misc"));
    let looked = look(
        "rootfs",
        "/proc fully visible",
        "without host root, a sandbox's own /proc can be mounted only then",
    );
    match masked {
        None => looked.is(Fine, "nothing is mounted over it", ""),
        Some(point) => looked.is(
            Degraded,
            format!("{point} is covered"),
            "containers: --security-opt systempaths=unconfined (not needed where the worker has CAP_SYS_ADMIN of the host)",
        ),
    }
}

fn tried(looked: super::Looked, result: Result<(), Errno>, otherwise: Status, fix: &str) -> Finding {
    match result {
        Ok(()) => looked.is(Fine, "made one", fix),
        Err(errno) => looked.is(otherwise, told(errno.raw_os_error()), fix),
    }
}

fn told(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

/// Namespaces that a thread enters are gone when it ends.
fn in_thread(trial: impl FnOnce() -> Result<(), Errno> + Send + 'static) -> Result<(), Errno> {
    match std::thread::Builder::new().name("host-trial".to_owned()).spawn(trial) {
        Ok(thread) => thread.join().unwrap_or(Err(Errno::FAULT)),
        Err(_) => Err(Errno::AGAIN),
    }
}

fn own_mounts() -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// As the jail does it: on a tmpfs, then cloned so that it can be attached elsewhere.
fn overlay() -> Result<(), Errno> {
    own_mounts()?;
    let place = tempfile_directory()?;
    let result = overlay_on(&place);
    // Detached with everything on it before the directory goes: only an empty directory is ever removed.
    let _ = rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH);
    let removed = rustix::fs::rmdir(&place);
    result.and(removed)
}

fn overlay_on(place: &Path) -> Result<(), Errno> {
    mount("tmpfs", place, "tmpfs", MountFlags::NODEV | MountFlags::NOSUID, c"size=1m")?;
    for directory in ["lower", "upper", "work", "root"] {
        rustix::fs::mkdir(place.join(directory), rustix::fs::Mode::RWXU)?;
    }
    let at = place.display();
    let options = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work");
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    mount(
        "overlay",
        place.join("root"),
        "overlay",
        MountFlags::NODEV | MountFlags::NOSUID,
        options.as_c_str(),
    )?;
    open_tree(CWD, place.join("root"), OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .map(drop)
}

/// On the file system of `/usr`, which the `host` image shows.
fn id_mapped() -> Result<(), Errno> {
    own_mounts()?;
    let id_map = make_id_map(TRIAL_UID_BASE).map_err(|failure| Errno::from_raw_os_error(failure.errno))?;
    let clone = open_tree(CWD, "/usr", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    mount_setattr(clone.as_fd(), 0, 0, Some(id_map.as_fd()))
}

/// A new directory that nobody else can have made before us.
fn tempfile_directory() -> Result<std::path::PathBuf, Errno> {
    let name = format!("kiln-{}-{:?}", std::process::id(), std::thread::current().id());
    let name: String =
        name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    let place = std::env::temp_dir().join(name);
    rustix::fs::mkdir(&place, rustix::fs::Mode::RWXU)?;
    Ok(place)
}
