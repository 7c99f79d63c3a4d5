//! cgroup v2: one group in the unified hierarchy, entered by `clone3(CLONE_INTO_CGROUP)`.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::event::PollFlags;
use rustix::fs::{AtFlags, OFlags, unlinkat};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::CpuSet;

use super::control::{ControlGroup, keyed, make, open_directory, read_all, read_at, write_at};
use super::delegate::{self, Controllers};
use super::mounts::{CgroupMount, MountKind, below, unified_group};
use super::v1::{CGROUP2_MAGIC, open_mount};
use super::{
    CPU_PERIOD_US, GroupUsage, Room, Shortage, cpu_list, cpu_quota_us, failure, limiting, pids_max,
    swap_is_on,
};
use crate::plan::Limits;
use crate::report::Failure;

/// The group below which the worker's group is made; its controllers are enabled.
#[derive(Debug)]
pub(super) struct Hierarchy {
    base: Rc<OwnedFd>,
    /// Its path in the unified hierarchy, without a `/` at the end.
    base_path: Rc<str>,
    enabled: Controllers,
    swap_on: bool,
    prepared: RefCell<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Group {
    group: ControlGroup,
    events: OwnedFd,
    memory_events: OwnedFd,
    pids_events: OwnedFd,
    cpu_stat: OwnedFd,
    base_path: Rc<str>,
    swap_on: bool,
    cpus: Vec<u32>,
    has_cpuset: bool,
    /// Once the limits are known.
    quota_us: Option<u64>,
}

impl Hierarchy {
    /// `None` when the unified hierarchy is not mounted or has not the controllers: then they are on v1.
    pub(super) fn detect(mounts: &[CgroupMount], own_groups: &str) -> Result<Option<Self>, Failure> {
        let Some(mount) = mounts.iter().rfind(|mount| mount.kind == MountKind::V2) else { return Ok(None) };
        let top = open_mount(mount, CGROUP2_MAGIC)?;
        let offered = read_at(top.as_fd(), "cgroup.controllers")
            .map_err(|errno| failure("cgroup_detect", errno, "read cgroup.controllers"))?;
        if !Controllers::parse(&offered).has_required() {
            return missing_everywhere(mounts, &offered);
        }
        // A mount made outside our cgroup namespace: with nsdelegate, nothing could ever join a group in it (ENOENT).
        let own = unified_group(own_groups).and_then(|own| below(&mount.root, own)).ok_or_else(|| {
            let detail = "the cgroup mount is not of this cgroup namespace: mount cgroup2 anew, or share the host's namespace";
            failure("cgroup_detect", Errno::XDEV, detail)
        })?;
        let (base, below_top, enabled) = delegate::settle(top.as_fd(), own)?;
        let base_path = [mount.root.trim_end_matches('/'), &below_top].concat().into();
        Ok(Some(Self {
            base: Rc::new(base),
            base_path,
            enabled,
            swap_on: swap_is_on(),
            prepared: RefCell::default(),
        }))
    }

    pub(super) fn create(&self, parent: &str, name: &str, cpus: &[u32]) -> Result<Group, Failure> {
        self.prepare(parent)?;
        match self.build(parent, name, cpus) {
            // Another jail of the same worker found the parent empty and removed it.
            Err(failure) if failure.errno == Errno::NOENT.raw_os_error() => {
                self.prepared.borrow_mut().retain(|prepared| prepared != parent);
                self.prepare(parent)?;
                self.build(parent, name, cpus)
            }
            built => built,
        }
    }

    pub(super) fn remove_parent(&self, parent: &str) {
        self.prepared.borrow_mut().retain(|prepared| prepared != parent);
        // Still in use by another jail, or gone already: both are fine.
        let _ = unlinkat(&*self.base, parent, AtFlags::REMOVEDIR);
    }

    fn prepare(&self, parent: &str) -> Result<(), Failure> {
        if self.prepared.borrow().iter().any(|prepared| prepared == parent) {
            return Ok(());
        }
        let failed = |errno| failure("cgroup_create", errno, format!("make the group {parent}"));
        match make(self.base.as_fd(), parent) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let group = open_directory(self.base.as_fd(), parent).map_err(failed)?;
        write_at(group.as_fd(), "cgroup.subtree_control", &self.enabled.as_enable_line()).map_err(failed)?;
        self.prepared.borrow_mut().push(parent.to_owned());
        Ok(())
    }

    fn build(&self, parent: &str, name: &str, cpus: &[u32]) -> Result<Group, Failure> {
        let making = |errno| failure("cgroup_create", errno, format!("make the group {parent}/{name}"));
        let group = ControlGroup::create(&self.base, format!("{parent}/{name}")).map_err(making)?;
        match self.bind(&group, cpus).and_then(|()| open_files(&group).map_err(making)) {
            Ok([events, memory_events, pids_events, cpu_stat]) => {
                let base_path = Rc::clone(&self.base_path);
                let (swap_on, has_cpuset) = (self.swap_on, self.enabled.has_cpuset());
                let (cpus, quota_us) = (cpus.to_vec(), None);
                Ok(Group {
                    group,
                    events,
                    memory_events,
                    pids_events,
                    cpu_stat,
                    base_path,
                    swap_on,
                    cpus,
                    has_cpuset,
                    quota_us,
                })
            }
            Err(failure) => {
                let _ = group.remove(None);
                Err(failure)
            }
        }
    }

    fn bind(&self, group: &ControlGroup, cpus: &[u32]) -> Result<(), Failure> {
        match cpus {
            [] => Ok(()),
            // systemd gives users no cpuset unless told to; see `Group::fix_cpus`.
            _ if !self.enabled.has_cpuset() => Ok(()),
            cpus => group.write("cpuset.cpus", &cpu_list(cpus)).map_err(limiting("cpuset.cpus")),
        }
    }
}

#[cfg(test)]
impl Hierarchy {
    pub(super) fn base(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.base)
    }
}

impl Group {
    /// A limit on memory below what is charged takes back what it can, and kills for the rest (memory_max_write in
    /// mm/memcontrol.c).
    pub(super) fn limit(&mut self, limits: &Limits) -> Result<Room, Failure> {
        let set = |file: &'static str, value: &str| self.group.write(file, value).map_err(limiting(file));
        // One process killed is the whole command's end: no half-alive job.
        set("memory.oom.group", "1")?;
        set("memory.max", &limits.memory_bytes.to_string())?;
        match self.group.write("memory.swap.max", "0") {
            // A kernel without swap accounting, on a host without swap.
            Err(Errno::NOENT) if !self.swap_on => {}
            written => written.map_err(limiting("memory.swap.max"))?,
        }
        set("pids.max", &pids_max(limits))?;
        self.quota_us = cpu_quota_us(limits, &self.cpus);
        Ok(Room::Enough)
    }

    pub(super) fn clone_into(&self) -> BorrowedFd<'_> {
        self.group.directory()
    }

    /// In the command's process, before exec, where no cpuset does it. Children inherit it, and no profile lets a job change it (sched_setaffinity is
    /// EPERM), so it holds as a cpuset does.
    pub(super) fn fix_cpus(&self) -> Result<(), Failure> {
        if self.cpus.is_empty() || self.has_cpuset {
            return Ok(());
        }
        let mut set = CpuSet::new();
        for cpu in
            self.cpus.iter().filter_map(|&cpu| usize::try_from(cpu).ok()).filter(|&cpu| cpu < CpuSet::MAX_CPU)
        {
            set.set(cpu);
        }
        rustix::thread::sched_setaffinity(None, &set).map_err(limiting("the CPUs of the command"))
    }

    pub(super) fn throttle(&self) -> Result<(), Failure> {
        let Some(quota_us) = self.quota_us else { return Ok(()) };
        self.group.write("cpu.max", &format!("{quota_us} {CPU_PERIOD_US}")).map_err(limiting("cpu.max"))
    }

    pub(super) fn cpu_us(&self) -> Result<u64, Errno> {
        keyed(&read_all(self.cpu_stat.as_fd())?, "usage_usec").ok_or(Errno::NODATA)
    }

    pub(super) fn memory_bytes(&self) -> Result<u64, Errno> {
        self.group.read("memory.current")?.trim().parse().map_err(|_| Errno::BADMSG)
    }

    pub(super) fn oom_kills(&self) -> Result<u64, Errno> {
        killed_processes(&read_all(self.memory_events.as_fd())?).ok_or(Errno::NODATA)
    }

    pub(super) fn pids_refused(&self) -> Result<u64, Errno> {
        keyed(&read_all(self.pids_events.as_fd())?, "max").ok_or(Errno::NODATA)
    }

    pub(super) fn watch_fds(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        vec![(self.memory_events.as_fd(), PollFlags::PRI), (self.pids_events.as_fd(), PollFlags::PRI)]
    }

    /// Reading takes note of the event (kernfs_seq_show).
    pub(super) fn clear_watch(&self) {
        let _ = read_all(self.memory_events.as_fd());
        let _ = read_all(self.pids_events.as_fd());
    }

    pub(super) fn kill(&self) -> Result<(), Errno> {
        let hastened = self.hasten();
        let killed = match self.group.write("cgroup.kill", "1") {
            // Before 5.14.
            Err(Errno::NOENT) => self.kill_by_list(),
            killed => killed,
        };
        killed.and(hastened)
    }

    pub(super) fn hasten(&self) -> Result<(), Errno> {
        let lifted = match self.quota_us {
            Some(_) => self.group.write("cpu.max", "max"),
            None => Ok(()),
        };
        // The most (CGROUP_WEIGHT_MAX in linux/cgroup-defs.h).
        self.group.write("cpu.weight", "10000").and(lifted)
    }

    /// For kernels that cannot kill a group.
    pub(super) fn kill_by_list(&self) -> Result<(), Errno> {
        self.group.kill_listed("cgroup.procs")
    }

    pub(super) fn populated(&self) -> Result<bool, Errno> {
        keyed(&read_all(self.events.as_fd())?, "populated").map(|value| value != 0).ok_or(Errno::NODATA)
    }

    pub(super) fn processes(&self) -> Result<Vec<Pid>, Errno> {
        self.group.processes("cgroup.procs")
    }

    pub(super) fn tasks(&self) -> Result<u64, Errno> {
        self.group.read("pids.current")?.trim().parse().map_err(|_| Errno::BADMSG)
    }

    pub(super) fn memory_path(&self) -> String {
        format!("{}/{}", self.base_path, self.group.path())
    }

    pub(super) fn usage(&self) -> Result<GroupUsage, Errno> {
        let number = |text: String| text.trim().parse().map_err(|_| Errno::BADMSG);
        let mut usage = GroupUsage {
            // Since 5.19.
            peak_memory_bytes: self.group.read_optional("memory.peak")?.map(number).transpose()?,
            // Since 6.1.
            peak_pids: self.group.read_optional("pids.peak")?.map(number).transpose()?,
            oom_kills: self.oom_kills()?,
            pids_refused: self.pids_refused()?,
            shortage: self.shortage()?,
            ..GroupUsage::default()
        };
        usage.take_cpu_stat(&read_all(self.cpu_stat.as_fd())?);
        if let Some(bytes) = self.group.read_optional("io.stat")? {
            usage.take_io_stat(&bytes);
        }
        Ok(usage)
    }

    fn shortage(&self) -> Result<Option<Shortage>, Errno> {
        if keyed(&read_all(self.memory_events.as_fd())?, "max").ok_or(Errno::NODATA)? == 0 {
            return Ok(None);
        }
        let pressure = self.group.read_optional("memory.pressure")?;
        Ok(Some(Shortage::parse(pressure.as_deref(), &self.group.read("memory.stat")?)))
    }

    pub(super) fn remove(self) -> Result<(), Errno> {
        self.group.remove(Some(self.events.as_fd()))
    }
}

/// With memory.oom.group the kernel kills its victim, and then every process of the group, the victim once more, and counts each time
/// (oom_kill_process in mm/oom_kill.c).
fn killed_processes(memory_events: &str) -> Option<u64> {
    let counted = keyed(memory_events, "oom_kill")?;
    // Since 5.17.
    let groups = keyed(memory_events, "oom_group_kill").unwrap_or(0);
    Some(counted.saturating_sub(groups).max(counted.min(1)))
}

fn open_files(group: &ControlGroup) -> Result<[OwnedFd; 4], Errno> {
    let open = |file| group.open(file, OFlags::RDONLY);
    Ok([open("cgroup.events")?, open("memory.events")?, open("pids.events")?, open("cpu.stat")?])
}

/// Where nothing is on v1 either, the failure names what v2 lacks.
fn missing_everywhere(mounts: &[CgroupMount], offered: &str) -> Result<Option<Hierarchy>, Failure> {
    if mounts.iter().any(|mount| matches!(mount.kind, MountKind::V1 { .. })) {
        return Ok(None);
    }
    let missing = Controllers::parse(offered).missing_required();
    Err(failure("cgroup_detect", Errno::NODEV, format!("cgroup v2 without the controllers {missing}")))
}

#[cfg(test)]
mod tests {
    use super::killed_processes;

    #[test]
    fn a_victim_that_was_killed_with_its_group_counts_once() {
        assert_eq!(killed_processes("oom 1\noom_kill 2\noom_group_kill 1\n"), Some(1));
        assert_eq!(killed_processes("oom 1\noom_kill 5\noom_group_kill 1\n"), Some(4));
        assert_eq!(
            killed_processes("oom 1\noom_kill 1\noom_group_kill 1\n"),
            Some(1),
            "its memory was gone already"
        );
        assert_eq!(killed_processes("oom 1\noom_kill 1\n"), Some(1));
        assert_eq!(killed_processes("oom 0\noom_kill 0\noom_group_kill 0\n"), Some(0));
    }
}
