//! Several workers on one server: both work, results are the same, and one that comes later takes what waited.

use std::collections::BTreeSet;

use kiln_proto::v1::{GetCapabilitiesRequest, JobState, JobVerdict, Priority};
use kiln_tests::api::Api;
use kiln_tests::service::{Options, Place, Service};
use kiln_tests::spec::{c_job, sh};
use kiln_tests::verdict::{assert_verdict, assert_wrote, step};

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_jobs() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let _first = Service::worker(&place, "first", &Options::slots(1));
    let _second = Service::worker(&place, "second", &Options::slots(1));
    let mut api = Api::connect(&place.address()).await;
    let told = api.jobs.get_capabilities(GetCapabilitiesRequest {}).await.expect("served").into_inner();
    let names: BTreeSet<&str> = told.workers.iter().map(|worker| worker.name.as_str()).collect();
    assert_eq!(names, ["first", "second"].into());
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(api.submit(sh(&format!("sleep 0.2; echo {n}")).job()).await);
    }
    let mut used = BTreeSet::new();
    for (n, id) in ids.iter().enumerate() {
        let job = api.wait(id).await;
        assert_wrote(&step(&job, "main").commands[0], &format!("{n}\n"));
        used.insert(step(&job, "main").worker.clone());
    }
    assert_eq!(used.len(), 2, "both worked: {used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_for_a_worker_and_priority_goes_first() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let mut ids = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        for _ in 0..2 {
            let mut spec = sh("true").job();
            spec.priority = priority.into();
            ids.push(api.submit(spec).await);
        }
    }
    assert_eq!(api.get(&ids[0]).await.state(), JobState::Queued);
    let _worker = Service::worker(&place, "late", &Options::slots(1));
    let mut leased = Vec::new();
    for id in &ids {
        let job = api.wait(id).await;
        assert_verdict(&job, JobVerdict::Succeeded);
        leased.push(step(&job, "main").leased_unix_us);
    }
    let order: Vec<u64> = [4, 5, 2, 3, 0, 1].map(|index: usize| leased[index]).into();
    assert!(order.is_sorted(), "high, normal, low, and first come first served within: {leased:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiled_job_gives_the_same_on_either_worker() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let source = "#include <stdio.h>\nint main(void){ puts(\"same\"); return 0; }";
    for name in ["one", "other"] {
        let worker = Service::worker(&place, name, &Options::slots(1));
        let done = api.run(c_job(source, |run| run)).await.job;
        assert_wrote(&step(&done, "run").commands[0], "same\n");
        assert_eq!(step(&done, "run").worker, name);
        assert!(worker.stop().success(), "a worker stops when asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_gives_its_waiting_jobs_to_another() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let first = Service::worker(&place, "first", &Options::slots(1));
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(api.submit(sh(&format!("sleep 0.3; echo {n}")).job()).await);
    }
    let _second = Service::worker(&place, "second", &Options::slots(1));
    first.stop();
    for (n, id) in ids.iter().enumerate() {
        let job = api.wait(id).await;
        assert_wrote(&step(&job, "main").commands[0], &format!("{n}\n"));
    }
}
