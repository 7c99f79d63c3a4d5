//! The layers of the sandbox: which step of making it belongs to which, with what mends it; and those that an operator
//! may allow to be missing, by name. Everything else is always required.

use crate::base::IdMapping;
use crate::report::Failure;
use crate::wire::FilterUse;

/// Names accepted in [`crate::wire::Setup::allow_missing`].
pub const NAMES: [&str; 3] = ["landlock", "seccomp", "idmap"];

/// What may be missing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) landlock: bool,
    pub(crate) seccomp: bool,
    idmap: bool,
    pub(crate) filters: FilterUse,
}

impl Missing {
    pub(crate) fn of(names: &[String], filters: FilterUse) -> Result<Self, Failure> {
        let mut missing = Self { filters, ..Self::default() };
        for name in names {
            match name.as_str() {
                "landlock" => missing.landlock = true,
                "seccomp" => missing.seccomp = true,
                "idmap" => missing.idmap = true,
                _ => {
                    let detail =
                        format!("{name} is no layer that may be missing; those are {}", NAMES.join(", "));
                    return Err(Failure::new("allow_missing", 0, detail));
                }
            }
        }
        Ok(missing)
    }

    /// Whether no command runs without its filter.
    pub(crate) fn holds_calls(self) -> bool {
        !self.seccomp && self.filters == FilterUse::Required
    }

    pub(crate) fn id_mapping(self) -> IdMapping {
        if self.idmap { IdMapping::WherePossible } else { IdMapping::Required }
    }
}

/// What people call a part of the sandbox, and what to do where it cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub name: &'static str,
    pub fix: &'static str,
}

const AS_ROOT: &str = "run the worker as root with the capabilities of deploy/kiln-worker.service, and no filter around it (containers: \
                       seccomp=unconfined)";
const PLAIN_KERNEL: &str = "nothing around the worker may answer in the kernel's place: no seccomp filter (containers: seccomp=unconfined), \
                            no ptrace, and a kernel of a distribution";

const fn layer(name: &'static str, fix: &'static str) -> Layer {
    Layer { name, fix }
}

/// The layer that a [`Failure`]'s step belongs to; `None` for steps that are no layer's.
pub fn layer_of(step: &str) -> Option<Layer> {
    Some(match step {
        "id_map" => {
            layer("user namespace", "sysctl -w user.max_user_namespaces=15000; or run the worker as root")
        }
        "clone_init" | "namespaces" | "enter_namespaces" | "enter_pid_namespace" | "limit_namespaces" => {
            layer("namespaces", AS_ROOT)
        }
        "base_unshare" | "base_private" | "enter_host_mounts" | "base_namespace" => {
            layer("mount namespace", AS_ROOT)
        }
        "own_network" | "kept_network" | "enter_network" | "leave_network" => {
            layer("network namespace", AS_ROOT)
        }
        "hostname" => layer("uts namespace", AS_ROOT),
        "cgroup_namespace" => layer("cgroup namespace", AS_ROOT),
        "cgroup_detect" | "cgroup_create" | "cgroup_limit" | "cgroup_read" | "cgroup_kill"
        | "join_cgroup" | "clone_command" => layer(
            "control groups",
            "mount them writable with cpu, memory, pids (and cpuset where CPUs are fixed); systemd: Delegate=yes; containers: \
             --cgroupns private --volume /sys/fs/cgroup:/sys/fs/cgroup:rw",
        ),
        "mount_overlay" | "overlay_layers" | "show_files" => {
            layer("overlay file system", "modprobe overlay; not with a data directory on overlayfs itself")
        }
        "image_idmap" => layer(
            "id-mapped mounts",
            "an image directory on ext4, xfs or btrfs and Linux 5.19 or later, or allow the layer `idmap` to be missing",
        ),
        "tmpfs" | "base_tmpfs" | "writable_places" => layer("tmpfs", AS_ROOT),
        "mount_proc" | "attach_proc" | "base_proc" => layer(
            "/proc",
            "unmask the container's own (systempaths=unconfined), or run the worker as root of the host",
        ),
        "pivot_root" | "base_pivot" | "rootfs" | "attach_root" | "attach_part" | "base_attach"
        | "image_part" | "dev" => layer("root file system", AS_ROOT),
        "rlimits" => layer("resource limits", PLAIN_KERNEL),
        "capabilities" | "bounding_set" => layer("capabilities", AS_ROOT),
        "set_ids" | "init_root" | "sandbox_root" => layer("user ids", AS_ROOT),
        "no_new_privs" => layer("no_new_privs", PLAIN_KERNEL),
        "setsid" => layer("session", PLAIN_KERNEL),
        "landlock" => layer(
            "landlock",
            "Linux 5.19 or later with landlock in lsm=, and no filter around the worker; or allow the layer `landlock` to be missing",
        ),
        "seccomp" | "seccomp_listener" | "seccomp_receive" => layer(
            "seccomp",
            "a kernel with CONFIG_SECCOMP_FILTER, and nobody else listening to the worker's calls; or allow the layer `seccomp` to be missing",
        ),
        "close_range" | "init_shed" | "stdio" => layer("descriptors", PLAIN_KERNEL),
        "inspect" => layer("inspection", "a whole /proc for the worker"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_fix() {
        for step in
            ["id_map", "landlock", "seccomp", "rlimits", "no_new_privs", "mount_overlay", "join_cgroup"]
        {
            let layer = layer_of(step).unwrap();
            assert!(!layer.name.is_empty() && layer.fix.len() > 20, "{layer:?}");
        }
        assert_eq!(layer_of("protocol"), None);
    }

    #[test]
    fn only_named_layers_may_be_missing() {
        assert!(Missing::of(&["landlock".to_owned()], FilterUse::Required).unwrap().landlock);
        assert_eq!(
            Missing::of(&["cgroups".to_owned()], FilterUse::Required).unwrap_err().step,
            "allow_missing"
        );
    }
}
