//! B: container runtimes and the kernel.

use kiln_tests::api::reason;
use kiln_tests::archive::{directory, file, minimal_image, special, tar};
use kiln_tests::hostile::{assert_forbidden, assert_held};
use kiln_tests::verdict::stdout;
use tar::EntryType;

use crate::attacked::Attacked;

/// Calls that only exploits make, by their numbers on x86-64.
const EXPLOIT_CALLS: &[(&str, u32)] = &[
    ("ptrace", 101),
    ("pivot_root", 155),
    ("chroot", 161),
    ("acct", 163),
    ("mount", 165),
    ("umount2", 166),
    ("swapon", 167),
    ("reboot", 169),
    ("sethostname", 170),
    ("iopl", 172),
    ("ioperm", 173),
    ("init_module", 175),
    ("delete_module", 176),
    ("quotactl", 179),
    ("kexec_load", 246),
    ("add_key", 248),
    ("request_key", 249),
    ("keyctl", 250),
    ("open_by_handle_at", 304),
    ("setns", 308),
    ("process_vm_readv", 310),
    ("process_vm_writev", 311),
    ("finit_module", 313),
    ("bpf", 321),
    ("open_tree", 428),
    ("move_mount", 429),
    ("fsopen", 430),
    ("fsmount", 432),
    ("pidfd_getfd", 438),
    ("mount_setattr", 442),
];

#[tokio::test(flavor = "multi_thread")]
async fn b1_the_binary_cannot_be_overwritten() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("B1-proc-self-exe", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_no_way_leads_up_and_out() {
    let attacked = Attacked::start().await;
    let canary = attacked.canary();
    assert_held(&attacked.by("B2-leaked-cwd", &[&canary]).await);
    let program = attacked.program("B2-leaked-cwd");
    for cwd in ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/cwd/../../..", "/proc/1/cwd"] {
        let job = program.job_with(&[&canary], |run| run.cwd(cwd));
        match attacked.api.try_run(job).await {
            Ok(told) => {
                assert!(!stdout(&told.job.steps[1].commands[0]).contains("ESCAPED"), "{cwd}: {told:#?}")
            }
            Err(status) => kiln_tests::api::assert_names_field(&status, "cwd"),
        }
    }
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_the_kernels_settings_cannot_be_written() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("B4-procfs-writes", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_an_image_whose_mount_points_are_links_is_refused() {
    let attacked = Attacked::start().await;
    for name in ["dev", "proc", "tmp", "work"] {
        let mut entries = minimal_image(&["/bin/cat"]);
        entries.retain(|entry| entry.name != name);
        entries.push(special(name, EntryType::Symlink, "etc"));
        let refused = attacked.api.import("links", &tar(&entries)).await.err();
        let refused = refused.unwrap_or_else(|| panic!("/{name} as a link was imported"));
        assert_eq!(reason(&refused), "ARCHIVE_REFUSED", "{refused:?}");
        let mut entries = minimal_image(&["/bin/cat"]);
        entries.retain(|entry| entry.name != name);
        entries.push(file(name, "a file"));
        attacked.api.import("files", &tar(&entries)).await.expect_err("a file where a mount point must be");
    }
    attacked
        .api
        .import("good", &tar(&[minimal_image(&["/bin/cat"]), vec![directory("more")]].concat()))
        .await
        .expect("good");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_no_terminal_takes_input_from_a_job() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("B6-tiocsti", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_no_cgroup_files_are_in_reach() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("B7-cgroup-escape", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_namespaces_cannot_be_nested() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("B8-namespaces", &["clone"]).await);
    assert_held(&attacked.by("B8-namespaces", &["clone3"]).await);
    assert_forbidden(&attacked.by("B8-namespaces", &["unshare"]).await, &["unshare"]);
    assert_forbidden(&attacked.by("B8-namespaces", &["setns"]).await, &["setns"]);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_calls_that_slip_past_filters_do_not_exist() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("B9-slips-past-filters", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_calls_that_only_exploits_make_are_killed_and_named() {
    let attacked = Attacked::start().await;
    for (name, number) in EXPLOIT_CALLS {
        assert_forbidden(&attacked.by("B11-exploit-calls", &[&number.to_string()]).await, &[name]);
    }
    attacked.end().await;
}
