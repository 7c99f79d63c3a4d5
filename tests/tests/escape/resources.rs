//! C: resources and accounting.

use std::time::Duration;

use kiln_proto::v1::{CommandResult, LimitName};
use kiln_tests::census::{eventually, job_processes, resident_bytes};
use kiln_tests::hostile::{self, MEMORY_BYTES, PIDS, assert_held};
use kiln_tests::service::own_number;
use kiln_tests::spec::MIB;
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by, cpu_us, ended, evidence, stdout, usage};

use crate::attacked::Attacked;

#[tokio::test(flavor = "multi_thread")]
async fn c1_bombs_of_processes_and_threads_are_stopped_by_the_pids_limit() {
    let attacked = Attacked::start().await;
    for bomb in ["C1-fork-bomb", "C1-thread-bomb"] {
        assert_stopped_by(&attacked.by(bomb, &[]).await, LimitName::Pids, PIDS);
    }
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_daemons_die_with_their_job() {
    let attacked = Attacked::start().await;
    let duration = own_number(1);
    let result = attacked.by("C2-daemons", &[&duration]).await;
    assert_held(&result);
    assert!(evidence(&result).left_running.is_some_and(|left| left >= 5), "{result:#?}");
    assert!(job_processes(&duration).is_empty(), "they are gone when the job is done");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_cpu_is_counted_wherever_it_is_burnt() {
    let attacked = Attacked::start().await;
    let result = attacked.held("C3-hidden-cpu", &[]).await;
    assert_stopped_by(&result, LimitName::Cpu, 600_000);
    assert!(cpu_us(&result) < 900_000, "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_idling_is_ended_by_wall_and_seen_as_idle() {
    let attacked = Attacked::start().await;
    let result = attacked.held("C4-idle", &[]).await;
    assert_stopped_by(&result, LimitName::Wall, 800_000);
    assert!(evidence(&result).busy_millis.is_some_and(|busy| busy < 300), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_ignoring_signals_does_not_help() {
    let attacked = Attacked::start().await;
    let result = attacked.held("C5-ignore-signals", &[]).await;
    assert_stopped_by(&result, LimitName::Cpu, 500_000);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_memory_is_charged_wherever_it_is_taken_and_given_back() {
    let attacked = Attacked::start().await;
    for kind in ["tmp", "shm", "cache", "memfd", "pipes", "sockets", "pages"] {
        bounded(kind, &attacked.held(&format!("C6-{kind}"), &[]).await);
    }
    // A disk smaller than the memory is refused with ENOSPC instead.
    for kind in ["tmp", "shm", "cache"] {
        let result = attacked.by(&format!("C6-{kind}-full"), &[]).await;
        assert_held(&result);
        assert!(stdout(&result).contains("errno 28:"), "ENOSPC: {result:#?}");
    }
    attacked.end().await;
}

/// Ended by the memory limit, or by a refusal below it; never above it.
fn bounded(kind: &str, result: &CommandResult) {
    match ended(result) {
        Ended::Limit(LimitName::Memory) => {}
        Ended::Exited(0) => assert!(stdout(result).contains("HELD"), "{kind}: {result:#?}"),
        other => panic!("{kind}: {other:?}: {result:#?}"),
    }
    let peak = usage(result).peak_memory_bytes.expect("the cgroup tells");
    assert!(peak <= MEMORY_BYTES + MIB, "{kind}: {peak}: {result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_a_killed_child_is_seen_though_the_parent_exits_0() {
    let attacked = Attacked::start().await;
    let result = attacked.by("C9-killed-child", &[]).await;
    assert_stopped_by(&result, LimitName::Memory, MEMORY_BYTES);
    assert!(evidence(&result).oom_kills.is_some_and(|kills| kills > 0), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_a_flood_of_output_is_stopped_in_bounded_memory() {
    let attacked = Attacked::start().await;
    let before = resident_bytes(&[attacked.up.service.pid()]);
    for _ in 0..3 {
        let result = attacked.by("C11-flood", &[]).await;
        assert_stopped_by(&result, LimitName::Output, MIB);
        let kept = [&result.stdout, &result.stderr]
            .map(|output| output.as_ref().map_or(0, |output| output.size_bytes));
        assert!(kept.iter().all(|&bytes| bytes <= MIB), "{kept:?}");
    }
    let grown = resident_bytes(&[attacked.up.service.pid()]).saturating_sub(before);
    assert!(grown < 32 * MIB, "grew by {grown} bytes");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c14_floods_of_inodes_and_deep_directories_vanish_with_the_job() {
    let attacked = Attacked::start().await;
    let result = attacked.held("C14-inode-flood", &[]).await;
    assert!(matches!(ended(&result), Ended::Exited(0) | Ended::Limit(LimitName::Memory)), "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c16_no_core_is_dumped() {
    let attacked = Attacked::start().await;
    let result = attacked.held("C16-core-dump", &[]).await;
    assert_ended(&result, Ended::Signalled(6));
    assert_eq!(result.files[0].state(), kiln_proto::v1::FileState::Missing, "{result:#?}");
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c18_priorities_are_not_the_jobs_to_choose() {
    let attacked = Attacked::start().await;
    assert_held(&attacked.by("C18-priorities", &[]).await);
    attacked.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once_leaves_neighbours_and_host_alone() {
    let attacked = Attacked::start().await;
    let names = [
        "C1-fork-bomb",
        "C11-flood",
        "C3-hidden-cpu",
        "C9-killed-child",
        "A12-stop-everything",
        "C2-daemons",
    ];
    for _ in 0..2 {
        futures_util::future::join_all(names.map(|name| attacked.by(name, &[]))).await;
    }
    let gone = || job_processes(hostile::PROGRAM).is_empty();
    eventually("no job process stays", Duration::from_secs(20), gone);
    attacked.end().await;
}
