//! Counts what a service holds on the host, from outside: processes, mounts, cgroups, descriptors, files, memory.
//!
//! Everything is found by following the service's own pids, so that services beside each other do not see one another.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Below it each cgroup hierarchy is mounted, v1 or v2.
const CGROUPS: &str = "/sys/fs/cgroup";
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
    /// Open descriptors of the service and its jails, all together.
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
    pub fn of_all(pids: &[u32], directories: &[PathBuf]) -> Self {
        let family: BTreeSet<u32> = pids.iter().flat_map(|&pid| family(pid)).collect();
        let family: Vec<u32> = family.into_iter().collect();
        Self {
            processes: family.len(),
            mounts: family.iter().map(|&member| lines(&format!("/proc/{member}/mountinfo"))).sum(),
            cgroups: groups_of(&family),
            descriptors: family.iter().map(|&member| entries(&format!("/proc/{member}/fd"))).sum(),
            files: directories.iter().flat_map(|directory| files_below(directory)).collect(),
        }
    }
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

/// Groups whose name tells that one of these processes made them, over all hierarchies.
pub fn groups_of(pids: &[u32]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from(CGROUPS)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if made_by(&entry.file_name().to_string_lossy(), pids) {
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
    let of_a_job = |pid: &u32| status_field(*pid, "Uid:").is_some_and(|uid| JOB_UIDS.contains(&(uid as u32)));
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
