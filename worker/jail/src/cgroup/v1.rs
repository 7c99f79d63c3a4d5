//! cgroup v1: one group per controller hierarchy, joined by the child itself, and one in the unified hierarchy (where
//! it is mounted without controllers) for killing.
//!
//! A foreign pid is never written: that waits for an RCU grace period of about 10 ms. A single-threaded child writing
//! "0" to `tasks` does not.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::fs::{AtFlags, FsWord, Mode, OFlags, fstatfs, open, unlinkat};
use rustix::io::{Errno, read, write};
use rustix::process::Pid;

use super::control::{ControlGroup, keyed, make, open_directory, read_all, read_at, write_at};
use super::mounts::{CgroupMount, MountKind};
use super::{
    CPU_PERIOD_US, GroupUsage, Room, Shortage, cpu_list, cpu_quota_us, failure, limiting, pids_max,
    swap_is_on,
};
use crate::plan::Limits;
use crate::report::Failure;

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` of linux/magic.h.
pub(super) const CGROUP_MAGIC: FsWord = 0x0027_e0eb;
pub(super) const CGROUP2_MAGIC: FsWord = 0x6367_7270;

const REQUIRED: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];

/// The controllers' mounts, several of which may be one (`cpu,cpuacct`).
#[derive(Debug)]
pub(super) struct Hierarchies {
    cpu: Rc<OwnedFd>,
    cpuacct: Rc<OwnedFd>,
    memory: Rc<OwnedFd>,
    pids: Rc<OwnedFd>,
    cpuset: Option<Rc<OwnedFd>>,
    blkio: Option<Rc<OwnedFd>>,
    unified: Option<Rc<OwnedFd>>,
    /// Group that the memory hierarchy's mount shows as its top.
    memory_top: Rc<str>,
    swap_on: bool,
    prepared: RefCell<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Group {
    cpu: Rc<ControlGroup>,
    cpuacct: Rc<ControlGroup>,
    memory: Rc<ControlGroup>,
    pids: Rc<ControlGroup>,
    memory_top: Rc<str>,
    blkio: Option<Rc<ControlGroup>>,
    /// Every v1 group once, also where controllers share a mount.
    all: Vec<Rc<ControlGroup>>,
    /// `tasks` of each of `all`.
    tasks: Vec<OwnedFd>,
    unified: Option<Unified>,
    oom: OwnedFd,
    pids_events: OwnedFd,
    cpu_usage: OwnedFd,
    cpus: Vec<u32>,
    swap_on: bool,
    /// Once the limits are known.
    quota_us: Option<u64>,
    memory_limit: u64,
}

#[derive(Debug)]
struct Unified {
    group: ControlGroup,
    events: OwnedFd,
}

impl Hierarchies {
    pub(super) fn detect(mounts: &[CgroupMount]) -> Result<Self, Failure> {
        let mut opened: Vec<(usize, Rc<OwnedFd>)> = Vec::new();
        let mut find = |controller: &str| -> Result<Option<Rc<OwnedFd>>, Failure> {
            let Some(at) = mounts.iter().rposition(|mount| mount.has(controller)) else { return Ok(None) };
            if let Some((_, directory)) = opened.iter().find(|(index, _)| *index == at) {
                return Ok(Some(Rc::clone(directory)));
            }
            let directory = open_mount(&mounts[at], CGROUP_MAGIC)?;
            opened.push((at, Rc::clone(&directory)));
            Ok(Some(directory))
        };
        let [cpu, cpuacct, memory, pids] = REQUIRED.map(&mut find);
        let required = |found: Result<Option<Rc<OwnedFd>>, Failure>, name: &str| {
            found?.ok_or_else(|| {
                failure("cgroup_detect", Errno::NODEV, format!("no {name} controller on this host"))
            })
        };
        Ok(Self {
            cpu: required(cpu, "cpu")?,
            cpuacct: required(cpuacct, "cpuacct")?,
            memory: required(memory, "memory")?,
            pids: required(pids, "pids")?,
            cpuset: find("cpuset")?,
            blkio: find("blkio")?,
            unified: open_unified(mounts)?,
            memory_top: mounts
                .iter()
                .rfind(|mount| mount.has("memory"))
                .map_or("/", |mount| &mount.root)
                .into(),
            swap_on: swap_is_on(),
            prepared: RefCell::default(),
        })
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
        for root in self.roots() {
            // Still in use by another jail, or gone already: both are fine.
            let _ = unlinkat(&**root, parent, AtFlags::REMOVEDIR);
        }
    }

    /// Makes the worker's group in every hierarchy; several jails may do so at once.
    fn prepare(&self, parent: &str) -> Result<(), Failure> {
        if self.prepared.borrow().iter().any(|prepared| prepared == parent) {
            return Ok(());
        }
        for root in self.roots() {
            match make(root.as_fd(), parent) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(failure("cgroup_create", errno, format!("make the group {parent}")));
                }
            }
        }
        if let Some(cpuset) = &self.cpuset {
            copy_cpuset(cpuset.as_fd(), parent)
                .map_err(|errno| failure("cgroup_limit", errno, format!("give {parent} the host's CPUs")))?;
        }
        self.prepared.borrow_mut().push(parent.to_owned());
        Ok(())
    }

    fn build(&self, parent: &str, name: &str, cpus: &[u32]) -> Result<Group, Failure> {
        let mut builder = Builder { path: format!("{parent}/{name}"), made: Vec::new() };
        let built = self.build_with(&mut builder, cpus);
        if built.is_err() {
            builder.undo();
        }
        built
    }

    fn build_with(&self, builder: &mut Builder, cpus: &[u32]) -> Result<Group, Failure> {
        let cpu = builder.group(&self.cpu)?;
        let cpuacct = builder.group(&self.cpuacct)?;
        let memory = builder.group(&self.memory)?;
        let pids = builder.group(&self.pids)?;
        let blkio = self.blkio.as_ref().map(|root| builder.group(root)).transpose()?;
        if !cpus.is_empty() {
            let missing = || failure("cgroup_limit", Errno::NODEV, "no cpuset controller on this host");
            let root = self.cpuset.as_ref().ok_or_else(missing)?;
            limit_cpuset(root, &*builder.group(root)?, cpus)?;
        }
        let opening = |errno| failure("cgroup_create", errno, "open the group's files");
        let all: Vec<_> = builder.made.iter().map(|(_, group)| Rc::clone(group)).collect();
        let tasks = all.iter().map(|group| group.open("tasks", OFlags::WRONLY)).collect::<Result<_, _>>();
        let oom =
            watch_oom(&memory).map_err(|errno| failure("cgroup_create", errno, "ask for OOM events"))?;
        Ok(Group {
            tasks: tasks.map_err(opening)?,
            oom,
            pids_events: pids.open("pids.events", OFlags::RDONLY).map_err(opening)?,
            cpu_usage: cpuacct.open("cpuacct.usage", OFlags::RDONLY).map_err(opening)?,
            cpus: cpus.to_vec(),
            swap_on: self.swap_on,
            quota_us: None,
            memory_limit: u64::MAX,
            memory_top: Rc::clone(&self.memory_top),
            // Last: nothing that can fail may come after it, as undoing knows the v1 groups only.
            unified: self.unified.as_ref().map(|root| Unified::create(root, &builder.path)).transpose()?,
            cpu,
            cpuacct,
            memory,
            pids,
            blkio,
            all,
        })
    }

    /// Every hierarchy once.
    pub(super) fn roots(&self) -> Vec<&Rc<OwnedFd>> {
        let optional = [&self.cpuset, &self.blkio, &self.unified].into_iter().flatten();
        let mut roots: Vec<&Rc<OwnedFd>> = Vec::new();
        for root in [&self.cpu, &self.cpuacct, &self.memory, &self.pids].into_iter().chain(optional) {
            if !roots.iter().any(|known| Rc::ptr_eq(known, root)) {
                roots.push(root);
            }
        }
        roots
    }
}

impl Group {
    pub(super) fn limit(&mut self, limits: &Limits) -> Result<Room, Failure> {
        self.quota_us = cpu_quota_us(limits, &self.cpus);
        self.memory_limit = limits.memory_bytes.get();
        self.pids.write("pids.max", &pids_max(limits)).map_err(limiting("pids.max"))?;
        limit_memory(&self.memory, limits, self.swap_on)
    }

    pub(super) fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|unified| unified.group.directory())
    }

    pub(super) fn join(&self) -> Result<(), Failure> {
        for tasks in &self.tasks {
            write(tasks, b"0").map_err(|errno| failure("join_cgroup", errno, "write 0 to tasks"))?;
        }
        Ok(())
    }

    pub(super) fn throttle(&self) -> Result<(), Failure> {
        let Some(quota_us) = self.quota_us else { return Ok(()) };
        let set =
            |file: &'static str, value: u64| self.cpu.write(file, &value.to_string()).map_err(limiting(file));
        set("cpu.cfs_period_us", CPU_PERIOD_US)?;
        set("cpu.cfs_quota_us", quota_us)
    }

    pub(super) fn cpu_us(&self) -> Result<u64, Errno> {
        Ok(number(&read_all(self.cpu_usage.as_fd())?)? / 1000)
    }

    pub(super) fn memory_bytes(&self) -> Result<u64, Errno> {
        number(&self.memory.read("memory.usage_in_bytes")?)
    }

    pub(super) fn oom_kills(&self) -> Result<u64, Errno> {
        // The field is there since 4.13.
        keyed(&self.memory.read("memory.oom_control")?, "oom_kill").ok_or(Errno::NODATA)
    }

    pub(super) fn pids_refused(&self) -> Result<u64, Errno> {
        keyed(&read_all(self.pids_events.as_fd())?, "max").ok_or(Errno::NODATA)
    }

    pub(super) fn watch_fds(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        vec![(self.oom.as_fd(), PollFlags::IN), (self.pids_events.as_fd(), PollFlags::PRI)]
    }

    pub(super) fn clear_watch(&self) {
        // Both are made ready again by the next event; nothing to clear is no error.
        let _ = read(&self.oom, &mut [0u8; 8]);
        let _ = read_all(self.pids_events.as_fd());
    }

    pub(super) fn kill(&self) -> Result<(), Errno> {
        let hastened = self.hasten();
        self.kill_all().and(hastened)
    }

    pub(super) fn hasten(&self) -> Result<(), Errno> {
        let lifted = match self.quota_us {
            Some(_) => self.cpu.write("cpu.cfs_quota_us", "-1"),
            None => Ok(()),
        };
        // The most (MAX_SHARES in kernel/sched/sched.h).
        self.cpu.write("cpu.shares", "262144").and(lifted)
    }

    fn kill_all(&self) -> Result<(), Errno> {
        if let Some(unified) = &self.unified {
            match unified.group.write("cgroup.kill", "1") {
                // Before 5.14.
                Err(Errno::NOENT) => {}
                killed => return killed,
            }
        }
        self.kill_by_list()
    }

    /// For kernels that cannot kill a group.
    pub(super) fn kill_by_list(&self) -> Result<(), Errno> {
        self.pids.kill_listed("cgroup.procs")
    }

    pub(super) fn populated(&self) -> Result<bool, Errno> {
        if let Some(unified) = &self.unified
            && keyed(&read_all(unified.events.as_fd())?, "populated") == Some(1)
        {
            return Ok(true);
        }
        Ok(!self.pids.read("cgroup.procs")?.is_empty())
    }

    pub(super) fn processes(&self) -> Result<Vec<Pid>, Errno> {
        self.pids.processes("cgroup.procs")
    }

    pub(super) fn tasks(&self) -> Result<u64, Errno> {
        number(&self.pids.read("pids.current")?)
    }

    pub(super) fn memory_path(&self) -> String {
        format!("{}/{}", self.memory_top.trim_end_matches('/'), self.memory.path())
    }

    pub(super) fn usage(&self) -> Result<GroupUsage, Errno> {
        let peak = number(&self.memory.read("memory.max_usage_in_bytes")?)?;
        let mut usage = GroupUsage {
            peak_memory_bytes: Some(peak),
            peak_pids: optional_number(self.pids.read_optional("pids.peak")?)?,
            oom_kills: self.oom_kills()?,
            pids_refused: self.pids_refused()?,
            shortage: self.shortage(peak)?,
            ..GroupUsage::default()
        };
        let sampled = self.cpuacct.read("cpuacct.stat")?;
        let ticks = |key| keyed(&sampled, key).unwrap_or(0);
        usage.split_cpu(self.cpu_us()?, ticks("user"), ticks("system"));
        let throttling = self.cpu.read("cpu.stat")?;
        usage.throttled_periods = keyed(&throttling, "nr_throttled");
        usage.throttled_us = keyed(&throttling, "throttled_time").map(|nanoseconds| nanoseconds / 1000);
        if let Some(blkio) = &self.blkio
            && let Some(bytes) = blkio.read_optional("blkio.throttle.io_service_bytes")?
        {
            usage.take_blkio(&bytes);
        }
        Ok(usage)
    }

    fn shortage(&self, peak: u64) -> Result<Option<Shortage>, Errno> {
        // memory.failcnt stays 0 here where the limit with swap is the same; a large folio may just not have fitted.
        if peak < self.memory_limit - self.memory_limit / 16 {
            return Ok(None);
        }
        // PSI belongs to the unified hierarchy, without any controller too.
        let pressure = match &self.unified {
            Some(unified) => unified.group.read_optional("memory.pressure")?,
            None => None,
        };
        Ok(Some(Shortage::parse(pressure.as_deref(), &self.memory.read("memory.stat")?)))
    }

    pub(super) fn remove(self) -> Result<(), Errno> {
        let Self { all, cpu, cpuacct, memory, pids, blkio, unified, .. } = self;
        drop((cpu, cpuacct, memory, pids, blkio));
        let mut first_error = Ok(());
        if let Some(Unified { group, events }) = unified {
            first_error = group.remove(Some(events.as_fd()));
        }
        for group in all {
            let group = Rc::into_inner(group).expect("the other owners were dropped above");
            first_error = first_error.and(group.remove(None));
        }
        first_error
    }
}

#[cfg(test)]
impl Group {
    pub(super) fn directories(&self) -> Vec<BorrowedFd<'_>> {
        self.all.iter().map(|group| group.directory()).collect()
    }
}

impl Unified {
    fn create(root: &Rc<OwnedFd>, path: &str) -> Result<Self, Failure> {
        let making = |errno| failure("cgroup_create", errno, "make the group for killing");
        let group = ControlGroup::create(root, path.to_owned()).map_err(making)?;
        match group.open("cgroup.events", OFlags::RDONLY) {
            Ok(events) => Ok(Self { group, events }),
            Err(errno) => {
                let _ = group.remove(None);
                Err(making(errno))
            }
        }
    }
}

/// Makes one group per hierarchy, and unmakes them when a later step fails.
struct Builder {
    path: String,
    made: Vec<(Rc<OwnedFd>, Rc<ControlGroup>)>,
}

impl Builder {
    fn group(&mut self, root: &Rc<OwnedFd>) -> Result<Rc<ControlGroup>, Failure> {
        if let Some((_, group)) = self.made.iter().find(|(known, _)| Rc::ptr_eq(known, root)) {
            return Ok(Rc::clone(group));
        }
        let made = ControlGroup::create(root, self.path.clone())
            .map_err(|errno| failure("cgroup_create", errno, format!("make the group {}", self.path)))?;
        let made = Rc::new(made);
        self.made.push((Rc::clone(root), Rc::clone(&made)));
        Ok(made)
    }

    fn undo(self) {
        for (root, _) in self.made {
            let _ = unlinkat(&*root, &self.path, AtFlags::REMOVEDIR);
        }
    }
}

fn limit_memory(group: &ControlGroup, limits: &Limits, swap_on: bool) -> Result<Room, Failure> {
    let bytes = limits.memory_bytes.to_string();
    match group.write("memory.limit_in_bytes", &bytes) {
        // More is charged already than can be taken back (mem_cgroup_resize_max in mm/memcontrol-v1.c).
        Err(Errno::BUSY) => return Ok(Room::TooLittle),
        written => written.map_err(limiting("memory.limit_in_bytes"))?,
    }
    // Memory and swap together; must not be below the limit of memory alone, so it comes second.
    match group.write("memory.memsw.limit_in_bytes", &bytes) {
        Ok(()) => Ok(Room::Enough),
        Err(Errno::BUSY) => Ok(Room::TooLittle),
        Err(Errno::NOENT | Errno::OPNOTSUPP) if !swap_on => Ok(Room::Enough),
        Err(Errno::NOENT | Errno::OPNOTSUPP) => Err(failure(
            "cgroup_limit",
            Errno::OPNOTSUPP,
            "swap is on and this kernel does not account it: boot with swapaccount=1 or swapoff -a",
        )),
        Err(errno) => Err(limiting("memory.memsw.limit_in_bytes")(errno)),
    }
}

/// Both files must be set before any process joins (ENOSPC).
fn limit_cpuset(root: &Rc<OwnedFd>, group: &ControlGroup, cpus: &[u32]) -> Result<(), Failure> {
    let mems = read_at(root.as_fd(), "cpuset.mems").map_err(limiting("cpuset.mems"))?;
    group.write("cpuset.mems", mems.trim()).map_err(limiting("cpuset.mems"))?;
    group.write("cpuset.cpus", &cpu_list(cpus)).map_err(limiting("cpuset.cpus"))
}

fn copy_cpuset(root: BorrowedFd<'_>, parent: &str) -> Result<(), Errno> {
    let group = open_directory(root, parent)?;
    for file in ["cpuset.mems", "cpuset.cpus"] {
        write_at(group.as_fd(), file, read_at(root, file)?.trim())?;
    }
    Ok(())
}

/// cgroup-v1/memory.rst, 9 and 10: write "EVENTFD OOM_CONTROL" to `cgroup.event_control`.
fn watch_oom(memory: &ControlGroup) -> Result<OwnedFd, Errno> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = memory.open("memory.oom_control", OFlags::RDONLY)?;
    memory.write("cgroup.event_control", &format!("{} {}", event.as_raw_fd(), control.as_raw_fd()))?;
    Ok(event)
}

fn open_unified(mounts: &[CgroupMount]) -> Result<Option<Rc<OwnedFd>>, Failure> {
    let found = mounts.iter().rfind(|mount| mount.kind == MountKind::V2);
    found.map(|mount| open_mount(mount, CGROUP2_MAGIC)).transpose()
}

/// Opens a mount's top and checks that it is what the mount table said.
pub(super) fn open_mount(mount: &CgroupMount, magic: FsWord) -> Result<Rc<OwnedFd>, Failure> {
    let opening = |errno| {
        let point = String::from_utf8_lossy(&mount.point);
        failure("cgroup_detect", errno, format!("open the cgroup mount {point}"))
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(mount.point.as_slice(), flags, Mode::empty()).map_err(opening)?;
    if fstatfs(&directory).map_err(opening)?.f_type != magic {
        return Err(opening(Errno::NODEV));
    }
    Ok(Rc::new(directory))
}

fn number(text: &str) -> Result<u64, Errno> {
    text.trim().parse().map_err(|_| Errno::BADMSG)
}

fn optional_number(text: Option<String>) -> Result<Option<u64>, Errno> {
    text.as_deref().map(number).transpose()
}
