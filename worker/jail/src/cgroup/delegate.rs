//! Finding the group of the unified hierarchy below which commands get theirs, and enabling its controllers.
//!
//! A group other than the root that enables controllers for its children must hold no process itself
//! (cgroup-v2.rst, "No Internal Process Constraint"). So the worker, its jails and what else it started move into a
//! leaf beside the commands' groups. Processes that are not the worker's are left where they are, except in a
//! container, whose top group is the container's alone: there all move, as every nested runtime does.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, accessat};
use rustix::io::Errno;

use super::control::{make, open_directory, read_at, write_at};
use super::failure;
use crate::report::Failure;

/// Where the worker's own processes are, below the group that holds the commands' groups.
const LEAF: &str = "kiln.agent";
/// New processes may appear while they are moved; each round moves all it sees.
const MOVE_ROUNDS: usize = 50;

/// Which controllers a group has, of those that Kiln uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Controllers {
    cpu: bool,
    memory: bool,
    pids: bool,
    cpuset: bool,
    io: bool,
}

impl Controllers {
    /// Parses `cgroup.controllers` or `cgroup.subtree_control`.
    pub(super) fn parse(text: &str) -> Self {
        let has = |name| text.split_ascii_whitespace().any(|word| word == name);
        Self {
            cpu: has("cpu"),
            memory: has("memory"),
            pids: has("pids"),
            cpuset: has("cpuset"),
            io: has("io"),
        }
    }

    pub(super) fn has_required(self) -> bool {
        self.cpu && self.memory && self.pids
    }

    pub(super) fn has_cpuset(self) -> bool {
        self.cpuset
    }

    pub(super) fn missing_required(self) -> String {
        let missing = [("cpu", self.cpu), ("memory", self.memory), ("pids", self.pids)];
        missing.iter().filter(|(_, has)| !has).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// `+cpu +memory ...` for `cgroup.subtree_control`.
    pub(super) fn as_enable_line(self) -> String {
        self.names().map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ")
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("pids", self.pids),
            ("cpuset", self.cpuset),
            ("io", self.io),
        ];
        all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name)
    }
}

/// What an ordinary user must have of the system, where a group of his lacks controllers.
const DELEGATE_CONTROLLERS: &str = "delegate them: [Service] Delegate=cpu cpuset io memory pids in \
    /etc/systemd/system/user@.service.d/delegate.conf, systemctl daemon-reload, then log in anew";
const DELEGATE_GROUP: &str = "no group with cpu, memory and pids can be used: delegate one (systemd: Delegate=yes; \
    as a user: systemd-run --user --scope -p Delegate=yes kiln ...)";

/// Goes from the worker's own group towards the top of the mount, to the first group that can be used.
/// With its path below the top: empty, or with a `/` in front of each name.
pub(super) fn settle(top: BorrowedFd<'_>, own: &str) -> Result<(OwnedFd, String, Controllers), Failure> {
    let mut path: Vec<&str> = own.split('/').filter(|part| !part.is_empty()).collect();
    if path.last() == Some(&LEAF) {
        path.pop();
    }
    let mut lacking = None;
    loop {
        let at = if path.is_empty() { ".".to_owned() } else { path.join("/") };
        let settled = settle_in(top, &at, path.is_empty()).map_err(|errno| {
            failure("cgroup_detect", errno, format!("enable controllers below the group /{}", path.join("/")))
        })?;
        match settled {
            Settled::Usable(group, enabled) => {
                let below_top = path.iter().map(|name| format!("/{name}")).collect();
                return Ok((group, below_top, enabled));
            }
            // The innermost one is the user's own concern.
            Settled::Lacks(missing) => {
                lacking.get_or_insert_with(|| format!("the group /{} has not: {missing}", path.join("/")));
            }
            Settled::NotOurs => {}
        }
        if path.pop().is_none() {
            let detail = match lacking {
                Some(lacking) => format!("{lacking}; {DELEGATE_CONTROLLERS}"),
                None => DELEGATE_GROUP.to_owned(),
            };
            return Err(failure("cgroup_detect", Errno::BUSY, detail));
        }
    }
}

/// What a group is to us.
enum Settled {
    Usable(OwnedFd, Controllers),
    /// We may write in it, and these controllers are not there or cannot be enabled.
    Lacks(String),
    /// Somebody else's, or others' processes are in it.
    NotOurs,
}

fn settle_in(top: BorrowedFd<'_>, path: &str, is_top: bool) -> Result<Settled, Errno> {
    let group = open_directory(top, path)?;
    // A group that is another user's may have every controller, and is of no use.
    if accessat(&group, ".", Access::WRITE_OK, AtFlags::EACCESS) == Err(Errno::ACCESS) {
        return Ok(Settled::NotOurs);
    }
    let offered = Controllers::parse(&read_at(group.as_fd(), "cgroup.controllers")?);
    if !offered.has_required() {
        return Ok(Settled::Lacks(offered.missing_required()));
    }
    if !enabled(&group)?.has_required() && !is_root(&group) {
        let foreign = processes(&group)?.into_iter().any(|pid| !is_ours(pid));
        if foreign && !is_top {
            return Ok(Settled::NotOurs);
        }
        move_into_leaf(&group)?;
    }
    for name in offered.names() {
        // Each alone: an optional one that cannot be had must not take the others with it.
        match write_at(group.as_fd(), "cgroup.subtree_control", &format!("+{name}")) {
            Ok(()) | Err(_) => {}
        }
    }
    let enabled = enabled(&group)?;
    match enabled.has_required() {
        true => Ok(Settled::Usable(group, enabled)),
        false => Ok(Settled::Lacks(enabled.missing_required())),
    }
}

/// Only the root group of the whole system has no `cgroup.type`.
fn is_root(group: &OwnedFd) -> bool {
    read_at(group.as_fd(), "cgroup.type") == Err(Errno::NOENT)
}

fn enabled(group: &OwnedFd) -> Result<Controllers, Errno> {
    Ok(Controllers::parse(&read_at(group.as_fd(), "cgroup.subtree_control")?))
}

fn processes(group: &OwnedFd) -> Result<Vec<u32>, Errno> {
    let list = read_at(group.as_fd(), "cgroup.procs")?;
    Ok(list.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

fn move_into_leaf(group: &OwnedFd) -> Result<(), Errno> {
    for _ in 0..MOVE_ROUNDS {
        let listed = processes(group)?;
        if listed.is_empty() {
            return Ok(());
        }
        match make(group.as_fd(), LEAF) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let leaf = open_directory(group.as_fd(), LEAF)?;
        for pid in listed {
            match write_at(leaf.as_fd(), "cgroup.procs", &pid.to_string()) {
                // It ended, or it is a kernel thread.
                Ok(()) | Err(Errno::SRCH | Errno::INVAL) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Err(Errno::BUSY)
}

/// Whether a process is this one, or the worker that started it, or descends from either.
fn is_ours(pid: u32) -> bool {
    let own = std::process::id();
    let worker = std::os::unix::process::parent_id();
    let mut at = pid;
    // A process tree is not deeper than this; the bound only guards against a parent that changes under us.
    for _ in 0..1000 {
        if at == own || (at == worker && worker > 1) {
            return true;
        }
        match parent(at) {
            Some(next) if next > 0 => at = next,
            _ => return false,
        }
    }
    false
}

/// Fourth field of `/proc/PID/stat`; the second may hold spaces and parentheses.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_named_for_enabling_and_when_missing() {
        let some = Controllers::parse("cpuset cpu io hugetlb\n");
        assert_eq!(some.as_enable_line(), "+cpu +cpuset +io");
        assert!(!some.has_required());
        assert_eq!(some.missing_required(), "memory, pids");
        assert!(Controllers::parse("cpu memory pids").has_required());
    }

    #[test]
    fn this_process_and_its_children_are_ours_and_init_is_not() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(is_ours(std::process::id()));
        assert!(is_ours(child.id()));
        assert!(!is_ours(1));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
