//! Kernel version, privileges, Landlock, seccomp, settings that weaken a sandbox, memory and cores.

use super::Status::{Degraded, Missing, Ok as Fine};
use super::{Finding, look, read};
use crate::landlock;
use crate::sys::seccomp::action_available;

/// Landlock ABI 2, id-mapped ext4 and memory.peak are all there.
const OLDEST_KERNEL: (u32, u32) = (5, 19);
/// `SECCOMP_RET_USER_NOTIF` of linux/seccomp.h.
const USER_NOTIF: u32 = 0x7fc0_0000;
/// Below this a worker cannot give one command its usual limits.
const LITTLE_MEMORY_KIB: u64 = 512 * 1024;

/// Capabilities the jail uses, with their numbers (linux/capability.h) and for what.
const CAPABILITIES: [(&str, u32, &str); 10] = [
    ("CAP_SYS_ADMIN", 21, "mounts, namespaces and cgroups"),
    ("CAP_SETUID", 7, "mapping and taking the sandbox's uids"),
    ("CAP_SETGID", 6, "mapping and taking the sandbox's gids"),
    ("CAP_SETPCAP", 8, "emptying the command's bounding set"),
    ("CAP_MKNOD", 27, "/dev/null, zero, full and random"),
    ("CAP_CHOWN", 0, "giving files put in to the command's user"),
    ("CAP_DAC_OVERRIDE", 1, "files of the sandbox's users"),
    ("CAP_FOWNER", 3, "modes of files of the sandbox's users"),
    ("CAP_KILL", 5, "killing processes of the sandbox's users"),
    ("CAP_SYS_PTRACE", 19, "entering the namespaces of the sandbox's processes"),
];

pub(super) fn basics() -> Vec<Finding> {
    let mut findings = vec![kernel_version(), pidfd()];
    let held = effective_capabilities();
    for (name, number, what_for) in CAPABILITIES {
        let has = held & (1 << number) != 0;
        let fix = "run the worker as root, or give its unit this capability (AmbientCapabilities=)";
        findings.push(look("privileges", name, what_for).present_or(Missing, has, fix));
    }
    findings
}

pub(super) fn filters() -> Vec<Finding> {
    vec![landlock_abi(), seccomp_filter(), seccomp_notification()]
}

pub(super) fn settings() -> Vec<Finding> {
    vec![core_pattern(), unprivileged_bpf(), ptrace_scope()]
}

pub(super) fn resources() -> Vec<Finding> {
    let available_kib = read("/proc/meminfo").as_deref().and_then(available_memory_kib);
    let memory =
        look("resources", "available memory", "commands' memory, and their files, which are on tmpfs");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        memory.is(
            if available_kib.is_some_and(|kib| kib >= LITTLE_MEMORY_KIB) { Fine } else { Degraded },
            available_kib.map_or("unknown".to_owned(), |kib| format!("{} MiB", kib / 1024)),
            "give the machine more memory, or the worker fewer slots",
        ),
        look("resources", "CPUs", "slots are measured evenly when each has a CPU of its own").is(
            if cores > 0 { Fine } else { Degraded },
            cores.to_string(),
            "allow the worker at least one CPU",
        ),
    ]
}

/// Major and minor number of the running kernel.
pub(super) fn running() -> Option<(u32, u32)> {
    version_of(&rustix::system::uname().release().to_string_lossy())
}

fn kernel_version() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let fine = super::kernel_is_at_least(OLDEST_KERNEL);
    look("kernel", "version", "5.19 is the oldest that has every part of the sandbox").is(
        if fine { Fine } else { Missing },
        release,
        "Debian 12 or later (11: bookworm-backports kernel), Ubuntu 22.04 with linux-generic-hwe-22.04 or later, RHEL 9.3 or later",
    )
}

fn pidfd() -> Finding {
    let own = rustix::process::getpid();
    let opened = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty());
    look("kernel", "pidfd", "processes are held by descriptors, never by numbers that can be used again")
        .present_or(
            Missing,
            opened.is_ok(),
            "Linux 5.3 or later; containers: a seccomp profile that allows pidfd_open",
        )
}

fn landlock_abi() -> Finding {
    let looked = look(
        "landlock",
        "Landlock ABI",
        "the kernel itself keeps the command to its directories, behind the mounts",
    );
    let fix = "Linux 5.19 or later with landlock in lsm= (Debian 12, Ubuntu 22.04, Fedora: on by default; others: boot with \
               lsm=landlock,...), or allow the layer `landlock` to be missing";
    match landlock::abi() {
        Err(failure) => looked.is(Missing, failure.detail, fix),
        Ok(abi) if abi < landlock::MINIMUM_ABI => looked.is(Missing, abi.to_string(), fix),
        Ok(abi) if abi > landlock::NEWEST_KNOWN_ABI => {
            let known = landlock::NEWEST_KNOWN_ABI;
            looked.is(
                Fine,
                format!("{abi}; the rights of {known} are used, the newest this program knows"),
                fix,
            )
        }
        Ok(abi) => match landlock::covered_otherwise(abi) {
            None => looked.is(Fine, abi.to_string(), fix),
            Some(others) => looked.is(
                Degraded,
                format!("{abi}: held by other layers alone: {others}"),
                "Linux 6.12 or later has ABI 6 (Debian 13, or bookworm-backports)",
            ),
        },
    }
}

fn seccomp_filter() -> Finding {
    let available =
        read("/proc/sys/kernel/seccomp/actions_avail").is_some_and(|actions| actions.contains("errno"));
    look("seccomp", "filters", "only the system calls of the profile reach the kernel").present_or(
        Missing,
        available,
        "a kernel with CONFIG_SECCOMP_FILTER (every distribution's)",
    )
}

fn seccomp_notification() -> Finding {
    look("seccomp", "user notification", "a forbidden call is named in the outcome").present_or(
        Missing,
        action_available(USER_NOTIF),
        "Linux 5.0 or later; containers: a seccomp profile that allows seccomp(2)",
    )
}

/// core(5): a pipe handler is started whatever RLIMIT_CORE is, but for a limit of exactly 1.
fn core_pattern() -> Finding {
    let pattern = read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let piped = pattern.starts_with('|');
    look("settings", "kernel.core_pattern", "a pipe handler runs on the host, as root, on data of a crashed command").is(
        if piped { Degraded } else { Fine },
        if pattern.is_empty() { "empty".to_owned() } else { pattern },
        "sysctl -w kernel.core_pattern=core (Ubuntu: systemctl disable --now apport; Fedora: mask systemd-coredump.socket)",
    )
}

fn unprivileged_bpf() -> Finding {
    let value = read("/proc/sys/kernel/unprivileged_bpf_disabled");
    let open = value.as_deref() == Some("0");
    look(
        "settings",
        "kernel.unprivileged_bpf_disabled",
        "a kernel part that had many holes; seccomp bars it in sandboxes",
    )
    .is(
        if open { Degraded } else { Fine },
        value.unwrap_or_else(|| "no bpf in this kernel".to_owned()),
        "sysctl -w kernel.unprivileged_bpf_disabled=2",
    )
}

fn ptrace_scope() -> Finding {
    let value = read("/proc/sys/kernel/yama/ptrace_scope");
    look(
        "settings",
        "kernel.yama.ptrace_scope",
        "who may trace whom; seccomp bars tracing in sandboxes whatever this says",
    )
    .is(Fine, value.unwrap_or_else(|| "no yama in this kernel".to_owned()), "")
}

fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn effective_capabilities() -> u64 {
    let status = read("/proc/thread-self/status").unwrap_or_default();
    let hexadecimal = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    hexadecimal.and_then(|value| u64::from_str_radix(value.trim(), 16).ok()).unwrap_or(0)
}

fn available_memory_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(version_of("6.12.117+deb12-cloud-amd64"), Some((6, 12)));
        assert_eq!(version_of("5.19-rc1"), Some((5, 19)));
        assert!(version_of("5.4.0-200-generic").unwrap() < OLDEST_KERNEL);
        assert_eq!(version_of("linux"), None);
    }

    #[test]
    fn available_memory_is_read() {
        assert_eq!(available_memory_kib("MemTotal: 10 kB\nMemAvailable:   2048 kB\n"), Some(2048));
        assert_eq!(available_memory_kib(""), None);
    }
}
