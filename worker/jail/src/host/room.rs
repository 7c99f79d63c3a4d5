//! Numbers that run out: open files, processes, room on disks and in memory file systems.

use std::path::Path;

use rustix::fs::FsWord;
use rustix::process::{Resource, getrlimit};

use super::Status::{Degraded, Missing, Ok as Fine};
use super::{Finding, look, read};

/// Descriptors of one worker with its streams, spools and jails; systemd's default soft limit is 1,024.
const FEW_FILES: u64 = 1024;
/// Pids of the whole machine; the kernel's own default is 32,768.
const FEW_PIDS: u64 = 4096;
const MIB: u64 = 1 << 20;
/// The kernel's numbers of file systems (linux/magic.h).
const TMPFS: FsWord = 0x0102_1994;
const OVERLAYFS: FsWord = 0x794c_7630;

/// A directory that the service writes in.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    /// What it is for, e.g. `images and blobs`.
    pub what: &'a str,
    pub path: &'a Path,
    /// Less room than this is told.
    pub wanted_bytes: u64,
}

pub(super) fn findings() -> Vec<Finding> {
    let own = getrlimit(Resource::Nofile);
    let kernel = |name: &str| read(&format!("/proc/sys/{name}")).and_then(|text| text.parse().ok());
    vec![
        open_files(own.current, own.maximum),
        machine_files(read("/proc/sys/fs/file-nr").as_deref()),
        pids(kernel("kernel/pid_max"), kernel("kernel/threads-max"), own_pids_max().as_deref()),
    ]
}

/// Room and kind of the directories that a service would use; those that do not exist yet are looked for above.
pub fn directories(all: &[Directory<'_>]) -> Vec<Finding> {
    all.iter().map(directory).collect()
}

fn open_files(soft: Option<u64>, hard: Option<u64>) -> Finding {
    let told = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    look("room", "open files", "streams, spools and jails each take descriptors of the worker").is(
        if soft.is_none_or(|soft| soft >= FEW_FILES) { Fine } else { Degraded },
        format!("{}, at most {}", told(soft), told(hard)),
        "ulimit -n 65536; systemd: LimitNOFILE=65536; docker: --ulimit nofile=65536",
    )
}

/// `in use, free, maximum` (proc_sys_fs(5)).
fn machine_files(file_nr: Option<&str>) -> Finding {
    let looked =
        look("room", "open files of the machine", "when none is left, nothing on this host can open any");
    let numbers: Vec<u64> =
        file_nr.unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers[..] {
        [used, _, maximum] => {
            let status = if used <= maximum / 2 { Fine } else { Degraded };
            looked.is(status, format!("{used} of {maximum}"), "sysctl -w fs.file-max=2000000")
        }
        _ => looked.is(Fine, "this host does not tell", ""),
    }
}

/// The group that this process is in may bound pids too: a container's `--pids-limit`, a unit's `TasksMax=`.
fn pids(pid_max: Option<u64>, threads_max: Option<u64>, group: Option<&str>) -> Finding {
    let looked = look("room", "pids", "processes of all commands, beside everything else on the machine");
    let group = group.and_then(|text| text.parse::<u64>().ok());
    let told: Vec<_> = [("pid_max", pid_max), ("threads-max", threads_max), ("own group", group)]
        .into_iter()
        .filter_map(|(name, number)| Some((name, number?)))
        .collect();
    let Some(fewest) = told.iter().map(|(_, number)| *number).min() else {
        return looked.is(Fine, "this host does not tell", "");
    };
    let seen: Vec<_> = told.iter().map(|(name, number)| format!("{name} {number}")).collect();
    looked.is(
        if fewest >= FEW_PIDS { Fine } else { Degraded },
        seen.join(", "),
        "sysctl -w kernel.pid_max=131072; systemd: TasksMax=infinity; docker: --pids-limit -1",
    )
}

/// `pids.max` of this process's own group, wherever it is mounted; `max` and absent are no bound.
fn own_pids_max() -> Option<String> {
    let groups = read("/proc/self/cgroup")?;
    let (point, group) = pids_group(&groups)?;
    read(&format!("/sys/fs/cgroup{point}{group}/pids.max"))
        .or_else(|| read(&format!("/sys/fs/cgroup{point}/pids.max")))
}

/// Where the group of the pids controller is, from `/proc/self/cgroup`: mount below /sys/fs/cgroup, and path.
fn pids_group(groups: &str) -> Option<(&'static str, &str)> {
    let mut unified = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        if controllers.split(',').any(|name| name == "pids") {
            return Some(("/pids", path));
        }
        if controllers.is_empty() {
            unified = Some(("", path));
        }
    }
    unified
}

fn directory(directory: &Directory<'_>) -> Finding {
    let looked = look("room", directory.what, "when it is full, jobs fail and nothing new is taken");
    let Some(existing) = directory.path.ancestors().find(|path| path.exists()) else {
        return looked.is(Missing, "there is no such place", "name another directory in the configuration");
    };
    let at = directory.path.display();
    let (Ok(room), Ok(kind)) = (rustix::fs::statvfs(existing), rustix::fs::statfs(existing)) else {
        return looked.is(
            Degraded,
            format!("{at} cannot be looked at"),
            "run kiln doctor as the service's user",
        );
    };
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let seen = format!("{at}: {} MiB free{}", free / MIB, named(kind.f_type));
    let read_only = room.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    match (read_only, free >= directory.wanted_bytes) {
        (true, _) => looked.is(
            Missing,
            format!("{seen}, read-only"),
            "mount a writable file system there; docker: --volume kiln:/var/lib/kiln, --tmpfs /run",
        ),
        (false, true) => looked.is(Fine, seen, ""),
        (false, false) => looked.is(
            Degraded,
            seen,
            &format!("make at least {} MiB of room there", directory.wanted_bytes / MIB),
        ),
    }
}

fn named(kind: FsWord) -> &'static str {
    match kind {
        TMPFS => ", in memory (tmpfs)",
        OVERLAYFS => ", on overlayfs",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_on_open_files_are_read() {
        assert_eq!(open_files(Some(1024), Some(524_288)).status, Fine);
        assert_eq!(open_files(Some(256), Some(4096)).status, Degraded);
        assert_eq!(open_files(None, None).seen, "no limit, at most no limit");
        assert_eq!(machine_files(Some("638\t0\t2466177\n")).seen, "638 of 2466177");
        assert_eq!(machine_files(Some("9000\t0\t10000\n")).status, Degraded);
        for nonsense in [None, Some(""), Some("a b c"), Some("1 2")] {
            assert_eq!(machine_files(nonsense).status, Fine);
        }
    }

    #[test]
    fn the_fewest_pids_count() {
        assert_eq!(pids(Some(32_768), Some(192_730), Some("max")).status, Fine);
        let container = pids(Some(4_194_304), Some(192_730), Some("100"));
        assert_eq!(
            (container.status, container.seen.as_str()),
            (Degraded, "pid_max 4194304, threads-max 192730, own group 100")
        );
        assert_eq!(pids(None, None, None).status, Fine);
    }

    #[test]
    fn the_group_of_the_pids_controller_is_found_on_v1_v2_and_hybrid() {
        let docker_v1 = "12:pids:/docker/8c1\n11:memory:/docker/8c1\n1:name=systemd:/docker/8c1\n0::/system.slice/containerd.service\n";
        assert_eq!(pids_group(docker_v1), Some(("/pids", "/docker/8c1")));
        assert_eq!(pids_group("0::/system.slice/kiln.service\n"), Some(("", "/system.slice/kiln.service")));
        assert_eq!(pids_group("0::/\n"), Some(("", "/")));
        assert_eq!(pids_group("5:devices:/\n0::/a:b\n"), Some(("", "/a:b")), "a name may hold a colon");
        assert_eq!(pids_group(""), None);
        assert_eq!(pids_group("garbage"), None);
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_measured_where_it_would_be() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("not/yet");
        let of = |wanted_bytes| directory(&Directory { what: "images", path: &path, wanted_bytes });
        assert_eq!(of(1).status, Fine);
        let full = of(u64::MAX);
        assert_eq!(full.status, Degraded);
        assert!(full.seen.contains("not/yet: ") && full.seen.contains(" MiB free"), "{full:?}");
    }
}
