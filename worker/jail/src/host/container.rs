//! Whether this is the inside of a container, and which of the engine's options it then lacks.
//!
//! Never `--privileged`: that takes away what keeps the container apart from its host. What is asked for is the list in
//! deploy/README.md; a test compares both.

use std::path::Path;

use super::Status::{Missing, Ok as Fine};
use super::{Finding, look, read};

/// Inodes of the namespaces that the machine starts with (include/linux/proc_ns.h), in the order of [`Signs::namespaces`].
const INITIAL: [(&str, u64); 3] = [("pid", 0xefff_fffc), ("cgroup", 0xefff_fffb), ("user", 0xefff_fffd)];

/// What made the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Docker,
    Podman,
    Kubernetes,
    /// As it names itself (`lxc`, `systemd-nspawn`); nobody, where only namespaces tell.
    Other(Option<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) engine: Engine,
    evidence: Vec<String>,
}

/// Everything that tells a container, as found.
#[derive(Clone, Debug, Default)]
struct Signs {
    docker_file: bool,
    podman_file: bool,
    kubernetes_variable: bool,
    /// `container=` in the environment of pid 1 or of this process.
    variable: Option<String>,
    /// `/proc/1/cgroup`.
    groups_of_init: Option<String>,
    namespaces: [Option<u64>; 3],
}

/// What of the engine's defaults stands in the way here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lacking {
    /// Without `CAP_`.
    pub(super) capabilities: Vec<&'static str>,
    /// Calls that a filter answers.
    pub(super) filtered: Vec<&'static str>,
    pub(super) apparmor: Option<String>,
    pub(super) selinux: Option<String>,
    /// Parts of /proc that are covered, where that matters.
    pub(super) masked: Vec<String>,
    pub(super) groups: Option<&'static str>,
    pub(super) run: bool,
}

pub(super) fn detect() -> Option<Container> {
    let inode = |kind: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
        inode_of(&link.to_string_lossy())
    };
    verdict(&Signs {
        docker_file: Path::new("/.dockerenv").exists(),
        podman_file: Path::new("/run/.containerenv").exists(),
        kubernetes_variable: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        variable: std::env::var("container")
            .ok()
            .or_else(|| container_of(&std::fs::read("/proc/1/environ").ok()?)),
        groups_of_init: read("/proc/1/cgroup"),
        namespaces: INITIAL.map(|(kind, _)| inode(kind)),
    })
}

pub(super) fn findings(container: Option<&Container>, lacking: &Lacking) -> Vec<Finding> {
    let looked = look("container", "engine", "an engine's defaults keep a container from making sandboxes");
    let Some(container) = container else { return vec![looked.is(Fine, "this is no container", "")] };
    let told = format!("{}: {}", container.engine.name(), container.evidence.join(", "));
    vec![looked.is(Fine, told, ""), container.options(lacking)]
}

impl Container {
    /// One line to start it with, all at once.
    fn options(&self, lacking: &Lacking) -> Finding {
        let looked = look("container", "options", "exactly what sandboxes need; never --privileged");
        let lacks = lacking.named();
        if lacks.is_empty() {
            return looked.is(Fine, "all that is needed was given", "");
        }
        looked.is(Missing, format!("lacking: {}", lacks.join("; ")), &self.engine.options())
    }

    /// How a capability is given here.
    pub(super) fn capability_fix(&self, name: &str) -> String {
        let name = name.trim_start_matches("CAP_");
        match self.engine {
            Engine::Kubernetes => format!("securityContext.capabilities.add: [{name}]"),
            Engine::Podman => format!("podman run --cap-add {name}"),
            Engine::Docker | Engine::Other(_) => format!("docker run --cap-add {name}"),
        }
    }
}

impl Engine {
    fn name(&self) -> &str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Other(Some(name)) => name,
            Self::Other(None) => "unknown",
        }
    }

    /// See deploy/README.md, which says why each.
    fn options(&self) -> String {
        match self {
            Self::Docker => DOCKER.to_owned(),
            Self::Podman => PODMAN.to_owned(),
            Self::Kubernetes => KUBERNETES.to_owned(),
            Self::Other(_) => format!("where docker made it: {DOCKER}; where podman did: {PODMAN}"),
        }
    }
}

pub(super) const DOCKER: &str = "docker run --cap-add SYS_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined \
     --security-opt apparmor=unconfined --cgroupns private --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --tmpfs /run \
     --volume kiln:/var/lib/kiln";
/// As root. Podman's own set of capabilities lacks MKNOD, and SELinux is its AppArmor.
pub(super) const PODMAN: &str = "podman run --cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-add MKNOD --security-opt seccomp=unconfined \
     --security-opt apparmor=unconfined --security-opt label=disable --cgroupns private --volume /sys/fs/cgroup:/sys/fs/cgroup:rw \
     --tmpfs /run --volume kiln:/var/lib/kiln";
pub(super) const KUBERNETES: &str = "securityContext: capabilities.add: [SYS_ADMIN, SYS_PTRACE], seccompProfile.type: Unconfined, \
     appArmorProfile.type: Unconfined; a writable cgroup mount at /sys/fs/cgroup and emptyDir volumes at /run and /var/lib/kiln; \
     with hostUsers: false also procMount: Unmasked";

impl Lacking {
    fn named(&self) -> Vec<String> {
        let mut lacks: Vec<String> =
            self.capabilities.iter().map(|name| format!("capability {name}")).collect();
        if !self.filtered.is_empty() {
            lacks.push(format!("calls that a seccomp profile refuses ({})", self.filtered.join(", ")));
        }
        lacks.extend(self.apparmor.iter().map(|profile| format!("AppArmor profile {profile} off")));
        lacks.extend(self.selinux.iter().map(|domain| format!("SELinux domain {domain} off")));
        if !self.masked.is_empty() {
            lacks.push(format!("unmasked /proc ({})", self.masked.join(", ")));
        }
        lacks.extend(self.groups.iter().map(|groups| format!("/sys/fs/cgroup {groups}")));
        if self.run {
            lacks.push("a writable /run".to_owned());
        }
        lacks
    }
}

/// Files and variables tell who made a container, and stay behind in disk images made of one; namespaces tell whether
/// it is one.
fn verdict(signs: &Signs) -> Option<Container> {
    let own: Vec<&str> = INITIAL
        .iter()
        .zip(signs.namespaces)
        .filter(|((_, initial), inode)| inode.is_some_and(|inode| inode != *initial))
        .map(|((kind, _), _)| *kind)
        .collect();
    let untold = signs.namespaces.iter().any(Option::is_none);
    let groups = signs.groups_of_init.as_deref().and_then(engine_of_groups);
    let mut evidence = Vec::new();
    if !own.is_empty() {
        evidence.push(format!("{} namespace of its own", own.join(", ")));
    }
    let marks = [
        (signs.docker_file, "/.dockerenv"),
        (signs.podman_file, "/run/.containerenv"),
        (signs.kubernetes_variable, "KUBERNETES_SERVICE_HOST"),
        (signs.variable.is_some(), "container= of its first process"),
        (groups.is_some(), "/proc/1/cgroup"),
    ];
    evidence.extend(marks.iter().filter(|(seen, _)| *seen).map(|(_, mark)| (*mark).to_owned()));
    if own.is_empty() && (!untold || evidence.is_empty()) {
        return None;
    }
    let engine = match (signs, signs.variable.as_deref()) {
        (Signs { kubernetes_variable: true, .. }, _) => Engine::Kubernetes,
        (Signs { podman_file: true, .. }, _) | (_, Some("podman" | "oci")) => Engine::Podman,
        (_, Some(name)) if name != "docker" => Engine::Other(Some(name.to_owned())),
        (Signs { docker_file: true, .. }, _) | (_, Some(_)) => Engine::Docker,
        _ => groups.unwrap_or(Engine::Other(None)),
    };
    Some(Container { engine, evidence })
}

/// Without a cgroup namespace the group's path names the engine.
fn engine_of_groups(groups: &str) -> Option<Engine> {
    [
        ("kubepods", Engine::Kubernetes),
        ("libpod", Engine::Podman),
        ("docker", Engine::Docker),
        ("lxc", Engine::Other(Some("lxc".to_owned()))),
    ]
    .into_iter()
    .find(|(word, _)| {
        groups.lines().any(|line| {
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            path.split('/').any(|part| part.starts_with(word))
        })
    })
    .map(|(_, engine)| engine)
}

fn container_of(environ: &[u8]) -> Option<String> {
    let value = environ.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"container="))?;
    let plain: String = String::from_utf8_lossy(value)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    (!plain.is_empty()).then_some(plain)
}

/// `pid:[4026531836]`.
fn inode_of(link: &str) -> Option<u64> {
    link.split(['[', ']']).nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_THE_MACHINE: [Option<u64>; 3] = [Some(0xefff_fffc), Some(0xefff_fffb), Some(0xefff_fffd)];
    const OF_A_CONTAINER: [Option<u64>; 3] = [Some(4_026_532_651), Some(4_026_532_655), Some(0xefff_fffd)];

    fn engine(signs: Signs) -> Option<Engine> {
        verdict(&signs).map(|container| container.engine)
    }

    #[test]
    fn machines_are_no_containers_whatever_their_disk_was_made_of() {
        let machine = Signs {
            namespaces: OF_THE_MACHINE,
            groups_of_init: Some("0::/init.scope\n".to_owned()),
            ..Signs::default()
        };
        assert_eq!(engine(machine.clone()), None);
        assert_eq!(engine(Signs { docker_file: true, ..machine.clone() }), None);
        assert_eq!(engine(Signs { variable: Some("oci".to_owned()), ..machine }), None);
        assert_eq!(engine(Signs::default()), None, "a host that tells nothing");
    }

    #[test]
    fn engines_are_told_apart() {
        let inside = Signs { namespaces: OF_A_CONTAINER, ..Signs::default() };
        assert_eq!(engine(inside.clone()), Some(Engine::Other(None)));
        assert_eq!(engine(Signs { docker_file: true, ..inside.clone() }), Some(Engine::Docker));
        assert_eq!(
            engine(Signs { podman_file: true, docker_file: true, ..inside.clone() }),
            Some(Engine::Podman)
        );
        let kubernetes = Signs { kubernetes_variable: true, docker_file: true, ..inside.clone() };
        assert_eq!(engine(kubernetes), Some(Engine::Kubernetes));
        let nspawn = Signs { variable: Some("systemd-nspawn".to_owned()), ..inside.clone() };
        assert_eq!(engine(nspawn), Some(Engine::Other(Some("systemd-nspawn".to_owned()))));
        for (groups, expected) in [
            ("12:pids:/docker/8c1f\n0::/docker/8c1f\n", Engine::Docker),
            ("0::/system.slice/docker-8c1f.scope\n", Engine::Docker),
            ("11:memory:/kubepods/burstable/pod1/8c1f\n", Engine::Kubernetes),
            ("0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-8c1f.scope\n", Engine::Kubernetes),
            ("0::/machine.slice/libpod-8c1f.scope/container\n", Engine::Podman),
            ("9:cpuset:/lxc/box\n", Engine::Other(Some("lxc".to_owned()))),
            ("0::/\n", Engine::Other(None)),
            ("", Engine::Other(None)),
        ] {
            let signs = Signs { groups_of_init: Some(groups.to_owned()), ..inside.clone() };
            assert_eq!(engine(signs), Some(expected), "{groups:?}");
        }
    }

    #[test]
    fn files_and_variables_are_believed_where_namespaces_cannot_be_seen() {
        let blind = Signs { docker_file: true, ..Signs::default() };
        assert_eq!(engine(blind), Some(Engine::Docker));
    }

    #[test]
    fn variables_of_the_first_process_are_found_and_cleaned() {
        assert_eq!(container_of(b"PATH=/bin\0container=podman\0HOME=/\0").as_deref(), Some("podman"));
        assert_eq!(container_of(b"container=\x1b[31mlxc\0").as_deref(), Some("31mlxc"));
        assert_eq!(container_of(b"mycontainer=x\0container=\0"), None);
        assert_eq!(inode_of("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(inode_of("pid"), None);
    }

    #[test]
    fn what_is_lacking_is_named_with_one_line_that_gives_all() {
        let container = Container { engine: Engine::Docker, evidence: vec!["/.dockerenv".to_owned()] };
        let lacking = Lacking {
            capabilities: vec!["SYS_ADMIN", "SYS_PTRACE"],
            filtered: vec!["clone3", "fsopen"],
            apparmor: Some("docker-default (enforce)".to_owned()),
            groups: Some("read-only"),
            ..Lacking::default()
        };
        let [engine, options] = findings(Some(&container), &lacking).try_into().unwrap();
        assert_eq!(engine.seen, "docker: /.dockerenv");
        assert_eq!(
            options.seen,
            "lacking: capability SYS_ADMIN; capability SYS_PTRACE; calls that a seccomp profile refuses (clone3, fsopen); \
             AppArmor profile docker-default (enforce) off; /sys/fs/cgroup read-only"
        );
        assert_eq!((options.status, options.fix.as_str()), (Missing, DOCKER));
        assert!(findings(Some(&container), &Lacking::default()).iter().all(|finding| finding.status == Fine));
        assert_eq!(findings(None, &lacking).len(), 1);
        assert_eq!(container.capability_fix("CAP_SYS_ADMIN"), "docker run --cap-add SYS_ADMIN");
    }

    #[test]
    fn the_notes_give_the_same_options() {
        let notes =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/README.md")).unwrap();
        for options in [DOCKER, PODMAN] {
            for option in options.split(" --").skip(1) {
                assert!(notes.contains(&format!("--{option}")), "{option} is not in deploy/README.md");
            }
        }
        for word in ["seccompProfile", "appArmorProfile", "procMount", "SYS_PTRACE"] {
            assert!(notes.contains(word) && KUBERNETES.contains(word), "{word}");
        }
        assert!(![DOCKER, PODMAN, KUBERNETES].iter().any(|options| options.contains("privileged")));
    }
}
