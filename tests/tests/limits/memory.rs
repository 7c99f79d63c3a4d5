//! Memory: of every process and every kind, with the kernel's own counter as the witness.

use kiln_proto::v1::{CommandResult, LimitName};
use kiln_tests::spec::{Cmd, MIB, c_job, python, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by, evidence, usage};

use crate::neighbour::{beside, service};

const LIMIT: u64 = 64 * MIB;

fn limited(command: Cmd) -> Cmd {
    command.limits(|limits| {
        limits.memory_bytes = Some(LIMIT);
        limits.disk_bytes = Some(512 * MIB);
        limits.wall_ms = Some(20_000);
    })
}

fn stopped(result: &CommandResult) {
    assert_stopped_by(result, LimitName::Memory, LIMIT);
    assert!(evidence(result).oom_kills.is_some_and(|kills| kills > 0), "the kernel counted: {result:#?}");
    let peak = usage(result).peak_memory_bytes.expect("the cgroup tells");
    assert!((LIMIT * 8 / 10..=LIMIT + MIB).contains(&peak), "peak {peak}: {result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn just_under_ends_by_itself_and_just_over_is_stopped() {
    let (_up, api) = service().await;
    let take = |mib: u64| limited(python(&format!("x = b'x' * ({mib} << 20); print(len(x) >> 20)"))).job();
    let under = beside(&api, take(45)).await;
    assert_ended(&under, Ended::Exited(0));
    assert_eq!(evidence(&under).oom_kills.unwrap_or_default(), 0);
    stopped(&beside(&api, take(80)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_child_is_seen_though_the_parent_exits_0() {
    let (_up, api) = service().await;
    let source = "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n#include <sys/wait.h>\n\
        int main(){int s; if(!fork()){for(;;)memset(malloc(1<<20),1,1<<20);} wait(&s); return 0;}";
    let result = beside(&api, c_job(source, limited)).await;
    stopped(&result);
    // The whole sandbox dies with the child, or the parent was quicker: either way the outcome is the limit.
    let evidence = evidence(&result);
    assert!(evidence.exit_code == Some(0) || evidence.exit_signal == Some(9), "{result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_writable_places_are_memory() {
    let (_up, api) = service().await;
    for place in ["/tmp", "/dev/shm", "/work"] {
        let result = beside(
            &api,
            limited(sh(&format!("head -c 120000000 /dev/zero > {place}/fill; echo survived"))).job(),
        )
        .await;
        stopped(&result);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_add_up() {
    let (_up, api) = service().await;
    let program = "import os, time\nfor n in range(6):\n  if os.fork() == 0:\n    x = b'x' * (20 << 20); time.sleep(30)\ntime.sleep(30)";
    stopped(&beside(&api, limited(python(program)).job()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn address_space_alone_is_not_memory() {
    let (_up, api) = service().await;
    let program = "import mmap; m = mmap.mmap(-1, 4 << 30); print(len(m))";
    let result = beside(&api, limited(python(program)).job()).await;
    assert_ended(&result, Ended::Exited(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_does_not_inherit_the_firsts_peak() {
    let (_up, api) = service().await;
    let first = api.run_one(limited(python("x = b'x' * (45 << 20)")).job()).await;
    let second = api.run_one(limited(sh("true")).job()).await;
    let peaks = [&first, &second].map(|result| usage(result).peak_memory_bytes.expect("the cgroup tells"));
    assert!(peaks[0] > 45 * MIB && peaks[1] < 16 * MIB, "{peaks:?}");
}
