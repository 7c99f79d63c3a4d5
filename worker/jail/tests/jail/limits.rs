//! Each limit with a command just under it and one over it: outcome, numbers, and how soon.

use std::time::{Duration, Instant};

use crate::harness::{Jail, Job, MIB, Ran, count};
use kiln_jail::plan::Part;
use kiln_jail::report::{LimitKind, Outcome};
use kiln_jail::wire::{KillReason, Reply};

#[track_caller]
fn limit_of(ran: &Ran) -> (LimitKind, u64, u64) {
    match ran.report.outcome {
        Outcome::Limit { which, limit, seen } => (which, limit, seen),
        ref other => panic!("{other:?}, stderr {:?}", String::from_utf8_lossy(&ran.stderr)),
    }
}

const BURN: &str = "use Time::HiRes 'clock'; 1 while clock() < $ARGV[0]";

fn burn(seconds: &str) -> Job {
    Job::new(&["/usr/bin/perl", "-e", BURN, seconds])
}

#[test]
fn cpu_under_and_over() {
    let jail = Jail::start();
    let limit = |job: Job| job.limit(|limits| limits.cpu_us = count(500_000));
    let under = jail.run(limit(burn("0.3")));
    under.succeeded();
    let used = under.report.usage.cpu_user_us + under.report.usage.cpu_system_us;
    // What the process used before exec, which its own clock shows too, is not counted here.
    assert!((250_000..500_000).contains(&used), "{used}");
    let over = jail.run(limit(burn("5")));
    let (which, at, seen) = limit_of(&over);
    assert_eq!((which, at), (LimitKind::Cpu, 500_000));
    assert!((500_001..600_000).contains(&seen), "killed within 100 ms: {seen}");
    assert!(over.report.evidence.busy_millis > 100, "{:?}", over.report.evidence);
}

#[test]
fn cpu_of_children_threads_and_unreaped_children_is_charged() {
    let jail = Jail::start();
    let spread = "use Time::HiRes 'clock'; for (1..4) { fork or do { 1 while clock() < 5; exit } } sleep 9";
    let started = Instant::now();
    let ran = jail.run(Job::perl(spread).limit(|limits| limits.cpu_us = count(400_000)));
    let (which, _, seen) = limit_of(&ran);
    assert_eq!(which, LimitKind::Cpu);
    assert!(seen < 600_000, "{seen}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn wall_over_while_idle_and_when_signals_are_ignored() {
    let jail = Jail::start();
    let scripts = [
        "sleep 20",
        "trap '' TERM INT HUP XCPU; while :; do sleep 1; done",
        "kill -STOP $$",
        "mkfifo f; cat f",
    ];
    for script in scripts {
        let job = Job::shell(script).limit(|limits| limits.wall_us = count(200_000));
        let ran = jail.run(job);
        let (which, at, seen) = limit_of(&ran);
        assert_eq!((which, at), (LimitKind::Wall, 200_000), "{script}");
        assert!((200_000..300_000).contains(&seen), "{script}: {seen}");
        assert!(ran.report.evidence.busy_millis < 900, "{script}: idle");
    }
    jail.run(Job::shell("sleep 0.1").limit(|limits| limits.wall_us = count(2_000_000))).succeeded();
}

#[test]
fn memory_under_and_over_and_in_a_child_whose_parent_exits_0() {
    let jail = Jail::start();
    let limit = |job: Job| job.limit(|limits| limits.memory_bytes = count(64 * MIB));
    let take = |mib: u32| Job::perl(&format!("$x = 'x' x ({mib} << 20); print length $x"));
    jail.run(limit(take(16))).succeeded();
    let over = jail.run(limit(take(100)));
    let (which, at, seen) = limit_of(&over);
    assert_eq!((which, at), (LimitKind::Memory, 64 * MIB));
    assert!(seen > 50 * MIB && seen <= 64 * MIB, "{seen}");
    assert!(over.report.evidence.oom_kills >= 1);
    let child = Job::shell("perl -e '$x = \"x\" x (100 << 20)'; exit 0");
    assert_eq!(limit_of(&jail.run(limit(child))).0, LimitKind::Memory);
}

#[test]
fn memory_in_tmpfs_and_shared_memory_is_charged() {
    let jail = Jail::start();
    for place in ["/work", "/tmp", "/dev/shm"] {
        let script = format!("head -c 60000000 /dev/zero > {place}/big; echo done");
        let ran = jail.run(Job::shell(&script).limit(|limits| {
            limits.memory_bytes = count(32 * MIB);
            limits.disk_bytes = count(128 * MIB);
            limits.file_size_bytes = count(128 * MIB);
        }));
        assert_eq!(limit_of(&ran).0, LimitKind::Memory, "{place}");
    }
}

#[test]
fn a_second_command_does_not_inherit_the_peak_of_the_first() {
    let jail = Jail::start();
    let big = jail.run(Job::perl("$x = 'x' x (64 << 20)")).report.usage.peak_memory_bytes;
    let small = jail.run(Job::new(&["/bin/true"])).report.usage.peak_memory_bytes;
    assert!(big > 64 * MIB && small < 16 * MIB, "{big} {small}");
}

#[test]
fn fork_bombs_and_thread_bombs_end_at_the_first_refused_fork() {
    let jail = Jail::start();
    for bomb in ["1 while 1 + fork", "use POSIX; while (1) { defined fork or POSIX::_exit(0) }"] {
        let started = Instant::now();
        let ran = jail.run(Job::perl(bomb).limit(|limits| limits.pids = count(20)));
        let (which, at, _) = limit_of(&ran);
        assert_eq!((which, at), (LimitKind::Pids, 20));
        assert!(ran.report.evidence.pids_refused >= 1);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
    let under = "for (1..8) { fork or do { sleep 1; exit } } 1 while wait > 0; print 'ok'";
    let ran = jail.run(Job::perl(under).limit(|limits| limits.pids = count(9)));
    assert_eq!(ran.succeeded(), "ok");
}

#[test]
fn file_size_stops_with_its_own_outcome() {
    let jail = Jail::start();
    let write = |kib: u32| {
        Job::new(&["/usr/bin/dd", "if=/dev/zero", "of=/work/f", "bs=1024", &format!("count={kib}")])
            .limit(|limits| limits.file_size_bytes = count(MIB))
    };
    jail.run(write(1024)).succeeded();
    let (which, at, _) = limit_of(&jail.run(write(1025)));
    assert_eq!((which, at), (LimitKind::FileSize, MIB));
}

#[test]
fn disk_and_inodes_refuse_and_the_evidence_says_full() {
    let jail = Jail::start();
    let fill = |bytes: u64| {
        let script = format!("head -c {bytes} /dev/zero > /work/f && echo ok");
        Job::shell(&script).limit(|limits| limits.disk_bytes = count(4 * MIB))
    };
    assert_eq!(jail.run(fill(4 * MIB)).succeeded(), "ok\n");
    let full = jail.run(fill(4 * MIB + 1));
    assert_eq!(full.report.outcome, Outcome::Exited { code: 1 });
    assert!(full.report.evidence.disk_full, "{:?}", full.report.evidence);
    assert_eq!(full.report.evidence.disk_used_bytes, 4 * MIB);
    let files = |number: u32| {
        let script = format!("for (1..{number}) {{ open F, \">/tmp/$_\" or exit 7 }}");
        Job::perl(&script).limit(|limits| limits.inodes = count(100))
    };
    jail.run(files(100)).succeeded();
    let full = jail.run(files(101));
    assert_eq!(full.report.outcome, Outcome::Exited { code: 7 });
    assert!(full.report.evidence.inodes_full);
    assert_eq!(full.report.evidence.inodes_used, 100);
}

#[test]
fn open_files_and_stack_refuse() {
    let jail = Jail::start();
    let open = "for (1..100) { open $f[$_], '</dev/null' or do { print $_; exit 5 } }";
    let ran = jail.run(Job::perl(open).limit(|limits| limits.open_files = count(32)));
    assert_eq!(ran.report.outcome, Outcome::Exited { code: 5 });
    assert_eq!(ran.text(), "30", "0, 1, 2 and 29 more");
    let ran = jail.run(Job::shell("ulimit -s; ulimit -Hs; ulimit -c; ulimit -r; ulimit -l"));
    assert_eq!(ran.succeeded(), "8192\n8192\n0\n0\n64\n");
}

#[test]
fn the_cpu_rate_throttles() {
    let jail = Jail::start();
    let ran = jail.run(burn("0.2").limit(|limits| {
        limits.cpu_rate_millis = std::num::NonZeroU32::new(250).expect("not zero");
    }));
    ran.succeeded();
    assert!(ran.report.usage.wall_us > 600_000, "{:?}", ran.report.usage);
    assert!(ran.report.usage.throttled_us > 0, "{:?}", ran.report.usage);
}

#[test]
fn the_worker_can_cancel_and_stop_for_output() {
    let jail = Jail::start();
    let running = jail.begin(Job::shell("sleep 20"));
    assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
    jail.kill(KillReason::Cancelled);
    let started = Instant::now();
    let ran = jail.end(running).expect("a report");
    assert_eq!(ran.report.outcome, Outcome::Cancelled);
    assert!(started.elapsed() < Duration::from_millis(500));
    let running = jail.begin(Job::shell("sleep 20"));
    assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
    jail.kill(KillReason::OutputLimit { seen: 2 * MIB });
    let ran = jail.end(running).expect("a report");
    assert_eq!(limit_of(&ran), (LimitKind::Output, MIB, 2 * MIB));
    // Too late is ignored.
    jail.kill(KillReason::Cancelled);
    jail.run(Job::new(&["/bin/true"])).succeeded();
}

#[test]
fn progress_comes_while_it_runs() {
    let jail = Jail::start();
    let ran = jail.run(Job::shell("sleep 1"));
    let progress = ran.replies.iter().filter(|reply| matches!(reply, Reply::Progress { .. })).count();
    assert!((2..=5).contains(&progress), "{:?}", ran.replies);
    assert!(matches!(ran.replies[0], Reply::Started { .. }));
}

#[test]
fn a_memory_limit_too_small_to_start_in_is_the_memory_limit() {
    let jail = Jail::start();
    for kib in [4, 64, 128, 256, 512] {
        let job = Job::perl("$x = 'x' x (32 << 20)").limit(|limits| limits.memory_bytes = count(kib << 10));
        assert_eq!(limit_of(&jail.run(job)).0, LimitKind::Memory, "{kib} KiB");
    }
}

/// Found as the CPU limit: near its memory limit a command reads the same pages of its image again and again, each time
/// taken away for the next, and nothing is ever killed.
#[test]
fn pages_of_the_image_read_again_and_again_are_the_memory_limit() {
    let jail = Jail::start();
    let image = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("on a disk");
    let path = image.path().join("pages");
    std::fs::write(&path, vec![b'x'; 48 * MIB as usize]).expect("write");
    let file = std::fs::File::open(&path).expect("open");
    // Whoever reads them first is charged for them: it shall be the command.
    file.sync_all().expect("sync");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("fadvise");
    let touch = "import mmap, random; f = open('/opt/pages'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n\
                 while 1: m[random.randrange(len(m))]";
    let mut job = Job::new(&["/usr/bin/python3", "-c", touch]).limit(|limits| {
        limits.memory_bytes = count(24 * MIB);
        limits.cpu_us = count(1_000_000);
    });
    job.plan.rootfs.parts = jail.parts();
    let source = image.path().as_os_str().as_encoded_bytes().to_vec();
    job.plan.rootfs.parts.push(Part { source, target: b"/opt".to_vec() });
    let ran = jail.run(job);
    assert_eq!(limit_of(&ran).0, LimitKind::Memory, "{:?}", ran.report);
    let evidence = &ran.report.evidence;
    assert_eq!(evidence.oom_kills, 0, "nothing to kill: {evidence:?}");
    assert!(evidence.memory_stalled_us.is_none_or(|us| us > 100_000), "{evidence:?}");
}

#[test]
fn limits_of_one_are_the_jobs_matter_too() {
    let jail = Jail::start();
    type Change = fn(&mut kiln_jail::plan::Limits);
    let one: [Change; 8] = [
        |limits| limits.pids = count(1),
        |limits| limits.open_files = count(1),
        |limits| limits.stack_bytes = count(1),
        |limits| limits.inodes = count(1),
        |limits| limits.disk_bytes = count(1),
        |limits| limits.file_size_bytes = count(1),
        |limits| limits.wall_us = count(1),
        |limits| limits.cpu_us = count(1),
    ];
    for change in one {
        jail.run(Job::shell("echo x > f; cat f | cat").limit(change));
    }
    jail.run(Job::new(&["/bin/true"]).limit(|limits| limits.pids = count(1))).succeeded();
}
