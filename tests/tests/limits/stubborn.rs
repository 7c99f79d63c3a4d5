//! Programs that will not be stopped: they are.

use kiln_proto::v1::LimitName;
use kiln_tests::spec::{c_job, python, sh};
use kiln_tests::verdict::{assert_stopped_by, usage};

use crate::neighbour::{beside, service};

#[tokio::test(flavor = "multi_thread")]
async fn ignoring_every_signal_does_not_help() {
    let (_up, api) = service().await;
    let source = "#include <signal.h>\nint main(){for(int s=1;s<65;s++)signal(s,SIG_IGN);for(;;);}";
    let spec = c_job(source, |run| run.limits(|l| l.cpu_ms = Some(300)));
    assert_stopped_by(&beside(&api, spec).await, LimitName::Cpu, 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_oneself_does_not_stop_the_clock() {
    let (_up, api) = service().await;
    for script in [
        "kill -STOP $$; echo woken",
        "kill -STOP 0; echo woken",
        "(kill -STOP $$ ); sleep 50 & kill -STOP -1; sleep 50",
    ] {
        let result = beside(&api, sh(script).limits(|l| l.wall_ms = Some(700)).job()).await;
        assert_stopped_by(&result, LimitName::Wall, 700_000);
        assert!(usage(&result).wall_us.is_some_and(|us| us < 1_500_000), "{result:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raising_ones_own_limits_is_refused_or_useless() {
    let (_up, api) = service().await;
    let program = "import resource, time
for kind in (resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_STACK):
    try: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError): pass
while True: pass";
    let spec = python(program).limits(|l| l.cpu_ms = Some(300)).job();
    assert_stopped_by(&beside(&api, spec).await, LimitName::Cpu, 300_000);
}
