//! Counts what a service holds on the host, from outside: processes, mounts, cgroups, descriptors, files, memory.
//!
//! Everything is found by following the service's own pids, so that services beside each other do not see one another.
//!
//! Sandboxes that stand ready are left out: they come and go with what is asked for, hold nothing of any job, and what a jail
//! itself has open it counts each time, exactly.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Below it each cgroup hierarchy is mounted, v1 or v2.
const CGROUPS: &str = "/sys/fs/cgroup";
/// How long a moment without a half-made sandbox is waited for, and how often it is looked for.
const SETTLING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);
/// First and last host uid that jails hand out.
const JOB_UIDS: std::ops::Range<u32> = 1_879_048_192..(1 << 31);

/// What a service holds at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// The service and everything below it.
    pub processes: usize,
    /// Rows of the mount tables of the service and its jails, all together.
    pub mounts: usize,
    /// Groups named after the service or one of its processes, over all hierarchies.
    pub cgroups: BTreeSet<PathBuf>,
    /// Open descriptors of the service and what it started, its jails left out.
    pub descriptors: usize,
    /// Files below the service's temporary directory and data directory.
    pub files: BTreeSet<PathBuf>,
}

impl Census {
    /// Counts what the service with this pid holds. `directories` are those that it may write.
    pub fn of(pid: u32, directories: &[PathBuf]) -> Self {
        Self::of_all(&[pid], directories)
    }

    /// The same of a service in several processes.
    ///
    /// Waits for a moment in which no sandbox is being made, used or taken down; where there is none soon, whatever is there counts.
    pub fn of_all(pids: &[u32], directories: &[PathBuf]) -> Self {
        let deadline = Instant::now() + SETTLING;
        loop {
            let before = groups_of(&family_of_all(pids));
            let census = Self::now(pids, directories);
            // Those of sandboxes that stand ready are not among them.
            let settled = !census.cgroups.iter().any(|group| is_of_a_sandbox(group));
            if settled && groups_of(&family_of_all(pids)) == before || Instant::now() > deadline {
                return census;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn now(pids: &[u32], directories: &[PathBuf]) -> Self {
        let all = family_of_all(pids);
        let ready = Ready::among(&all);
        let family: Vec<u32> =
            all.iter().copied().filter(|member| !ready.processes.contains(member)).collect();
        let cgroups = groups_of(&all).into_iter().filter(|group| !ready.has(group)).collect();
        let not_jails = family.iter().filter(|&&member| !is_jail(member));
        Self {
            processes: family.len(),
            mounts: family.iter().map(|&member| lines(&format!("/proc/{member}/mountinfo"))).sum(),
            cgroups,
            descriptors: not_jails.map(|member| entries(&format!("/proc/{member}/fd"))).sum(),
            files: directories.iter().flat_map(|directory| files_below(directory)).collect(),
        }
    }
}

/// Jails whose worker is one of these processes, in the order of their pids.
pub fn jails_of(workers: &[u32]) -> Vec<u32> {
    let is_theirs = |pid: u32| parent_of(pid).is_some_and(|parent| workers.contains(&parent));
    family_of_all(workers).into_iter().filter(|&pid| is_jail(pid) && is_theirs(pid)).collect()
}

/// How many sandboxes stand ready, without an order, below some processes.
pub fn ready_sandboxes(family: &[u32]) -> usize {
    Ready::among(family).groups.len()
}

fn family_of_all(pids: &[u32]) -> Vec<u32> {
    pids.iter().flat_map(|&pid| family(pid)).collect::<BTreeSet<u32>>().into_iter().collect()
}

/// `kiln-PID/JAIL-NUMBER`: the worker's own group has no process of its own.
fn is_of_a_sandbox(group: &Path) -> bool {
    let parent = group
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name.to_string_lossy().starts_with("kiln-"));
    let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
    parent
        && name
            .split_once('-')
            .is_some_and(|(jail, number)| jail.parse::<u32>().is_ok() && number.parse::<u64>().is_ok())
}

impl Census {
    /// What there is more than before, for people.
    pub fn beyond(&self, before: &Census) -> String {
        let files: Vec<_> = self.files.difference(&before.files).collect();
        let cgroups: Vec<_> = self.cgroups.difference(&before.cgroups).collect();
        format!(
            "processes {} -> {}, mounts {} -> {}, descriptors {} -> {}, cgroups {cgroups:?}, files {files:?}",
            before.processes,
            self.processes,
            before.mounts,
            self.mounts,
            before.descriptors,
            self.descriptors
        )
    }
}

/// Sandboxes that stand ready, without an order.
#[derive(Debug, Default)]
struct Ready {
    processes: BTreeSet<u32>,
    /// e.g. `kiln-1/0-7`.
    groups: BTreeSet<String>,
}

impl Ready {
    fn among(family: &[u32]) -> Self {
        let mut ready = Self::default();
        for &waiting in family.iter().filter(|&&member| is_waiting(member)) {
            let (jail, namespace) = (parent_of(waiting), pid_namespace(waiting));
            let inside = |member: &&u32| parent_of(**member) == jail && pid_namespace(**member) == namespace;
            ready.processes.extend(family.iter().filter(inside));
            ready.groups.extend(group_of(waiting));
        }
        ready
    }

    fn has(&self, group: &Path) -> bool {
        self.groups.iter().any(|ready| group.ends_with(ready))
    }
}

fn is_jail(pid: u32) -> bool {
    command_line(pid).starts_with("kiln-jail")
        && status_field(pid, "Uid:").is_none_or(|uid| !is_of_a_job(uid))
}

/// The process that will be a command: still the jail's program, as root of its sandbox.
fn is_waiting(pid: u32) -> bool {
    let is_root = status_field(pid, "Uid:").is_some_and(|uid| is_of_a_job(uid) && uid % (1 << 16) == 0);
    is_root && command_line(pid).starts_with("kiln-jail")
}

fn pid_namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// Worker's group and sandbox's, the last two words of its path in every hierarchy.
fn group_of(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let mut paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let path = paths.rfind(|path| path.contains("/kiln-"))?;
    let mut words = path.rsplit('/');
    let (sandbox, worker) = (words.next()?, words.next()?);
    Some(format!("{worker}/{sandbox}"))
}

fn is_of_a_job(uid: u64) -> bool {
    u32::try_from(uid).is_ok_and(|uid| JOB_UIDS.contains(&uid))
}

/// A process and all its descendants.
pub fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        pids().into_iter().filter_map(|child| Some((child, parent_of(child)?))).collect();
    let mut family = vec![pid];
    let mut at = 0;
    while at < family.len() {
        let parent = family[at];
        family.extend(parents.iter().filter(|&&(_, of)| of == parent).map(|&(child, _)| child));
        at += 1;
    }
    family
}

/// Resident memory of processes, in bytes.
pub fn resident_bytes(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| status_field(*pid, "VmRSS:")).map(|kib| kib * 1024).sum()
}

/// Groups whose name tells that one of these processes made them, and those of its sandboxes below, over all hierarchies.
pub fn groups_of(pids: &[u32]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from(CGROUPS)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if made_by(&entry.file_name().to_string_lossy(), pids) || found.contains(&directory) {
                found.insert(entry.path());
            }
            open.push(entry.path());
        }
    }
    found
}

/// `kiln-PID`, perhaps with more words behind it.
fn made_by(name: &str, pids: &[u32]) -> bool {
    let Some(rest) = name.strip_prefix("kiln-") else { return false };
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().is_ok_and(|pid| pids.contains(&pid))
}

/// Host processes that run under a uid of a job and have this word in their command line.
pub fn job_processes(word: &str) -> Vec<u32> {
    let of_a_job = |pid: &u32| status_field(*pid, "Uid:").is_some_and(is_of_a_job);
    pids().into_iter().filter(of_a_job).filter(|pid| command_line(*pid).contains(word)).collect()
}

/// The command line of a process, words separated by blanks; empty when it is gone.
pub fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Mounts of the host's own mount namespace that have this word in their line.
pub fn host_mounts(word: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The parent of a process; `None` when it is gone.
pub fn parent_of(pid: u32) -> Option<u32> {
    status_field(pid, "PPid:").map(|parent| parent as u32)
}

/// The first number of a field of /proc/PID/status; `None` when the process is gone.
fn status_field(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn lines(path: &str) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn entries(path: &str) -> usize {
    fs::read_dir(path).map_or(0, Iterator::count)
}

/// Every file and directory below a directory, which may be changing.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}
