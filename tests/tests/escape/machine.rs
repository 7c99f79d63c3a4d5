//! A14: a host that lacks a layer is not worked on: the worker says which, and does not become ready.

use std::process::Command;

use kiln_tests::binary;
use kiln_tests::service::Place;

/// Runs `kiln up` behind a wrapper that takes something away; it must fail by itself.
fn doomed(wrapper: &[&str]) -> String {
    let place = Place::new();
    let config = format!(
        "[server]\nlisten = [\"{}\"]\ndata_dir = \"{}\"\n[worker]\ndata_dir = \"{}\"\nprobe_languages = false\nslots = 1\n",
        place.address(),
        place.path("data").display(),
        place.path("data/worker").display()
    );
    let config = place.write("up.toml", config);
    let script = format!("exec timeout 60 {} up --config {}", binary::kiln().display(), config.display());
    let said = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .args(["sh", "-c", &script])
        .env("TMPDIR", place.path("tmp"))
        .output()
        .expect("the wrapper is part of util-linux");
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
