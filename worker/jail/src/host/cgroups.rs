//! Control groups of this host, read only: which version, which controllers, and what they can tell.

use super::Status::{Degraded, Missing, Ok as Fine};
use super::{Finding, look, read};
use crate::cgroup::{HostGroups, Version, host_groups};

pub(super) fn look_at_host() -> Option<HostGroups> {
    host_groups()
}

/// What keeps groups from being made at all, in the words of who starts a container.
pub(super) fn hindrance(groups: Option<&HostGroups>) -> Option<&'static str> {
    match groups {
        None => Some("not mounted"),
        Some(groups) if !groups.read_only.is_empty() => Some("read-only"),
        Some(groups) if !["cpu", "memory", "pids"].iter().all(|name| groups.has(name)) => {
            Some("without controllers")
        }
        Some(_) => None,
    }
}

pub(super) fn controllers(groups: Option<&HostGroups>) -> Vec<Finding> {
    let mut findings = vec![version(groups)];
    let Some(groups) = groups else { return findings };
    let needed: &[(&str, &str)] = match groups.version {
        Version::V1 => {
            &[("cpu", "CPU rate"), ("cpuacct", "CPU time"), ("memory", "memory"), ("pids", "processes")]
        }
        Version::V2 => &[("cpu", "CPU time and rate"), ("memory", "memory"), ("pids", "processes")],
    };
    for (name, limits) in needed {
        let why = format!("limits and measures {limits}; a command never runs without its limits");
        findings.push(look("cgroups", &format!("{name} controller"), &why).present_or(
            Missing,
            groups.has(name),
            "systemd: Delegate=yes in the worker's unit; Debian before 11 and Raspberry Pi OS: boot with cgroup_enable=memory; \
             containers: --cgroupns=private with a writable /sys/fs/cgroup",
        ));
    }
    let io = if groups.version == Version::V1 { "blkio" } else { "io" };
    for (name, why) in [
        ("cpuset", "binds each slot to CPUs of its own, for even timing"),
        (io, "tells bytes read and written"),
    ] {
        findings.push(look("cgroups", &format!("{name} controller"), why).present_or(
            Degraded,
            groups.has(name),
            "systemd: Delegate=yes in the worker's unit",
        ));
    }
    findings.push(writable(groups));
    findings.extend(kernel_files(groups));
    findings.push(swap(groups));
    findings
}

fn version(groups: Option<&HostGroups>) -> Finding {
    let looked =
        look("cgroups", "version", "v2 needs fewer steps per command and announces refused forks; v1 works");
    match groups.map(|groups| groups.version) {
        Some(Version::V2) => looked.is(Fine, "v2", ""),
        Some(Version::V1) => looked.is(
            Degraded,
            "v1 (or hybrid)",
            "boot with systemd.unified_cgroup_hierarchy=1 (Debian 10, Ubuntu before 21.10, RHEL 8); newer ones have v2 by default",
        ),
        None => looked.is(Missing, "no cgroup file system", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
    }
}

fn writable(groups: &HostGroups) -> Finding {
    let (status, seen) = if !groups.read_only.is_empty() {
        (Missing, format!("read-only: {}", groups.read_only.join(", ")))
    } else if !groups.has("memory") {
        (Missing, "nothing that could be written".to_owned())
    } else {
        (Fine, "writable".to_owned())
    };
    look("cgroups", "groups can be made", "each command gets a group of its own").is(
        status,
        seen,
        "run the worker as root; containers: --cgroupns=private and mount /sys/fs/cgroup read-write",
    )
}

fn kernel_files(groups: &HostGroups) -> Vec<Finding> {
    let kill =
        look("cgroups", "cgroup.kill", "kills a whole sandbox in one step, whatever it forks meanwhile");
    let peak = look("cgroups", "peak memory", "tells the most memory a command ever had");
    vec![
        kill.present_or(Degraded, groups.can_kill, "Linux 5.14 or later, and a cgroup2 mount (v1 hosts: mount -t cgroup2 none /sys/fs/cgroup/unified)"),
        peak.present_or(Degraded, groups.tells_peak, "Linux 5.19 or later"),
    ]
}

fn swap(groups: &HostGroups) -> Finding {
    let lines = read("/proc/swaps").map_or(0, |swaps| swaps.lines().count());
    let looked = look("cgroups", "swap", "memory that moves to swap is neither limited nor measured evenly");
    match (lines > 1, groups.accounts_swap) {
        (false, _) => looked.is(Fine, "off", ""),
        (true, true) => looked.is(Fine, "on, and limited to nothing for each command", ""),
        (true, false) => {
            looked.is(Missing, "on, and not accounted", "swapoff -a, or boot with swapaccount=1")
        }
    }
}
