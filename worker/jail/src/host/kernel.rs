//! Kernel version, capabilities, Landlock and seccomp.

use super::Status::{Degraded, Missing, Ok as Fine};
use super::container::Container;
use super::{Finding, look, read};
use crate::landlock;
use crate::sys::seccomp::action_available;

/// Landlock ABI 2, id-mapped ext4 and memory.peak are all there.
const OLDEST_KERNEL: (u32, u32) = (5, 19);
/// `SECCOMP_RET_USER_NOTIF` of linux/seccomp.h.
const USER_NOTIF: u32 = 0x7fc0_0000;

/// Capabilities the jail uses, with their numbers (linux/capability.h) and for what.
const CAPABILITIES: [(&str, u32, &str); 11] = [
    (SYS_ADMIN, 21, "mounts, namespaces and cgroups"),
    ("CAP_SYS_CHROOT", 18, "stepping between mount namespaces"),
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

const SYS_ADMIN: &str = "CAP_SYS_ADMIN";

pub(super) fn basics() -> Vec<Finding> {
    vec![kernel_version(), pidfd()]
}

/// `lacking` is what [`lacking_capabilities`] found.
pub(super) fn capabilities(lacking: &[&str], container: Option<&Container>) -> Vec<Finding> {
    let fix = |name| match container {
        Some(container) => container.capability_fix(name),
        None => "run the worker as root, or give its unit this capability (AmbientCapabilities=)".to_owned(),
    };
    CAPABILITIES
        .iter()
        .map(|(name, _, what_for)| {
            look("privileges", name, what_for).present_or(Missing, !lacking.contains(name), &fix(name))
        })
        .collect()
}

/// Of those that the jail uses, from `/proc/self/status`.
pub(super) fn lacking_capabilities(status: &str) -> Vec<&'static str> {
    let hexadecimal = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = hexadecimal.and_then(|value| u64::from_str_radix(value.trim(), 16).ok()).unwrap_or(0);
    CAPABILITIES.iter().filter(|(_, number, _)| held & (1 << number) == 0).map(|(name, ..)| *name).collect()
}

pub(super) fn may_mount(lacking: &[&str]) -> bool {
    !lacking.contains(&SYS_ADMIN)
}

pub(super) fn filters() -> Vec<Finding> {
    vec![landlock_abi(), seccomp_filter(), seccomp_notification()]
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

fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
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
    fn capabilities_are_read_from_the_effective_set() {
        // Docker's default set, Podman's, root's, and that of nobody.
        let of =
            |hexadecimal: &str| lacking_capabilities(&format!("CapPrm:\tffff\nCapEff:\t{hexadecimal}\n"));
        assert_eq!(of("00000000a80425fb"), [SYS_ADMIN, "CAP_SYS_PTRACE"]);
        assert_eq!(of("00000000800405fb"), [SYS_ADMIN, "CAP_MKNOD", "CAP_SYS_PTRACE"]);
        assert!(of("000001ffffffffff").is_empty());
        assert_eq!(of("0000000000000000").len(), CAPABILITIES.len());
        assert_eq!(lacking_capabilities("").len(), CAPABILITIES.len(), "what cannot be seen is not there");
        assert!(may_mount(&[]) && !may_mount(&[SYS_ADMIN]));
    }
}
