//! After a thousand jobs there is no process, mount, cgroup, file or descriptor more than before, and memory is flat.

use std::time::Duration;

use kiln_tests::api::Api;
use kiln_tests::census::{Census, at_rest, eventually, family, groups_of, host_mounts, resident_bytes};
use kiln_tests::mixed;
use kiln_tests::service::{Options, Place, Service};
use kiln_tests::spec::{MIB, job, piped, sh, step};

const WARM_UP: usize = 200;
const JOBS: usize = 1_000;

/// Four callers at a time keep both slots busy.
async fn run(api: &Api, range: std::ops::Range<usize>) {
    mixed::run(api, 4, range, mixed::nth).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_leave_nothing_behind() {
    let place = Place::new();
    let server = Service::server(&place, &Options::default());
    let worker = Service::worker(&place, "busy", &Options::slots(2));
    let api = Api::connect(&place.address()).await;
    let directories = [place.path("worker-busy"), place.path("tmp")];
    let directories =
        directories.map(|directory| if directory.exists() { directory } else { place.path("data") });
    let count = || Census::of(worker.pid(), &directories);
    run(&api, 0..WARM_UP).await;
    // Both slots at once need a further jail for a second command: they are kept from then on.
    let both = piped(step("s", [sh("sleep 1").name("a"), sh("sleep 1").name("b")]), &[("a", "b")]);
    tokio::join!(api.run(job([both.clone()])), api.run(job([both.clone()])));
    let (before, memory_before) = (at_rest(count), resident_bytes(&family(worker.pid())));
    let started = std::time::Instant::now();
    run(&api, WARM_UP..WARM_UP + JOBS).await;
    eprintln!("{JOBS} jobs took {:?}", started.elapsed());
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut now = count();
    while now != before && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        now = count();
    }
    assert_eq!(now, before, "left behind: {}", now.beyond(&before));
    let memory = resident_bytes(&family(worker.pid()));
    eprintln!("memory of worker and jails: {memory_before} before, {memory} after");
    assert!(memory < memory_before + memory_before / 4 + 12 * MIB, "grew from {memory_before} to {memory}");
    let members = family(worker.pid());
    assert!(worker.stop().success());
    eventually("groups are gone", Duration::from_secs(10), || groups_of(&members).is_empty());
    assert!(host_mounts(place.path("").to_str().expect("ASCII")).is_empty(), "no mount stays on the host");
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_leaves_no_socket_and_no_temporary_file() {
    let place = Place::new();
    let up = Service::up(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    run(&api, 0..20).await;
    drop(api);
    assert!(up.stop().success());
    assert!(!place.path("kiln.sock").exists(), "the socket is gone");
    let left: Vec<_> = std::fs::read_dir(place.path("tmp")).expect("the test's own").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
