//! What bounds namespaces here: the kernel's numbers, the uids there are to map, and what distributions forbid.

use super::Status::{Advice, Degraded, Missing, Ok as Fine};
use super::{Finding, Status, look, read};
use crate::uid_range::{FIRST_UID, RANGES, UIDS_PER_RANGE};

/// Kinds of which each sandbox takes one, as `/proc/sys/user/max_*_namespaces` names them.
const KINDS: [&str; 7] = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"];
/// Fewer than this and a busy worker reaches them; the kernel's own default is thousands.
const FEW: u64 = 64;

pub(super) fn findings() -> Vec<Finding> {
    let limits = KINDS.map(|kind| (kind, read(&format!("/proc/sys/user/max_{kind}_namespaces"))));
    let setting = |path: &str| read(path).filter(|value| !value.is_empty());
    vec![
        namespace_limits(&limits),
        mapped_uids(read("/proc/self/uid_map").as_deref()),
        restrictions(
            rustix::process::geteuid().is_root(),
            setting("/proc/sys/kernel/unprivileged_userns_clone").as_deref(),
            setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref(),
        ),
    ]
}

fn namespace_limits(limits: &[(&str, Option<String>)]) -> Finding {
    let looked = look("namespaces", "limits on their number", "each sandbox takes one of each kind");
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
    let few: Vec<_> = limits
        .iter()
        .filter_map(|(kind, text)| Some((kind, number(text)?)))
        .filter(|(_, number)| *number < FEW)
        .collect();
    if few.is_empty() {
        let fewest = limits.iter().filter_map(|(_, text)| number(text)).min();
        return looked.is(
            Fine,
            fewest.map_or("none told".to_owned(), |fewest| format!("{fewest} or more of each kind")),
            "",
        );
    }
    let none = few.iter().any(|(_, number)| *number == 0);
    let seen: Vec<_> = few.iter().map(|(kind, number)| format!("{kind} {number}")).collect();
    let fix: Vec<_> = few.iter().map(|(kind, _)| format!("user.max_{kind}_namespaces=15000")).collect();
    looked.is(
        if none { Missing } else { Degraded },
        seen.join(", "),
        &format!(
            "sysctl -w {} (RHEL and hardened hosts set 0; inside a container they are its host's to set)",
            fix.join(" ")
        ),
    )
}

/// A user namespace of a container may map fewer ids than slots take theirs from.
fn mapped_uids(uid_map: Option<&str>) -> Finding {
    let looked =
        look("namespaces", "uids to map", "each slot has 65,536 uids that nobody else on this host has");
    let (first, last) = (u64::from(FIRST_UID), u64::from(FIRST_UID + RANGES * UIDS_PER_RANGE - 1));
    match uid_map {
        None => looked.is(Fine, "this host does not tell", ""),
        Some(map) if covers(map, first, last) => looked.is(Fine, format!("{first} to {last}"), ""),
        // Root of a user namespace of its own: there a slot takes four (see `uid_range`).
        Some(map) if !is_initial(map) && lines(map).map(|(from, to)| to - from + 1).sum::<u64>() > 4 => {
            looked.is(Fine, format!("only {}; four for each slot", ranges(map)), "")
        }
        Some(map) => looked.is(
            Missing,
            format!("only {}", ranges(map)),
            "docker: --userns=host; podman: run it as root, without --userns; a user namespace of one's own cannot map ids it has not",
        ),
    }
}

/// What Debian's and Ubuntu's kernels forbid to who is not root. A worker with CAP_SYS_ADMIN is not concerned.
fn restrictions(root: bool, userns_clone: Option<&str>, apparmor: Option<&str>) -> Finding {
    let looked = look(
        "namespaces",
        "restrictions of distributions",
        "whether somebody without privileges can make user namespaces, which rootless sandboxes begin with",
    );
    let (seen, fix) = match (userns_clone, apparmor) {
        (Some("0"), _) => {
            ("kernel.unprivileged_userns_clone=0", "sysctl -w kernel.unprivileged_userns_clone=1")
        }
        (_, Some("1")) => (
            "kernel.apparmor_restrict_unprivileged_userns=1",
            "an AppArmor profile with `userns,` for kiln, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        _ => return looked.is(Fine, "none", ""),
    };
    let status = if root { Status::Ok } else { Advice };
    let seen = if root { format!("{seen}; root is not concerned") } else { seen.to_owned() };
    looked.is(status, seen, fix)
}

/// Lines of `first inside, first outside, count` (user_namespaces(7)).
fn lines(uid_map: &str) -> impl Iterator<Item = (u64, u64)> + '_ {
    uid_map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().ok());
        let (first, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some((first, first.checked_add(count)?.checked_sub(1)?))
    })
}

fn covers(uid_map: &str, first: u64, last: u64) -> bool {
    lines(uid_map).any(|(from, to)| from <= first && last <= to)
}

fn ranges(uid_map: &str) -> String {
    let all: Vec<_> = lines(uid_map).map(|(from, to)| format!("{from} to {to}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// Whether this is the machine's own user namespace: the one that maps every id to itself.
pub(super) fn is_initial(uid_map: &str) -> bool {
    let words: Vec<_> = uid_map.split_whitespace().collect();
    words == ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_namespaces_are_told_by_their_kind() {
        let all = |number: &str| KINDS.map(|kind| (kind, Some(number.to_owned())));
        assert_eq!(namespace_limits(&all("96365")).status, Fine);
        let mut limits = all("96365");
        limits[0].1 = Some("0".to_owned());
        let finding = namespace_limits(&limits);
        assert_eq!((finding.status, finding.seen.as_str()), (Missing, "user 0"));
        assert!(finding.fix.starts_with("sysctl -w user.max_user_namespaces="), "{finding:?}");
        limits[0].1 = Some("10".to_owned());
        assert_eq!(namespace_limits(&limits).status, Degraded);
        assert_eq!(
            namespace_limits(&KINDS.map(|kind| (kind, None))).status,
            Fine,
            "nothing told, nothing claimed"
        );
    }

    #[test]
    fn the_uids_of_a_containers_own_namespace_may_not_do() {
        assert_eq!(mapped_uids(Some("         0          0 4294967295\n")).status, Fine);
        let remapped = mapped_uids(Some("         0     100000      65536\n"));
        assert_eq!((remapped.status, remapped.seen.as_str()), (Fine, "only 0 to 65535; four for each slot"));
        assert_eq!(mapped_uids(Some("0 1000 1\n")).status, Missing);
        let rootless =
            mapped_uids(Some("         0       1000          1\n         1     100000      65536\n"));
        assert_eq!(rootless.seen, "only 0 to 0, 1 to 65536; four for each slot");
        assert_eq!(mapped_uids(Some("nonsense\n1 2\n0 0 0\n")).seen, "only none");
        assert_eq!(mapped_uids(None).status, Fine);
        assert!(is_initial("         0          0 4294967295\n") && !is_initial("0 100000 65536"));
    }

    #[test]
    fn restrictions_concern_who_is_not_root() {
        assert_eq!(restrictions(true, None, Some("1")).status, Fine);
        assert_eq!(restrictions(false, None, Some("1")).status, Advice);
        assert_eq!(restrictions(false, Some("0"), None).status, Advice);
        assert_eq!(restrictions(false, Some("1"), Some("0")).seen, "none");
        assert_eq!(restrictions(false, None, None).status, Fine);
    }
}
