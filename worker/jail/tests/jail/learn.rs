//! A recorded command, seen at the jail's own socket: what comes back, what is refused, and that its calls stop no clock.

use std::time::{Duration, Instant};

use crate::harness::{Jail, Job, count};
use kiln_jail::learned::{Learned, LearnedAnswer};
use kiln_jail::plan::{CustomProfile, Profile, Writes};
use kiln_jail::report::{LimitKind, Outcome};
use kiln_jail::wire::Reply;

fn learned(replies: &[Reply]) -> &Learned {
    let all: Vec<_> = replies
        .iter()
        .filter_map(|reply| match reply {
            Reply::Learned(learned) => Some(&**learned),
            _ => None,
        })
        .collect();
    assert_eq!(all.len(), 1, "{replies:?}");
    all[0]
}

fn count_of(learned: &Learned, call: &str) -> u64 {
    learned.calls.iter().filter(|seen| seen.syscall == call).map(|seen| seen.count).sum()
}

#[test]
fn a_recorded_command_runs_as_ever_and_its_calls_are_counted() {
    let jail = Jail::start();
    let ran = jail.learn(Job::perl("mkdir \"d$_\" for 1 .. 7; print getppid() >= 0 ? \"ok\" : \"\"; exit 3"));
    assert_eq!((&ran.report.outcome, ran.text().as_str()), (&Outcome::Exited { code: 3 }, "ok"));
    let seen = learned(&ran.replies);
    assert_eq!((count_of(seen, "mkdir"), count_of(seen, "execve"), seen.unlisted), (7, 1, 0), "{seen:#?}");
    assert!(seen.calls.iter().all(|call| call.answer != LearnedAnswer::Forbidden));
    // The jail's next command is not recorded.
    let ran = jail.run(Job::shell("echo plain"));
    assert_eq!(ran.succeeded(), "plain\n");
    assert!(!ran.replies.iter().any(|reply| matches!(reply, Reply::Learned(_))));
}

#[test]
fn a_program_that_cannot_be_executed_ends_as_ever() {
    let jail = Jail::start();
    let ran = jail.learn(Job::new(&["/nowhere/at/all"]));
    assert_eq!(ran.report.outcome, Outcome::Exited { code: 127 });
    assert_eq!(count_of(learned(&ran.replies), "execve"), 1);
}

/// A call of a child, in the moment when the main process ends: either came first, and nothing else comes of it.
#[test]
fn a_forbidden_call_is_named_also_in_the_race_with_the_end() {
    let jail = Jail::start();
    for _ in 0..20 {
        let ran = jail.learn(Job::perl("if (!fork) { chroot '/'; sleep 60 } exit 0"));
        match &ran.report.outcome {
            Outcome::Forbidden { syscall, .. } => assert_eq!(syscall, "chroot"),
            Outcome::Exited { code: 0 } => {}
            other => panic!("{other:?}"),
        }
    }
    let ran = jail.learn(Job::perl("if (!fork) { chroot '/'; sleep 60 } wait; exit 0"));
    assert!(matches!(&ran.report.outcome, Outcome::Forbidden { syscall, .. } if syscall == "chroot"));
}

#[test]
fn calls_without_end_from_many_processes_stop_neither_clock() {
    let jail = Jail::start();
    let calls = "fork for 1 .. 3; while (1) { getppid }";
    let began = Instant::now();
    let ran = jail.learn(Job::perl(calls).limit(|limits| {
        limits.wall_us = count(1_000_000);
        limits.cpu_us = count(60_000_000);
    }));
    assert!(
        matches!(ran.report.outcome, Outcome::Limit { which: LimitKind::Wall, .. }),
        "{:?}",
        ran.report.outcome
    );
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let ran = jail.learn(Job::perl(calls).limit(|limits| limits.cpu_us = count(200_000)));
    assert!(
        matches!(ran.report.outcome, Outcome::Limit { which: LimitKind::Cpu, .. }),
        "{:?}",
        ran.report.outcome
    );
    let ran = jail.learn(Job::perl("while (1) { fork }").limit(|limits| limits.pids = count(8)));
    assert!(
        matches!(ran.report.outcome, Outcome::Limit { which: LimitKind::Pids, .. }),
        "{:?}",
        ran.report.outcome
    );
}

/// A signal meets calls that wait for the jail as it would meet calls that sleep: who asked for restarts sees none of it.
#[test]
fn calls_that_wait_for_the_jail_are_restarted_after_signals() {
    let jail = Jail::start();
    let program = "use POSIX; use Time::HiRes qw(setitimer time ITIMER_REAL); my ($n, $bad) = (0, 0); \
                   sigaction(SIGALRM, POSIX::SigAction->new(sub { $n++ }, POSIX::SigSet->new, SA_RESTART)); \
                   setitimer(ITIMER_REAL, 0.002, 0.002); my $until = time + 1; \
                   while (time < $until || $n < 20) { my @s = stat '/'; $bad++ if !@s } \
                   setitimer(ITIMER_REAL, 0); print \"bad $bad\"";
    assert_eq!(jail.learn(Job::perl(program)).succeeded(), "bad 0");
}

#[test]
fn a_custom_profile_is_compiled_once_and_found_with_what_it_may_write() {
    let policy = r#"{"about": "a", "inherits": "default", "rules": [{"calls": ["mkdir"], "answer": {"error": "EPERM"}, "reason": "r"}]}"#;
    let own = CustomProfile { name: "own".to_owned(), writes: Writes::Work, policy: policy.to_owned() };
    let jail = Jail::start_with(vec![own]);
    let custom = |writes| Profile::Custom { name: "own".to_owned(), writes };
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(jail.image().join("opt"), open).expect("chmod");
    let script = "mkdir d || echo refused; echo x > /opt/made || echo confined";
    let ran = jail.run(Job::shell(script).profile(custom(Writes::Work)));
    assert_eq!(ran.succeeded(), "refused\nconfined\n");
    for profile in [custom(Writes::Root), Profile::Custom { name: "other".to_owned(), writes: Writes::Work }]
    {
        let failure = jail.fail(Job::shell("true").profile(profile.clone()));
        assert_eq!(failure.step, "profile");
        assert!(failure.detail.contains(profile.name()), "{failure}");
    }
    let own = CustomProfile { name: "own".to_owned(), writes: Writes::Root, policy: policy.to_owned() };
    let writing = Jail::start_with(vec![own]);
    std::fs::set_permissions(
        writing.image().join("opt"),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .expect("chmod");
    let ran = writing.run(Job::shell(script).profile(custom(Writes::Root)));
    assert_eq!(ran.succeeded(), "refused\n");
    assert!(!writing.image().join("opt/made").exists());
    // Nothing of a refused plan is left.
    assert_eq!(jail.run(Job::shell("echo on")).succeeded(), "on\n");
}

#[test]
fn a_jail_with_a_policy_that_does_not_hold_does_not_stand() {
    let policy = r#"{"about": "a", "inherits": "default", "rules": [{"calls": ["mount"], "answer": "allow", "reason": "r"}]}"#;
    let own = CustomProfile { name: "own".to_owned(), writes: Writes::Work, policy: policy.to_owned() };
    let (mut jail, reply) = Jail::try_start_with(vec![own]);
    jail.has_failed = true;
    let Reply::Failed(failure) = reply else { panic!("{reply:?}") };
    assert_eq!(failure.step, "seccomp");
    assert!(failure.detail.contains("profile own: rule 1: allows \"mount\""), "{failure}");
}
