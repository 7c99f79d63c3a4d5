//! Processes and threads: stopped at the first refused fork.

use kiln_proto::v1::{CommandResult, LimitName};
use kiln_tests::spec::{c_job, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by, evidence, usage};

use crate::neighbour::{beside, service};

const LIMIT: u64 = 12;

fn stopped(result: &CommandResult) {
    assert_stopped_by(result, LimitName::Pids, LIMIT);
    assert!(evidence(result).pids_refused.is_some_and(|refused| refused > 0), "{result:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_limit_is_fine_and_one_more_is_stopped() {
    let (_up, api) = service().await;
    // The shell itself is one.
    let forks = |children: u64| {
        let script = format!("for n in $(seq {children}); do sleep 0.6 & done; wait; echo all");
        sh(&script).limits(|l| l.pids = Some(LIMIT)).job()
    };
    let under = beside(&api, forks(LIMIT - 1)).await;
    assert_ended(&under, Ended::Exited(0));
    if let Some(peak) = usage(&under).peak_pids {
        assert!((LIMIT - 1..=LIMIT).contains(&peak), "{under:#?}");
    }
    stopped(&beside(&api, forks(LIMIT)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_count() {
    let (_up, api) = service().await;
    let threads = |count: u64| {
        let source = format!(
            "#include <pthread.h>\n#include <unistd.h>\nvoid*f(void*x){{usleep(300000);return 0;}}\n\
             int main(){{pthread_t t[{count}];for(int i=0;i<{count};i++)pthread_create(&t[i],0,f,0);\
             for(int i=0;i<{count};i++)pthread_join(t[i],0);return 0;}}"
        );
        c_job(&source, |run| run.limits(|l| l.pids = Some(LIMIT)))
    };
    assert_ended(&beside(&api, threads(LIMIT - 1)).await, Ended::Exited(0));
    stopped(&beside(&api, threads(40)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_stopped() {
    let (_up, api) = service().await;
    let source = "#include <unistd.h>\nint main(){for(;;)fork();}";
    stopped(&beside(&api, c_job(source, |run| run.limits(|l| l.pids = Some(LIMIT)))).await);
}
