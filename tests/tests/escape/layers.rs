//! Row A14 for each layer of the sandbox: with that layer broken, a worker ends by itself, not ready, and says which
//! layer it is and what mends it.
//!
//! Broken twice where both can be: the kernel refuses, and the kernel says yes and does nothing. A tracer around the
//! service answers in the kernel's place; hierarchies of control groups are hidden in a mount namespace of the service's own.

use std::process::Command;

use kiln_tests::service::Place;
use kiln_tests::{binary, broken};

use crate::machine::doomed_in;

/// Starts the service on a kernel that breaks these rules, in a mount namespace of its own (nothing that a broken worker
/// does to its mounts can reach the host's).
#[track_caller]
fn broken_says(rules: &[&str], named: &str) {
    let place = Place::new();
    let tracer = broken::compile(&place.path("tmp"));
    let mut wrapper =
        vec!["unshare", "--mount", "--propagation", "private", tracer.to_str().expect("a plain path")];
    wrapper.extend(rules);
    wrapper.push("--");
    assert_named(&doomed_in(&place, &wrapper), named);
}

/// Starts the service in a mount namespace of its own after these steps of a root shell.
#[track_caller]
fn hidden_says(steps: &str, named: &str) {
    let script = format!("set -e\n{steps}\nexec \"$@\"");
    let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
    assert_named(&doomed_in(&Place::new(), &wrapper), named);
}

#[track_caller]
fn assert_named(said: &str, named: &str) {
    assert!(said.contains(named), "it names {named}: {said}");
    assert!(said.contains("fix: "), "it says what mends it: {said}");
}

/// What the tracer itself does to a service is nothing.
#[test]
fn a_kernel_of_which_nothing_is_broken_is_good_enough() {
    let place = Place::new();
    let said = Command::new(broken::compile(&place.path("tmp")))
        .args(["prctl,0==9999,return=-1", "clone3,*&0x80,return=-1", "--"])
        .arg(binary::kiln())
        .args(["run", "--quiet", "--", "echo", "whole"])
        .env("TMPDIR", place.path("tmp"))
        .output()
        .expect("it was just compiled");
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && text == "whole\n", "{text}{}", String::from_utf8_lossy(&said.stderr));
}

/// The flag of clone3(2) and unshare(2), refused and taken without effect.
#[track_caller]
fn namespace(flag: &str, named: &str) {
    let refused = [format!("clone3,*&{flag},return=-1"), format!("unshare,0&{flag},return=-1")];
    broken_says(&[&refused[0], &refused[1]], named);
    let ignored = [format!("clone3,*&{flag},strip={flag}"), format!("unshare,0&{flag},strip={flag}")];
    broken_says(&[&ignored[0], &ignored[1]], named);
}

#[test]
fn a14_user_namespaces() {
    namespace("0x10000000", "user namespace");
}

#[test]
fn a14_pid_namespaces() {
    namespace("0x20000000", "pid namespace");
}

#[test]
fn a14_mount_namespaces() {
    namespace("0x20000", "mount namespace");
}

#[test]
fn a14_network_namespaces() {
    namespace("0x40000000", "network namespace");
}

#[test]
fn a14_ipc_namespaces() {
    namespace("0x08000000", "ipc namespace");
}

#[test]
fn a14_uts_namespaces() {
    namespace("0x04000000", "uts namespace");
}

#[test]
fn a14_cgroup_namespaces() {
    namespace("0x02000000", "cgroup namespace");
}

/// v1: the hierarchy is not there. v2: the controller is not offered.
#[track_caller]
fn controller(name: &str) {
    let steps = format!(
        "point=$(awk '/ - cgroup / && $NF ~ /(^|,){name}(,|$)/ {{ print $5 }}' /proc/self/mountinfo | tail -n 1)\n\
         if [ -n \"$point\" ]; then umount \"$point\"\n\
         else point=$(awk '/ - cgroup2 / {{ print $5 }}' /proc/self/mountinfo | tail -n 1)\n\
         sed 's/{name}//' \"$point/cgroup.controllers\" > \"$TMPDIR/controllers\"\n\
         mount --bind \"$TMPDIR/controllers\" \"$point/cgroup.controllers\"; fi"
    );
    hidden_says(&steps, name);
}

#[test]
fn a14_the_memory_controller() {
    controller("memory");
}

#[test]
fn a14_the_pids_controller() {
    controller("pids");
}

#[test]
fn a14_the_cpu_controller() {
    controller("cpu");
}

/// A group of v2 counts without a controller; on v1 it is one.
#[test]
fn a14_the_cpuacct_controller() {
    if std::fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted").contains("cpuacct") {
        controller("cpuacct");
    } else {
        controller("cpu");
    }
}

/// Needed as soon as slots have CPUs of their own, as a single one has.
#[test]
fn a14_the_cpuset_controller() {
    controller("cpuset");
}

#[test]
fn a14_overlays() {
    broken_says(&["fsopen,0~overlay,return=-19"], "overlay");
}

#[test]
fn a14_id_mapped_mounts() {
    broken_says(&["mount_setattr,return=-22"], "id-mapped mounts");
    broken_says(&["mount_setattr,return=0"], "id-mapped mounts");
}

#[test]
fn a14_tmpfs() {
    broken_says(&["fsopen,0~tmpfs,return=-19"], "tmpfs");
}

#[test]
fn a14_a_proc_of_its_own() {
    broken_says(&["fsopen,0~proc,return=-1"], "/proc");
    broken_says(&["fsconfig,2~subset,return=0"], "/proc");
    broken_says(&["fsconfig,2~hidepid,return=0"], "/proc");
}

#[test]
fn a14_pivot_root() {
    broken_says(&["pivot_root,return=-1"], "root file system");
    broken_says(&["pivot_root,return=0"], "root file system");
    broken_says(&["umount2,return=0"], "root file system");
}

#[test]
fn a14_resource_limits() {
    broken_says(&["prlimit64,2!=0,return=-1"], "resource limits");
    broken_says(&["prlimit64,2!=0,return=0"], "resource limits");
}

#[test]
fn a14_capabilities() {
    broken_says(&["capset,return=-1"], "capabilities");
    broken_says(&["prctl,0==24,return=-1"], "capabilities");
    broken_says(&["prctl,0==24,return=0"], "capabilities");
}

#[test]
fn a14_ids_of_its_own() {
    broken_says(&["setresuid,return=0"], "user ids");
    broken_says(&["setresgid,return=0"], "user ids");
}

#[test]
fn a14_no_new_privs() {
    broken_says(&["prctl,0==38,return=-1"], "no_new_privs");
    broken_says(&["prctl,0==38,return=0"], "no_new_privs");
}

#[test]
fn a14_a_session_of_its_own() {
    broken_says(&["setsid,return=1"], "session");
}

/// Not there, switched off at boot, too old, and with rights that it claims and has not.
#[test]
fn a14_landlock() {
    broken_says(&["landlock_create_ruleset,return=-38"], "landlock");
    broken_says(&["landlock_create_ruleset,return=-95"], "landlock");
    broken_says(&["landlock_create_ruleset,2==1,return=1"], "landlock");
    broken_says(&["landlock_create_ruleset,2==0,return=-22"], "landlock");
    broken_says(&["landlock_restrict_self,return=-1"], "landlock");
    broken_says(&["landlock_restrict_self,return=0"], "landlock");
}

#[test]
fn a14_seccomp_filters() {
    broken_says(&["seccomp,0==1,return=-38"], "seccomp");
    broken_says(&["seccomp,0==1,return=0"], "seccomp");
}

/// Without the flag for a listener the kernel would take the filter.
#[test]
fn a14_user_notification() {
    broken_says(&["seccomp,0==1,1&8,return=-22", "seccomp,0==2,return=-95"], "user notification");
    broken_says(&["seccomp,0==1,1&8,return=-16"], "seccomp");
}

#[test]
fn a14_descriptors() {
    broken_says(&["close_range,return=-38"], "descriptors");
    broken_says(&["close_range,return=0"], "descriptors");
}

#[test]
fn a14_the_sealed_program() {
    broken_says(&["memfd_create,return=-38"], "memfd");
    broken_says(&["fcntl,1==1033,return=-1"], "seal");
    broken_says(&["fcntl,1==1033,return=0"], "seals");
}
