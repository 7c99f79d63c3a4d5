//! Namespaces, overlay and id-mapped mounts: really tried, each in a thread that takes what it made with it.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, OpenTreeFlags, mount, mount_change, open_tree};

use super::Status::{Degraded, Missing, Ok as Fine};
use super::user_namespaces::is_initial;
use super::{Finding, Status, look, read};
use crate::base::{make_id_map, own_mount_namespace};
use crate::ids::SandboxIds;
use crate::report::Failure;
use crate::runtime_directory;
use crate::standing::Standing;
use crate::sys::mount::mount_setattr;
use crate::sys::process::unshare;

const AS_ROOT: &str = "run the worker as root, or with CAP_SYS_ADMIN in the initial user namespace (systemd unit in deploy/; \
                       containers: the capabilities and options that deploy/README.md lists)";
/// Where the uids of trial namespaces begin as root of the host: unused by any slot, never written to a disk.
const TRIAL_UID_BASE: u32 = 0x7000_0000;

/// Ids that this process may give away.
fn trial_ids() -> SandboxIds {
    match Standing::of_this_process() {
        Ok(standing) if standing.is_confined() => SandboxIds::new(1, standing),
        _ => SandboxIds::new(TRIAL_UID_BASE, Standing::HostRoot),
    }
}

pub(super) fn namespaces_and_mounts() -> Vec<Finding> {
    let kinds = [
        ("mount", CloneFlags::CLONE_NEWNS, "mnt", "a root of its own"),
        (
            "pid",
            CloneFlags::CLONE_NEWPID,
            "pid_for_children",
            "no other process can be seen or signalled, and all die together",
        ),
        ("network", CloneFlags::CLONE_NEWNET, "net", "no network"),
        ("ipc", CloneFlags::CLONE_NEWIPC, "ipc", "no shared queues and memory"),
        ("uts", CloneFlags::CLONE_NEWUTS, "uts", "a host name that tells nothing"),
        ("cgroup", CloneFlags::CLONE_NEWCGROUP, "cgroup", "the host's groups cannot be seen"),
    ];
    let mut findings = vec![user_namespace()];
    for (name, flag, link, why) in kinds {
        let looked = look("namespaces", &format!("{name} namespace"), why);
        findings.push(tried(looked, in_thread(move || new_namespace(flag, link)), Missing, AS_ROOT));
    }
    findings.push(tried(
        look("rootfs", "overlay file system", "each command's root is a writable overlay over a read-only image"),
        in_thread(overlay),
        Missing,
        "modprobe overlay (Debian, Ubuntu, Fedora: in the kernel package); not on overlayfs itself: give a container's \
         temporary directory a volume",
    ));
    let is_confined = Standing::of_this_process().is_ok_and(Standing::is_confined);
    findings.push(tried(
        look("rootfs", "id-mapped mounts", "image files keep their owners while each slot has uids of its own"),
        in_thread(id_mapped),
        if is_confined { Degraded } else { Missing },
        "run the worker as root of the host; as root, use an image directory on ext4, xfs or btrfs and Linux 5.19 or later, or allow the layer `idmap` to be missing",
    ));
    // Root of a user namespace can make none: its sandboxes show the host's.
    findings.extend((!is_confined).then(|| tried(
        look("rootfs", "device nodes", "/dev/null, zero, full and random of each sandbox are made anew"),
        in_thread(device_node),
        Missing,
        "run the worker as root, with CAP_MKNOD, where no device group forbids it (systemd: no DevicePolicy=strict or closed)",
    )));
    findings.push(locks());
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
    match make_id_map(trial_ids()) {
        Ok(_namespace) => looked.is(Fine, "made one, with mapped ids", fix),
        Err(Failure { errno, detail, .. }) => looked.is(Missing, format!("{detail}: {}", told(errno)), fix),
    }
}

/// Without host root, the kernel allows a new /proc only where nothing covers a part of one that is there already
/// (mount_too_revealing in fs/namespace.c).
fn proc_visible() -> Finding {
    let masked = masked(&read("/proc/self/mountinfo").unwrap_or_default());
    let looked = look(
        "rootfs",
        "/proc fully visible",
        "without host root, a sandbox's own /proc can be mounted only then",
    );
    match (masked.is_empty(), in_initial_user_namespace()) {
        (true, _) => looked.is(Fine, "nothing is mounted over it", ""),
        (false, true) => looked.is(Fine, format!("{} covered; host root is not concerned", masked.join(", ")), ""),
        (false, false) => looked.is(
            Missing,
            format!("{} covered", masked.join(", ")),
            "docker: --security-opt systempaths=unconfined; podman: --security-opt unmask=ALL; kubernetes: procMount: Unmasked",
        ),
    }
}

/// What covers /proc, where that keeps sandboxes from being made.
pub(super) fn masked_where_it_matters() -> Vec<String> {
    if in_initial_user_namespace() {
        Vec::new()
    } else {
        masked(&read("/proc/self/mountinfo").unwrap_or_default())
    }
}

/// The locks of uid ranges are there, and by default the socket.
pub(super) fn run_is_writable() -> bool {
    let place = lock_directory();
    let nearest = place.ancestors().find(|directory| directory.exists()).unwrap_or(Path::new("/"));
    rustix::fs::accessat(CWD, nearest, rustix::fs::Access::WRITE_OK, rustix::fs::AtFlags::EACCESS).is_ok()
}

fn lock_directory() -> PathBuf {
    let own = Standing::of_this_process().ok().and_then(|standing| runtime_directory::of(standing).ok());
    own.unwrap_or_else(|| PathBuf::from(runtime_directory::OF_ROOT))
}

fn locks() -> Finding {
    look(
        "rootfs",
        &lock_directory().display().to_string(),
        "locks there keep two slots of this host from taking the same uids",
    )
    .is(
        if run_is_writable() { Fine } else { Missing },
        if run_is_writable() { "writable" } else { "not writable" },
        "run the worker as root; containers: --tmpfs /run",
    )
}

fn in_initial_user_namespace() -> bool {
    read("/proc/self/uid_map").is_none_or(|map| is_initial(&map))
}

/// An automount point for binfmt_misc lies on a directory that is always empty, and hides nothing.
fn masked(mountinfo: &str) -> Vec<String> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .filter(|point| point.starts_with("/proc/") && !point.starts_with("/proc/sys/fs/binfmt_misc"))
        .map(str::to_owned)
        .collect()
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

/// A yes of the kernel's is not enough: the thread must be in another one.
fn new_namespace(flag: CloneFlags, link: &str) -> Result<(), Errno> {
    let path = format!("/proc/thread-self/ns/{link}");
    // That of the next child does not exist before it has a first process (pid_namespaces(7)): no link, then.
    let before = std::fs::read_link(&path).ok();
    unshare(flag)?;
    if before.is_some() && std::fs::read_link(&path).ok() == before { Err(Errno::NOTSUP) } else { Ok(()) }
}

fn own_mounts() -> Result<(), Errno> {
    own_mount_namespace()?;
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

/// Made and opened, since groups of devices bar either.
fn device_node() -> Result<(), Errno> {
    own_mounts()?;
    let place = tempfile_directory()?;
    let result = device_node_on(&place);
    let _ = rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH);
    let removed = rustix::fs::rmdir(&place);
    result.and(removed)
}

fn device_node_on(place: &Path) -> Result<(), Errno> {
    use rustix::fs::{FileType, Mode, OFlags, makedev, mknodat, open};
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID, c"size=64k")?;
    let null = place.join("null");
    mknodat(CWD, &null, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, makedev(1, 3))?;
    open(&null, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map(drop)
}

/// On the file system of `/usr`, which the `host` image shows.
fn id_mapped() -> Result<(), Errno> {
    own_mounts()?;
    let id_map = make_id_map(trial_ids()).map_err(|failure| Errno::from_raw_os_error(failure.errno))?;
    let clone = open_tree(CWD, "/usr", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    mount_setattr(clone.as_fd(), 0, 0, Some(id_map.as_fd()))
}

/// A new directory that nobody else can have made before us.
fn tempfile_directory() -> Result<PathBuf, Errno> {
    let name = format!("kiln-{}-{:?}", std::process::id(), std::thread::current().id());
    let name: String =
        name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    let place = std::env::temp_dir().join(name);
    rustix::fs::mkdir(&place, rustix::fs::Mode::RWXU)?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_proc_is_listed() {
        let docker = "\
650 649 0:62 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
660 650 0:62 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw
661 650 0:66 / /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
662 649 0:5 / /processes rw - tmpfs tmpfs rw
";
        assert_eq!(masked(docker), ["/proc/bus", "/proc/kcore"]);
        let automount = "35 22 0:30 / /proc/sys/fs/binfmt_misc rw,relatime shared:14 - autofs systemd-1 rw\n22 1 0:21 / /proc rw - proc proc rw\n";
        assert_eq!(masked(automount), [""; 0]);
        assert_eq!(masked("garbage\n\n"), [""; 0]);
    }
}
