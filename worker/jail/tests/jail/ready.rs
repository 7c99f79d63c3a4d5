//! Sandboxes made in advance: each is used once, for what it was made for, and nothing of one is found in the next.

use std::time::{Duration, Instant};

use kiln_jail::plan::{Network, Profile, Rootfs, SandboxKind, Writes};
use kiln_jail::report::{LimitKind, Outcome};
use kiln_jail::wire::{Reply, Request};

use crate::harness::{Jail, Job, count};
use crate::leftovers::{groups_of, processes_of, wait_for_none};

/// The kind that commands of this jail have unless they say otherwise.
pub(crate) fn kind(jail: &Jail, writes: Writes) -> SandboxKind {
    SandboxKind { rootfs: Rootfs { parts: jail.parts() }, writes, network: Network::Kept }
}

pub(crate) fn keep_ready(jail: &Jail, kinds: &[SandboxKind]) {
    jail.send(&Request::KeepReady(kinds.to_vec()), &[]);
}

/// Host pids of a jail's own children: two of each ready sandbox.
fn children_of(jail: &Jail) -> Vec<u32> {
    let pid = jail.process.id();
    let children =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a jail that lives");
    children.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

#[track_caller]
pub(crate) fn wait_for_ready(jail: &Jail, sandboxes: usize) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let children = children_of(jail);
        if children.len() == 2 * sandboxes && uids(&children).iter().all(Option::is_some) {
            return children;
        }
        assert!(Instant::now() < deadline, "{sandboxes} sandboxes are not ready, children: {children:?}");
        std::thread::yield_now();
    }
}

/// Of each, once it is where it belongs: init, or the sandbox's root.
fn uids(pids: &[u32]) -> Vec<Option<u32>> {
    let uid = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let uid: u32 = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        [0, 65_533].contains(&(uid % (1 << 16))).then_some(uid).filter(|uid| *uid > 0)
    };
    pids.iter().map(uid).collect()
}

#[test]
fn the_process_that_waits_becomes_the_command_and_another_takes_its_place() {
    let jail = Jail::start();
    keep_ready(&jail, &[kind(&jail, Writes::Work)]);
    let waiting = wait_for_ready(&jail, 2);
    let running = jail.begin(Job::shell("cat /proc/self/stat > /dev/null; exec sleep 600"));
    assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
    let command = children_of(&jail).into_iter().find(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.starts_with(b"kiln-jail"))
    });
    assert!(command.is_some_and(|pid| waiting.contains(&pid)), "{command:?} of {waiting:?}");
    jail.kill(kiln_jail::wire::KillReason::Cancelled);
    assert_eq!(jail.end(running).expect("a report").report.outcome, Outcome::Cancelled);
    keep_ready(&jail, &[kind(&jail, Writes::Work)]);
    let fresh = wait_for_ready(&jail, 2);
    assert!(!fresh.contains(&command.expect("found above")), "used once");
}

#[test]
fn nothing_of_one_command_is_found_by_the_next() {
    let jail = Jail::start();
    let leave = "echo x | tee /work/left /tmp/left /dev/shm/left; (setsid sleep 600 &); ulimit -n 17";
    // Builtins alone: nothing else is running while it looks.
    let look = "for file in /work/* /tmp/* /dev/shm/* /proc/[0-9]*/comm; do echo $file; read name < $file && echo $name; done; ulimit -n";
    let first = jail.run(Job::shell(look)).stdout;
    for _ in 0..3 {
        keep_ready(&jail, &[kind(&jail, Writes::Work)]);
        wait_for_ready(&jail, 2);
        jail.run(Job::shell(leave));
        keep_ready(&jail, &[kind(&jail, Writes::Work)]);
        wait_for_ready(&jail, 2);
        assert_eq!(jail.run(Job::shell(look)).stdout, first);
    }
}

#[test]
fn one_of_another_kind_is_not_taken() {
    let jail = Jail::start();
    keep_ready(&jail, &[kind(&jail, Writes::Work)]);
    wait_for_ready(&jail, 2);
    let look = "while read -r _ _ _ _ target options _; do [ $target = / ] && echo ${options%%,*}; done < /proc/self/mountinfo";
    assert_eq!(jail.run(Job::shell(look).profile(Profile::Build)).stdout, b"rw\n");
    assert_eq!(jail.run(Job::shell(look).profile(Profile::Strict)).stdout, b"ro\n");
}

#[test]
fn each_limit_is_that_of_the_command_and_not_of_its_sandbox() {
    let jail = Jail::start();
    for (megabytes, fits) in [(4, true), (2, false), (4, true)] {
        keep_ready(&jail, &[kind(&jail, Writes::Work)]);
        wait_for_ready(&jail, 2);
        let job = Job::shell("head -c 3000000 /dev/zero > /work/file")
            .limit(|limits| limits.disk_bytes = count(megabytes << 20));
        let ran = jail.run(job);
        assert_eq!(ran.report.outcome == Outcome::Exited { code: 0 }, fits, "{:?}", ran.report);
        assert_eq!(ran.report.evidence.disk_full, !fits);
    }
}

/// What the process that waits has taken already is beyond the limit.
#[test]
fn a_memory_limit_below_what_waiting_takes_is_the_memory_limit() {
    let jail = Jail::start();
    for ready in [false, true] {
        if ready {
            keep_ready(&jail, &[kind(&jail, Writes::Work)]);
            wait_for_ready(&jail, 2);
        }
        let ran = jail.run(Job::shell("true").limit(|limits| limits.memory_bytes = count(4096)));
        let Outcome::Limit { which, limit, .. } = ran.report.outcome else { panic!("{:?}", ran.report) };
        assert_eq!((which, limit), (LimitKind::Memory, 4096));
    }
    assert_eq!(jail.run(Job::shell("true")).report.outcome, Outcome::Exited { code: 0 });
}

#[test]
fn one_that_was_killed_while_it_waited_is_not_taken() {
    let jail = Jail::start();
    for victim in 0..4 {
        keep_ready(&jail, &[kind(&jail, Writes::Work)]);
        let ready = wait_for_ready(&jail, 2);
        let pid = rustix::process::Pid::from_raw(ready[victim] as i32).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a child of our own jail");
        // An init that was killed waits for the other process of its sandbox to be reaped.
        while !children_of(&jail).into_iter().any(is_zombie) {
            std::thread::yield_now();
        }
        assert_eq!(jail.run(Job::shell("echo hi")).stdout, b"hi\n");
    }
}

#[test]
fn what_is_not_wanted_any_more_is_given_back_and_a_jail_that_ends_leaves_none() {
    let jail = Jail::start();
    keep_ready(&jail, &[kind(&jail, Writes::Root), kind(&jail, Writes::Work)]);
    wait_for_ready(&jail, 3);
    assert_eq!(processes_of(&jail).len(), 6);
    keep_ready(&jail, &[kind(&jail, Writes::Work)]);
    wait_for_ready(&jail, 2);
    keep_ready(&jail, &[]);
    wait_for_ready(&jail, 0);
    wait_for_none("group", || groups_of(&jail).into_iter().collect());
    keep_ready(&jail, &[kind(&jail, Writes::Work)]);
    wait_for_ready(&jail, 2);
    // Its end is checked as every jail's: the next one of this name finds nothing.
}

#[test]
fn one_that_cannot_be_made_is_told_by_the_command_that_needs_it() {
    let jail = Jail::start();
    let mut nowhere = kind(&jail, Writes::Work);
    nowhere.rootfs.parts[1].source = b"/nowhere/at/all".to_vec();
    keep_ready(&jail, &[nowhere.clone()]);
    assert_eq!(jail.run(Job::shell("echo hi")).stdout, b"hi\n");
    let mut job = Job::shell("true");
    job.plan.rootfs = nowhere.rootfs;
    assert_eq!(jail.fail(job).step, "image_part");
}
