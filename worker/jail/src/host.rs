//! What this host has of the things the sandbox is made of, as data: for `kiln doctor` and for a worker's readiness.
//!
//! Nothing is changed: what can be tried is tried in a thread with a mount namespace of its own, which disappears with
//! it. The jail itself still checks every layer each time; this module explains, it does not decide.

mod cgroups;
mod confinement;
mod container;
mod kernel;
mod memory;
mod processor;
mod room;
mod rootless;
mod settings;
mod trials;
mod user_namespaces;

pub use rootless::ordinary_user_can_be_root;
use serde::{Deserialize, Serialize};

pub use room::{Directory, directories};

/// One fact about this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which part of the sandbox needs it, e.g. `cgroups`, `landlock`.
    pub layer: String,
    /// What was looked at, e.g. `memory controller`.
    pub what: String,
    pub status: Status,
    /// What was seen.
    pub seen: String,
    pub why_it_matters: String,
    /// What to do about it; empty when nothing is to be done.
    pub fix: String,
}

/// Whether a fact is as the sandbox wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// Sandboxes are whole; measuring is less even, or something is not there that not everybody wants.
    Advice,
    /// Commands run, with less: a number not told, or a defence less behind others that hold.
    Degraded,
    /// A sandbox cannot be made here.
    Missing,
}

/// Looks at everything, in the order of the sandbox's layers. It answers on any host, however strange: what cannot be
/// read is told as such.
pub fn probe() -> Vec<Finding> {
    let status = read("/proc/thread-self/status").unwrap_or_default();
    let container = container::detect();
    let lacking = kernel::lacking_capabilities(&status);
    let confinement = confinement::look_at_this_process(&status, kernel::may_mount(&lacking));
    let mut findings = kernel::basics();
    findings.extend(rootless::ordinary_user());
    findings.extend(kernel::capabilities(&lacking, container.as_ref()));
    findings.extend(confinement.findings());
    findings.extend(trials::namespaces_and_mounts());
    findings.extend(user_namespaces::findings());
    let groups = cgroups::look_at_host();
    findings.extend(cgroups::controllers(groups.as_ref()));
    findings.extend(kernel::filters());
    let lacking = container::Lacking {
        capabilities: lacking.iter().map(|name| name.trim_start_matches("CAP_")).collect(),
        filtered: confinement.filtered,
        apparmor: confinement.apparmor,
        selinux: confinement.selinux,
        masked: trials::masked_where_it_matters(),
        groups: cgroups::hindrance(groups.as_ref()),
        run: !trials::run_is_writable(),
    };
    findings.extend(container::findings(container.as_ref(), &lacking));
    findings.extend(settings::findings());
    findings.extend(memory::findings());
    findings.extend(processor::findings());
    findings.extend(room::findings());
    findings
}

/// Whether the running kernel's version is this or later.
pub(crate) fn kernel_is_at_least(version: (u32, u32)) -> bool {
    kernel::running().is_some_and(|running| running >= version)
}

/// Starts a finding; [`Looked::is`] finishes it.
fn look(layer: &str, what: &str, why_it_matters: &str) -> Looked {
    Looked { layer: layer.to_owned(), what: what.to_owned(), why_it_matters: why_it_matters.to_owned() }
}

struct Looked {
    layer: String,
    what: String,
    why_it_matters: String,
}

impl Looked {
    /// `fix` is kept only where something is to be fixed.
    fn is(self, status: Status, seen: impl Into<String>, fix: &str) -> Finding {
        let fix = if status == Status::Ok { String::new() } else { fix.to_owned() };
        let Self { layer, what, why_it_matters } = self;
        Finding { layer, what, status, seen: seen.into(), why_it_matters, fix }
    }

    fn present_or(self, otherwise: Status, present: bool, fix: &str) -> Finding {
        match present {
            true => self.is(Status::Ok, "present", fix),
            false => self.is(otherwise, "absent", fix),
        }
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_explained_and_everything_wrong_has_a_fix() {
        let findings = probe();
        assert!(findings.len() > 25, "{}", findings.len());
        for finding in &findings {
            assert!(!finding.seen.is_empty() && !finding.why_it_matters.is_empty(), "{finding:?}");
            assert_eq!(finding.fix.is_empty(), finding.status == Status::Ok, "{finding:?}");
        }
    }

    /// The suite runs where sandboxes can be made: nothing may be reported missing.
    #[test]
    fn nothing_is_missing_where_sandboxes_are_made() {
        let missing: Vec<_> =
            probe().into_iter().filter(|finding| finding.status == Status::Missing).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn probing_leaves_nothing_behind() {
        let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let before = mounts();
        probe();
        assert_eq!(mounts(), before);
    }

    #[test]
    fn findings_are_json() {
        let finding = look("landlock", "Landlock ABI", "files").is(Status::Missing, "none", "lsm=landlock");
        let json = serde_json::to_string(&finding).unwrap();
        assert!(json.contains(r#""status":"missing""#), "{json}");
        assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding);
    }
}
