//! Control groups: what one command may use, what it used, and killing all of it at once.
//!
//! One interface over both kernel interfaces, chosen once when the jail starts: v2 where the unified hierarchy has
//! the controllers, v1 otherwise. All descriptors are opened before the jail leaves the host's root; afterwards
//! everything is relative to them. A missing controller is a failure that names it: a command never runs without its
//! limits. Names of groups are never made from a job's data.

mod control;
mod delegate;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod mounts;
mod shortage;
mod survey;
mod usage;
mod v1;
mod v2;

use std::os::fd::BorrowedFd;
use std::sync::LazyLock;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::plan::Limits;
use crate::report::Failure;
use crate::standing::Standing;

pub use shortage::Shortage;
pub(crate) use survey::{HostGroups, delegated_group, host_groups};
pub use usage::GroupUsage;

/// Period of the CPU bandwidth limit. The kernel's own default.
const CPU_PERIOD_US: u64 = 100_000;

/// Whoever may write in a v1 hierarchy can take processes out of every limit (cgroups(7), "Cgroups v1 ... delegation").
const NO_V1_DELEGATION: &str = "an ordinary user's groups must be on cgroup v2, and cpu, memory and pids are on v1 here, which \
    cannot be delegated: boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all, or run kiln as root";

/// The kernel's two interfaces to control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// The hierarchies groups are made in.
#[derive(Debug)]
pub struct Hierarchies(AnyHierarchies);

#[derive(Debug)]
enum AnyHierarchies {
    V1(v1::Hierarchies),
    V2(v2::Hierarchy),
}

/// The group of one command. It must be given back with [`Group::remove`].
#[derive(Debug)]
#[must_use = "a group that is not removed stays on the host"]
pub struct Group(AnyGroup);

#[derive(Debug)]
enum AnyGroup {
    V1(v1::Group),
    V2(v2::Group),
}

impl Hierarchies {
    /// Finds and opens the hierarchies. Needs the host's `/proc` and cgroup mounts.
    ///
    /// On v2 this may move this process and the worker into a leaf below their own group, since a group whose
    /// children have limits cannot hold processes (cgroup-v2.rst, "No Internal Process Constraint").
    pub fn detect() -> Result<Self, Failure> {
        let mountinfo = read_proc("/proc/self/mountinfo")?;
        let mounts = mounts::cgroup_mounts(&mountinfo);
        let chosen = match v2::Hierarchy::detect(&mounts, &read_proc("/proc/self/cgroup")?)? {
            Some(hierarchy) => AnyHierarchies::V2(hierarchy),
            None if standing()?.is_confined() => {
                return Err(failure("cgroup_detect", Errno::NODEV, NO_V1_DELEGATION));
            }
            None => AnyHierarchies::V1(v1::Hierarchies::detect(&mounts)?),
        };
        Ok(Self(chosen))
    }

    pub fn version(&self) -> Version {
        match &self.0 {
            AnyHierarchies::V1(_) => Version::V1,
            AnyHierarchies::V2(_) => Version::V2,
        }
    }

    /// Makes the group `parent/name`, without limits but that on CPUs: `cpus`, all where it is empty. See [`Group::limit`].
    pub fn create(&self, parent: &str, name: &str, cpus: &[u32]) -> Result<Group, Failure> {
        debug_assert!(!parent.contains('/') && !name.contains('/'), "groups have plain names");
        match &self.0 {
            AnyHierarchies::V1(hierarchies) => {
                hierarchies.create(parent, name, cpus).map(|group| Group(AnyGroup::V1(group)))
            }
            AnyHierarchies::V2(hierarchy) => {
                hierarchy.create(parent, name, cpus).map(|group| Group(AnyGroup::V2(group)))
            }
        }
    }

    /// Removes the worker's group everywhere. It stays while any group below it exists.
    pub fn remove_parent(&self, parent: &str) {
        match &self.0 {
            AnyHierarchies::V1(hierarchies) => hierarchies.remove_parent(parent),
            AnyHierarchies::V2(hierarchy) => hierarchy.remove_parent(parent),
        }
    }
}

/// Whether what a group holds already is within its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    #[default]
    Enough,
    /// Its memory is beyond the limit, and cannot be taken back. (v2 says nothing, and kills.)
    TooLittle,
}

impl Group {
    /// Sets the limits; the CPU rate holds from [`Group::throttle`] on.
    pub fn limit(&mut self, limits: &Limits) -> Result<Room, Failure> {
        match &mut self.0 {
            AnyGroup::V1(group) => group.limit(limits),
            AnyGroup::V2(group) => group.limit(limits),
        }
    }

    /// Directory for `clone3(CLONE_INTO_CGROUP)`.
    ///
    /// Always there on v2. On v1 it is there when a cgroup2 mount without controllers exists, and must be used: the
    /// child in that hierarchy is what [`Group::kill`] kills in one go.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            AnyGroup::V1(group) => group.clone_into(),
            AnyGroup::V2(group) => Some(group.clone_into()),
        }
    }

    /// Puts the calling, single-threaded process into the group. On v2 `clone3` did it, and at most its CPUs are left to be
    /// fixed.
    pub fn join(&self) -> Result<(), Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.join(),
            AnyGroup::V2(group) => group.fix_cpus(),
        }
    }

    /// From now on the CPU rate holds. Set-up is over: throttled, it could take minutes, and nobody would be watching.
    pub fn throttle(&self) -> Result<(), Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.throttle(),
            AnyGroup::V2(group) => group.throttle(),
        }
    }

    /// For a group that is about to be killed: no CPU rate, and the greatest share where others want the same CPU. A killed
    /// process dies only when it is scheduled, and holds its locks meanwhile.
    pub fn hasten(&self) -> Result<(), Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.hasten(),
            AnyGroup::V2(group) => group.hasten(),
        }
        .map_err(|errno| failure("cgroup_kill", errno, "give the group's last moments all of the CPU"))
    }

    /// CPU time of every process that is or was in the group.
    pub fn cpu_us(&self) -> Result<u64, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.cpu_us(),
            AnyGroup::V2(group) => group.cpu_us(),
        }
        .map_err(reading("CPU time"))
    }

    pub fn memory_bytes(&self) -> Result<u64, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.memory_bytes(),
            AnyGroup::V2(group) => group.memory_bytes(),
        }
        .map_err(reading("memory in use"))
    }

    /// Processes that the kernel's OOM killer ended. On v1 the counter is increased a moment *after* the
    /// notification: a watcher that reads 0 at the event must look again.
    pub fn oom_kills(&self) -> Result<u64, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.oom_kills(),
            AnyGroup::V2(group) => group.oom_kills(),
        }
        .map_err(reading("OOM kills"))
    }

    /// Forks that the pids limit refused.
    pub fn pids_refused(&self) -> Result<u64, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.pids_refused(),
            AnyGroup::V2(group) => group.pids_refused(),
        }
        .map_err(reading("refused forks"))
    }

    /// Descriptors that become ready at an OOM or a refused fork; then [`Group::clear_watch`], then read the counters.
    /// Those waiting for PRI report ERR with it.
    pub fn watch_fds(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        match &self.0 {
            AnyGroup::V1(group) => group.watch_fds(),
            AnyGroup::V2(group) => group.watch_fds(),
        }
    }

    /// How often [`Group::pids_refused`] must be read because nothing announces a refused fork.
    ///
    /// Linux since 6.11 notifies v1's `pids.events` no more: `__pids_event` signals `events_local_file`, which only
    /// v2 has.
    pub fn refused_fork_poll(&self) -> Option<Duration> {
        match &self.0 {
            AnyGroup::V1(_) => Some(Duration::from_millis(20)),
            AnyGroup::V2(_) => None,
        }
    }

    pub fn clear_watch(&self) {
        match &self.0 {
            AnyGroup::V1(group) => group.clear_watch(),
            AnyGroup::V2(group) => group.clear_watch(),
        }
    }

    /// Sends SIGKILL to every process of the group, hastened.
    pub fn kill(&self) -> Result<(), Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.kill(),
            AnyGroup::V2(group) => group.kill(),
        }
        .map_err(|errno| failure("cgroup_kill", errno, "kill every process of the group"))
    }

    /// The same but where nobody is in it. Where that cannot be told, everything is killed. The sandbox's init must be killed before: on
    /// v1 a process that waits to be a command may still be on its way into the group, and ends with init.
    pub fn kill_if_populated(&self) -> Result<(), Failure> {
        match self.populated() {
            Ok(false) => Ok(()),
            Ok(true) | Err(_) => self.kill(),
        }
    }

    /// Whether a living process is in the group; zombies do not count.
    pub fn populated(&self) -> Result<bool, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.populated(),
            AnyGroup::V2(group) => group.populated(),
        }
        .map_err(reading("whether the group is populated"))
    }

    /// Processes in the group, as the reader's pid namespace numbers them.
    pub fn processes(&self) -> Result<Vec<Pid>, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.processes(),
            AnyGroup::V2(group) => group.processes(),
        }
        .map_err(reading("processes of the group"))
    }

    /// Processes and threads in the group, as the pids limit counts them.
    pub fn tasks(&self) -> Result<u64, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.tasks(),
            AnyGroup::V2(group) => group.tasks(),
        }
        .map_err(reading("number of tasks"))
    }

    /// The group that memory is charged to, as the kernel's log names it where this is the host's own cgroup namespace.
    pub fn memory_path(&self) -> String {
        match &self.0 {
            AnyGroup::V1(group) => group.memory_path(),
            AnyGroup::V2(group) => group.memory_path(),
        }
    }

    pub fn usage(&self) -> Result<GroupUsage, Failure> {
        match &self.0 {
            AnyGroup::V1(group) => group.usage(),
            AnyGroup::V2(group) => group.usage(),
        }
        .map_err(reading("usage"))
    }

    /// Removes the group from every hierarchy; tried again, with a bound, while its last process is torn down.
    pub fn remove(self) -> Result<(), Failure> {
        match self.0 {
            AnyGroup::V1(group) => group.remove(),
            AnyGroup::V2(group) => group.remove(),
        }
        .map_err(|errno| failure("cgroup_remove", errno, "remove the group"))
    }
}

fn failure(step: &str, errno: Errno, detail: impl Into<String>) -> Failure {
    Failure::new(step, errno.raw_os_error(), detail)
}

fn reading(what: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| failure("cgroup_read", errno, what)
}

fn limiting(file: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| failure("cgroup_limit", errno, format!("write {file}"))
}

fn standing() -> Result<Standing, Failure> {
    Standing::of_this_process().map_err(|error| {
        Failure::new("cgroup_detect", error.raw_os_error().unwrap_or(0), "find out whose root this is")
    })
}

fn read_proc(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new("cgroup_detect", error.raw_os_error().unwrap_or(0), format!("read {path}"))
    })
}

/// Microseconds per [`CPU_PERIOD_US`], or `None` when the rate is not below what the CPUs can give.
fn cpu_quota_us(limits: &Limits, cpus: &[u32]) -> Option<u64> {
    let available = if cpus.is_empty() { available_cpus() } else { cpus.len() };
    let rate_millis = u64::from(limits.cpu_rate_millis.get());
    let machine_millis = u64::try_from(available).unwrap_or(u64::MAX).saturating_mul(1000);
    // The kernel's smallest quota is one millisecond (sched_cfs_bandwidth: min_cfs_quota_period).
    (rate_millis < machine_millis).then(|| (rate_millis * CPU_PERIOD_US / 1000).max(1000))
}

/// CPUs that this process may use. Asked once: the standard library reads five files for it.
pub(crate) fn available_cpus() -> usize {
    static CPUS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    *CPUS
}

/// The kernel takes no more than its largest number of processes (PID_MAX_LIMIT of linux/threads.h).
fn pids_max(limits: &Limits) -> String {
    limits.pids.get().min(4_194_304).to_string()
}

/// `0,3,5` as cpuset files take it.
fn cpu_list(cpus: &[u32]) -> String {
    cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// Whether this host can move memory to a swap device now: limits on memory then need limits on swap.
fn swap_is_on() -> bool {
    // First line is the heading. A kernel without swap has no such file.
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

#[cfg(test)]
mod tests;
