//! Real programs below real filters: what must run, what must fail softly, and what must be caught with its name.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::*;

/// Tells the test program, started again by itself, to become the filtered command.
const PROFILE: &str = "KILN_TEST_SECCOMP_PROFILE";
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
    output: String,
    forbidden: Option<ForbiddenCall>,
}

/// Not a check by itself: the process that [`filtered`] starts loads the filter here and becomes the command.
#[test]
fn becomes_the_command_when_told_to() {
    let Some(profile) = std::env::var_os(PROFILE) else { return };
    let command: Vec<OsString> =
        std::env::args_os().skip_while(|argument| argument != "--skip").skip(1).step_by(2).collect();
    let profile = profile.to_str().unwrap();
    let all = Filters::built_in().unwrap();
    let (_, filters) = all.into_iter().find(|(built_in, _)| built_in.name() == profile).unwrap();
    rustix::thread::set_no_new_privs(true).unwrap();
    let listener = filters.install().unwrap();
    std::io::stderr().write_all(format!("listener {}\n", listener.as_raw_fd()).as_bytes()).unwrap();
    // The parent takes the listener, then lets go.
    rustix::io::read(std::io::stdin(), &mut [0u8; 1]).unwrap();
    let error = Command::new(&command[0]).args(&command[1..]).env_remove(PROFILE).exec();
    panic!("{command:?}: {error}");
}

/// Runs a command below a profile's filter; a call that is notified ends it, as the jail would.
fn filtered(profile: &str, directory: &Path, command: &[&str]) -> Ended {
    let mut starter = Command::new(std::env::current_exe().unwrap());
    starter.args([
        "--exact",
        "seccomp::tests::becomes_the_command_when_told_to",
        "--nocapture",
        "--test-threads=1",
    ]);
    // libtest takes no free arguments; skipped names are ignored by it and carry ours.
    starter.args(command.iter().flat_map(|word| ["--skip", word]));
    starter.env(PROFILE, profile).current_dir(directory);
    let mut child =
        starter.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut output = child.stdout.take().unwrap();
    let (listener, pidfd) = take_listener(&child, &mut errors);
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    });
    let error_reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        errors.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let forbidden = watch(&mut child, &listener, &pidfd);
    // With the listener gone, other processes waiting in a call get ENOSYS and end.
    drop(listener);
    let status = child.wait().unwrap();
    let output = reader.join().unwrap() + &error_reader.join().unwrap();
    Ended { code: status.code(), signal: status.signal(), output, forbidden }
}

fn take_listener(child: &Child, errors: &mut impl BufRead) -> (OwnedFd, OwnedFd) {
    let mut line = String::new();
    while !line.starts_with("listener ") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "the child ended before it loaded the filter");
    }
    let number = line.trim().strip_prefix("listener ").unwrap().parse().unwrap();
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    (pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).unwrap(), pidfd)
}

fn watch(child: &mut Child, listener: &OwnedFd, pidfd: &OwnedFd) -> Option<ForbiddenCall> {
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    loop {
        let mut polled = [PollFd::new(listener, PollFlags::IN), PollFd::new(pidfd, PollFlags::IN)];
        let ready = poll(&mut polled, Some(&patience)).unwrap();
        if ready == 0 {
            child.kill().unwrap();
            return None;
        }
        if polled[0].revents().contains(PollFlags::IN)
            && let Some(call) = receive(std::os::fd::AsFd::as_fd(listener)).unwrap()
        {
            child.kill().unwrap();
            return Some(call);
        }
        if polled[1].revents().contains(PollFlags::IN) {
            return None;
        }
    }
}

fn runs(profile: &str, directory: &Path, command: &[&str]) -> String {
    let ended = filtered(profile, directory, command);
    assert!(ended.code == Some(0) && ended.forbidden.is_none(), "{profile} {command:?}: {ended:#?}");
    ended.output
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn shells_and_pipelines_run_below_every_profile() {
    let directory = tempfile::tempdir().unwrap();
    for profile in ["strict", "default", "build"] {
        runs(profile, directory.path(), &["/bin/true"]);
        let script = "set -e; seq 1000 | sort -rn | head -1; mkdir -p a/b; echo x > a/b/c; mv a/b/c a/d; mkfifo p; \
                      (echo through > p &); cat p; ls -laR; rm -rf a p; trap 'echo trapped' TERM; kill -TERM $$; date; id";
        let output = runs(profile, directory.path(), &["bash", "-c", script]);
        assert!(
            output.contains("1000\n") && output.contains("through\n") && output.contains("trapped\n"),
            "{output}"
        );
        let output = runs(
            profile,
            directory.path(),
            &["perl", "-e", "my $p = fork // die; exit 3 if !$p; wait; print $? >> 8"],
        );
        assert!(output.contains('3'), "{output}");
    }
}

#[test]
fn python_runs_with_threads_processes_and_local_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let program = write(
        directory.path(),
        "all.py",
        "import asyncio, ctypes, json, multiprocessing, os, re, sqlite3, socket, subprocess, tempfile, threading\n\
         total = []\n\
         threads = [threading.Thread(target=lambda: total.append(sum(range(1000)))) for _ in range(4)]\n\
         [t.start() for t in threads]; [t.join() for t in threads]\n\
         print(sum(total), subprocess.run(['echo', 'sub'], capture_output=True).stdout)\n\
         a, b = socket.socketpair(); a.send(b'hi'); print(b.recv(2))\n\
         async def main():\n    await asyncio.sleep(0.01); return 'async'\n\
         print(asyncio.run(main()))\n\
         print(ctypes.CDLL(None).getpid() == os.getpid())\n\
         with tempfile.TemporaryFile() as f: f.write(b'x')\n\
         try: socket.socket(socket.AF_INET)\n\
         except OSError as e: print('inet', e.errno)\n\
         if __name__ == '__main__':\n    p = multiprocessing.Process(target=print, args=('forked',)); p.start(); p.join()\n",
    );
    let output = runs("default", directory.path(), &["python3", program.to_str().unwrap()]);
    for expected in ["1998000 b'sub\\n'", "b'hi'", "async", "True", "forked", "inet 97"] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    let output = runs(
        "strict",
        directory.path(),
        &["python3", "-c", "import math, re, collections; print(math.factorial(20))"],
    );
    assert!(output.contains("2432902008176640000"), "{output}");
}

#[test]
fn node_compiles_and_runs_with_worker_threads() {
    let directory = tempfile::tempdir().unwrap();
    let program = "const {Worker} = require('worker_threads'); let s = 0; for (let i = 0; i < 3e6; i++) s += i; console.log(s);\
                   require('fs').writeFileSync('f', 'x'); \
                   const {execFileSync} = require('child_process'); console.log(execFileSync('echo', ['child']).toString());\
                   new Worker(\"require('worker_threads').parentPort.postMessage('worker')\", {eval: true}).on('message', m => console.log(m));";
    let output = runs("default", directory.path(), &["node", "-e", program]);
    for expected in ["4499998500000", "child", "worker"] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
}

#[test]
fn java_is_compiled_and_runs() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "Hello.java",
        "import java.util.stream.*;\n\
         public class Hello { public static void main(String[] a) throws Exception {\n\
           Thread t = new Thread(() -> System.out.println(\"thread\")); t.start(); t.join();\n\
           System.out.println(IntStream.range(0, 1000000).parallel().mapToLong(i -> i).sum()); } }\n",
    );
    runs("build", directory.path(), &["javac", "Hello.java"]);
    let output = runs("default", directory.path(), &["java", "-cp", ".", "Hello"]);
    assert!(output.contains("thread") && output.contains("499999500000"), "{output}");
}

#[test]
fn c_and_rust_are_compiled_and_run_strictly() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "a.c",
        "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { char *p = malloc(1 << 24); p[77] = 1; printf(\"c %d\\n\", p[77]); return 0; }\n",
    );
    runs("build", directory.path(), &["gcc", "-O2", "-o", "a", "a.c"]);
    assert!(runs("strict", directory.path(), &["./a"]).contains("c 1"));
    write(
        directory.path(),
        "b.rs",
        "fn main() { let n: u64 = std::thread::spawn(|| (0..10u64).sum()).join().unwrap(); println!(\"rust {n}\"); }\n",
    );
    runs("build", directory.path(), &["rustc", "-O", "b.rs"]);
    assert!(runs("default", directory.path(), &["./b"]).contains("rust 45"));
    // Strict has no threads: an error in the program, not a kill.
    let strict = filtered("strict", directory.path(), &["./b"]);
    assert!(strict.forbidden.is_none() && strict.code == Some(101), "{strict:?}");
}

/// Makes any call with up to three numbers, through any ABI, and prints what came back.
const PROBE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) {
    long n = strtol(argv[2], 0, 0), a[3] = {0, 0, 0}, r;
    for (int i = 3; i < argc && i < 6; i++) a[i - 3] = strtoul(argv[i], 0, 0);
    if (strcmp(argv[1], "i386") == 0) {
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a[0]), "c"(a[1]), "d"(a[2]) : "memory");
        errno = r < 0 ? -r : 0;
    } else {
        errno = 0;
        r = syscall(strcmp(argv[1], "x32") == 0 ? n | 0x40000000 : n, a[0], a[1], a[2], 0, 0, 0);
    }
    printf("returned %ld errno %d\n", r, r < 0 ? errno : 0);
    return 0;
}
"#;

fn probe(directory: &Path) {
    write(directory, "probe.c", PROBE);
    let compiled =
        Command::new("gcc").args(["-o", "probe", "probe.c"]).current_dir(directory).status().unwrap();
    assert!(compiled.success());
}

fn number(name: &str) -> u32 {
    Abi::NATIVE.calls().find(|(known, _)| *known == name).unwrap().1
}

fn call(profile: &str, directory: &Path, name: &str, args: &[&str]) -> Ended {
    let number = number(name).to_string();
    let mut command = vec!["./probe", "native", &number];
    command.extend(args);
    filtered(profile, directory, &command)
}

#[test]
fn exploit_calls_are_caught_with_their_names() {
    let directory = tempfile::tempdir().unwrap();
    probe(directory.path());
    let new_user = "0x10000000";
    let mut forbidden: Vec<(&str, &[&str])> = "ptrace process_vm_readv process_vm_writev pidfd_getfd bpf kexec_load kexec_file_load \
        init_module finit_module delete_module reboot swapon swapoff acct quotactl quotactl_fd lookup_dcookie vhangup \
        mount umount2 pivot_root chroot open_tree open_tree_attr move_mount fsopen fsmount fsconfig fspick mount_setattr setns \
        keyctl add_key request_key open_by_handle_at settimeofday clock_settime sethostname setdomainname"
        .split_ascii_whitespace()
        .map(|name| (name, &[][..]))
        .collect();
    forbidden.push(("unshare", std::slice::from_ref(&new_user)));
    if Abi::NATIVE == Abi::X86_64 {
        forbidden.extend([("iopl", &["3"][..]), ("ioperm", &["0", "1", "1"][..])]);
    }
    for (name, args) in forbidden {
        let ended = call("default", directory.path(), name, args);
        let caught = ended.forbidden.as_ref().unwrap_or_else(|| panic!("{name}: {ended:?}"));
        assert_eq!(caught.syscall, name);
        assert_eq!(
            (caught.number, caught.arch.as_str()),
            (i64::from(number(name)), Abi::NATIVE.name().as_str())
        );
        assert_eq!(ended.signal, Some(9), "{ended:?}");
        if name == "unshare" {
            assert_eq!(caught.args[0], 0x1000_0000);
        }
    }
    assert_eq!(call("strict", directory.path(), "ptrace", &[]).forbidden.unwrap().syscall, "ptrace");
    assert!(call("build", directory.path(), "ptrace", &[]).output.contains("errno 1\n"));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn foreign_abis_are_caught_with_their_names() {
    let directory = tempfile::tempdir().unwrap();
    probe(directory.path());
    for (abi, number, name, told) in [
        ("i386", "90", "mmap", 90),
        ("i386", "20", "getpid", 20),
        ("x32", "39", "getpid", 0x4000_0027),
        ("x32", "520", "execve", 0x4000_0208),
    ] {
        for profile in ["strict", "default", "build"] {
            let ended = filtered(profile, directory.path(), &["./probe", abi, number]);
            let caught = ended.forbidden.as_ref().unwrap_or_else(|| panic!("{abi} {name}: {ended:?}"));
            assert_eq!((caught.arch.as_str(), caught.syscall.as_str(), caught.number), (abi, name, told));
        }
    }
}

#[test]
fn other_refusals_are_errors_that_programs_cope_with() {
    let (eperm, einval, enosys, eafnosupport) = (1, 22, 38, 97);
    let directory = tempfile::tempdir().unwrap();
    probe(directory.path());
    let refused: &[(&str, &str, &[&str], i32)] = &[
        ("default", "clone3", &[], enosys),
        ("default", "io_uring_setup", &[], enosys),
        ("default", "userfaultfd", &[], enosys),
        ("default", "seccomp", &[], enosys),
        ("default", "landlock_create_ruleset", &["0", "0", "1"], enosys),
        ("default", "name_to_handle_at", &[], enosys),
        ("default", "fanotify_init", &[], enosys),
        ("default", "statmount", &[], enosys),
        ("default", "perf_event_open", &[], eperm),
        ("default", "clone", &["0x10000011"], eperm),
        ("default", "clone", &["0xffffffff10000011"], eperm),
        ("default", "socket", &["2", "1"], eafnosupport),
        ("default", "socket", &["16", "3"], eafnosupport),
        ("default", "socket", &["40", "1"], eafnosupport),
        ("default", "socket", &["0xffffffff00000002", "1"], eafnosupport),
        ("strict", "socket", &["1", "1"], eafnosupport),
        ("default", "ioctl", &["0", "0x5412"], eperm),
        ("default", "ioctl", &["0", "0xffffffff00005412"], eperm),
        ("default", "ioctl", &["0", "0x541c"], eperm),
        ("default", "prctl", &["22", "2"], einval),
        ("default", "prctl", &["67", "1"], einval),
        ("default", "personality", &["0x0400000"], eperm),
        ("default", "fcntl", &["0", "1024", "1"], einval),
        ("default", "mlockall", &["1"], eperm),
        ("default", "setpriority", &["0", "0", "5"], eperm),
        ("default", "ioprio_set", &["1", "0", "0"], eperm),
        ("default", "sched_setaffinity", &[], eperm),
        ("default", "sched_setscheduler", &[], eperm),
        ("default", "mknodat", &["-100", "0", "0x2180"], eperm),
        ("default", "sync", &[], eperm),
        ("strict", "memfd_create", &[], enosys),
        ("strict", "mprotect", &["0", "0", "7"], eperm),
        ("strict", "mmap", &["0", "4096", "4"], 22),
    ];
    for (profile, name, args, errno) in refused {
        let ended = call(profile, directory.path(), name, args);
        assert!(ended.output.contains(&format!("errno {errno}\n")), "{profile} {name} {args:?}: {ended:?}");
        assert!(ended.forbidden.is_none(), "{name}");
    }
    let allowed: &[(&str, &[&str])] = &[
        ("personality", &["0xffffffff"]),
        ("prctl", &["3"]),
        ("unshare", &["0x400"]),
        ("socket", &["1", "1"]),
        ("sched_yield", &[]),
        ("getpriority", &["0", "0"]),
    ];
    for (name, args) in allowed {
        let ended = call("default", directory.path(), name, args);
        assert!(ended.output.contains("errno 0\n"), "{name} {args:?}: {ended:?}");
    }
}

/// Why a network namespace may be kept for the next command (`crate::network`).
#[test]
fn no_built_in_profile_has_any_sockets_but_local_ones() {
    let directory = tempfile::tempdir().unwrap();
    probe(directory.path());
    for profile in ["strict", "default", "build"] {
        // AF_MAX of linux/socket.h.
        for family in (0..46).filter(|family| *family != libc::AF_UNIX) {
            for name in ["socket", "socketpair"] {
                let ended = call(profile, directory.path(), name, &[&family.to_string(), "1"]);
                assert!(ended.output.contains("errno 97\n"), "{profile} {name} {family}: {ended:?}");
            }
        }
    }
}

/// A limit of 1, which the jail sets, keeps the host's core handler from running; of 0 it would run. Here the test's own
/// limit must survive.
#[test]
fn the_core_limit_stays_while_others_can_be_lowered() {
    let directory = tempfile::tempdir().unwrap();
    let program = "import resource as r; before = r.getrlimit(r.RLIMIT_CORE); r.setrlimit(r.RLIMIT_CORE, (0, 0)); \
                   print(before == r.getrlimit(r.RLIMIT_CORE) or before); \
                   r.setrlimit(r.RLIMIT_NOFILE, (50, 60)); print(r.getrlimit(r.RLIMIT_NOFILE))";
    let output = runs("default", directory.path(), &["python3", "-c", program]);
    assert!(output.contains("True\n(50, 60)"), "{output}");
}

/// ERRNO outranks USER_NOTIF: a filter of the job's own cannot hide a call, since it cannot load one.
#[test]
fn without_a_listener_a_notified_call_fails() {
    let directory = tempfile::tempdir().unwrap();
    probe(directory.path());
    let script = format!("./probe native {} & wait; echo survived", number("mount"));
    let ended = filtered("default", directory.path(), &["bash", "-c", &script]);
    assert_eq!(ended.forbidden.unwrap().syscall, "mount");
    // The child of the killed shell got its answer when the listener was closed.
    assert!(ended.output.contains("errno 38\n"), "{}", ended.output);
}
