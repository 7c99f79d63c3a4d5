//! What an ordinary user needs to make sandboxes: ids of his own beside his uid, the programs that map them, a user namespace,
//! and a group. Nothing of it concerns root of the host, for whom there is one line.

use std::path::Path;

use super::Status::{Degraded, Missing, Ok as Fine};
use super::{Finding, look};
use crate::cgroup::delegated_group;
use crate::ids::SPARSE;
use crate::rootless::{Subordinate, can_make_user_namespace};
use crate::standing::{self, FOREIGN_FILES, Standing};

const ADD_IDS: &str = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER";

pub(super) fn ordinary_user() -> Vec<Finding> {
    let looked = look("privileges", "root", "what a sandbox is made with");
    match Standing::of_this_process() {
        Err(error) => vec![looked.is(Missing, error.to_string(), "mount /proc")],
        Ok(Standing::HostRoot) => vec![looked.is(Fine, "of the host", "")],
        Ok(Standing::NamespaceRoot { owner }) => {
            let seen = format!("of a user namespace of user {owner}; {FOREIGN_FILES}");
            let fix = "run kiln as root of the host where a job needs its image's owners";
            vec![looked.is(Degraded, seen, fix), ids_here(), delegation()]
        }
        Ok(Standing::User { uid }) => {
            let seen =
                format!("not yet: user {uid}, who can be root of a user namespace if all of this is there");
            let mut findings =
                vec![looked.is(Degraded, seen, "run kiln as root, or mend what is missing here")];
            findings.push(subordinate_ids(uid));
            findings.extend(["newuidmap", "newgidmap"].map(mapping_program));
            findings.push(user_namespaces());
            findings
        }
    }
}

fn ids_here() -> Finding {
    let looked =
        look("privileges", "subordinate ids", "each sandbox has ids that no other and no person has");
    match standing::own_ids() {
        Ok(ids) if ids.len() >= SPARSE as usize => looked.is(Fine, ids.len().to_string(), ""),
        Ok(ids) => looked.is(Missing, ids.len().to_string(), ADD_IDS),
        Err(error) => looked.is(Missing, error.to_string(), ADD_IDS),
    }
}

fn subordinate_ids(uid: u32) -> Finding {
    let looked =
        look("privileges", "subordinate ids", "a command has other ids than its init and its worker");
    match Subordinate::of_user(uid) {
        Ok(ids) => looked.is(Fine, format!("{} uids, {} gids", ids.uids().1, ids.gids().1), ""),
        Err(error) => looked.is(Missing, error.to_string(), ADD_IDS),
    }
}

fn mapping_program(name: &'static str) -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|place| place.join(name)).find(|file| is_program(file));
    let looked = look("privileges", name, "maps subordinate ids, which only root may do itself");
    match found {
        Some(file) => looked.is(Fine, file.display().to_string(), ""),
        None => looked.is(
            Missing,
            "not in PATH",
            "apt install uidmap (Debian, Ubuntu); dnf install shadow-utils (Fedora)",
        ),
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn user_namespaces() -> Finding {
    let looked =
        look("privileges", "unprivileged user namespaces", "there an ordinary user is root, of his own ids");
    match can_make_user_namespace() {
        Ok(()) => looked.is(Fine, "made one", ""),
        Err(error) => looked.is(Missing, "not to be had", &error.to_string()),
    }
}

/// Only looked at: finding the group for good would move processes.
fn delegation() -> Finding {
    let looked =
        look("cgroups", "delegation", "each command gets a group of its own, below one that is the user's");
    let fix = "systemd-run --user --scope -p Delegate=yes kiln ..., or Delegate=yes in a user's unit; for all controllers \
               Delegate=cpu cpuset io memory pids in /etc/systemd/system/user@.service.d/delegate.conf";
    match delegated_group() {
        Some(group) if group.missing.is_empty() => looked.is(Fine, group.path, ""),
        Some(group) => looked.is(Missing, format!("{} has not: {}", group.path, group.missing), fix),
        None => looked.is(Missing, "no group of cgroup v2 above this process is ours", fix),
    }
}

/// Whether this is an ordinary user who can become root of a user namespace, as far as a look tells.
pub fn ordinary_user_can_be_root() -> bool {
    matches!(Standing::of_this_process(), Ok(Standing::User { .. }))
        && ordinary_user().iter().all(|finding| finding.status != Missing)
}
