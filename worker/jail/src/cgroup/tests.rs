//! Real groups with real processes in them, on whichever version this host has.

use std::num::{NonZeroU32, NonZeroU64};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

use super::*;

const MIB: u64 = 1 << 20;
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker's group of its own, removed at the end; that fails when a test left something in it.
struct Parent {
    hierarchies: Hierarchies,
    name: String,
}

impl Parent {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kiln-{}-test{number}", std::process::id());
        Self { hierarchies: Hierarchies::detect().unwrap(), name }
    }

    fn group(&self, name: &str, limits: &Limits) -> Group {
        let mut group = self.hierarchies.create(&self.name, name, &[]).unwrap();
        assert_eq!(group.limit(limits), Ok(Room::Enough));
        group
    }

    fn exists(&self) -> bool {
        let roots: Vec<_> = match &self.hierarchies.0 {
            AnyHierarchies::V1(hierarchies) => hierarchies.roots().into_iter().cloned().collect(),
            AnyHierarchies::V2(hierarchy) => vec![hierarchy.base()],
        };
        roots.iter().any(|root| {
            rustix::fs::accessat(
                &**root,
                &self.name,
                rustix::fs::Access::EXISTS,
                rustix::fs::AtFlags::empty(),
            )
            .is_ok()
        })
    }

    fn finish(self) {
        self.hierarchies.remove_parent(&self.name);
        assert!(!self.exists(), "the worker's group is still there");
    }
}

fn limits() -> Limits {
    let many = NonZeroU64::new(1 << 40).unwrap();
    Limits {
        cpu_us: many,
        wall_us: many,
        memory_bytes: NonZeroU64::new(64 * MIB).unwrap(),
        pids: NonZeroU64::new(32).unwrap(),
        output_bytes: many,
        file_size_bytes: many,
        disk_bytes: many,
        inodes: many,
        open_files: many,
        stack_bytes: many,
        cpu_rate_millis: NonZeroU32::new(1_000_000).unwrap(),
    }
}

/// A shell that puts itself into the group, as a sandboxed child does, then runs the script.
fn shell(group: &Group, script: &str) -> Child {
    let own = std::process::id();
    let (mut directories, file): (Vec<_>, _) = match &group.0 {
        AnyGroup::V1(group) => (group.directories(), "tasks"),
        AnyGroup::V2(_) => (Vec::new(), "cgroup.procs"),
    };
    let mut joins: Vec<String> = directories
        .drain(..)
        .map(|directory| format!("/proc/{own}/fd/{}/{file}", directory.as_raw_fd()))
        .collect();
    if let Some(unified) = group.clone_into() {
        joins.push(format!("/proc/{own}/fd/{}/cgroup.procs", unified.as_raw_fd()));
    }
    let joining: String = joins.iter().map(|path| format!("echo 0 > {path} || exit 99\n")).collect();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{joining}{script}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for the group's descriptors or the stated polling, until `counter` is not 0.
fn wait_for(group: &Group, counter: impl Fn(&Group) -> u64) -> (u64, bool) {
    let start = Instant::now();
    let mut announced = false;
    while start.elapsed() < PATIENCE {
        let watched = group.watch_fds();
        let mut polled: Vec<_> = watched.iter().map(|(fd, flags)| PollFd::new(fd, *flags)).collect();
        let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        announced |= poll(&mut polled, Some(&pause)).unwrap() > 0;
        group.clear_watch();
        let seen = counter(group);
        if seen > 0 && (announced || group.refused_fork_poll().is_some()) {
            return (seen, announced);
        }
    }
    panic!("nothing was counted in {PATIENCE:?}; announced: {announced}");
}

fn wait_until_empty(group: &Group) {
    let start = Instant::now();
    while group.populated().unwrap() {
        assert!(start.elapsed() < PATIENCE, "the group is still populated");
        std::thread::yield_now();
    }
}

#[test]
fn cpu_time_of_descendants_that_nobody_waited_for_is_charged() {
    let parent = Parent::new();
    let group = parent.group("cpu", &limits());
    let mut child = shell(&group, "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done) & wait");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let usage = group.usage().unwrap();
    assert!(usage.cpu_total_us > 20_000, "{usage:?}");
    assert!(group.cpu_us().unwrap() >= usage.cpu_total_us);
    assert_eq!(usage.cpu_user_us + usage.cpu_system_us, usage.cpu_total_us);
    assert!(usage.peak_memory_bytes.is_some_and(|bytes| (4096..64 * MIB).contains(&bytes)), "{usage:?}");
    assert_eq!((usage.oom_kills, usage.pids_refused), (0, 0));
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn running_out_of_memory_is_counted_and_announced() {
    let parent = Parent::new();
    let group = parent.group("oom", &limits());
    // tail keeps the last line, which never ends. The shell survives: the exit code says nothing.
    let mut child = shell(&group, "tail /dev/zero; exit 0");
    let (kills, announced) = wait_for(&group, |group| group.oom_kills().unwrap());
    assert!(announced && kills >= 1);
    child.wait().unwrap();
    wait_until_empty(&group);
    let usage = group.usage().unwrap();
    assert!(usage.oom_kills >= 1, "{usage:?}");
    assert!(usage.peak_memory_bytes.is_none_or(|bytes| bytes > 60 * MIB && bytes <= 64 * MIB), "{usage:?}");
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn refused_forks_are_counted() {
    let parent = Parent::new();
    let limits = Limits { pids: NonZeroU64::new(5).unwrap(), ..limits() };
    let group = parent.group("forks", &limits);
    let mut child = shell(&group, "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait");
    let (refused, _) = wait_for(&group, |group| group.pids_refused().unwrap());
    assert!(refused >= 1);
    group.kill().unwrap();
    child.wait().unwrap();
    wait_until_empty(&group);
    assert!(group.usage().unwrap().peak_pids.is_none_or(|peak| peak == 5));
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn a_kill_reaches_processes_in_other_sessions() {
    let parent = Parent::new();
    let group = parent.group("kill", &limits());
    let mut child =
        shell(&group, "for i in 1 2 3 4 5 6 7 8; do setsid sleep 600 & done; kill -STOP $$; wait");
    let start = Instant::now();
    // The shell stops itself once all are started.
    while !stopped(child.id()) {
        assert!(start.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "the shell did not stop");
        std::thread::yield_now();
    }
    assert!(group.populated().unwrap());
    assert!(group.memory_bytes().unwrap() > 0);
    group.kill().unwrap();
    child.wait().unwrap();
    wait_until_empty(&group);
    group.remove().unwrap();
    parent.finish();
}

/// What happens where the kernel has no `cgroup.kill`.
#[test]
fn listed_processes_are_killed_too_while_they_fork() {
    let parent = Parent::new();
    let group = parent.group("listed", &limits());
    let mut child = shell(&group, "f() { f & f & wait; }; f 2> /dev/null");
    let start = Instant::now();
    while group.pids_refused().unwrap() == 0 {
        assert!(start.elapsed() < PATIENCE, "the bomb did not fill its limit");
        std::thread::yield_now();
    }
    match &group.0 {
        AnyGroup::V1(group) => group.kill_by_list(),
        AnyGroup::V2(group) => group.kill_by_list(),
    }
    .unwrap();
    child.wait().unwrap();
    wait_until_empty(&group);
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn a_rate_below_the_machine_throttles() {
    let parent = Parent::new();
    let group = parent.group("rate", &Limits { cpu_rate_millis: NonZeroU32::new(100).unwrap(), ..limits() });
    group.throttle().unwrap();
    let start = Instant::now();
    let mut child = shell(&group, "while :; do :; done");
    while start.elapsed() < PATIENCE && group.usage().unwrap().throttled_us.unwrap_or(0) < 100_000 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (used, elapsed) = (group.cpu_us().unwrap(), start.elapsed().as_micros());
    group.kill().unwrap();
    child.wait().unwrap();
    let usage = group.usage().unwrap();
    assert!(usage.throttled_us.unwrap() >= 100_000 && usage.throttled_periods.unwrap() >= 1, "{usage:?}");
    // A tenth of a CPU, and at most one more period's share.
    assert!(u128::from(used) < elapsed / 10 + 40_000, "{used} of {elapsed}");
    wait_until_empty(&group);
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn a_group_is_bound_to_its_cpus() {
    let parent = Parent::new();
    let group = parent.hierarchies.create(&parent.name, "cpus", &[0]).unwrap();
    let child = shell(&group, "exec grep Cpus_allowed_list /proc/self/status");
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Cpus_allowed_list:\t0\n");
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn a_limit_that_cannot_be_set_is_a_failure_and_leaves_nothing() {
    let parent = Parent::new();
    let failure = parent.hierarchies.create(&parent.name, "cpus", &[4000]).unwrap_err();
    assert_eq!(failure.step, "cgroup_limit");
    assert!(failure.errno != 0 && failure.detail.contains("cpuset"), "{failure}");
    parent.finish();
}

#[test]
fn the_limits_are_what_the_kernel_says() {
    let parent = Parent::new();
    let group =
        parent.group("limits", &Limits { cpu_rate_millis: NonZeroU32::new(250).unwrap(), ..limits() });
    group.throttle().unwrap();
    let expected: &[(&str, &str)] = match &group.0 {
        AnyGroup::V1(_) => {
            &[("memory.limit_in_bytes", "67108864"), ("pids.max", "32"), ("cpu.cfs_quota_us", "25000")]
        }
        AnyGroup::V2(_) => &[
            ("memory.max", "67108864"),
            ("memory.oom.group", "1"),
            ("pids.max", "32"),
            ("cpu.max", "25000 100000"),
        ],
    };
    for (file, value) in expected {
        assert_eq!(said_by(&group, file).as_deref(), Some(*value), "{file}");
    }
    for file in ["memory.memsw.limit_in_bytes", "memory.swap.max"] {
        if let Some(seen) = said_by(&group, file) {
            assert_eq!(seen, if file == "memory.swap.max" { "0" } else { "67108864" }, "{file}");
        }
    }
    group.remove().unwrap();
    parent.finish();
}

/// A killed process dies when it is scheduled: without this, after every neighbour's turn.
#[test]
fn a_killed_group_has_no_rate_and_the_greatest_share() {
    let parent = Parent::new();
    let group =
        parent.group("hastened", &Limits { cpu_rate_millis: NonZeroU32::new(100).unwrap(), ..limits() });
    group.throttle().unwrap();
    group.kill().unwrap();
    let expected: [(&str, &str); 2] = match &group.0 {
        AnyGroup::V1(_) => [("cpu.cfs_quota_us", "-1"), ("cpu.shares", "262144")],
        AnyGroup::V2(_) => [("cpu.max", "max 100000"), ("cpu.weight", "10000")],
    };
    for (file, value) in expected {
        assert_eq!(said_by(&group, file).as_deref(), Some(value), "{file}");
    }
    group.remove().unwrap();
    parent.finish();
}

/// Two jails of one worker: one removes the parent while the other believes it is there.
#[test]
fn a_parent_removed_by_another_jail_is_made_again() {
    let parent = Parent::new();
    parent.group("first", &limits()).remove().unwrap();
    let other = Hierarchies::detect().unwrap();
    other.remove_parent(&parent.name);
    assert!(!parent.exists());
    let group = parent.group("second", &limits());
    other.remove_parent(&parent.name);
    assert!(parent.exists(), "a parent in use stays");
    group.remove().unwrap();
    parent.finish();
}

#[test]
fn removing_waits_for_the_last_process() {
    let parent = Parent::new();
    let group = parent.group("busy", &limits());
    let mut child = shell(&group, "echo in; exec sleep 600");
    let mut greeting = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut greeting).unwrap();
    group.kill().unwrap();
    // Not waited for: the group is still being left when it is removed.
    group.remove().unwrap();
    child.wait().unwrap();
    parent.finish();
}

/// What a control file says, in whichever hierarchy it is.
fn said_by(group: &Group, file: &str) -> Option<String> {
    let directories = match &group.0 {
        AnyGroup::V1(group) => group.directories(),
        AnyGroup::V2(group) => vec![group.clone_into()],
    };
    let seen = directories.iter().find_map(|directory| control::read_at(*directory, file).ok());
    seen.map(|text| text.trim_end().to_owned())
}

fn stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
