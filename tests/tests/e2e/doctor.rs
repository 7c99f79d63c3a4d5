//! `kiln doctor` on strange hosts: in what looks like a container, and where next to nothing can be read.

use std::process::Command;

use kiln_tests::binary;
use kiln_tests::cli::{Said, kiln};
use kiln_tests::service::Place;
use serde_json::Value;

/// A root shell's steps in mount, pid and cgroup namespaces of its own, then `kiln doctor --json` behind them.
fn doctor_inside(steps: &str, wrapper: &str) -> Said {
    let place = Place::new();
    let script = format!("set -e\nmount -t proc proc /proc\n{steps}\nexec {wrapper} \"$@\"");
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--cgroup", "--fork", "--kill-child", "--propagation", "private"])
        .args(["sh", "-c", &script, "sh"])
        .arg(binary::kiln())
        .args(["doctor", "--json", "--no-languages"])
        .env("TMPDIR", place.path("tmp"))
        .env_remove("KILN_CONFIG")
        .output()
        .expect("unshare is part of util-linux");
    Said::of(vec![script], output)
}

fn finding<'a>(value: &'a Value, layer: &str, what: &str) -> &'a Value {
    value["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|finding| finding["layer"] == layer && finding["what"] == what)
        .unwrap_or_else(|| panic!("no finding {layer} {what}: {value:#}"))
}

#[track_caller]
fn assert_is(value: &Value, layer: &str, what: &str, status: &str, seen: &str) {
    let finding = finding(value, layer, what);
    assert_eq!(finding["status"], status, "{finding:#}");
    let text = finding["seen"].as_str().expect("text");
    assert!(text.contains(seen), "{seen} in {finding:#}");
}

/// As Docker starts it by default, as far as namespaces can play that: masked /proc, groups read-only, two capabilities
/// short.
#[test]
fn in_a_container_with_an_engines_defaults_doctor_says_what_to_give() {
    let said = doctor_inside(
        "mount --bind /proc/sys /proc/sys\nmount -o remount,bind,ro /proc/sys\n\
         for point in $(awk '$5 ~ \"^/sys/fs/cgroup/\" { print $5 }' /proc/self/mountinfo); do mount -o remount,bind,ro \"$point\"; done\n\
         mount -o remount,bind,ro /sys/fs/cgroup\n\
         mount -t tmpfs -o ro tmpfs /run\n\
         test -e /.dockerenv || export container=docker",
        "setpriv --no-new-privs --bounding-set -sys_admin,-sys_ptrace",
    )
    .exits(1);
    let value = said.json();
    assert_eq!(value["ready"], false);
    assert_is(&value, "container", "engine", "ok", "pid, cgroup namespace of its own");
    let lacking =
        "lacking: capability SYS_ADMIN; capability SYS_PTRACE; /sys/fs/cgroup read-only; a writable /run";
    assert_is(&value, "container", "options", "missing", lacking);
    let fix = finding(&value, "container", "options")["fix"].as_str().expect("text");
    for option in [
        "docker run ",
        "--cap-add SYS_ADMIN",
        "--cap-add SYS_PTRACE",
        "--security-opt seccomp=unconfined",
        "--security-opt apparmor=unconfined",
        "--volume /sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--cgroupns private",
        "--tmpfs /run",
    ] {
        assert!(fix.contains(option), "{option} in {fix}");
    }
    assert!(!fix.contains("privileged"), "{fix}");
    assert_is(&value, "privileges", "CAP_SYS_PTRACE", "missing", "absent");
    let fix = &finding(&value, "privileges", "CAP_SYS_PTRACE")["fix"];
    assert_eq!(fix, "docker run --cap-add SYS_PTRACE");
    assert_is(&value, "privileges", "no_new_privs", "ok", "root is not concerned");
    assert_is(&value, "namespaces", "mount namespace", "missing", "not permitted");
    assert_is(&value, "rootfs", "/proc fully visible", "ok", "/proc/sys covered; host root is not concerned");
    assert_is(&value, "cgroups", "groups can be made", "missing", "read-only");
    assert_is(&value, "sandbox", "a trial command", "missing", "");
}

/// Where the engine maps root away, a masked /proc matters, and the uids are too few.
#[test]
fn with_root_mapped_away_doctor_says_that_proc_must_be_unmasked_and_which_uids_are_lacking() {
    let said = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--cgroup",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "sh",
            "-c",
        ])
        .arg("set -e; mount -t proc proc /proc; mount --bind /proc/sys /proc/sys; exec \"$@\"")
        .arg("sh")
        .arg(binary::kiln())
        .args(["doctor", "--json", "--no-languages"])
        .output()
        .expect("unshare is part of util-linux");
    let value = Said::of(vec!["unshare --user".to_owned()], said).exits(1).json();
    assert_is(&value, "container", "engine", "ok", "user namespace of its own");
    assert_is(&value, "container", "options", "missing", "unmasked /proc (/proc/sys)");
    assert_is(&value, "rootfs", "/proc fully visible", "missing", "/proc/sys covered");
    let fix = finding(&value, "rootfs", "/proc fully visible")["fix"].as_str().expect("text");
    assert!(fix.contains("systempaths=unconfined") && fix.contains("unmask=ALL"), "{fix}");
    assert_is(&value, "namespaces", "uids to map", "missing", "only 0 to 0");
}

#[test]
fn with_everything_given_a_container_is_as_good_as_its_host() {
    let value = doctor_inside("", "").exits(0).json();
    assert_is(&value, "container", "options", "ok", "all that is needed was given");
    assert_is(&value, "sandbox", "a trial command", "ok", "it ran");
}

#[test]
fn on_a_host_that_tells_next_to_nothing_doctor_still_answers() {
    let hide = "mount -t tmpfs none /sys\nmount -t tmpfs none /proc/sys\nmount -t tmpfs none /proc/fs\n\
                for file in meminfo swaps cpuinfo 1/cgroup 1/environ; do mount --bind /dev/null /proc/$file; done";
    let said = doctor_inside(hide, "").exits(1);
    let value = said.json();
    if finding(&value, "cgroups", "version")["status"] == "missing" {
        // v2 alone was mounted in /sys and nowhere else.
        assert_is(&value, "cgroups", "version", "missing", "no cgroup file system");
    } else {
        assert_is(&value, "cgroups", "memory controller", "missing", "absent");
        assert_is(&value, "cgroups", "groups can be made", "missing", "nothing that could be written");
    }
    assert_is(&value, "memory", "available memory", "degraded", "unknown");
    assert_is(&value, "processor", "SMT", "ok", "does not tell");
    for finding in value["findings"].as_array().expect("a list") {
        let ok = finding["status"] == "ok";
        assert_eq!(finding["fix"] == "", ok, "what is not well has a fix: {finding:#}");
        assert!(finding["why_it_matters"] != "" && finding["seen"] != "", "{finding:#}");
    }
}

#[test]
fn every_theme_is_looked_at() {
    let value = kiln(["doctor", "--json"]).said().exits(0).json();
    for (layer, what) in [
        ("kernel", "version"),
        ("privileges", "CAP_SYS_ADMIN"),
        ("privileges", "calls that make sandboxes"),
        ("privileges", "AppArmor profile"),
        ("namespaces", "user namespace"),
        ("namespaces", "limits on their number"),
        ("namespaces", "restrictions of distributions"),
        ("cgroups", "version"),
        ("cgroups", "memory controller"),
        ("cgroups", "groups can be made"),
        ("cgroups", "swap"),
        ("landlock", "Landlock ABI"),
        ("seccomp", "filters"),
        ("seccomp", "user notification"),
        ("rootfs", "overlay file system"),
        ("rootfs", "id-mapped mounts"),
        ("rootfs", "device nodes"),
        ("container", "engine"),
        ("settings", "kernel.core_pattern"),
        ("settings", "kernel.randomize_va_space"),
        ("settings", "kernel.yama.ptrace_scope"),
        ("memory", "transparent huge pages"),
        ("processor", "SMT"),
        ("processor", "frequency governor"),
        ("processor", "turbo"),
        ("processor", "time source"),
        ("room", "open files"),
        ("room", "pids"),
        ("room", "images and blobs"),
        ("room", "locks and sockets"),
        ("sandbox", "a trial command"),
        ("toolchains", "python"),
    ] {
        finding(&value, layer, what);
    }
}
