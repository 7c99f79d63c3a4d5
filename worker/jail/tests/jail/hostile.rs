//! Plans and programs that attack the jail itself: its memory, its set-up, its end, and the moments when it is killed.

use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::harness::{Jail, Job, MIB, count};
use kiln_jail::plan::{Limits, Owner};
use kiln_jail::report::{LimitKind, Outcome};
use kiln_jail::wire::{KillReason, Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;

fn slow(limits: &mut Limits) {
    limits.cpu_rate_millis = NonZeroU32::new(10).expect("not zero");
}

/// Found as 1.7 GiB in the jail, outside of any group: every place of a long PATH with a long name, at once.
#[test]
fn a_long_name_and_a_long_path_do_not_fill_the_jails_memory() {
    let jail = Jail::start();
    let ran = jail.run(Job::new(&[&"a".repeat(60_000)]).env("PATH", &"/:".repeat(30_000)));
    assert_eq!(ran.report.outcome, Outcome::Exited { code: 126 });
    assert_eq!(ran.report.evidence.exec_errno, Some(libc::ENAMETOOLONG));
    let status = std::fs::read_to_string(format!("/proc/{}/status", jail.pid())).expect("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 32 * 1024, "{kib} KiB");
}

/// Else a worker that the OOM killer spares hands down commands that it spares too.
#[test]
fn a_command_is_the_first_that_the_oom_killer_takes() {
    let jail = Jail::start();
    let ran = jail.run(Job::new(&["/bin/cat", "/proc/self/oom_score_adj"]));
    assert_eq!(ran.succeeded(), "1000\n");
    let own = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", jail.pid())).expect("read");
    assert_ne!(own, "1000\n", "only the command");
}

/// Found as an infrastructure failure (EINVAL, ERANGE), which is tried again.
#[test]
fn the_largest_limits_are_as_good_as_none() {
    let jail = Jail::start();
    type Change = fn(&mut Limits);
    let changes: [Change; 9] = [
        |limits| limits.cpu_us = count(u64::MAX),
        |limits| limits.wall_us = count(u64::MAX),
        |limits| limits.memory_bytes = count(u64::MAX),
        |limits| limits.pids = count(u64::MAX),
        |limits| limits.file_size_bytes = count(u64::MAX),
        |limits| limits.disk_bytes = count(u64::MAX),
        |limits| limits.inodes = count(u64::MAX),
        |limits| limits.open_files = count(u64::MAX),
        |limits| limits.stack_bytes = count(u64::MAX),
    ];
    for change in changes {
        jail.run(Job::shell("echo x > f; cat f").limit(change)).succeeded();
    }
}

/// Found as 3 s, uncounted and unwatched, for 60 MiB at a hundredth of a CPU.
#[test]
fn set_up_is_not_throttled() {
    let jail = Jail::start();
    let big = vec![0; 60 * MIB as usize];
    let job = Job::new(&["/bin/true"]).file_in("/work/big", &big, 0o600, Owner::Command);
    let phases = jail.run(job.limit(slow)).report.phases;
    let took = Duration::from_micros(phases.started_us - phases.prepared_us);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Found as 650 ms from the limit to the end.
#[test]
fn throttled_processes_die_as_fast_as_others() {
    let jail = Jail::start();
    let many = "for i in 1 2 3 4 5 6 7 8 9 10; do perl -e '$x = q(a) x 10000000; 1 while 1' & done; wait";
    let job = Job::shell(many).limit(slow).limit(|limits| limits.wall_us = count(1_000_000));
    let report = jail.run(job).report;
    assert!(matches!(report.outcome, Outcome::Limit { which: LimitKind::Wall, .. }), "{:?}", report.outcome);
    let took = Duration::from_micros(report.phases.collected_us - report.phases.ended_us);
    assert!(took < Duration::from_millis(250), "{took:?}");
}

/// Found as EACCES in the first command: the second's jail had taken the pipe over.
#[test]
fn a_pipe_between_two_sandboxes_can_be_opened_by_name_in_both() {
    let (writer, reader) = (Jail::start(), Jail::start());
    let (read, write) = std::io::pipe().expect("pipe");
    let (mut answer, out) = std::io::pipe().expect("pipe");
    // Each script waits for its stdin's first line, which is sent when both are running.
    let (go, hold) = std::io::pipe().expect("pipe");
    begin(&writer, Job::shell("read go; echo hello > /dev/stdout"), [go.into(), write.into(), null()]);
    wait_for_start(&writer);
    begin(&reader, Job::shell("cat /dev/stdin"), [read.into(), out.into(), null()]);
    wait_for_start(&reader);
    std::io::Write::write_all(&mut { hold }, b"go\n").expect("write");
    let mut heard = String::new();
    std::io::Read::read_to_string(&mut answer, &mut heard).expect("read");
    assert_eq!(heard, "hello\n");
    for jail in [&writer, &reader] {
        while !matches!(jail.receive(), Some((Reply::Finished(_), _))) {}
        jail.send(&Request::Release, &[]);
        assert!(matches!(jail.receive(), Some((Reply::Released, _))));
    }
}

/// The moments before the first sandbox, too: whoever the jail has cloned must not outlive it, nor hold its socket.
#[test]
fn a_jail_killed_while_it_stands_up_leaves_no_process() {
    for round in 0..40 {
        let mut jail = Jail::start_unanswered();
        // In the moment when its first child is seen, or right after that has passed.
        while now(jail.pid()).is_empty() && !is_ready(&jail.socket, 0) {}
        jail.process.kill().expect("kill");
        jail.process.wait().expect("wait");
        let socket = std::mem::replace(&mut jail.socket, null());
        // The answer, if there was time for one, and then the end.
        while let Some(_answer) = {
            assert!(is_ready(&socket, 5), "somebody holds the killed jail's socket, round {round}");
            kiln_jail::wire::receive::<Reply>(socket.as_fd(), RecvFlags::empty()).expect("receive")
        } {}
        jail.has_failed = true;
    }
}

/// Whatever the client names as directory or program, no descriptor of the jail that is about to be closed is one.
#[test]
fn the_jails_own_descriptors_are_no_place_and_no_program() {
    let jail = Jail::start();
    for number in 3..48 {
        let path = format!("/proc/self/fd/{number}");
        let ran = jail.run(Job::new(&["/bin/pwd"]).cwd(&path));
        assert_eq!(ran.report.outcome, Outcome::Exited { code: 126 }, "{number}: {}", ran.text());
        let ran = jail.run(Job::new(&[&path]));
        assert!(ran.report.evidence.exec_errno.is_some(), "{number}: {:?}", ran.report.outcome);
    }
    for path in ["/proc/self/root/..", "/proc/1/root", "/proc/1/cwd"] {
        let ran = jail.run(Job::shell("ls -a /").cwd(path.trim_end_matches("/..")));
        assert!(!ran.text().contains("scratch"), "{path}: {}", ran.text());
    }
}

/// Init is beside the command as long as the sandbox lives: it holds nothing of the jail.
#[test]
fn init_holds_no_descriptor_when_the_command_runs() {
    let jail = Jail::start();
    for _ in 0..20 {
        let running = jail.begin(Job::shell("sleep 600"));
        wait_for_start(&jail);
        let init = now(jail.pid()).into_iter().min().expect("init is the first child");
        let open = std::fs::read_dir(format!("/proc/{init}/fd")).expect("fd").count();
        assert_eq!(open, 0);
        jail.kill(KillReason::Cancelled);
        jail.end(running).expect("no infrastructure failure");
    }
}

/// Children at this moment.
fn now(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).expect("children");
    text.split_ascii_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

fn is_ready(socket: &OwnedFd, patience_seconds: i64) -> bool {
    let mut ends = [PollFd::new(socket, PollFlags::IN)];
    let patience = Timespec { tv_sec: patience_seconds, tv_nsec: 0 };
    rustix::event::poll(&mut ends, Some(&patience)).expect("poll") == 1
}

fn begin(jail: &Jail, mut job: Job, descriptors: [OwnedFd; 3]) {
    job.plan.rootfs.parts = jail.parts();
    jail.send(&Request::Run(Box::new(job.plan)), &descriptors);
}

fn wait_for_start(jail: &Jail) {
    assert!(matches!(jail.receive(), Some((Reply::Started { .. }, _))));
}

fn null() -> OwnedFd {
    std::fs::File::options().read(true).write(true).open("/dev/null").expect("open").into()
}

/// Where a profile lets clone have CLONE_PARENT, the jail becomes the parent; the namespace ends only when it reaps them.
#[test]
fn children_that_were_given_to_the_jail_do_not_hold_it() {
    let jail = Jail::start();
    // SYS_clone on x86-64 and aarch64; CLONE_PARENT, once with SIGCHLD and once with no signal at the end.
    let number = if cfg!(target_arch = "aarch64") { 220 } else { 56 };
    let script = format!(
        "for $flags (0x8000 | 17, 0x8000) {{ syscall({number}, $flags, 0, 0, 0, 0) == 0 and exec 'sleep', '100' }}"
    );
    assert_eq!(jail.run(Job::perl(&script)).succeeded(), "");
    assert_eq!(jail.run(Job::shell("echo well")).succeeded(), "well\n");
}
