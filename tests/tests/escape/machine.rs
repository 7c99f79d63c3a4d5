//! A14: a host that lacks a layer is not worked on: the worker says which, and does not become ready.

use std::process::Command;

use kiln_tests::binary;
use kiln_tests::service::Place;

/// Runs `kiln up` in a mount namespace of its own, changed by a script first; it must fail by itself.
fn doomed(change: &str) -> String {
    let place = Place::new();
    let config = format!(
        "[server]\nlisten = [\"{}\"]\ndata_dir = \"{}\"\n[worker]\ndata_dir = \"{}\"\nprobe_languages = false\nslots = 1\n",
        place.address(),
        place.path("data").display(),
        place.path("data/worker").display()
    );
    let config = place.write("up.toml", config);
    let script =
        format!("{change} && exec timeout 60 {} up --config {}", binary::kiln().display(), config.display());
    let said = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .env("TMPDIR", place.path("tmp"))
        .output()
        .expect("unshare is part of util-linux");
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(
        !said.status.success() && said.status.code() != Some(124),
        "it must end by itself with an error: {text}"
    );
    text
}

#[test]
fn a14_without_cgroups_the_worker_does_not_become_ready() {
    let said = doomed("mount -t tmpfs none /sys/fs/cgroup").to_lowercase();
    assert!(said.contains("cgroup"), "it names the layer: {said}");
    assert!(!said.contains("kiln up ready"), "{said}");
}

#[test]
fn a14_without_a_whole_proc_the_worker_does_not_become_ready() {
    let said = doomed("mount -t tmpfs none /proc/sys && mount -t tmpfs none /proc/tty").to_lowercase();
    assert!(said.contains("proc"), "it names the layer: {said}");
}
