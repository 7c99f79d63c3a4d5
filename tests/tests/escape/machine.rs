//! A14: a host that lacks a layer, or on which a layer does not hold, is not worked on: the worker says which, and does not become ready.

use std::process::Command;

use kiln_tests::api::Api;
use kiln_tests::binary;
use kiln_tests::service::{Options, Place, Service, Up};
use kiln_tests::spec::sh;
use kiln_tests::verdict::assert_wrote;

/// Runs `kiln up` behind a wrapper that takes something away; it must fail by itself.
fn doomed(wrapper: &[&str]) -> String {
    doomed_in(&Place::new(), wrapper)
}

/// The same with what the wrapper needs in a place that exists already.
pub(crate) fn doomed_in(place: &Place, wrapper: &[&str]) -> String {
    let config = format!(
        "[server]\nlisten = [\"{}\"]\ndata_dir = \"{}\"\n[worker]\ndata_dir = \"{}\"\nprobe_languages = false\nslots = 1\n",
        place.address(),
        place.path("data").display(),
        place.path("data/worker").display()
    );
    let config = place.write("up.toml", config);
    let script = format!("exec {} up --config {}", binary::kiln().display(), config.display());
    let said = Command::new("timeout")
        .arg("90")
        .args(wrapper)
        .args(["sh", "-c", &script])
        .env("TMPDIR", place.path("tmp"))
        .output()
        .expect("timeout is part of coreutils");
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(
        !said.status.success() && said.status.code() != Some(124),
        "it must end by itself with an error: {text}"
    );
    assert!(!text.contains("kiln up ready"), "{text}");
    text
}

#[test]
fn a14_without_cgroups_the_worker_does_not_become_ready() {
    // A mount namespace of its own, in which a tmpfs hides every hierarchy.
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
    let said = doomed(&["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    assert!(said.to_lowercase().contains("cgroup"), "it names the layer: {said}");
}

#[test]
fn a14_without_the_privilege_to_make_namespaces_the_worker_does_not_become_ready() {
    let said = doomed(&["setpriv", "--bounding-set", "-sys_admin"]);
    assert!(said.contains("namespace") || said.contains("mount") || said.contains("CAP_SYS_ADMIN"), "{said}");
}

/// A jail whose kernel says that Landlock is there, and does nothing.
fn lying() -> Options {
    Options::slots(1)
        .config(&format!("[worker]\njail_program = \"{}\"", env!("CARGO_BIN_EXE_kiln-lying-jail")))
}

#[test]
fn a14_a_worker_whose_sandbox_lets_an_attack_through_does_not_become_ready() {
    let (status, log) = Service::doomed("up", &Place::new(), &[], &lying());
    assert!(!status.success(), "{log:?}");
    let log = log.join("\n");
    for said in ["A10-unwritable-devices", "writes devices that are for reading", "ESCAPED", "kiln doctor"] {
        assert!(log.contains(said), "{said}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_an_attack_that_only_a_layer_given_up_holds_is_not_made_and_that_is_said() {
    let up = Up::start(&lying().config("[worker]\nallow_missing = [\"landlock\"]"));
    let log = up.service.log().join("\n");
    let told =
        log.lines().filter(|line| line.contains("an attack is not tried") && line.contains("landlock"));
    assert!(told.count() > 0 && log.contains("A10-unwritable-devices"), "{log}");
    let api = Api::connect(&up.address()).await;
    assert_wrote(&api.run_one(sh("echo works").job()).await, "works\n");
}
