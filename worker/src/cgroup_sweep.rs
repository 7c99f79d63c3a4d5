//! Removes the cgroups that a jail left when it died without cleaning up, and at the end the worker's own.
//!
//! Jails remove their groups themselves; this is for those that were killed. It touches only groups below the one
//! named after this worker, kills whatever still runs in them, and never blocks the runtime.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A killed process leaves its group within this, or the group is left behind with a warning.
const LEAVE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Removes every group below the worker's whose name begins with one of `prefixes`, in every hierarchy.
pub(crate) async fn sweep(worker_group: &str, prefixes: Vec<String>) {
    let worker_group = worker_group.to_owned();
    on_blocking_thread(move || {
        for parent in worker_groups(&worker_group) {
            for child in children(&parent) {
                let name = name_of(&child);
                if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                    remove(&child);
                }
            }
        }
    })
    .await;
}

/// Removes the worker's own group in every hierarchy, where nothing is in it any more.
pub(crate) async fn remove_if_empty(worker_group: &str) {
    let worker_group = worker_group.to_owned();
    on_blocking_thread(move || {
        for group in worker_groups(&worker_group) {
            // EBUSY: another engine of this process still uses it.
            if let Err(error) = std::fs::remove_dir(&group) {
                tracing::debug!(group = %group.display(), %error, "the worker's cgroup stays");
            }
        }
    })
    .await;
}

async fn on_blocking_thread(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::warn!(%error, "sweeping cgroups was interrupted");
    }
}

/// Where a group of this name exists: in each hierarchy below its root, or below any group that holds this process
/// (a worker that was delegated a subtree of cgroup v2 makes its group there).
fn worker_groups(name: &str) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut found: Vec<PathBuf> = candidates(&mounts, &own)
        .into_iter()
        .map(|place| place.join(name))
        .filter(|group| group.is_dir())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Directories below which a worker's group may be, from the texts of /proc/self/mountinfo and /proc/self/cgroup.
fn candidates(mounts: &str, own: &str) -> Vec<PathBuf> {
    let own_v2 = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let mut places = Vec::new();
    for mount in mounts.lines().filter_map(CgroupMount::parse) {
        places.push(PathBuf::from(mount.point));
        let Some(below) = own_v2.strip_prefix(mount.root.trim_end_matches('/')) else { continue };
        if mount.unified {
            let mut place = PathBuf::from(mount.point);
            for component in below.split('/').filter(|component| !component.is_empty()) {
                place.push(component);
                places.push(place.clone());
            }
        }
    }
    places
}

struct CgroupMount<'a> {
    root: &'a str,
    point: &'a str,
    unified: bool,
}

impl<'a> CgroupMount<'a> {
    /// proc_pid_mountinfo(5): the type comes after the separator " - ".
    fn parse(line: &'a str) -> Option<Self> {
        let (fields, kind) = line.split_once(" - ")?;
        let unified = match kind.split(' ').next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let mut fields = fields.split(' ').skip(3);
        Some(Self { root: fields.next()?, point: fields.next()?, unified })
    }
}

fn remove(group: &Path) {
    for child in children(group) {
        remove(&child);
    }
    let deadline = Instant::now() + LEAVE;
    loop {
        kill_all(group);
        match std::fs::remove_dir(group) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) if Instant::now() >= deadline => {
                tracing::warn!(group = %group.display(), %error, "a cgroup cannot be removed");
                return;
            }
            Err(_busy) => std::thread::sleep(PAUSE),
        }
    }
}

/// `cgroup.kill` where the kernel has it (5.14, v2), else one by one. A frozen group would keep its dead: thaw it first.
fn kill_all(group: &Path) {
    for (file, value) in [("cgroup.freeze", "0"), ("freezer.state", "THAWED")] {
        write_if_there(&group.join(file), value);
    }
    if write_if_there(&group.join("cgroup.kill"), "1") {
        return;
    }
    let listed = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        // The pidfd holds the process; one that left the group meanwhile was going to die with its sandbox anyway.
        if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
            let _already_dead = pidfd_send_signal(&process, Signal::KILL);
        }
    }
}

fn write_if_there(file: &Path, value: &str) -> bool {
    std::fs::OpenOptions::new().write(true).open(file).is_ok_and(|mut file| {
        use std::io::Write;
        file.write_all(value.as_bytes()).is_ok()
    })
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_looked_for_in_every_hierarchy_and_above_this_process() {
        let mounts = "33 32 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      34 32 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      35 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let places = candidates(mounts, "5:memory:/x\n0::/system.slice/kiln.service\n");
        let expected = ["memory", "unified", "unified/system.slice", "unified/system.slice/kiln.service"];
        assert_eq!(places, expected.map(|place| PathBuf::from(format!("/sys/fs/cgroup/{place}"))));
    }

    #[test]
    fn a_container_sees_its_own_part_of_the_tree() {
        let mounts = "34 32 0:29 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let places = candidates(mounts, "0::/docker/abc/worker\n");
        assert_eq!(places, [PathBuf::from("/sys/fs/cgroup"), PathBuf::from("/sys/fs/cgroup/worker")]);
    }
}
