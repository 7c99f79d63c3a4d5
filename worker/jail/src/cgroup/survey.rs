//! What this host's control groups are, without changing anything: for `kiln doctor`.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags, Dir, Mode, OFlags, accessat, openat};

use super::Version;
use super::control::{open_directory, read_at};
use super::delegate::Controllers;
use super::mounts::{CgroupMount, MountKind, below, cgroup_mounts, unified_group};
use super::v1::{CGROUP_MAGIC, CGROUP2_MAGIC, open_mount};

/// Control groups as the jail would find them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostGroups {
    pub(crate) version: Version,
    controllers: Vec<String>,
    /// Controllers whose hierarchy cannot be written.
    pub(crate) read_only: Vec<String>,
    pub(crate) can_kill: bool,
    pub(crate) tells_peak: bool,
    pub(crate) accounts_swap: bool,
}

impl HostGroups {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

/// `None` where no cgroup file system is mounted.
pub(crate) fn host_groups() -> Option<HostGroups> {
    let mounts = cgroup_mounts(&std::fs::read_to_string("/proc/self/mountinfo").ok()?);
    let unified = mounts.iter().rfind(|mount| mount.kind == MountKind::V2);
    let has_v1 = mounts.iter().any(|mount| matches!(mount.kind, MountKind::V1 { .. }));
    let top = unified.and_then(|mount| open_mount(mount, CGROUP2_MAGIC).ok());
    let offered =
        top.as_ref().and_then(|top| read_at(top.as_fd(), "cgroup.controllers").ok()).unwrap_or_default();
    let can_kill = top.as_ref().is_some_and(|top| tells(top.as_fd(), "cgroup.kill", (5, 14)));
    match top {
        Some(top) if Controllers::parse(&offered).has_required() || !has_v1 => Some(HostGroups {
            version: Version::V2,
            controllers: offered.split_ascii_whitespace().map(str::to_owned).collect(),
            // Not the top itself, where the groups below it are a user's own.
            read_only: match writable(top.as_fd()) || delegated_group().is_some() {
                true => Vec::new(),
                false => vec!["unified".to_owned()],
            },
            can_kill,
            tells_peak: tells(top.as_fd(), "memory.peak", (5, 19)),
            accounts_swap: tells(top.as_fd(), "memory.swap.max", (6, 1)),
        }),
        _ if has_v1 => Some(v1(&mounts, can_kill)),
        _ => None,
    }
}

/// A group of the unified hierarchy in which this process may make groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DelegatedGroup {
    pub(crate) path: String,
    /// Controllers that it would need and has not.
    pub(crate) missing: String,
}

/// The innermost group above this process that can be written and has the controllers; else the innermost that can be written.
pub(crate) fn delegated_group() -> Option<DelegatedGroup> {
    let mounts = cgroup_mounts(&std::fs::read_to_string("/proc/self/mountinfo").ok()?);
    let mount = mounts.iter().rfind(|mount| mount.kind == MountKind::V2)?;
    let top = open_mount(mount, CGROUP2_MAGIC).ok()?;
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut path: Vec<&str> =
        below(&mount.root, unified_group(&own)?)?.split('/').filter(|part| !part.is_empty()).collect();
    let mut innermost = None;
    loop {
        let at = if path.is_empty() { ".".to_owned() } else { path.join("/") };
        let group = open_directory(top.as_fd(), &at).ok()?;
        if writable(group.as_fd()) {
            let offered = Controllers::parse(&read_at(group.as_fd(), "cgroup.controllers").ok()?);
            let found =
                DelegatedGroup { path: format!("/{}", path.join("/")), missing: offered.missing_required() };
            if found.missing.is_empty() {
                return Some(found);
            }
            innermost.get_or_insert(found);
        }
        if path.pop().is_none() {
            return innermost;
        }
    }
}

fn v1(mounts: &[CgroupMount], can_kill: bool) -> HostGroups {
    let mut groups = HostGroups {
        version: Version::V1,
        controllers: Vec::new(),
        read_only: Vec::new(),
        can_kill,
        tells_peak: true,
        accounts_swap: false,
    };
    for mount in mounts {
        let MountKind::V1 { controllers } = &mount.kind else { continue };
        let Ok(top) = open_mount(mount, CGROUP_MAGIC) else { continue };
        if controllers.iter().any(|name| name == "memory") {
            groups.accounts_swap = exists(top.as_fd(), "memory.memsw.limit_in_bytes");
        }
        if !writable(top.as_fd()) {
            groups.read_only.extend(controllers.iter().cloned());
        }
        groups.controllers.extend(controllers.iter().cloned());
    }
    groups
}

/// Whether groups have a file that the root group has not: seen in a group below it, or, where none has the controller
/// yet, known from the kernel's version.
fn tells(top: BorrowedFd<'_>, file: &str, since: (u32, u32)) -> bool {
    if exists(top, file) || crate::host::kernel_is_at_least(since) {
        return true;
    }
    let Ok(mut directory) = Dir::read_from(top) else { return false };
    std::iter::from_fn(|| directory.read()).flatten().any(|entry| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let below = openat(top, entry.file_name(), flags, Mode::empty());
        entry.file_name().to_bytes() != b".." && below.is_ok_and(|group| exists(group.as_fd(), file))
    })
}

fn exists(directory: BorrowedFd<'_>, file: &str) -> bool {
    accessat(directory, file, Access::EXISTS, AtFlags::empty()).is_ok()
}

fn writable(directory: BorrowedFd<'_>) -> bool {
    accessat(directory, ".", Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}
