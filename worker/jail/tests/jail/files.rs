//! Files in and out of a sandbox: what arrives, what comes back, and what a job cannot make of it.

use crate::harness::{Jail, Job, MIB, count};
use kiln_jail::plan::Owner;
use kiln_jail::report::{FileFound, Outcome};

#[test]
fn files_arrive_with_content_mode_and_owner_and_missing_parents() {
    let jail = Jail::start();
    let big = vec![7; 3 * MIB as usize];
    let script = "cd /work; stat -c '%n %a %u' a d d/e d/e/b /tmp/c; wc -c < d/e/b; cat a; echo x >> a; echo x >> d/e/b";
    let job = Job::shell(script)
        .file_in("/work/a", b"hello\n", 0o640, Owner::Command)
        .file_in("/work/d/e/b", &big, 0o444, Owner::Root)
        .file_in("/tmp/c", b"", 0o755, Owner::Command);
    let ran = jail.run(job);
    assert_eq!(ran.report.outcome, Outcome::Exited { code: 2 }, "root's file is read-only to the command");
    let expected = "a 640 1000\nd 755 1000\nd/e 755 1000\nd/e/b 444 0\n/tmp/c 755 1000\n3145728\nhello\n";
    assert_eq!(ran.text(), expected);
}

#[test]
fn a_program_that_was_put_in_can_be_executed_at_once() {
    let jail = Jail::start();
    let program = std::fs::read("/usr/bin/true").expect("read");
    for _ in 0..10 {
        let job = Job::new(&["/work/program"]).file_in("/work/program", &program, 0o755, Owner::Command);
        jail.run(job).succeeded();
    }
}

#[test]
fn files_that_cannot_fit_are_refused_before_anything_is_made() {
    let jail = Jail::start();
    let content = vec![0; 2 * MIB as usize];
    let job = Job::new(&["/bin/true"]).file_in("/work/f", &content, 0o644, Owner::Command);
    let failure = jail.fail(job.limit(|limits| limits.disk_bytes = count(MIB)));
    assert_eq!((failure.step.as_str(), failure.errno), ("plan", libc::ENOSPC), "{failure}");
}

#[test]
fn wanted_files_come_back_after_any_outcome() {
    let jail = Jail::start();
    let job = Job::shell("mkdir d; echo one > d/f; echo two > /tmp/g; chmod 600 /tmp/g; kill -9 $$")
        .file_out("/work/d/f", 100)
        .file_out("/tmp/g", 100)
        .file_out("/work/none", 100)
        .file_out("/work/d/f", 3);
    let ran = jail.run(job);
    assert_eq!(ran.report.outcome, Outcome::Signalled { signal: 9 });
    assert_eq!(ran.files, [Some(b"one\n".to_vec()), Some(b"two\n".to_vec()), None, None]);
    assert_eq!(
        ran.report.files,
        [
            FileFound::Found { size: 4, mode: 0o644 },
            FileFound::Found { size: 4, mode: 0o600 },
            FileFound::Missing,
            FileFound::TooLarge { size: 4 },
        ]
    );
}

#[test]
fn links_fifos_directories_and_sockets_are_not_files() {
    let jail = Jail::start();
    let script = "ln -s /etc/passwd link; mkfifo fifo; mkdir dir; ln -s /etc up; ln -s /proc/self/exe magic;
        ln -s loop loop; perl -e 'use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => \"sock\", Listen => 1)'";
    let names = ["link", "fifo", "dir", "up/passwd", "magic", "loop", "sock"];
    let job =
        names.iter().fold(Job::shell(script), |job, name| job.file_out(&format!("/work/{name}"), 1 << 20));
    let ran = jail.run(job);
    assert_eq!(ran.report.files, vec![FileFound::NotRegular; names.len()], "{:?}", ran.stderr);
    assert_eq!(ran.files, vec![None; names.len()]);
}

#[test]
fn replacing_work_itself_reaches_nothing() {
    let jail = Jail::start();
    let script = "cd /; mv /work /tmp/w; rmdir /work; ln -s /etc /work; echo still";
    let ran = jail.run(Job::shell(script).file_out("/work/passwd", 1 << 20));
    assert_eq!(ran.report.files, [FileFound::Missing]);
}

#[test]
fn two_hundred_and_fifty_files_come_back_at_once() {
    let jail = Jail::start();
    let script = "for (1..250) { open F, \">/work/$_\"; print F $_ }";
    let job = (1..=250).fold(Job::perl(script), |job, number| job.file_out(&format!("/work/{number}"), 10));
    let job = job.limit(|limits| limits.open_files = count(512));
    let ran = jail.run(job);
    ran.succeeded();
    for (index, file) in ran.files.iter().enumerate() {
        assert_eq!(file.as_deref(), Some((index + 1).to_string().as_bytes()));
    }
}

#[test]
fn a_sparse_file_counts_by_its_apparent_size() {
    let jail = Jail::start();
    let job = Job::shell("truncate -s 50M /work/sparse").file_out("/work/sparse", MIB);
    let ran = jail.run(job);
    ran.succeeded();
    assert_eq!(ran.report.files, [FileFound::TooLarge { size: 50 * MIB }]);
}
