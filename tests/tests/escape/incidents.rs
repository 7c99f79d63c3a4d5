//! A: incidents in systems that do this job.

use kiln_proto::v1::{FileState, LimitName};
use kiln_tests::api::assert_names_field;
use kiln_tests::hostile::{assert_forbidden, assert_held};
use kiln_tests::spec::{MIB, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by};

use crate::attacked::Attacked;

#[tokio::test(flavor = "multi_thread")]
async fn a1_links_are_not_written_through() {
    let attacked = Attacked::start().await;
    let canary = attacked.canary();
    let program = attacked.program("A1-symlink-write-through");
    let job = program.job_with(&[&canary], |run| run.takes("/work/out").takes("/work/dir/through/secret"));
    let result = attacked.by_job(job).await;
    assert_held(&result);
    assert!(result.files.iter().all(|file| file.state() == FileState::NotRegular), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_links_are_not_read_through_nor_raced() {
    let attacked = Attacked::start().await;
    let canary = attacked.canary();
    let program = attacked.program("A2-symlink-read");
    for _ in 0..10 {
        let job = program.job_with(&[&canary], |run| {
            let places = ["out", "root", "dir/secret", "shadow", "a/secret"];
            places.iter().fold(run, |run, place| run.takes(&format!("/work/{place}")))
        });
        let result = attacked.by_job(job).await;
        assert_held(&result);
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
    let program = attacked.program("A5-leaked-descriptors");
    let runs = (0..24).map(|_| {
        let (api, program) = (attacked.api.clone(), program.clone());
        tokio::spawn(async move { program.run(&api, &[]).await })
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
    assert_forbidden(&attacked.by("A9-foreign-abi", &["i386"]).await, &["i386:getpid"]);
    assert_forbidden(&attacked.by("A9-foreign-abi", &["x32"]).await, &["x32:getpid"]);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_special_files_neither_hang_nor_fool_the_collector() {
    let attacked = Attacked::start().await;
    let program = attacked.program("A10-special-files");
    let job = program.job_with(&[], |run| {
        ["fifo", "socket", "directory", "zero"]
            .iter()
            .fold(run, |run, name| run.takes(&format!("/work/{name}")))
    });
    let result = attacked.by_job(job).await;
    assert_held(&result);
    assert!(result.files.iter().all(|file| file.state() == FileState::NotRegular), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_stopping_everything_does_not_stop_the_clock() {
    let attacked = Attacked::start().await;
    let program = attacked.program("A12-stop-everything");
    let result = attacked.by_job(program.job_with(&[], |run| run.limits(|l| l.wall_ms = Some(1_000)))).await;
    assert_stopped_by(&result, LimitName::Wall, 1_000_000);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_nothing_persists_from_job_to_job() {
    let attacked = Attacked::start().await;
    for _ in 0..3 {
        assert_held(&attacked.by("A13-leave-traces", &["leave"]).await);
        assert_held(&attacked.by("A13-leave-traces", &["look"]).await);
    }
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_neither_environment_nor_command_line_of_the_service_shows() {
    let attacked = Attacked::start().await;
    let secret = attacked.canaries.secret.clone();
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
