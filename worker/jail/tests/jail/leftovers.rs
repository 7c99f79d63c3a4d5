//! What must not remain: after a command, after two hundred, after the worker or the jail died.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{Jail, Job};
use kiln_jail::report::Outcome;
use kiln_jail::wire::Reply;

/// Host pids whose uid lies in this jail's range.
pub(crate) fn processes_of(jail: &Jail) -> Vec<u32> {
    let range = jail.uids.ids();
    let in_range = |status: &str| {
        let line = status.lines().find(|line| line.starts_with("Uid:"))?;
        let uid: u32 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
        range.contains(&uid).then_some(())
    };
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| in_range(&status).is_some())
    })
    .collect()
}

/// Groups of commands below this test's own parent, in any hierarchy.
pub(crate) fn groups_of(jail: &Jail) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut directories = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if directory.ends_with(&jail.setup.cgroup_name) {
                found.insert(path);
            } else if depth < 5 {
                directories.push((path, depth + 1));
            }
        }
    }
    found
}

/// This test's own parent group in every hierarchy.
fn parents_of(jail: &Jail) -> Vec<PathBuf> {
    let hierarchies =
        std::fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten().map(|entry| entry.path());
    let below = hierarchies.map(|path| path.join(&jail.setup.cgroup_name));
    below
        .chain([Path::new("/sys/fs/cgroup").join(&jail.setup.cgroup_name)])
        .filter(|path| path.exists())
        .collect()
}

pub(crate) fn wait_for_none<T: std::fmt::Debug>(what: &str, mut look: impl FnMut() -> Vec<T>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what} left: {left:?}");
        std::thread::yield_now();
    }
}

/// Nobody is left who could: the next worker on this host sweeps such groups; here the test does.
fn remove_groups_of(jail: &Jail) {
    for group in groups_of(jail) {
        wait_for_none("group", || std::fs::remove_dir(&group).err().into_iter().collect());
    }
    for parent in parents_of(jail) {
        std::fs::remove_dir(&parent).expect("an empty group");
    }
}

/// Kilobytes of one field of /proc/<pid>/smaps_rollup or status.
fn kilobytes(path: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(path).expect("read");
    let line = text.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_ascii_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[test]
fn daemons_double_forked_and_in_own_sessions_die_with_the_command() {
    let jail = Jail::start();
    let daemon = "setsid sh -c 'setsid sleep 1000 & sleep 1000' > /dev/null 2>&1 & sleep 0.2; echo bye";
    let ran = jail.run(Job::shell(daemon));
    assert_eq!(ran.succeeded(), "bye\n");
    assert!(ran.report.evidence.left_running >= 1, "{:?}", ran.report.evidence);
    assert_eq!(processes_of(&jail), Vec::<u32>::new());
    assert_eq!(groups_of(&jail), BTreeSet::new());
    let tidy = jail.run(Job::new(&["/bin/true"]));
    assert_eq!(tidy.report.evidence.left_running, 0);
}

#[test]
fn a_daemon_cannot_hold_the_output_open() {
    let jail = Jail::start();
    let started = Instant::now();
    assert_eq!(jail.run(Job::shell("sleep 1000 & echo out")).succeeded(), "out\n");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn the_sandbox_dies_when_the_worker_does() {
    let mut jail = Jail::start();
    let _running = jail.begin(Job::shell("sleep 1000 & sleep 1000"));
    assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
    assert!(!processes_of(&jail).is_empty());
    let (nothing, _) = kiln_jail::wire::pair().expect("socketpair");
    jail.socket = nothing;
    assert!(jail.process.wait().expect("wait").success());
    assert_eq!(processes_of(&jail), Vec::<u32>::new());
    assert_eq!(groups_of(&jail), BTreeSet::new());
}

#[test]
fn the_sandbox_dies_when_the_jail_is_killed() {
    let mut jail = Jail::start();
    let _running = jail.begin(Job::shell("sleep 1000 & sleep 1000"));
    assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
    jail.process.kill().expect("kill");
    jail.process.wait().expect("wait");
    wait_for_none("processes", || processes_of(&jail));
    remove_groups_of(&jail);
    jail.has_failed = true;
}

#[test]
fn a_jail_killed_at_any_moment_of_a_command_leaves_no_process() {
    let mut jails: Vec<Jail> = (0..30).map(|_| Jail::start()).collect();
    for (round, jail) in (0_u64..).zip(&mut jails) {
        let _running = jail.begin(Job::shell("sleep 1000 & sleep 1000"));
        // No event tells these moments: through all of set-up and into the run.
        std::thread::sleep(Duration::from_micros(round * 300));
        jail.process.kill().expect("kill");
        jail.process.wait().expect("wait");
        jail.has_failed = true;
    }
    for jail in &jails {
        wait_for_none("processes", || processes_of(jail));
    }
    remove_groups_of(&jails[0]);
}

#[test]
fn two_hundred_commands_leave_nothing_and_take_no_more_memory() {
    let jail = Jail::start();
    let pid = jail.pid();
    let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).expect("fd").count();
    let mounts = |path: &str| std::fs::read_to_string(Path::new(path)).expect("mounts").lines().count();
    let own_mounts = format!("/proc/{pid}/mountinfo");
    for _ in 0..20 {
        jail.run(Job::new(&["/bin/true"])).succeeded();
    }
    let before = (descriptors(), mounts(&own_mounts));
    let resident = kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Private_Dirty:");
    assert_eq!(before.1, 2, "the jail's own root and /proc");
    for round in 0..180 {
        let outcome = jail.run(Job::shell("echo x > f; exit 3").file_out("/work/f", 10)).report.outcome;
        assert_eq!(outcome, Outcome::Exited { code: 3 }, "round {round}");
    }
    assert_eq!((descriptors(), mounts(&own_mounts)), before);
    let now = kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Private_Dirty:");
    assert!(now <= resident + 128, "{resident} KiB before, {now} KiB after");
    assert_eq!(processes_of(&jail), Vec::<u32>::new());
    assert_eq!(groups_of(&jail), BTreeSet::new());
}

#[test]
fn failures_leave_nothing_either() {
    let jail = Jail::start();
    for _ in 0..20 {
        let mut job = Job::new(&["/bin/true"]);
        job.plan.rootfs.parts = jail.parts();
        job.plan.rootfs.parts[1].target = b"/missing".to_vec();
        assert_eq!(jail.fail(job).step, "attach_part");
    }
    assert_eq!(processes_of(&jail), Vec::<u32>::new());
    assert_eq!(groups_of(&jail), BTreeSet::new());
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", jail.pid())).expect("mounts");
    assert_eq!(mounts.lines().count(), 2, "{mounts}");
    jail.run(Job::new(&["/bin/true"])).succeeded();
}

#[test]
fn a_worker_that_breaks_the_dialogue_ends_the_jail_and_leaves_nothing() {
    let mut jail = Jail::start();
    let running = jail.begin(Job::shell("echo out"));
    while !matches!(jail.receive(), Some((Reply::Finished(_), _))) {}
    // A second plan before the first was released.
    let again = jail.begin(Job::new(&["/bin/true"]));
    assert!(jail.receive().is_none());
    assert_eq!(jail.process.wait().expect("wait").code(), Some(1));
    assert_eq!(groups_of(&jail), BTreeSet::new());
    drop((running, again));
    jail.has_failed = true;
}

#[test]
fn a_jail_of_the_same_number_takes_over_from_a_killed_one() {
    let mut first = Jail::start();
    let _running = first.begin(Job::shell("sleep 1000"));
    assert!(matches!(first.receive(), Some((Reply::Started { .. }, _))));
    first.process.kill().expect("kill");
    first.process.wait().expect("wait");
    wait_for_none("processes", || processes_of(&first));
    let second = first.restart();
    second.run(Job::new(&["/bin/true"])).succeeded();
    assert_eq!(groups_of(&second), BTreeSet::new());
}
