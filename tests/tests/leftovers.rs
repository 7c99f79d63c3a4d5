//! After a thousand jobs there is no process, mount, cgroup, file or descriptor more than before, and memory is flat.

use std::time::Duration;

use kiln_proto::v1::{JobSpec, OutcomeKind};
use kiln_tests::api::Api;
use kiln_tests::census::{Census, eventually, family, groups_of, host_mounts, resident_bytes};
use kiln_tests::service::{Options, Place, Service};
use kiln_tests::spec::{MIB, after, file_of, inline, job, piped, python, sh, step};

const WARM_UP: usize = 200;
const JOBS: usize = 1_000;

/// Jobs of every kind of end, in turns.
fn nth(n: usize) -> JobSpec {
    match n % 10 {
        0 => sh("echo out; echo err >&2; exit 3").job(),
        1 => sh("kill -9 $$").job(),
        2 => sh("sleep 100 & sleep 100 & exit 0").job(),
        3 => sh("sleep 100").limits(|limits| limits.wall_ms = Some(30)).job(),
        4 => python("x = b'x' * (64 << 20)").limits(|limits| limits.memory_bytes = Some(24 * MIB)).job(),
        5 => sh("yes").limits(|limits| limits.output_bytes = Some(200_000)).job(),
        6 => sh("mkdir -p a/b; echo x > a/b/c; mkfifo f; ln -s / l")
            .takes("/work/a/b/c")
            .takes("/work/l")
            .job(),
        7 => job([
            sh("seq 1 20000 > f").wants("/work/f").step("one"),
            after(&["one"], sh("wc -l < f").file("/work/f", file_of("one", "/work/f")).step("two")),
        ]),
        8 => job([piped(step("s", [sh("seq 9").name("a"), sh("sort -r").name("b")]), &[("a", "b")])]),
        _ => sh("cat").stdin(inline(vec![b'z'; 100_000])).file("/work/in", inline("x")).job(),
    }
}

async fn run(api: &Api, range: std::ops::Range<usize>) {
    // Four callers at a time keep both slots busy.
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (api, range) = (api.clone(), range.clone());
        callers.spawn(async move {
            for n in range.skip(caller).step_by(4) {
                let done = api.run(nth(n)).await.job;
                let results = done.steps.iter().flat_map(|step| &step.commands);
                for result in results {
                    let kind = result.outcome.as_ref().expect("an outcome").kind();
                    assert_ne!(kind, OutcomeKind::Infrastructure, "{result:#?}");
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("no caller panics");
    }
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
    let (before, memory_before) = (count(), resident_bytes(&family(worker.pid())));
    let started = std::time::Instant::now();
    run(&api, WARM_UP..WARM_UP + JOBS).await;
    eprintln!("{JOBS} jobs took {:?}", started.elapsed());
    let same = |now: &Census| {
        (now.processes, now.mounts, &now.cgroups) == (before.processes, before.mounts, &before.cgroups)
            && now.descriptors <= before.descriptors + 2
            && now.files.len() <= before.files.len() + 2
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut now = count();
    while !same(&now) && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        now = count();
    }
    assert!(same(&now), "left behind: {}", now.beyond(&before));
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
