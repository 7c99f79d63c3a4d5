//! Wall time: sleeping, waiting for input and stopping oneself all end at the limit.

use kiln_proto::v1::LimitName;
use kiln_tests::spec::{cmd, sh};
use kiln_tests::verdict::{Ended, assert_busy_share, assert_ended, assert_stopped_by, evidence, usage};

use crate::neighbour::{beside, service};

/// A kill lands within 100 ms; machines that test are loaded.
const OVERSHOOT_US: u64 = 250_000;

#[tokio::test(flavor = "multi_thread")]
async fn just_under_ends_by_itself_and_just_over_is_stopped() {
    let (_up, api) = service().await;
    let under = beside(&api, cmd(["sleep", "0.5"]).limits(|l| l.wall_ms = Some(1_500)).job()).await;
    assert_ended(&under, Ended::Exited(0));
    let over = beside(&api, cmd(["sleep", "60"]).limits(|l| l.wall_ms = Some(500)).job()).await;
    assert_stopped_by(&over, LimitName::Wall, 500_000);
    let wall = usage(&over).wall_us.expect("wall is always known");
    assert!(wall < 500_000 + OVERSHOOT_US, "stopped {wall} us after its start");
    assert!(evidence(&over).busy_millis.is_some_and(|busy| busy < 50), "idle, and it shows: {over:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_program_is_told_apart_from_an_idle_one() {
    let (_up, api) = service().await;
    let spec = sh("while :; do :; done").limits(|l| {
        l.wall_ms = Some(600);
        l.cpu_ms = Some(30_000);
    });
    let busy = beside(&api, spec.job()).await;
    assert_stopped_by(&busy, LimitName::Wall, 600_000);
    assert_busy_share(&busy);
    // As much as the machine granted; more than the idle one is held to above.
    assert!(evidence(&busy).busy_millis.is_some_and(|busy| busy >= 50), "{busy:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_child_does_not_outlive_the_main_process() {
    let (_up, api) = service().await;
    let result = beside(
        &api,
        sh("sleep 50 & sleep 50 & echo main is done").limits(|l| l.wall_ms = Some(20_000)).job(),
    )
    .await;
    assert_ended(&result, Ended::Exited(0));
    assert_eq!(evidence(&result).left_running, Some(2), "{result:#?}");
    assert!(usage(&result).wall_us.is_some_and(|us| us < 10_000_000), "nobody waited for them: {result:#?}");
}
