//! A worker killed at any moment, alone or together with its jails, or a jail killed under it, while hostile and honest jobs
//! run: after the restart nothing of it is left, and every job has ended.
//!
//! The moments are random and their seed is printed. `KILN_KILLS` says how many (10 unless told), `KILN_SEED` repeats them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiln_proto::v1::JobState;
use kiln_tests::api::Api;
use kiln_tests::census::{
    Census, command_line, eventually, family, groups_of, host_mounts, identity, locks_of,
};
use kiln_tests::mixed;
use kiln_tests::service::{Options, Place, Service};
use kiln_tests::spec::sh;
use kiln_tests::verdict::stdout;
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);
/// Where workers keep their locks: of uid ranges, and of who owns which groups.
const LOCKS: &str = "/run/kiln";

/// xorshift64: enough to spread moments.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    Jail,
    /// At once: nobody of them can clean up.
    WorkerAndJails,
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

fn options() -> Options {
    let config = "[server]\nlease_ms = 2000\nheartbeat_ms = 400\nmax_attempts = 100";
    Options::slots(2).config(config)
}

fn kill(pid: u32) {
    // It may be gone already: a jail's child with its jail.
    kill_process(Pid::from_raw(pid as i32).expect("a pid"), Signal::KILL).ok();
}

fn jails_of(worker: u32) -> Vec<u32> {
    family(worker).into_iter().filter(|pid| command_line(*pid).starts_with("kiln-jail")).collect()
}

/// Asserts that these processes, their groups, locks and mounts are gone.
fn assert_gone(members: &BTreeSet<(u32, u64)>, place: &Place) {
    let pids: Vec<u32> = members.iter().map(|(pid, _)| *pid).collect();
    eventually("every process of it is gone", PATIENCE, || {
        members.iter().all(|member| identity(member.0) != Some(*member))
    });
    eventually("its groups are gone", PATIENCE, || groups_of(&pids).is_empty());
    eventually("its locks are free", PATIENCE, || locks_of(&pids, LOCKS) == 0);
    assert!(host_mounts(place.path("").to_str().expect("ASCII")).is_empty(), "no mount on the host");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_any_moment_nothing_is_left_after_the_restart() {
    let kills = number_from("KILN_KILLS").unwrap_or(10);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let seed = number_from("KILN_SEED").unwrap_or(now) | 1;
    eprintln!("KILN_SEED={seed} KILN_KILLS={kills}");
    let mut random = Random(seed);
    let place = Place::new();
    let _server = Service::server(&place, &options());
    let api = Api::connect(&place.address()).await;
    let mut worker = Service::worker(&place, "mortal", &options());
    let mut ids = Vec::new();
    for round in 0..kills {
        for n in 0..4 {
            ids.push(api.submit(mixed::nth((round * 4 + n) as usize)).await);
        }
        // From before the first job starts until some have ended.
        tokio::time::sleep(Duration::from_micros(random.below(800_000))).await;
        let victim = [Victim::Worker, Victim::Jail, Victim::WorkerAndJails][random.below(3) as usize];
        let doomed = worker.pid();
        let jails = jails_of(doomed);
        let members: BTreeSet<(u32, u64)> = family(doomed).into_iter().filter_map(identity).collect();
        eprintln!("round {round}: {victim:?} with {} jails and {} processes", jails.len(), members.len());
        match victim {
            Victim::Jail => {
                let Some(&jail) = jails.get(random.below(jails.len().max(1) as u64) as usize) else {
                    continue;
                };
                let below: BTreeSet<_> = family(jail).into_iter().filter_map(identity).collect();
                kill(jail);
                eventually("the jail's sandboxes are gone", PATIENCE, || {
                    below.iter().all(|member| identity(member.0) != Some(*member))
                });
                continue;
            }
            Victim::Worker => worker.kill_hard(),
            Victim::WorkerAndJails => {
                // Stopped first, so that nobody sees another's end; the worker is reaped by its guard.
                jails.iter().for_each(|&jail| kill(jail));
                worker.kill_hard();
            }
        }
        worker = Service::worker(&place, "mortal", &options());
        assert_gone(&members, &place);
    }
    for id in &ids {
        assert_eq!(api.wait(id).await.state(), JobState::Done, "{id}");
    }
    assert_eq!(stdout(&api.run_one(sh("echo well").job()).await), "well\n");
    settled(&worker, &place).await;
}

/// What the last worker holds is what one holds that never saw a kill: no more files, no more groups.
async fn settled(worker: &Service, place: &Place) {
    let directory = place.path("worker-mortal");
    let of = |pid: u32, directory: &PathBuf| Census::of(pid, std::slice::from_ref(directory));
    let innocent_place = Place::new();
    let _server = Service::server(&innocent_place, &options());
    let innocent = Service::worker(&innocent_place, "mortal", &options());
    let api = Api::connect(&innocent_place.address()).await;
    for n in 0..10 {
        api.run(mixed::nth(n)).await;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let expected = of(innocent.pid(), &innocent_place.path("worker-mortal"));
        let seen = of(worker.pid(), &directory);
        let relative = |census: &Census, base: &PathBuf| -> BTreeSet<PathBuf> {
            let below = census.files.iter().filter_map(|path| path.strip_prefix(base).ok());
            below.map(PathBuf::from).collect()
        };
        let files = relative(&seen, &directory);
        let more: Vec<_> = files
            .difference(&relative(&expected, &innocent_place.path("worker-mortal")))
            .filter(|path| !path.to_string_lossy().contains("blobs/"))
            .cloned()
            .collect();
        if more.is_empty() && seen.cgroups.len() <= expected.cgroups.len() {
            return;
        }
        assert!(Instant::now() < deadline, "left: {more:?}, groups {:?}", seen.cgroups);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
