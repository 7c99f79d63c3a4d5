//! Real commands in real sandboxes: how they end, what they see, and what they cannot.

use std::os::unix::fs::symlink;

use crate::harness::{Jail, Job, MIB, is_confined};
use kiln_jail::plan::{Part, Profile};
use kiln_jail::report::Outcome;

#[test]
fn true_and_false_and_exit_codes_and_signals() {
    let jail = Jail::start();
    assert_eq!(jail.run(Job::new(&["/bin/true"])).report.outcome, Outcome::Exited { code: 0 });
    assert_eq!(jail.run(Job::new(&["/bin/false"])).report.outcome, Outcome::Exited { code: 1 });
    assert_eq!(jail.run(Job::shell("exit 42")).report.outcome, Outcome::Exited { code: 42 });
    assert_eq!(jail.run(Job::shell("kill -SEGV $$")).report.outcome, Outcome::Signalled { signal: 11 });
    assert_eq!(jail.run(Job::shell("kill -KILL $$")).report.outcome, Outcome::Signalled { signal: 9 });
    // Not pid 1, for which a signal to itself would be ignored.
    assert_eq!(jail.run(Job::shell("kill -ABRT $$")).report.outcome, Outcome::Signalled { signal: 6 });
}

#[test]
fn a_program_that_cannot_start_is_the_jobs_matter_with_its_errno() {
    let jail = Jail::start();
    let missing = jail.run(Job::new(&["/bin/no-such-program"]));
    assert_eq!(missing.report.outcome, Outcome::Exited { code: 127 });
    assert_eq!(missing.report.evidence.exec_errno, Some(libc::ENOENT));
    let not_executable = jail.run(Job::new(&["/etc/passwd"]));
    assert_eq!(not_executable.report.outcome, Outcome::Exited { code: 126 });
    assert_eq!(not_executable.report.evidence.exec_errno, Some(libc::EACCES));
    let no_cwd = jail.run(Job::new(&["/bin/true"]).cwd("/work/nowhere"));
    assert_eq!(no_cwd.report.outcome, Outcome::Exited { code: 126 });
    assert_eq!(no_cwd.report.evidence.cwd_errno, Some(libc::ENOENT));
    assert_eq!(jail.run(Job::new(&["sh", "-c", "exit 3"])).report.outcome, Outcome::Exited { code: 3 });
}

#[test]
fn arguments_and_output_are_bytes_and_stdin_arrives_whole() {
    let jail = Jail::start();
    let odd = b"a b\n\xff\xfe\"$(id)'".to_vec();
    let ran = jail.run(Job::bytes(vec![b"/usr/bin/printf".to_vec(), b"%s".to_vec(), odd.clone()]));
    assert_eq!(ran.stdout, odd);
    let input = vec![b'x'; 3 * MIB as usize];
    let ran = jail.run(Job::new(&["/usr/bin/wc", "-c"]).stdin(&input));
    assert_eq!(ran.succeeded().trim(), input.len().to_string());
}

#[test]
fn the_environment_is_exactly_the_plans() {
    let jail = Jail::start();
    assert_eq!(jail.run(Job::new(&["/usr/bin/env"])).succeeded(), "");
    let ran = jail.run(Job::new(&["/usr/bin/env"]).env("A", "1").env("B", "x=y z"));
    assert_eq!(ran.succeeded(), "A=1\nB=x=y z\n");
}

#[test]
fn it_is_an_unprivileged_user_with_no_capability_and_no_way_to_more() {
    let jail = Jail::start();
    assert_eq!(jail.run(Job::shell("id -u; id -g; id -G")).succeeded(), "1000\n1000\n1000\n");
    let status = jail.run(Job::new(&["/bin/cat", "/proc/self/status"])).succeeded();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{set}: {status}");
    }
    for line in [
        "NoNewPrivs:\t1",
        "Uid:\t1000\t1000\t1000\t1000",
        "Groups:\t \n",
        "SigIgn:\t0000000000000000",
        "SigBlk:\t0000000000000000",
        "Umask:\t0022",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
}

#[test]
fn only_stdin_stdout_and_stderr_are_open() {
    let jail = Jail::start();
    let open = "opendir D, '/proc/self/fd'; print join ' ', sort grep /\\d/, readdir D";
    // 3 is the directory being read.
    assert_eq!(jail.run(Job::perl(open)).succeeded(), "0 1 2 3");
}

#[test]
fn stdout_and_stderr_can_be_opened_by_name() {
    let jail = Jail::start();
    let ran =
        jail.run(Job::shell("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin").stdin(b"in"));
    assert_eq!(ran.succeeded(), "out\nin");
    assert_eq!(ran.stderr, b"err\n");
}

#[test]
fn no_process_of_others_is_visible_and_the_command_is_not_pid_1() {
    let jail = Jail::start();
    let ran = jail.run(Job::shell("echo $$ $PPID; echo /proc/[0-9]*"));
    let text = ran.succeeded();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines, ["2 0", "/proc/2"]);
}

#[test]
fn no_network_but_a_loopback_that_is_down() {
    let jail = Jail::start();
    let devices = jail.run(Job::new(&["/bin/cat", "/proc/self/net/dev"])).succeeded();
    let names: Vec<_> = devices.lines().skip(2).filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names.iter().map(|name| name.trim()).collect::<Vec<_>>(), ["lo"]);
    let ran = jail.run(Job::new(&["/bin/cat", "/proc/self/net/route"])).succeeded();
    assert!(ran.lines().count() <= 1, "no route below the heading: {ran}");
}

#[test]
fn the_mounts_are_the_sandboxs_and_each_is_confined() {
    let jail = Jail::start();
    let table = jail.run(Job::new(&["/bin/cat", "/proc/self/mountinfo"])).succeeded();
    let (mut places, mut devices) = (Vec::new(), Vec::new());
    for line in table.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let (place, options) = (fields[4], fields[5]);
        assert!(options.contains("nosuid"), "{line}");
        // As root of a user namespace the devices are mounts of the host's.
        if let Some(name) = place.strip_prefix("/dev/").filter(|_| line.contains(" devtmpfs ")) {
            devices.push(name.to_owned());
            assert!(options.starts_with("ro,") && options.contains("noexec"), "{line}");
            continue;
        }
        assert!(place == "/dev" || options.contains("nodev"), "{line}");
        let writable = ["/work", "/tmp", "/dev/shm"].contains(&place);
        assert_eq!(options.starts_with("rw"), writable, "{line}");
        places.push(place.to_owned());
    }
    devices.sort();
    let of_the_host: &[&str] =
        if is_confined() { &["full", "null", "random", "urandom", "zero"] } else { &[] };
    assert_eq!(devices, of_the_host);
    places.sort();
    assert_eq!(places, ["/", "/dev", "/dev/shm", "/proc", "/tmp", "/usr", "/work"]);
    for line in table.lines().filter(|line| line.contains(" overlay ")) {
        assert_eq!(line.split(' ').nth(3), Some("/"), "the host's path of a part must not show: {line}");
    }
    assert_eq!(table.matches(" - overlay ").count(), 2, "{table}");
    let host_directory = jail.image().to_str().expect("utf-8");
    assert!(!table.contains(host_directory), "{table}");
}

#[test]
fn writing_is_possible_in_the_writable_places_only() {
    let jail = Jail::start();
    let script = "for d in /work /tmp /dev/shm / /usr /etc /dev /proc /opt; do
        (echo x > $d/probe) 2>/dev/null && echo $d; done; true";
    assert_eq!(jail.run(Job::shell(script)).succeeded(), "/work\n/tmp\n/dev/shm\n");
}

#[test]
fn nothing_written_is_seen_by_the_next_command() {
    let jail = Jail::start();
    let write = "umask 0; for d in /work /tmp /dev/shm; do echo secret > $d/left; done";
    jail.run(Job::shell(write)).succeeded();
    assert_eq!(
        jail.run(Job::shell("ls -A /work /tmp /dev/shm")).succeeded(),
        "/dev/shm:\n\n/tmp:\n\n/work:\n"
    );
}

#[test]
fn the_host_its_names_and_its_cgroups_are_out_of_sight() {
    let jail = Jail::start();
    assert_eq!(jail.run(Job::new(&["/bin/uname", "-n"])).succeeded(), "kiln\n");
    let groups = jail.run(Job::new(&["/bin/cat", "/proc/self/cgroup"])).succeeded();
    for line in groups.lines().filter(|line| !line.contains("name=")) {
        let path = line.rsplit(':').next().expect("a path");
        let joined = ["cpu", "memory", "pids", "0::"].iter().any(|name| line.contains(name));
        assert!(!joined || path == "/", "{line}");
        assert!(!path.contains("kiln-"), "{line}");
    }
    for path in ["/root", "/home", "/var", "/sys", "/proc/sys", "/proc/meminfo", "/proc/1", "/proc/kcore"] {
        let ran = jail.run(Job::new(&["/usr/bin/test", "-e", path]));
        assert_eq!(ran.report.outcome, Outcome::Exited { code: 1 }, "{path}");
    }
    let up = jail.run(Job::shell("cd ../../../../../..; pwd; ls"));
    assert_eq!(up.succeeded(), "/\nbin\ndev\netc\nlib\nlib64\nopt\nproc\nsbin\ntmp\nusr\nwork\n");
}

#[test]
fn image_files_show_their_owners_and_are_not_the_commands() {
    let jail = Jail::start();
    let ran =
        jail.run(Job::new(&["/usr/bin/stat", "-c", "%u:%g", "/", "/usr", "/etc/passwd", "/work", "/tmp"]));
    // The layer `idmap` is not to be had as root of a user namespace: there they are nobody's.
    let expected = match is_confined() {
        false => "0:0\n0:0\n0:0\n1000:1000\n0:0\n",
        true => "0:0\n65534:65534\n65534:65534\n1000:1000\n0:0\n",
    };
    assert_eq!(ran.succeeded(), expected);
}

#[test]
fn setuid_programs_give_nothing() {
    let jail = Jail::start();
    let planted = jail.image().join("opt/id");
    std::fs::copy("/usr/bin/id", &planted).expect("copy");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o6755);
    std::fs::set_permissions(&planted, mode).expect("chmod");
    let ran = jail.run(Job::shell("/opt/id -u; id -ru"));
    assert_eq!(ran.succeeded(), "1000\n1000\n");
}

#[test]
fn build_may_write_its_throwaway_root_where_its_owner_may_and_the_image_stays() {
    let jail = Jail::start();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(jail.image().join("opt"), open).expect("chmod");
    let script = "echo x > /opt/made && cat /opt/made";
    assert_eq!(jail.run(Job::shell(script).profile(Profile::Build)).succeeded(), "x\n");
    assert!(!jail.image().join("opt/made").exists());
    assert_eq!(jail.run(Job::shell("ls /opt")).succeeded(), "");
}

#[test]
fn strict_runs_the_same_programs() {
    let jail = Jail::start();
    let ran = jail.run(Job::shell("echo one | cat; ls / | wc -l").profile(Profile::Strict));
    assert_eq!(ran.succeeded().lines().next(), Some("one"));
}

#[test]
fn an_image_whose_mount_point_is_a_link_is_refused() {
    let jail = Jail::start();
    for name in ["dev", "proc", "tmp", "work"] {
        let image = tempfile::tempdir().expect("tempdir");
        symlink("/etc", image.path().join(name)).expect("symlink");
        let mut job = Job::new(&["/bin/true"]);
        let source = image.path().as_os_str().as_encoded_bytes().to_vec();
        job.plan.rootfs.parts = vec![Part { source, target: b"/".to_vec() }];
        let failure = jail.fail(job);
        assert_eq!((failure.step.as_str(), failure.errno), ("image_mount_point", libc::ENOTDIR), "{failure}");
    }
    let mut job = Job::new(&["/bin/true"]);
    job.plan.rootfs.parts = jail.parts();
    symlink("/etc", jail.image().join("linked")).expect("symlink");
    job.plan.rootfs.parts.push(Part { source: b"/usr".to_vec(), target: b"/linked/usr".to_vec() });
    let failure = jail.fail(job);
    assert_eq!((failure.step.as_str(), failure.errno), ("attach_part", libc::ELOOP), "{failure}");
}

#[test]
fn a_jail_survives_failures_and_names_the_step() {
    let jail = Jail::start();
    let mut job = Job::new(&["/bin/true"]);
    let source = b"/no/such/directory".to_vec();
    job.plan.rootfs.parts = vec![Part { source, target: b"/".to_vec() }];
    let failure = jail.fail(job);
    assert_eq!((failure.step.as_str(), failure.errno), ("image_part", libc::ENOENT));
    let failure = jail.fail(Job::new(&[""]));
    assert_eq!(failure.step, "plan");
    jail.run(Job::new(&["/bin/true"])).succeeded();
}

#[test]
fn namespaces_cannot_be_made() {
    let jail = Jail::start();
    for flag in ["-U", "-m", "-n", "-p", "-i", "-u", "-C"] {
        let ran = jail.run(Job::new(&["/usr/bin/unshare", flag, "/bin/true"]));
        assert_ne!(ran.report.outcome, Outcome::Exited { code: 0 }, "{flag}");
    }
}

#[test]
fn a_forbidden_call_ends_the_sandbox_and_is_named_with_its_arguments() {
    let jail = Jail::start();
    for profile in [Profile::Strict, Profile::Default, Profile::Build] {
        // bpf(0, 7), in a child of a shell that would go on.
        let script = format!("perl -e 'syscall {}, 0, 7, 8, 9'; echo survived; sleep 20", libc::SYS_bpf);
        let ran = jail.run(Job::shell(&script).profile(profile.clone()));
        match &ran.report.outcome {
            Outcome::Forbidden { syscall, number, arch, args } => {
                assert_eq!((syscall.as_str(), *number), ("bpf", libc::SYS_bpf));
                assert_eq!(arch, std::env::consts::ARCH);
                assert_eq!(args[..4], [0, 7, 8, 9]);
            }
            other => panic!("{profile:?}: {other:?}"),
        }
        let wall_us = ran.report.usage.wall_us;
        assert!(wall_us < 10_000_000, "the shell went on: {wall_us}");
    }
}

#[test]
fn a_forbidden_call_of_a_thread_or_right_before_the_end_is_told_too() {
    let jail = Jail::start();
    // The caller is stopped in the call for ever while its parent ends at once.
    let script = format!("perl -e 'syscall {}, 0' & sleep 0.1; exit 0", libc::SYS_bpf);
    let ran = jail.run(Job::shell(&script));
    assert!(matches!(ran.report.outcome, Outcome::Forbidden { .. }), "{:?}", ran.report.outcome);
}

#[test]
fn a_layer_that_may_be_missing_is_on_all_the_same_where_the_host_has_it() {
    let jail = Jail::start_allowing(&["landlock", "seccomp", "idmap"]);
    let status = jail.run(Job::new(&["/bin/grep", "Seccomp:", "/proc/self/status"])).succeeded();
    assert_eq!(status, "Seccomp:\t2\n");
    let (mut refused, reply) = Jail::try_start(&["everything"]);
    assert!(matches!(reply, kiln_jail::wire::Reply::Failed(ref failure) if failure.step == "allow_missing"));
    assert_eq!(refused.process.wait().expect("wait").code(), Some(1));
    refused.has_failed = true;
}

#[test]
fn jails_side_by_side_see_no_descriptor_of_each_other() {
    let workers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let jail = Jail::start();
                let open = "opendir D, '/proc/self/fd'; print join ' ', sort grep /\\d/, readdir D";
                for _ in 0..25 {
                    assert_eq!(jail.run(Job::perl(open)).succeeded(), "0 1 2 3");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("no panic");
    }
}

/// A limit is crossed while every CPU is busy: who watches it must run first, and a command must not inherit that.
#[test]
fn the_jail_runs_ahead_of_its_commands_and_of_nobody_elses() {
    // The weight of this whole session, which the jail shares with its worker; absent where sessions are not groups.
    let session = || std::fs::read_to_string("/proc/self/autogroup").ok();
    let session_before = session();
    let jail = Jail::start();
    // The name may contain blanks; nice is field 19 (proc_pid_stat(5)).
    let nice = |stat: &str| -> i32 {
        let behind = stat.rsplit_once(')').expect("a name").1;
        behind.split_whitespace().nth(16).and_then(|word| word.parse().ok()).expect("nice")
    };
    let of = |path: String| nice(&std::fs::read_to_string(path).expect("/proc is mounted"));
    let ours = of("/proc/self/stat".to_owned());
    // An ordinary user has no CAP_SYS_NICE of the host, which it takes (sched(7)): kills come as late as the scheduler lets them.
    let ahead = if is_confined() { ours } else { (ours - 10).max(-20) };
    assert_eq!(of(format!("/proc/{}/stat", jail.pid())), ahead);
    let told = jail.run(Job::shell("cat /proc/self/stat")).succeeded();
    assert_eq!(nice(told.lines().next().expect("stat")), ours, "{told}");
    assert_eq!(session(), session_before);
}
