//! B: container runtimes and the kernel.

use kiln_tests::api::reason;
use kiln_tests::archive::{directory, file, minimal_image, special, tar};
use kiln_tests::hostile::{self, assert_forbidden, assert_held};
use kiln_tests::verdict::stdout;
use tar::EntryType;

use crate::attacked::Attacked;

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
    let case = hostile::named("B2-leaked-cwd");
    for cwd in ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/cwd/../../..", "/proc/1/cwd"] {
        let job = hostile::job_with(case, &[&canary], |run| run.cwd(cwd));
        match attacked.api.try_run(job).await {
            Ok(told) => {
                assert!(!stdout(&told.job.steps[0].commands[0]).contains("ESCAPED"), "{cwd}: {told:#?}")
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
    assert_held(&attacked.by("B8-clone", &[]).await);
    assert_held(&attacked.by("B8-clone3", &[]).await);
    assert_forbidden(&attacked.by("B8-unshare", &[]).await, "unshare");
    assert_forbidden(&attacked.by("B8-setns", &[]).await, "setns");
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
    let calls = kiln_attacks::all().iter().filter_map(|case| case.name.strip_prefix("B11-call-"));
    let calls: Vec<&str> = calls.collect();
    assert!(calls.len() >= 30, "{calls:?}");
    for call in calls {
        let result = attacked.by(&format!("B11-call-{call}"), &[]).await;
        assert_forbidden(&result, &call.replace('-', "_"));
    }
    attacked.end().await;
}
