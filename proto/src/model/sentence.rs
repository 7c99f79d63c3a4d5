//! The sentence that people read of an outcome: one for each kind, without a full stop.
//!
//! What a job chose (names of its processes) is escaped, and short by its type. Nothing is said that the evidence does not hold.

use super::content::Stream;
use super::evidence::{Activity, AtKill, Evidence, Fault, Process, Role, SignalOrigin};
use super::limit_name::LimitName;
use super::outcome::{Ending, Outcome};
use super::signal::signal_name;
use super::units::{human_bytes, human_micros};

/// Below this share of a CPU a command that ran out of wall time was mostly waiting.
const MOSTLY_IDLE_BELOW_MILLIS: u32 = 100;
/// Of those whom the kernel killed.
const MAX_NAMES: usize = 3;

impl Ending {
    /// One sentence for people, without a full stop, e.g. `stopped: used 1.00 s of 1.00 s of CPU time`.
    pub fn sentence(&self) -> String {
        let evidence = &self.evidence;
        match &self.outcome {
            Outcome::Exited { code } => exited(*code, evidence),
            Outcome::Signalled { signal } => {
                format!(
                    "killed by signal {}{}{}",
                    signal_text(*signal),
                    origin(*signal, evidence),
                    refusals(evidence)
                )
            }
            Outcome::Limit { which, limit, seen } => {
                format!("stopped: {}", at_limit(*which, *limit, *seen, evidence))
            }
            Outcome::Forbidden { syscall, args } => {
                let by = evidence.caller.as_ref().map(|caller| format!(" by {}", caller_text(caller)));
                format!("stopped: forbidden call {}{}", call(syscall, args), by.unwrap_or_default())
            }
            Outcome::Cancelled => "cancelled".to_owned(),
            Outcome::Infrastructure { step, errno: Some(errno), detail } => {
                format!("Kiln failed at {step}: {detail} (errno {errno})")
            }
            Outcome::Infrastructure { step, errno: None, detail } => {
                format!("Kiln failed at {step}: {detail}")
            }
        }
    }
}

fn exited(code: i32, evidence: &Evidence) -> String {
    match evidence.exec_errno {
        Some(errno) => format!("exited with {code}: the program could not be started, {}", errno_text(errno)),
        None if code == 0 => "exited with 0".to_owned(),
        None => format!("exited with {code}{}", refusals(evidence)),
    }
}

/// What was full when a program failed, which may be why. The kernel tells nothing of refused descriptors.
fn refusals(evidence: &Evidence) -> String {
    let used = |used: Option<u64>, show: fn(u64) -> String| {
        used.map_or(String::new(), |used| format!(" ({})", show(used)))
    };
    if evidence.disk_full == Some(true) {
        return format!("; its disk limit was reached{}", used(evidence.disk_used_bytes, human_bytes));
    }
    if evidence.inodes_full == Some(true) {
        let files = |count| format!("{count} files and directories");
        return format!("; its inodes limit was reached{}", used(evidence.inodes_used, files));
    }
    String::new()
}

fn at_limit(which: LimitName, limit: u64, seen: u64, evidence: &Evidence) -> String {
    let at_kill = evidence.at_kill.as_ref();
    match which {
        LimitName::Cpu => {
            let busiest = at_kill.and_then(busiest).unwrap_or_default();
            format!("used {} of {} of CPU time{busiest}", human_micros(seen), human_micros(limit))
        }
        LimitName::Wall => {
            let (seen, limit) = (human_micros(seen), human_micros(limit));
            format!("wall time {seen} of {limit}{}{}", busy(evidence.busy_millis), why_not_on(evidence))
        }
        LimitName::Memory => memory(limit, seen, evidence),
        LimitName::Pids => {
            let alive = at_kill.and_then(|at_kill| at_kill.tasks);
            let alive = alive.map(|tasks| format!(" ({tasks} alive)")).unwrap_or_default();
            format!(
                "a fork over the limit of {limit} {}{alive}",
                if limit == 1 { "process" } else { "processes" }
            )
        }
        LimitName::Output => {
            let on = match evidence.output_stream {
                Some(Stream::Stdout) => " on stdout",
                Some(Stream::Stderr) => " on stderr",
                None => "",
            };
            format!("more than {} of output{on}", human_bytes(limit))
        }
        LimitName::FileSize => format!("a file larger than {}", human_bytes(limit)),
        LimitName::Disk | LimitName::Stack => format!("the {which} limit of {}", human_bytes(limit)),
        LimitName::Inodes | LimitName::OpenFiles | LimitName::CpuRate => {
            format!("the {which} limit of {limit}")
        }
    }
}

fn memory(limit: u64, seen: u64, evidence: &Evidence) -> String {
    let killed = evidence.oom_kills.filter(|count| *count > 0).map(|count| {
        let named = names(&evidence.oom_victims, count);
        format!(" (kernel killed {count} {}{named})", if count == 1 { "process" } else { "processes" })
    });
    let (seen, limit, killed) = (human_bytes(seen), human_bytes(limit), killed.unwrap_or_default());
    if evidence.oom_elsewhere == Some(true) {
        return format!("its host ran out of memory while it used {seen} of {limit}{killed}");
    }
    format!("used {seen} of {limit} of memory{killed}")
}

/// `: python3, sh and others`.
fn names(victims: &[Process], count: u64) -> String {
    if victims.is_empty() {
        return String::new();
    }
    let named = victims.iter().take(MAX_NAMES);
    let text = named.map(name).collect::<Vec<_>>().join(", ");
    let others = count > victims.len().min(MAX_NAMES) as u64;
    format!(": {text}{}", if others { " and others" } else { "" })
}

fn busiest(at_kill: &AtKill) -> Option<String> {
    let AtKill { processes, looked_at, shown, .. } = at_kill;
    let busiest = shown.iter().max_by_key(|process| process.cpu_us)?;
    let cpu = human_micros(busiest.cpu_us?);
    let seen =
        if looked_at < processes { format!("{looked_at} of {processes}") } else { processes.to_string() };
    (*processes > 1)
        .then(|| format!("; the busiest of {seen} processes was {} with {cpu}", process_text(busiest)))
}

fn why_not_on(evidence: &Evidence) -> String {
    let held_up = evidence.at_kill.as_ref().and_then(|at_kill| at_kill.held_up.as_ref());
    let Some((process, activity)) = held_up.and_then(|process| Some((process, process.activity?))) else {
        return String::new();
    };
    let doing = match activity {
        Activity::Running => "running",
        Activity::Stopped => "stopped by a signal",
        Activity::Ended => "dead",
        Activity::ReadingStdin => "blocked reading stdin",
        Activity::WritingStdout => "blocked writing stdout",
        Activity::WritingStderr => "blocked writing stderr",
        Activity::Reading => "blocked reading",
        Activity::Writing => "blocked writing",
        Activity::WaitingForChild => "waiting for a child",
        Activity::Sleeping => "sleeping",
        Activity::WaitingForEvents => "waiting for events",
        Activity::WaitingForLock => "waiting for a lock",
        Activity::WaitingForSignal => "waiting for a signal",
        Activity::Waiting => "waiting",
    };
    let call = process.waits_in.as_ref().filter(|_| activity == Activity::Waiting);
    let call = call.map(|call| format!(" in {call}")).unwrap_or_default();
    format!("; {} was {doing}{call}", process_text(process))
}

fn busy(busy_millis: Option<u32>) -> String {
    match busy_millis {
        None => String::new(),
        Some(millis) if millis < MOSTLY_IDLE_BELOW_MILLIS => {
            format!(", mostly idle ({} % of a CPU busy)", millis / 10)
        }
        Some(millis) => format!(", {} % of a CPU busy", millis / 10),
    }
}

/// What is known of a signal beyond its number.
fn origin(signal: i32, evidence: &Evidence) -> String {
    if let Some(fault) = &evidence.fault {
        return format!(", {}", fault_text(fault));
    }
    match (evidence.signal_origin, signal_name(signal)) {
        (Some(SignalOrigin::Itself), _) => ", raised by itself".to_owned(),
        (Some(SignalOrigin::Sandbox), _) => ", sent by a process of its own sandbox".to_owned(),
        (_, Some("SIGPIPE")) => ", as for writing where nobody reads any more".to_owned(),
        // Calls that are not allowed fail, or end the sandbox and are named.
        (_, Some("SIGSYS")) => ", which Kiln's own filter never sends".to_owned(),
        _ => String::new(),
    }
}

fn fault_text(fault: &Fault) -> String {
    match (fault.at_stack_edge, fault.address) {
        (Some(true), _) => "at the edge of its stack".to_owned(),
        (_, Some(address)) => format!("{} at address {address:#x}", fault.kind),
        (_, None) => format!("{} at instruction {:#x}", fault.kind, fault.instruction),
    }
}

fn caller_text(caller: &Process) -> String {
    let role = match caller.role {
        Some(Role::Main) => ", the main process",
        Some(Role::Descendant) => ", a descendant of the main process",
        None => "",
    };
    format!("{}{role}", process_text(caller))
}

/// `python3 (pid 3)`.
fn process_text(process: &Process) -> String {
    match process.pid {
        Some(pid) => format!("{} (pid {pid})", name(process)),
        None => name(process),
    }
}

/// A job's own bytes: 15 at most, of which nothing reaches a terminal but plain letters.
fn name(process: &Process) -> String {
    if process.name.is_empty() {
        "a process without a name".to_owned()
    } else {
        process.name.escape_ascii().to_string()
    }
}

/// `ptrace(16, 1, 0, 0)`: as many arguments as the call takes, since the kernel tells six registers whatever they hold.
fn call(syscall: &str, args: &[u64]) -> String {
    if args.is_empty() {
        return syscall.to_owned();
    }
    let plain_name = syscall.rsplit(':').next().unwrap_or(syscall);
    let count = argument_count(plain_name).unwrap_or(args.len());
    let args: Vec<String> = args.iter().take(count).map(|arg| argument(*arg)).collect();
    format!("{syscall}({})", args.join(", "))
}

/// Small numbers as people write them, others as addresses and flags are.
fn argument(value: u64) -> String {
    match value {
        0..=0xffff => value.to_string(),
        // -1 to -4095: AT_FDCWD, and what is meant for none.
        0xffff_ffff_ffff_f001.. => value.cast_signed().to_string(),
        _ => format!("{value:#x}"),
    }
}

/// Of the calls that the profiles notify (`worker/jail/src/seccomp`); of others all registers are shown.
fn argument_count(syscall: &str) -> Option<usize> {
    Some(match syscall {
        "vhangup" => 0,
        "acct" | "chroot" | "iopl" | "unshare" => 1,
        "clock_settime" | "delete_module" | "fsopen" | "pivot_root" | "setdomainname" | "sethostname"
        | "setns" | "settimeofday" | "swapon" | "umount2" => 2,
        "bpf" | "finit_module" | "fsmount" | "fspick" | "init_module" | "ioperm" | "lookup_dcookie"
        | "open_by_handle_at" | "open_tree" | "pidfd_getfd" => 3,
        "kexec_load" | "ptrace" | "quotactl" | "quotactl_fd" | "reboot" | "request_key" => 4,
        "add_key" | "fsconfig" | "kexec_file_load" | "keyctl" | "mount" | "mount_setattr" | "move_mount"
        | "open_tree_attr" => 5,
        "process_vm_readv" | "process_vm_writev" => 6,
        _ => return None,
    })
}

fn signal_text(signal: i32) -> String {
    signal_name(signal).map_or_else(|| signal.to_string(), |name| format!("{signal} ({name})"))
}

/// What `execve(2)` says, for people.
fn errno_text(errno: i32) -> String {
    let meaning = match errno {
        1 => "operation not permitted",
        2 => "no such file",
        7 => "its arguments are too long for its stack limit",
        8 => "not an executable format",
        12 => "not enough memory",
        13 => "permission denied",
        20 => "a component of its path is not a directory",
        21 => "it is a directory",
        26 => "it is open for writing",
        36 => "its name is too long",
        40 => "too many links",
        _ => return format!("errno {errno}"),
    };
    format!("{meaning} (errno {errno})")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::bytes::Bytes;

    use super::*;

    fn limit(which: LimitName, limit: u64, seen: u64) -> Outcome {
        Outcome::Limit { which, limit, seen }
    }

    fn process(name: &'static str, pid: u32) -> Process {
        Process { name: Bytes::from_static(name.as_bytes()), pid: Some(pid), ..Process::default() }
    }

    fn held_up(activity: Activity) -> Evidence {
        let held_up = Process {
            activity: Some(activity),
            waits_in: Some("openat".to_owned()),
            ..process("python3", 2)
        };
        Evidence {
            busy_millis: Some(3),
            at_kill: Some(AtKill { processes: 1, held_up: Some(held_up), ..AtKill::default() }),
            ..Evidence::default()
        }
    }

    #[track_caller]
    fn check(cases: Vec<(Outcome, Evidence, &str)>) {
        for (outcome, evidence, text) in cases {
            assert_eq!(Ending { outcome, evidence }.sentence(), text);
        }
    }

    #[test]
    fn exits_and_failures() {
        let none = Evidence::default;
        let exited = |code| Outcome::Exited { code };
        check(vec![
            (exited(0), none(), "exited with 0"),
            (exited(1), none(), "exited with 1"),
            (exited(0), Evidence { disk_full: Some(true), ..none() }, "exited with 0"),
            (
                exited(1),
                Evidence { disk_full: Some(true), disk_used_bytes: Some(64 << 20), ..none() },
                "exited with 1; its disk limit was reached (64.0 MiB)",
            ),
            (
                exited(1),
                Evidence { inodes_full: Some(true), inodes_used: Some(64), ..none() },
                "exited with 1; its inodes limit was reached (64 files and directories)",
            ),
            (
                exited(127),
                Evidence { exec_errno: Some(2), ..none() },
                "exited with 127: the program could not be started, no such file (errno 2)",
            ),
            (Outcome::Cancelled, none(), "cancelled"),
        ]);
        let failed = Ending::infrastructure("mount_overlay", Some(28), "mounting the image");
        assert_eq!(failed.sentence(), "Kiln failed at mount_overlay: mounting the image (errno 28)");
    }

    #[test]
    fn signals() {
        let none = Evidence::default;
        let signalled = |signal| Outcome::Signalled { signal };
        let from = |origin| Evidence { signal_origin: Some(origin), ..none() };
        let fault = |address, at_stack_edge| Evidence {
            signal_origin: Some(SignalOrigin::Fault),
            fault: Some(Fault { kind: "segfault".to_owned(), address, at_stack_edge, ..Fault::default() }),
            ..none()
        };
        let opcode = Fault { kind: "invalid opcode".to_owned(), instruction: 0x40_1136, ..Fault::default() };
        check(vec![
            (signalled(11), none(), "killed by signal 11 (SIGSEGV)"),
            (signalled(34), none(), "killed by signal 34"),
            (signalled(6), from(SignalOrigin::Itself), "killed by signal 6 (SIGABRT), raised by itself"),
            (
                signalled(9),
                from(SignalOrigin::Sandbox),
                "killed by signal 9 (SIGKILL), sent by a process of its own sandbox",
            ),
            (
                signalled(11),
                fault(Some(0x7ffe), Some(true)),
                "killed by signal 11 (SIGSEGV), at the edge of its stack",
            ),
            (
                signalled(11),
                fault(Some(0), Some(false)),
                "killed by signal 11 (SIGSEGV), segfault at address 0x0",
            ),
            (
                signalled(4),
                Evidence { fault: Some(opcode), ..none() },
                "killed by signal 4 (SIGILL), invalid opcode at instruction 0x401136",
            ),
            (
                signalled(13),
                none(),
                "killed by signal 13 (SIGPIPE), as for writing where nobody reads any more",
            ),
            (signalled(31), none(), "killed by signal 31 (SIGSYS), which Kiln's own filter never sends"),
        ]);
    }

    #[test]
    fn limits_of_time() {
        let none = Evidence::default;
        let wall = || limit(LimitName::Wall, 2_000_000, 2_001_000);
        let cpu = || limit(LimitName::Cpu, 1_000_000, 1_002_000);
        let busy = Process { cpu_us: Some(990_000), ..process("python3", 3) };
        let several = AtKill {
            processes: 3,
            looked_at: 3,
            shown: vec![process("sh", 2), busy.clone()],
            ..AtKill::default()
        };
        let many = AtKill { processes: 99, looked_at: 32, ..several.clone() };
        let alone = AtKill { processes: 1, shown: vec![busy], ..AtKill::default() };
        check(vec![
            (cpu(), none(), "stopped: used 1.00 s of 1.00 s of CPU time"),
            (
                cpu(),
                Evidence { at_kill: Some(alone), ..none() },
                "stopped: used 1.00 s of 1.00 s of CPU time",
            ),
            (
                cpu(),
                Evidence { at_kill: Some(several), ..none() },
                "stopped: used 1.00 s of 1.00 s of CPU time; the busiest of 3 processes was python3 (pid 3) with 990.0 ms",
            ),
            (
                cpu(),
                Evidence { at_kill: Some(many), ..none() },
                "stopped: used 1.00 s of 1.00 s of CPU time; the busiest of 32 of 99 processes was python3 (pid 3) with 990.0 ms",
            ),
            (
                wall(),
                Evidence { busy_millis: Some(3), ..none() },
                "stopped: wall time 2.00 s of 2.00 s, mostly idle (0 % of a CPU busy)",
            ),
            (
                wall(),
                Evidence { busy_millis: Some(950), ..none() },
                "stopped: wall time 2.00 s of 2.00 s, 95 % of a CPU busy",
            ),
            (
                wall(),
                held_up(Activity::ReadingStdin),
                "stopped: wall time 2.00 s of 2.00 s, mostly idle (0 % of a CPU busy); python3 (pid 2) was blocked reading stdin",
            ),
            (
                wall(),
                held_up(Activity::Waiting),
                "stopped: wall time 2.00 s of 2.00 s, mostly idle (0 % of a CPU busy); python3 (pid 2) was waiting in openat",
            ),
        ]);
    }

    #[test]
    fn limits_of_amounts() {
        let none = Evidence::default;
        let memory = || limit(LimitName::Memory, 64 << 20, 64 << 20);
        let killed = |count, victims| Evidence { oom_kills: Some(count), oom_victims: victims, ..none() };
        let four = vec![process("a", 2), process("b", 3), process("c", 4), process("d", 5)];
        check(vec![
            (
                memory(),
                killed(1, vec![]),
                "stopped: used 64.0 MiB of 64.0 MiB of memory (kernel killed 1 process)",
            ),
            (
                memory(),
                killed(1, vec![process("python3", 2)]),
                "stopped: used 64.0 MiB of 64.0 MiB of memory (kernel killed 1 process: python3)",
            ),
            (
                memory(),
                killed(4, four),
                "stopped: used 64.0 MiB of 64.0 MiB of memory (kernel killed 4 processes: a, b, c and others)",
            ),
            (
                limit(LimitName::Memory, 64 << 20, 1 << 20),
                Evidence { oom_elsewhere: Some(true), ..killed(1, vec![]) },
                "stopped: its host ran out of memory while it used 1.0 MiB of 64.0 MiB (kernel killed 1 process)",
            ),
            (limit(LimitName::Pids, 16, 17), none(), "stopped: a fork over the limit of 16 processes"),
            (
                limit(LimitName::Pids, 16, 17),
                Evidence { at_kill: Some(AtKill { tasks: Some(16), ..AtKill::default() }), ..none() },
                "stopped: a fork over the limit of 16 processes (16 alive)",
            ),
            (
                limit(LimitName::Output, 1 << 20, (1 << 20) + 1),
                none(),
                "stopped: more than 1.0 MiB of output",
            ),
            (
                limit(LimitName::Output, 1 << 20, (1 << 20) + 1),
                Evidence { output_stream: Some(Stream::Stderr), ..none() },
                "stopped: more than 1.0 MiB of output on stderr",
            ),
            (limit(LimitName::FileSize, 1 << 20, 1 << 20), none(), "stopped: a file larger than 1.0 MiB"),
        ]);
    }

    #[test]
    fn forbidden_calls() {
        let forbidden = |syscall: &str, args: &[u64]| Outcome::Forbidden {
            syscall: syscall.to_owned(),
            args: args.to_vec(),
        };
        let by = |role| Evidence {
            caller: Some(Process { role: Some(role), ..process("python3", 3) }),
            ..Evidence::default()
        };
        check(vec![
            (forbidden("ptrace", &[]), Evidence::default(), "stopped: forbidden call ptrace"),
            (
                forbidden("ptrace", &[16, 1, 0, 0, 0x7ffe_1234_5678, 9]),
                by(Role::Descendant),
                "stopped: forbidden call ptrace(16, 1, 0, 0) by python3 (pid 3), a descendant of the main process",
            ),
            (
                forbidden("i386:unshare", &[0x1000_0000, 1, 2, 3, 4, 5]),
                by(Role::Main),
                "stopped: forbidden call i386:unshare(0x10000000) by python3 (pid 3), the main process",
            ),
            (
                forbidden("syscall_999", &[u64::MAX, 0xffff_ffff, 1]),
                Evidence::default(),
                "stopped: forbidden call syscall_999(-1, 0xffffffff, 1)",
            ),
            (
                forbidden("vhangup", &[1, 2, 3, 4, 5, 6]),
                Evidence::default(),
                "stopped: forbidden call vhangup()",
            ),
        ]);
    }

    #[test]
    fn names_of_a_job_are_escaped() {
        let hostile =
            Process { name: Bytes::from_static(b"\x1b[31m\n\xe2\x80\xae\"\\"), ..Process::default() };
        for (process, text) in [
            (hostile, "stopped: forbidden call bpf by \\x1b[31m\\n\\xe2\\x80\\xae\\\"\\\\"),
            (Process::default(), "stopped: forbidden call bpf by a process without a name"),
        ] {
            let outcome = Outcome::Forbidden { syscall: "bpf".to_owned(), args: vec![] };
            let evidence = Evidence { caller: Some(process), ..Evidence::default() };
            assert_eq!(Ending { outcome, evidence }.sentence(), text);
        }
    }

    proptest! {
        #[test]
        fn no_name_reaches_a_terminal_as_it_is(name in prop::collection::vec(any::<u8>(), 0..16), pid: Option<u32>) {
            let process = Process { name: name.into(), pid, activity: Some(Activity::Waiting), ..Process::default() };
            let at_kill = AtKill {
                processes: 9,
                shown: vec![Process { cpu_us: Some(1), ..process.clone() }],
                held_up: Some(process.clone()),
                ..AtKill::default()
            };
            let evidence = Evidence {
                caller: Some(process.clone()),
                oom_victims: vec![process; 8],
                oom_kills: Some(8),
                at_kill: Some(at_kill),
                ..Evidence::default()
            };
            for outcome in [
                limit(LimitName::Cpu, 1, 1),
                limit(LimitName::Wall, 1, 1),
                limit(LimitName::Memory, 1, 1),
                Outcome::Forbidden { syscall: "bpf".to_owned(), args: vec![u64::MAX; 6] },
            ] {
                let sentence = Ending { outcome, evidence: evidence.clone() }.sentence();
                prop_assert!(sentence.len() < 400 && !sentence.chars().any(char::is_control), "{sentence:?}");
            }
        }
    }
}
