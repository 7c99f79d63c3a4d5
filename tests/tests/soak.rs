//! A long life: jobs of every kind and every hostile program in turns, by several callers, through `kiln up`. Afterwards it holds
//! exactly what it held before, the kernel too, and its memory is flat.
//!
//! `KILN_SOAK_JOBS` says how many (400 unless told; the long form is 10,000).

use std::time::{Duration, Instant};

use kiln_tests::api::Api;
use kiln_tests::census::{
    Census, at_rest, eventually, family, groups_of, host_mounts, resident_bytes, unreclaimable_bytes,
};
use kiln_tests::hostile::store_program;
use kiln_tests::mixed::{nth_with_hostile, run, turn};
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{MIB, job, piped, sh, step};

const CALLERS: usize = 4;
const SETTLING: Duration = Duration::from_secs(60);
/// Memory of a process is flat when its second half of life adds no more than this to the first: allocators keep some.
const SLACK: u64 = 12 * MIB;

fn jobs() -> usize {
    std::env::var("KILN_SOAK_JOBS").map_or(400, |text| text.parse().expect("KILN_SOAK_JOBS is a number"))
}

/// What is looked at: the service with its jails, and its server and worker alone.
struct Subject {
    up: Up,
}

impl Subject {
    fn census(&self) -> Census {
        let place = &self.up.place;
        Census::of(self.up.service.pid(), &[place.path("data/worker/spool"), place.path("tmp")])
    }

    fn memory(&self) -> [u64; 2] {
        let pid = self.up.service.pid();
        let jails: Vec<u32> = family(pid).into_iter().filter(|member| *member != pid).collect();
        [resident_bytes(&[pid]), resident_bytes(&jails)]
    }
}

/// Looks until the kernel's unreclaimable memory is within 5 % of what it was: dead groups and namespaces are taken down later, by
/// the kernel's own workers.
async fn settle(before: u64) -> u64 {
    let deadline = Instant::now() + SETTLING;
    let mut least = unreclaimable_bytes();
    while least > before + before / 20 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(500)).await;
        least = least.min(unreclaimable_bytes());
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_jobs_in_a_row_leave_nothing_behind() {
    let subject = Subject { up: Up::start(&Options::slots(2)) };
    let api = Api::connect(&subject.up.address()).await;
    store_program(&api).await;
    // Everything once, and both slots at once with two jails each: from then on all that is kept ready is there.
    run(&api, CALLERS, 0..turn(), nth_with_hostile).await;
    let both = piped(step("s", [sh("sleep 1").name("a"), sh("sleep 1").name("b")]), &[("a", "b")]);
    tokio::join!(api.run(job([both.clone()])), api.run(job([both.clone()])));
    let (before, kernel_before) = (at_rest(|| subject.census()), unreclaimable_bytes());
    let mut memory = vec![subject.memory()];
    let (all, started) = (jobs(), Instant::now());
    for tenth in 0..10 {
        let range = all * tenth / 10..all * (tenth + 1) / 10;
        let ends = run(&api, CALLERS, range.clone(), nth_with_hostile).await;
        memory.push(subject.memory());
        let [service, jails] = subject.memory().map(|bytes| bytes as f64 / MIB as f64);
        eprintln!(
            "{:>6} jobs in {:?}: service {service:.1} MiB, jails {jails:.1} MiB, {ends:?}",
            range.end,
            started.elapsed()
        );
    }
    let deadline = Instant::now() + SETTLING;
    let mut now = subject.census();
    while now != before && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        now = subject.census();
    }
    assert_eq!(now, before, "left behind: {}", now.beyond(&before));
    let kernel_after = settle(kernel_before).await;
    eprintln!("SUnreclaim {kernel_before} before, {kernel_after} after");
    assert!(
        kernel_after <= kernel_before + kernel_before / 20,
        "SUnreclaim {kernel_before} -> {kernel_after}"
    );
    for (which, name) in ["service", "jails"].into_iter().enumerate() {
        let (half, end) = (memory[5][which], memory[10][which]);
        assert!(end <= half + half / 10 + SLACK, "memory of {name}: {half} at half, {end} at the end");
    }
    let members = family(subject.up.service.pid());
    drop(api);
    let Up { service, place } = subject.up;
    assert!(service.stop().success());
    eventually("groups are gone", SETTLING, || groups_of(&members).is_empty());
    assert!(host_mounts(place.path("").to_str().expect("ASCII")).is_empty(), "no mount stays on the host");
}
