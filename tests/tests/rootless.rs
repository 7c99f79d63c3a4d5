//! Kiln started by an ordinary user: it becomes root of a user namespace, or says exactly what is in the way and what mends it.
//!
//! Sandboxes as an ordinary user take a delegated group of cgroup v2: those run in the virtual machine (`tests/vm/run --rootless`).

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use kiln_tests::binary;
use kiln_tests::service::Place;

/// Somebody that every host has, and who has nothing.
const NOBODY: &str = "65534";
const IDS: &str = "nobody:200000:65536\n";

/// What a host lacks for it.
#[derive(Clone, Copy)]
struct Host {
    subordinate_ids: &'static str,
    path: &'static str,
    setpriv: &'static [&'static str],
}

const HOST: Host = Host { subordinate_ids: IDS, path: "/usr/bin:/bin:/usr/sbin:/sbin", setpriv: &[] };

/// Exit status, and both outputs, of `kiln` run by nobody. /etc is a copy, in a mount namespace of this call's own.
fn as_nobody(host: Host, arguments: &[&str]) -> (Option<i32>, String) {
    let place = Place::new();
    let kiln = place.path("kiln");
    std::fs::copy(binary::kiln(), &kiln).expect("copy kiln to where nobody can read it");
    for path in [place.path(""), kiln.clone()] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("chmod");
    }
    let ids = place.write("ids", host.subordinate_ids);
    let script = "cp -a /etc \"$1/etc\" && cp \"$2\" \"$1/etc/subuid\" && cp \"$2\" \"$1/etc/subgid\" && \
                  mount --bind \"$1/etc\" /etc && shift 2 && exec \"$@\"";
    let said = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([place.path("").as_os_str(), ids.as_os_str()])
        .args(["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .args(host.setpriv)
        .args(["env", "-i", &format!("PATH={}", host.path), "HOME=/nonexistent"])
        .arg(&kiln)
        .args(arguments)
        .output()
        .expect("unshare, setpriv and env are part of every Debian");
    let text = [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (said.status.code(), text)
}

#[track_caller]
fn assert_refused(host: Host, words: &[&str]) {
    let (status, said) = as_nobody(host, &["run", "--quiet", "--", "true"]);
    assert_eq!(status, Some(125), "Kiln failed, not the program: {said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn without_subordinate_ids_it_is_refused_with_the_command_that_gives_some() {
    let host = Host { subordinate_ids: "", ..HOST };
    assert_refused(host, &["/etc/subuid gives nobody no subordinate ids", "usermod --add-subuids"]);
    let host = Host { subordinate_ids: "nobody:200000:3\n", ..HOST };
    assert_refused(host, &["gives nobody 3 subordinate ids", "a sandbox takes 4"]);
}

#[test]
fn without_the_programs_that_map_ids_it_is_refused_with_the_package_that_has_them() {
    assert_refused(Host { path: "/nonexistent", ..HOST }, &["newuidmap", "apt install uidmap"]);
}

#[test]
fn without_new_privileges_it_says_that_newuidmap_cannot_have_any() {
    assert_refused(Host { setpriv: &["--no-new-privs"], ..HOST }, &["newuidmap refused", "no_new_privs"]);
}

/// Everything is there but a group: v1 cannot be delegated, and on v2 nobody has delegated one to nobody.
#[test]
fn without_a_delegated_group_it_says_which_and_how_to_get_one() {
    let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let words: &[&str] = if controllers.contains("memory") {
        &["cgroup_detect", "systemd-run --user --scope -p Delegate=yes"]
    } else {
        &["cgroup_detect", "on v1 here, which cannot be delegated", "systemd.unified_cgroup_hierarchy=1"]
    };
    assert_refused(HOST, words);
}

#[test]
fn doctor_looks_from_within_or_says_why_it_cannot() {
    let (_, said) = as_nobody(HOST, &["doctor", "--json", "--no-languages"]);
    assert!(said.contains("of a user namespace of user 65534"), "{said}");
    let (status, said) =
        as_nobody(Host { subordinate_ids: "", ..HOST }, &["doctor", "--json", "--no-languages"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("subordinate ids") && said.contains("usermod --add-subuids"), "{said}");
}

#[test]
fn sockets_and_data_of_an_ordinary_user_are_his_own() {
    let (status, said) = as_nobody(HOST, &["config", "print"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("/kiln.sock\"") && !said.contains("/run/kiln/kiln.sock"), "{said}");
    assert!(said.contains("data_dir = \"/nonexistent/.local/share/kiln\""), "{said}");
}
