//! CPU: charged to the whole sandbox, wherever it was burnt, and measured against the limit at its moment.

use kiln_proto::v1::{CommandResult, LimitName};
use kiln_tests::spec::{Cmd, c_job, python, sh};
use kiln_tests::verdict::{Ended, assert_busy_share, assert_ended, assert_stopped_by, cpu_us, usage};

use crate::neighbour::{beside, service};

/// A kill lands within 100 ms of the limit; on two busy cores accounting by ticks adds some.
const OVERSHOOT_US: u64 = 250_000;

fn burn(seconds: f32) -> Cmd {
    python(&format!("import time\nwhile time.process_time() < {seconds}: pass\nprint('done')"))
}

fn stopped_near(result: &CommandResult, limit_us: u64) {
    assert_stopped_by(result, LimitName::Cpu, limit_us);
    let cpu = cpu_us(result);
    assert!(cpu < limit_us + OVERSHOOT_US, "used {cpu} us of {limit_us}: {result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn just_under_ends_by_itself_and_just_over_is_stopped() {
    let (_up, api) = service().await;
    let under = beside(&api, burn(0.5).limits(|l| l.cpu_ms = Some(900)).job()).await;
    assert_ended(&under, Ended::Exited(0));
    let over = beside(&api, burn(30.0).limits(|l| l.cpu_ms = Some(500)).job()).await;
    stopped_near(&over, 500_000);
    assert_busy_share(&over);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_burn_together() {
    let (_up, api) = service().await;
    let source = "#include <pthread.h>\nvoid*f(void*x){for(;;);}\nint main(){pthread_t t;for(int i=0;i<4;i++)pthread_create(&t,0,f,0);f(0);}";
    let spec = c_job(source, |run| run.limits(|l| l.cpu_ms = Some(600)));
    stopped_near(&beside(&api, spec).await, 600_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_are_never_waited_for_count() {
    let (_up, api) = service().await;
    let source = "#include <unistd.h>\nint main(){for(int i=0;i<3;i++)if(!fork()){setsid();if(!fork())for(;;);_exit(0);}for(;;)pause();}";
    let spec = c_job(source, |run| run.limits(|l| l.cpu_ms = Some(600)));
    stopped_near(&beside(&api, spec).await, 600_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_lived_children_count() {
    let (_up, api) = service().await;
    let spec = sh("while :; do /bin/true; done").limits(|l| l.cpu_ms = Some(500)).job();
    stopped_near(&beside(&api, spec).await, 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_in_the_kernel_counts() {
    let (_up, api) = service().await;
    let spec = python(
        "f = open('/dev/zero','rb',0); g = open('/dev/null','wb',0)\nwhile True: g.write(f.read(1<<20))",
    );
    let result = beside(&api, spec.limits(|l| l.cpu_ms = Some(500)).job()).await;
    stopped_near(&result, 500_000);
    assert!(usage(&result).cpu_system_us.is_some_and(|us| us > 50_000), "{result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_throttles_and_does_not_stop() {
    let (_up, api) = service().await;
    let slow = beside(&api, burn(0.5).limits(|l| l.cpu_rate_millis = Some(200)).job()).await;
    assert_ended(&slow, Ended::Exited(0));
    let wall = usage(&slow).wall_us.expect("wall is always known");
    assert!(wall > 1_800_000, "half a second at a fifth of a CPU takes about 2.5 s, not {wall} us");
    assert!(usage(&slow).throttled_us.is_some_and(|us| us > 500_000), "{slow:#?}");
}
