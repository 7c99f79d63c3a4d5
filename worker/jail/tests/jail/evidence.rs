//! Each fact behind an outcome, with a program that brings it about and one that does not.

use crate::harness::{Jail, Job, MIB, Ran, count};
use kiln_jail::report::{Activity, AtKill, LimitKind, Outcome, Process, Role, SignalOrigin};
use kiln_jail::wire::{KillReason, Reply};

fn with_wall(job: Job, milliseconds: u64) -> Job {
    job.limit(|limits| limits.wall_us = count(milliseconds * 1000))
}

#[track_caller]
fn at_kill(ran: &Ran) -> &AtKill {
    ran.report.evidence.at_kill.as_ref().unwrap_or_else(|| panic!("{:?}", ran.report))
}

/// What held a command up, with the process's name and pid inside.
#[track_caller]
fn held_up(ran: &Ran) -> (Activity, String, u32) {
    let process = at_kill(ran).held_up.as_ref().unwrap_or_else(|| panic!("{:?}", ran.report));
    let name = String::from_utf8_lossy(&process.name).into_owned();
    (process.activity.expect("an activity"), name, process.pid.expect("a pid inside"))
}

#[test]
fn blocked_reading_stdin_is_told_from_sleeping_and_other_waits() {
    let jail = Jail::start();
    let perl = |script: &str| with_wall(Job::perl(script), 300);
    let ran = jail.run_with_silent_stdin(perl("<STDIN>"));
    let (activity, name, pid) = held_up(&ran);
    assert_eq!((activity, name.as_str()), (Activity::ReadingStdin, "perl"));
    assert!(pid > 1, "init is 1: {pid}");
    assert_eq!(at_kill(&ran).held_up.as_ref().and_then(|held| held.waits_in.as_deref()), Some("read"));
    // By another number, and in a child.
    let ran = jail.run_with_silent_stdin(with_wall(Job::shell("exec 7<&0 0</dev/null; cat <&7; :"), 300));
    assert_eq!(held_up(&ran).0, Activity::ReadingStdin);
    assert_eq!((held_up(&ran).1.as_str(), at_kill(&ran).processes), ("cat", 2));
    let held = at_kill(&ran).held_up.as_ref().expect("cat");
    assert_eq!(held.role, Role::Descendant);
    assert_eq!(at_kill(&ran).shown[0].role, Role::Main);
    assert_eq!(at_kill(&ran).shown[0].activity, Some(Activity::WaitingForChild));
    for (script, expected) in [
        ("sleep 9", Activity::Sleeping),
        ("pipe R, W; sysread R, $x, 1", Activity::Reading),
        ("kill STOP, $$", Activity::Stopped),
        ("select undef, undef, undef, 9", Activity::WaitingForEvents),
        ("use POSIX; POSIX::pause", Activity::WaitingForSignal),
        ("system q(mkfifo f); open F, q(<), q(f)", Activity::Waiting),
    ] {
        let ran = jail.run_with_silent_stdin(perl(script));
        assert!(matches!(ran.report.outcome, Outcome::Limit { which: LimitKind::Wall, .. }), "{script}");
        assert_eq!(held_up(&ran).0, expected, "{script}: {:?}", at_kill(&ran));
    }
}

#[test]
fn a_full_pipe_that_nobody_reads_is_told_as_blocked_writing() {
    let jail = Jail::start();
    let job = with_wall(Job::new(&["/usr/bin/head", "-c", "200000", "/dev/zero"]), 300);
    let ran = jail.run_with_unread_stdout(job);
    assert_eq!(held_up(&ran).0, Activity::WritingStdout);
    // As much as a pipe holds.
    jail.run_with_unread_stdout(with_wall(Job::new(&["/usr/bin/head", "-c", "60000", "/dev/zero"]), 5000))
        .succeeded();
}

#[test]
fn a_thread_that_reads_stdin_speaks_for_its_process() {
    let jail = Jail::start();
    let script = "import sys, threading
t = threading.Thread(target=sys.stdin.buffer.raw.read, args=(1,)); t.start(); t.join()";
    let ran = jail.run_with_silent_stdin(with_wall(Job::new(&["/usr/bin/python3", "-c", script]), 1000));
    assert_eq!(held_up(&ran).0, Activity::ReadingStdin, "{:?}", at_kill(&ran));
}

#[test]
fn the_busiest_process_is_named_at_the_cpu_limit_and_nothing_held_it_up() {
    let jail = Jail::start();
    let script = "exec -a idle sleep 9 & exec -a lazy perl -e '$0 = q(lazy); sleep 9' & perl -e '$0 = q(spinner); 1 while 1'; :";
    let job = Job::new(&["/bin/bash", "-c", script]).limit(|limits| limits.cpu_us = count(400_000));
    let ran = jail.run(job);
    assert!(matches!(ran.report.outcome, Outcome::Limit { which: LimitKind::Cpu, .. }), "{:?}", ran.report);
    let seen = at_kill(&ran);
    assert_eq!((seen.processes, seen.tasks), (4, Some(4)), "{seen:?}");
    assert_eq!(seen.held_up, None);
    let busiest = seen.shown.iter().max_by_key(|process| process.cpu_us).expect("processes");
    assert_eq!((busiest.name.as_slice(), busiest.role), (&b"spinner"[..], Role::Descendant));
    assert_eq!(busiest.activity, Some(Activity::Running));
    assert!(busiest.cpu_us.is_some_and(|cpu| (300_000..=420_000).contains(&cpu)), "{busiest:?}");
}

#[test]
fn a_command_that_ended_by_itself_was_not_looked_at() {
    let jail = Jail::start();
    let evidence = jail.run(Job::shell("exit 3")).report.evidence;
    assert_eq!((evidence.at_kill, evidence.signal_origin, evidence.caller), (None, None, None));
}

#[test]
fn names_that_a_job_chose_come_as_bytes_and_upset_nothing() {
    let jail = Jail::start();
    for name in [&b"a) R 1 (b"[..], b"x\nNSpid: 1 2", b"\xff\xfe\x1b[31m", b"))))"] {
        let hex: String = name.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        // PR_SET_NAME, by its number.
        let script = format!("$name = qq({hex}); syscall(157, 15, $name) and exit 9; sleep 9");
        let ran = jail.run(with_wall(Job::perl(&script), 1000));
        assert_eq!(at_kill(&ran).shown[0].name, name, "{:?}", ran.report);
        assert_eq!(held_up(&ran).0, Activity::Sleeping);
    }
}

/// However many there are, they do not make a kill late: only a few are looked at.
#[test]
fn many_processes_are_counted_and_a_few_are_shown() {
    let jail = Jail::start();
    // By CPU time: it is not used up before all are there, however busy the machine is.
    let script = "for (1..300) { fork or do { sleep 600; exit } } 1 while 1";
    let job = Job::perl(script).limit(|limits| (limits.pids, limits.cpu_us) = (count(400), count(2_000_000)));
    let ran = jail.run(with_wall(job, 120_000));
    let seen = at_kill(&ran);
    assert_eq!(seen.processes, 301);
    // How many depends on how long a look takes: on an emulated kernel the first one uses up the time there is.
    assert!((1..=32).contains(&seen.looked_at) && seen.shown.len() <= 8, "{seen:?}");
    assert_eq!(seen.shown[0].role, Role::Main);
}

#[test]
fn cancelled_and_stopped_for_output_are_looked_at_too() {
    let jail = Jail::start();
    for reason in [KillReason::Cancelled, KillReason::OutputLimit { seen: 2 * MIB }] {
        let running = jail.begin(Job::shell("sleep 20"));
        assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
        jail.kill(reason);
        let ran = jail.end(running).expect("a report");
        assert!(at_kill(&ran).processes >= 1, "{:?}", ran.report);
    }
}

#[test]
fn who_made_a_forbidden_call_is_named_main_process_or_child() {
    let jail = Jail::start();
    // ptrace(PTRACE_ATTACH, 1).
    let call = "syscall(101, 16, 1, 0, 0)";
    let caller = |job: Job| -> Process {
        let ran = jail.run(job);
        assert!(matches!(ran.report.outcome, Outcome::Forbidden { .. }), "{:?}", ran.report);
        ran.report.evidence.caller.clone().unwrap_or_else(|| panic!("{:?}", ran.report))
    };
    let main = caller(Job::perl(&format!("$0 = q(attacker); print $$; {call}")));
    assert_eq!((main.name.as_slice(), main.role), (&b"attacker"[..], Role::Main));
    let ran = jail.run(Job::perl("print $$"));
    assert_eq!(main.pid, Some(ran.succeeded().parse().expect("a pid")), "as it numbers itself");
    let child =
        caller(Job::perl(&format!("$0 = q(parent); if (fork) {{ wait }} else {{ $0 = q(child); {call} }}")));
    assert_eq!((child.name.as_slice(), child.role), (&b"child"[..], Role::Descendant));
    assert!(child.pid > main.pid, "{child:?}");
    assert!(jail.run(Job::perl("print 1")).report.evidence.caller.is_none());
}

#[test]
fn a_thread_that_makes_a_forbidden_call_is_told_as_its_process() {
    let jail = Jail::start();
    let script = "import ctypes, threading
libc = ctypes.CDLL(None)
t = threading.Thread(target=libc.syscall, args=(101, 16, 1, 0, 0)); t.start(); t.join()";
    let evidence = jail.run(Job::new(&["/usr/bin/python3", "-c", script])).report.evidence;
    let caller = evidence.caller.expect("a caller");
    assert_eq!((caller.name.as_slice(), caller.role), (&b"python3"[..], Role::Main));
}

#[test]
fn a_signal_of_its_own_is_told_from_one_of_another_process_and_from_a_fault() {
    let jail = Jail::start();
    let end = |job: Job| {
        let report = jail.run(job).report;
        let Outcome::Signalled { signal } = report.outcome else { panic!("{report:?}") };
        (signal, report.evidence.signal_origin)
    };
    // pids.peak of v1 is newer than the others.
    let peaks = jail.run(Job::new(&["/bin/true"])).report.usage.peak_pids;
    let alone = if peaks == Some(1) { SignalOrigin::Itself } else { SignalOrigin::Sandbox };
    assert_eq!(end(Job::perl("kill ABRT, $$; sleep 9")), (libc::SIGABRT, Some(alone)));
    assert_eq!(end(Job::perl("kill KILL, $$; sleep 9")), (libc::SIGKILL, Some(alone)));
    let other = "$m = $$; if (!fork) { kill KILL, $m; exit } sleep 9";
    assert_eq!(end(Job::perl(other)), (libc::SIGKILL, Some(SignalOrigin::Sandbox)));
    assert_eq!(end(Job::perl("kill PIPE, $$; sleep 9")), (libc::SIGPIPE, None));
}

/// Whether this host's kernel log can be asked for what happened in a jail.
fn kernel_log_is_readable() -> bool {
    std::fs::File::open("/dev/kmsg").is_ok_and(|mut log| {
        use std::io::Read;
        log.read(&mut [0; 8192]).is_ok()
    })
}

#[test]
fn a_crash_is_told_from_a_signal_and_the_stacks_edge_from_elsewhere() {
    let jail = Jail::start();
    let crash = |job: Job| {
        let report = jail.run(job).report;
        assert_eq!(report.outcome, Outcome::Signalled { signal: libc::SIGSEGV }, "{report:?}");
        report.evidence
    };
    let sent = jail.run(Job::perl("kill SEGV, $$; sleep 9")).report.evidence;
    assert_eq!((sent.signal_origin, sent.fault), (None, None));
    // A small stack: a shell takes long to fill a large one.
    let deep = Job::new(&["/bin/bash", "-c", "deeper() { deeper; }; deeper"]);
    let edge = crash(deep.limit(|limits| limits.stack_bytes = count(256 << 10)));
    let null = crash(Job::perl("unpack q(P8), pack q(J), 8"));
    // The kernel tells ten crashes in five seconds, of everybody's; at least one of two is among them on a quiet host.
    if let Some(fault) = &edge.fault {
        assert_eq!((edge.signal_origin, fault.at_stack_edge), (Some(SignalOrigin::Fault), Some(true)));
    }
    if let Some(fault) = &null.fault {
        assert_eq!((fault.address, fault.at_stack_edge), (Some(8), Some(false)));
    }
    assert!(!kernel_log_is_readable() || edge.fault.is_some() || null.fault.is_some());
}

#[test]
fn the_oom_killers_victim_is_named_where_the_kernel_log_is_readable() {
    let jail = Jail::start();
    // Not a constant, which would be made before the first statement runs.
    let take = "$0 = q(hungry); $n = 100; $x = 'x' x ($n << 20)";
    let main = Job::perl(take);
    let child = Job::perl(&format!("if (fork) {{ wait; exit 0 }} {take}"));
    for (job, role) in [(main, Role::Main), (child, Role::Descendant)] {
        let report = jail.run(job.limit(|limits| limits.memory_bytes = count(64 * MIB))).report;
        assert!(report.evidence.oom_kills >= 1, "{report:?}");
        let victims = &report.evidence.oom_victims;
        assert_eq!(victims.is_empty(), !kernel_log_is_readable(), "{report:?}");
        if let Some(victim) = victims.iter().find(|victim| victim.role == role) {
            assert_eq!(victim.name, b"hungry");
            assert_eq!(report.evidence.oom_elsewhere, Some(false));
        } else {
            assert!(victims.is_empty(), "{report:?}");
        }
    }
    assert_eq!(jail.run(Job::perl("print 1")).report.evidence.oom_victims, []);
}

/// Two jails whose commands run out of memory at the same time: each names its own victims only.
#[test]
fn the_victims_of_a_neighbour_are_never_named() {
    let (one, other) = (Jail::start(), Jail::start());
    let eat = |name: &str| {
        let script = format!("$0 = q({name}); sleep 1; $n = 100; $x = 'x' x ($n << 20)");
        Job::perl(&script).limit(|limits| limits.memory_bytes = count(32 * MIB))
    };
    let (first, second) = (one.begin(eat("first")), other.begin(eat("second")));
    for (ran, name) in [(one.end(first), "first"), (other.end(second), "second")] {
        let evidence = ran.expect("a report").report.evidence;
        assert!(evidence.oom_victims.iter().all(|victim| victim.name == name.as_bytes()), "{evidence:?}");
        assert_eq!(evidence.oom_victims.is_empty(), !kernel_log_is_readable());
    }
}
