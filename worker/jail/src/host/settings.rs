//! Settings of the kernel that make a sandbox, or what is behind it, weaker than it could be.

use super::Status::{Degraded, Ok as Fine};
use super::{Finding, look, read};

pub(super) fn findings() -> Vec<Finding> {
    let kernel = |name: &str| read(&format!("/proc/sys/kernel/{name}"));
    vec![
        core_pattern(kernel("core_pattern").as_deref()),
        address_space(kernel("randomize_va_space").as_deref()),
        unprivileged_bpf(kernel("unprivileged_bpf_disabled").as_deref()),
        ptrace_scope(kernel("yama/ptrace_scope").as_deref()),
    ]
}

/// core(5): a pipe handler is started whatever RLIMIT_CORE is, but for a limit of exactly 1.
fn core_pattern(pattern: Option<&str>) -> Finding {
    let pattern = pattern.unwrap_or_default();
    look("settings", "kernel.core_pattern", "a pipe handler runs on the host, as root, on data of a crashed command").is(
        if pattern.starts_with('|') { Degraded } else { Fine },
        if pattern.is_empty() { "empty" } else { pattern },
        "sysctl -w kernel.core_pattern=core (Ubuntu: systemctl disable --now apport; Fedora: mask systemd-coredump.socket)",
    )
}

fn address_space(value: Option<&str>) -> Finding {
    let looked = look(
        "settings",
        "kernel.randomize_va_space",
        "an exploit that knows addresses needs no leak; of the kernel's defences the cheapest",
    );
    match value {
        Some("2") => looked.is(Fine, "2: everything is placed at random", ""),
        Some(value) => looked.is(
            Degraded,
            format!(
                "{value}: {}",
                if value == "1" { "the heap is not placed at random" } else { "nothing is placed at random" }
            ),
            "sysctl -w kernel.randomize_va_space=2, and no norandmaps on the kernel's command line",
        ),
        None => looked.is(Fine, "this host does not tell", ""),
    }
}

fn unprivileged_bpf(value: Option<&str>) -> Finding {
    look(
        "settings",
        "kernel.unprivileged_bpf_disabled",
        "a kernel part that had many holes; seccomp bars it in sandboxes",
    )
    .is(
        if value == Some("0") { Degraded } else { Fine },
        value.unwrap_or("no bpf in this kernel"),
        "sysctl -w kernel.unprivileged_bpf_disabled=2",
    )
}

fn ptrace_scope(value: Option<&str>) -> Finding {
    let looked = look(
        "settings",
        "kernel.yama.ptrace_scope",
        "who may trace whom; seccomp bars tracing in sandboxes whatever this says",
    );
    match value {
        // Entering a sandbox's namespaces asks the same hook (ptrace_may_access); 3 leaves nobody, root included.
        Some("3") => looked.is(
            Degraded,
            "3: nobody, for good",
            "sysctl kernel.yama.ptrace_scope=2 in /etc/sysctl.d, and boot again",
        ),
        value => looked.is(Fine, value.unwrap_or("no yama in this kernel"), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_of_cores_on_the_host_is_told() {
        for (pattern, status) in [
            (Some("core"), Fine),
            (Some("/var/crash/core.%p"), Fine),
            (Some("|/usr/share/apport/apport -p%p -s%s"), Degraded),
            (Some("|/usr/lib/systemd/systemd-coredump %P %u"), Degraded),
            (Some(""), Fine),
            (None, Fine),
        ] {
            assert_eq!(core_pattern(pattern).status, status, "{pattern:?}");
        }
    }

    #[test]
    fn weak_settings_are_told_and_absent_ones_are_not() {
        for (finding, status) in [
            (address_space(Some("2")), Fine),
            (address_space(Some("1")), Degraded),
            (address_space(Some("0")), Degraded),
            (address_space(None), Fine),
            (unprivileged_bpf(Some("0")), Degraded),
            (unprivileged_bpf(Some("2")), Fine),
            (unprivileged_bpf(None), Fine),
            (ptrace_scope(Some("1")), Fine),
            (ptrace_scope(Some("3")), Degraded),
            (ptrace_scope(None), Fine),
        ] {
            assert_eq!(finding.status, status, "{finding:?}");
        }
    }
}
