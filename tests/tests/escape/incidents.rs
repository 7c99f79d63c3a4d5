//! A: incidents in systems that do this job.

use kiln_proto::v1::{FileState, LimitName};
use kiln_tests::api::assert_names_field;
use kiln_tests::hostile::{self, assert_held};
use kiln_tests::spec::{MIB, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by};

use crate::attacked::Attacked;

#[tokio::test(flavor = "multi_thread")]
async fn a1_links_are_not_written_through() {
    let attacked = Attacked::start().await;
    let canary = attacked.canary();
    let result = attacked.held("A1-symlink-write-through", &[&canary]).await;
    assert_eq!(result.files.len(), 2);
    assert!(result.files.iter().all(|file| file.state() == FileState::NotRegular), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_links_are_not_read_through_nor_raced() {
    let attacked = Attacked::start().await;
    let canary = attacked.canary();
    for _ in 0..10 {
        let result = attacked.held("A2-symlink-read", &[&canary]).await;
        assert_eq!(result.files.len(), 5);
        for file in &result.files {
            assert!(matches!(&file.data[..], b"" | b"mine"), "{result:#?}");
        }
        assert!(result.files[..4].iter().all(|file| file.state() == FileState::NotRegular), "{result:#?}");
    }
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_there_is_no_network() {
    let attacked = Attacked::start().await;
    let port = attacked.canaries.port().to_string();
    assert_held(&attacked.by("A3-network", &[&port]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a_limit_of_zero_is_an_error_and_the_maximum_always_holds() {
    let attacked = Attacked::start().await;
    let zero = attacked.api.try_run(sh("sleep 1000").limits(|l| l.wall_ms = Some(0)).job()).await;
    assert_names_field(&zero.expect_err("zero"), "wall_ms");
    let endless = attacked.api.try_run(sh("sleep 1000").limits(|l| l.wall_ms = Some(u64::MAX)).job()).await;
    assert_names_field(&endless.expect_err("over the policy"), "wall_ms");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_no_descriptor_leaks_while_many_start_at_once() {
    let attacked = Attacked::start().await;
    let runs = (0..24).map(|_| {
        let (api, job) = (attacked.api.clone(), hostile::job(hostile::named("A5-leaked-descriptors"), &[]));
        tokio::spawn(async move { api.run_one(job).await })
    });
    for run in futures_util::future::join_all(runs).await {
        assert_held(&run.expect("no panic"));
    }
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_inodes_of_an_image_are_no_channel() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("A8-channels", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_foreign_abis_are_killed_and_named() {
    let attacked = Attacked::start().await;
    hostile::assert_forbidden(&attacked.by("A9-i386", &[]).await, "i386:getpid");
    hostile::assert_forbidden(&attacked.by("A9-x32", &[]).await, "x32:getpid");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_special_files_neither_hang_nor_fool_the_collector() {
    let attacked = Attacked::start().await;
    let result = attacked.held("A10-special-files", &[]).await;
    assert_eq!(result.files.len(), 4);
    assert!(result.files.iter().all(|file| file.state() == FileState::NotRegular), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_stopping_everything_does_not_stop_the_clock() {
    let attacked = Attacked::start().await;
    let result = attacked.held("A12-stop-everything", &[]).await;
    assert_stopped_by(&result, LimitName::Wall, 1_000_000);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_nothing_persists_from_job_to_job() {
    let attacked = Attacked::start().await;
    for _ in 0..3 {
        assert_held(&attacked.by("A13-leave-traces", &["first"]).await);
        assert_held(&attacked.by("A13-leave-traces", &["second"]).await);
    }
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_neither_environment_nor_command_line_of_the_service_shows() {
    let attacked = Attacked::start().await;
    let secret = attacked.canaries.secret().to_owned();
    // The secret is an argument of the hostile program itself, so that it knows what to look for elsewhere.
    assert_held(&attacked.by("A15-environment", &[&secret, "kiln"]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_a_compiler_reads_nothing_of_the_host_and_keeps_to_its_limits() {
    let attacked = Attacked::start().await;
    let sources = [
        format!("__asm__(\".incbin \\\"{}\\\"\"); int main(void){{return 0;}}", attacked.canary()),
        "#include \"/etc/shadow\"\nint main(void){return 0;}".to_owned(),
    ];
    for source in sources {
        let job = kiln_tests::spec::job([kiln_tests::spec::compile_c("compile", &source)]);
        let done = attacked.api.run(job).await.job;
        assert_ended(&done.steps[0].commands[0], Ended::Exited(1));
    }
    let endless = "#include __FILE__\n#include __FILE__\nint main(void){return 0;}";
    let bomb = "int main[1u<<30]={1};";
    for source in [endless, bomb, "#include \"/dev/zero\"\n"] {
        let mut step = kiln_tests::spec::compile_c("compile", source);
        let limits = step.commands[0].limits.get_or_insert_default();
        (limits.cpu_ms, limits.wall_ms) = (Some(3_000), Some(6_000));
        (limits.memory_bytes, limits.disk_bytes) = (Some(128 * MIB), Some(64 * MIB));
        let done = attacked.api.run(kiln_tests::spec::job([step])).await.job;
        assert_ne!(kiln_tests::verdict::ended(&done.steps[0].commands[0]), Ended::Exited(0), "{done:#?}");
    }
    attacked.end().await;
}
