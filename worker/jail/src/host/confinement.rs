//! What confines this process itself: a filter of system calls, an AppArmor profile, an SELinux domain, no new
//! privileges. Whoever started it put them there, a container engine or a service's unit.

use super::Status::{Degraded, Missing, Ok as Fine};
use super::{Finding, look, read};
use crate::sys::probe::{CALLS, refusal};
use rustix::io::Errno;

/// As found on this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Confinement {
    /// Calls of the jail's that somebody else than the kernel answers.
    pub(super) filtered: Vec<&'static str>,
    /// AppArmor's profile, where one is enforced.
    pub(super) apparmor: Option<String>,
    /// SELinux' type, where a container's is enforced.
    pub(super) selinux: Option<String>,
    filters: Option<u64>,
    no_new_privileges: bool,
}

/// `may_mount`: whether this process has CAP_SYS_ADMIN, without which the kernel itself says EPERM.
pub(super) fn look_at_this_process(status: &str, may_mount: bool) -> Confinement {
    let context = read("/proc/self/attr/apparmor/current").or_else(|| read("/proc/self/attr/current"));
    let enforced = read("/sys/fs/selinux/enforce").as_deref() == Some("1");
    let answers = CALLS.iter().map(|call| (call.name, refusal(call)));
    Confinement {
        filtered: filtered(answers, may_mount),
        apparmor: context.as_deref().and_then(apparmor),
        selinux: context.as_deref().filter(|_| enforced).and_then(selinux),
        filters: field(status, "Seccomp:")
            .filter(|mode| *mode != 0)
            .map(|_| field(status, "Seccomp_filters:").unwrap_or(1)),
        no_new_privileges: field(status, "NoNewPrivs:") == Some(1),
    }
}

impl Confinement {
    pub(super) fn findings(&self) -> Vec<Finding> {
        vec![self.calls(), self.profile(), self.domain(), self.new_privileges()]
    }

    fn calls(&self) -> Finding {
        let looked = look(
            "privileges",
            "calls that make sandboxes",
            "a filter around the worker must let them through; Kiln loads a stricter one around every command",
        );
        let filters = self.filters.map_or("no filter".to_owned(), |count| format!("{count} filter(s)"));
        if self.filtered.is_empty() {
            return looked.is(Fine, format!("all reach the kernel; {filters}"), "");
        }
        looked.is(
            Missing,
            format!("not reaching the kernel: {}; {filters}", self.filtered.join(", ")),
            "containers: --security-opt seccomp=unconfined; systemd: no SystemCallFilter= but that of deploy/kiln-worker.service; \
             where there is no filter: a newer kernel",
        )
    }

    fn profile(&self) -> Finding {
        let looked = look("privileges", "AppArmor profile", "a container's own profile refuses every mount");
        match &self.apparmor {
            None => looked.is(Fine, "none enforced", ""),
            Some(profile) => {
                let of_an_engine =
                    ["docker-default", "containers-default", "cri-containerd", "lxc-container"]
                        .iter()
                        .any(|name| profile.starts_with(name));
                looked.is(
                    if of_an_engine { Missing } else { Degraded },
                    profile,
                    "containers: --security-opt apparmor=unconfined; else give the profile `mount,`, `umount,`, `pivot_root,` and `userns,`",
                )
            }
        }
    }

    fn domain(&self) -> Finding {
        let looked =
            look("privileges", "SELinux domain", "a container's own domain refuses mounts and cgroups");
        match &self.selinux {
            None => looked.is(Fine, "no container's", ""),
            Some(domain) => looked.is(Missing, domain, "containers: --security-opt label=disable"),
        }
    }

    fn new_privileges(&self) -> Finding {
        let looked = look(
            "privileges",
            "no_new_privs",
            "with it newuidmap gains nothing, which sandboxes without host root need",
        );
        match (self.no_new_privileges, rustix::process::geteuid().is_root()) {
            (false, _) => looked.is(Fine, "not set", ""),
            (true, true) => looked.is(Fine, "set; root is not concerned", ""),
            (true, false) => looked.is(
                Degraded,
                "set",
                "systemd: NoNewPrivileges=no; containers: no --security-opt no-new-privileges",
            ),
        }
    }
}

/// ENOSYS: engines say it to clone3, so that the C library falls back. EPERM: what they say to everything else.
fn filtered(answers: impl Iterator<Item = (&'static str, Errno)>, may_mount: bool) -> Vec<&'static str> {
    let needs_privilege = ["fsopen", "fsmount", "move_mount", "mount_setattr", "open_tree"];
    answers
        .filter(|(name, errno)| match *errno {
            Errno::NOSYS => true,
            Errno::PERM | Errno::ACCESS => may_mount || !needs_privilege.contains(name),
            _ => false,
        })
        .map(|(name, _)| name)
        .collect()
}

/// `docker-default (enforce)`; `unconfined` and `(complain)` hold nothing back. An SELinux context has colons.
fn apparmor(context: &str) -> Option<String> {
    let context = context.trim_end_matches('\0').trim();
    (context.ends_with("(enforce)") && !context.starts_with("unconfined")).then(|| context.to_owned())
}

/// The third of `system_u:system_r:container_t:s0:c1,c2`.
fn selinux(context: &str) -> Option<String> {
    let domain = context.trim_end_matches('\0').trim().split(':').nth(2)?;
    domain.starts_with("container").then(|| domain.to_owned())
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_refusals_are_no_filters() {
        let of = |answers: &[(&'static str, Errno)], may_mount| filtered(answers.iter().copied(), may_mount);
        assert_eq!(
            of(&[("clone3", Errno::INVAL), ("setns", Errno::BADF), ("fsopen", Errno::INVAL)], true),
            [""; 0]
        );
        // Without the capability the kernel says EPERM to whoever wants to mount.
        assert_eq!(of(&[("fsopen", Errno::PERM), ("move_mount", Errno::PERM)], false), [""; 0]);
        // Docker's profile without SYS_ADMIN.
        let docker = [
            ("clone3", Errno::NOSYS),
            ("setns", Errno::PERM),
            ("fsopen", Errno::PERM),
            ("openat2", Errno::INVAL),
        ];
        assert_eq!(of(&docker, false), ["clone3", "setns"]);
        assert_eq!(of(&docker, true), ["clone3", "setns", "fsopen"]);
    }

    #[test]
    fn nothing_is_filtered_where_sandboxes_are_made() {
        assert_eq!(look_at_this_process("", true).filtered, [""; 0]);
    }

    #[test]
    fn contexts_of_both_security_modules_are_read() {
        assert_eq!(apparmor("docker-default (enforce)\n").as_deref(), Some("docker-default (enforce)"));
        for none in [
            "unconfined\n",
            "kiln (complain)",
            "",
            "system_u:system_r:container_t:s0:c1,c2",
            "unconfined (enforce)",
        ] {
            assert_eq!(apparmor(none), None, "{none:?}");
        }
        assert_eq!(selinux("system_u:system_r:container_t:s0:c417,c817\0").as_deref(), Some("container_t"));
        assert_eq!(
            selinux("system_u:system_r:container_runtime_t:s0").as_deref(),
            Some("container_runtime_t")
        );
        for none in ["unconfined_u:unconfined_r:unconfined_t:s0", "docker-default (enforce)", ""] {
            assert_eq!(selinux(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_status_of_a_docker_container_is_read() {
        let status = "Name:\tsh\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let confinement = look_at_this_process(status, true);
        assert_eq!((confinement.filters, confinement.no_new_privileges), (Some(1), true));
        // Before 5.9 filters are not counted.
        assert_eq!(look_at_this_process("Seccomp:\t2\n", true).filters, Some(1));
        assert_eq!(look_at_this_process("Seccomp:\t0\nSeccomp_filters:\t0\n", true).filters, None);
        assert_eq!(look_at_this_process("", true).filters, None);
    }

    #[test]
    fn a_profile_of_an_engine_is_missing_and_an_operators_is_his_matter() {
        let of = |profile: &str| {
            Confinement { apparmor: Some(profile.to_owned()), ..Confinement::default() }.profile().status
        };
        assert_eq!(of("docker-default (enforce)"), Missing);
        assert_eq!(of("containers-default-0.57.4 (enforce)"), Missing);
        assert_eq!(of("kiln (enforce)"), Degraded);
    }
}
