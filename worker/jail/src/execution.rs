//! One plan carried out in a prepared sandbox: limits, order, watch, end, report.
//!
//! Whatever goes wrong at any step, the sandbox is destroyed before the failure is returned.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::cgroup::{Group, GroupUsage, Room, available_cpus};
use crate::evidence::{OomKills, Streams, Victim, may_be_a_fault, signal_origin};
use crate::inspect;
use crate::jail::Jail;
use crate::learned::Learned;
use crate::plan::Plan;
use crate::prepared::{NotMade, Prepared};
use crate::report::{Evidence, Failure, Fault, Outcome, Phases, Process, Report, Role, Usage};
use crate::sandbox::command::{Descriptors, Recording, Start, Waiting};
use crate::sandbox::rootfs::Mounts;
use crate::sandbox::{command, files_in, files_out, kill};
use crate::supervise::{Facts, Post, Seen, Worker, outcome, unix_us, watch};
use crate::sys::clone::Child;
use crate::sys::process::{self, Reaped};

/// How long a group may still be populated after its last process was reaped.
const GROUP_PATIENCE: Duration = Duration::from_secs(10);

/// A finished command, and what waits to be released of its sandbox: its files and the group that they are charged to.
pub(crate) struct Ran {
    pub(crate) report: Report,
    pub(crate) files: Vec<OwnedFd>,
    pub(crate) sandbox: Prepared,
    pub(crate) worker: Worker,
    pub(crate) learned: Option<Learned>,
}

/// How the sandbox's processes ended.
struct End {
    reaped: Reaped,
    left_running: u64,
}

/// Everything known of a command when no process of it is left.
struct Observed {
    seen: Seen,
    end: End,
    cwd_errno: Option<i32>,
    room: Room,
    usage: GroupUsage,
    told: Told,
    phases: Phases,
}

/// What the kernel's log says of it.
#[derive(Default)]
struct Told {
    main: Option<Pid>,
    oom: OomKills,
    fault: Option<Fault>,
}

/// What of a plan is known to be wrong before a sandbox is taken for it. The worker could have known: not a matter of the host.
pub(crate) fn check(jail: &Jail, plan: &Plan, descriptors: Vec<OwnedFd>) -> Result<Descriptors, Failure> {
    plan.check().map_err(|error| Failure::new("plan", 0, error.to_string()))?;
    jail.profiles.find(&plan.profile)?;
    let descriptors = Descriptors::take(plan, descriptors)?;
    let (bytes, inodes) = files_in::needed(&plan.files_in, descriptors.files_in())
        .map_err(Failure::of("files_in", "measure the files for the sandbox"))?;
    let detail = if bytes > plan.limits.disk_bytes.get() {
        format!("files_in: {bytes} bytes are more than disk_bytes {}", plan.limits.disk_bytes)
    } else if inodes > plan.limits.inodes.get() {
        format!("files_in: {inodes} files are more than inodes {}", plan.limits.inodes)
    } else {
        return Ok(descriptors);
    };
    Err(Failure::new("plan", libc::ENOSPC, detail))
}

pub(crate) fn run(
    jail: &Jail,
    mut prepared: Prepared,
    plan: &Plan,
    descriptors: Descriptors,
    recording: Recording,
    accepted_us: u64,
) -> Result<Ran, NotMade> {
    let observed = observe(jail, &mut prepared, plan, descriptors, recording, accepted_us);
    let reported = observed.and_then(|mut observed| {
        let learned = observed.seen.learned.take();
        report(plan, &observed, &prepared.sandbox.mounts)
            .map(|report| (report, observed.seen.worker, learned))
    });
    match reported {
        Ok((mut report, worker, learned)) => {
            let (found, files) = files_out::collect(prepared.sandbox.mounts.tmpfs.as_fd(), &plan.files_out);
            report.files = found;
            report.phases.collected_us = unix_us();
            Ok(Ran { report, files, sandbox: prepared, worker, learned })
        }
        Err(failure) => Err(NotMade::after(failure, prepared.destroy())),
    }
}

fn observe(
    jail: &Jail,
    prepared: &mut Prepared,
    plan: &Plan,
    descriptors: Descriptors,
    recording: Recording,
    accepted_us: u64,
) -> Result<Observed, Failure> {
    if let Some(log) = &jail.kernel_log {
        log.skip_to_end();
    }
    let room = prepared.group.limit(&plan.limits)?;
    prepared.sandbox.mounts.limit(&plan.limits)?;
    let (descriptors, attached) = descriptors.with_shown(&jail.base, plan)?;
    prepared.attached = attached;
    let prepared = &*prepared;
    let prepared_us = unix_us();
    let Started { seen, cwd_errno, died, listener } = match room {
        Room::Enough => start(jail, plan, descriptors, recording, prepared),
        Room::TooLittle => Started::never(Ok(())),
    };
    let init = not_by_inits_death(&prepared.expecting.child, &prepared.sandbox.init);
    // Whatever happened, first of all nothing of it runs on. A forbidden call waits for its listener's answer until
    // its process is dead: a listener closed earlier would let it go on with ENOSYS (seccomp_unotify(2)).
    let end = end(prepared)?;
    drop(listener);
    let seen = seen?;
    init?;
    let usage = prepared.group.usage()?;
    if died && usage.oom_kills == 0 {
        let detail = format!("the command's process was killed by signal {:?}", end.reaped.exit_signal);
        return Err(Failure::new("start_command", 0, detail));
    }
    let told = told(jail, plan, prepared, &end.reaped, &usage);
    let phases = Phases {
        accepted_us,
        prepared_us,
        started_us: seen.started_us,
        ended_us: seen.ended_us,
        collected_us: 0,
    };
    Ok(Observed { seen, end, cwd_errno, room, usage, told, phases })
}

/// Asks the kernel's log where it may have something to say. Every line is there by now: who wrote it is dead.
fn told(jail: &Jail, plan: &Plan, prepared: &Prepared, reaped: &Reaped, usage: &GroupUsage) -> Told {
    let mut told = Told { main: Some(prepared.expecting.child.pid), ..Told::default() };
    if let (Some(log), Some(main)) = (&jail.kernel_log, told.main) {
        if usage.oom_kills > 0 {
            told.oom = log.oom_kills(&prepared.group.memory_path(), jail.base.ids().command());
        } else if reaped.exit_signal.is_some_and(may_be_a_fault) {
            told.fault = log.fault(main, plan.limits.stack_bytes.get());
        }
    }
    told
}

struct Started {
    seen: Result<Seen, Failure>,
    cwd_errno: Option<i32>,
    died: bool,
    listener: Option<OwnedFd>,
}

impl Started {
    /// No program was executed.
    fn never(result: Result<(), Failure>) -> Self {
        let now = unix_us();
        let unseen = Seen { started_us: now, ended_us: now, ..Seen::default() };
        Self { seen: result.map(|()| unseen), cwd_errno: None, died: false, listener: None }
    }
}

fn start(
    jail: &Jail,
    plan: &Plan,
    descriptors: Descriptors,
    recording: Recording,
    prepared: &Prepared,
) -> Started {
    let ordered = command::order(&prepared.expecting, plan, recording, &descriptors);
    let streams = Streams::of(descriptors.stdio());
    // The command has its own copies; readers of its output must see its end, not the jail's.
    drop(descriptors);
    match ordered {
        Err(failure) => Started::never(Err(failure)),
        Ok(Start::NoCwd { errno }) => Started { cwd_errno: Some(errno), ..Started::never(Ok(())) },
        Ok(Start::Died) => Started { died: true, ..Started::never(Ok(())) },
        Ok(Start::Waiting(waiting)) => go_on(jail, plan, recording, prepared, streams, waiting),
    }
}

fn go_on(
    jail: &Jail,
    plan: &Plan,
    recording: Recording,
    prepared: &Prepared,
    streams: Streams,
    waiting: Waiting,
) -> Started {
    let Waiting { handshake, listener } = waiting;
    let child = &prepared.expecting.child;
    let seen = || {
        inspect_first(jail, plan, prepared, listener.as_ref())?;
        let recorder = match recording {
            Recording::Off => None,
            Recording::On if listener.is_none() => {
                return Err(Failure::new("seccomp", 0, "nothing can be recorded without the filter"));
            }
            Recording::On => Some(jail.profiles.find(&plan.profile)?.recorder()),
        };
        let post = Post {
            worker: jail.socket.as_fd(),
            group: &prepared.group,
            init: &prepared.sandbox.init,
            limits: &plan.limits,
            streams,
            cpus: usable_cpus(jail),
            recorder,
        };
        watch(post, child, handshake, listener.as_ref().map(AsFd::as_fd))
    };
    Started { seen: seen(), cwd_errno: None, died: false, listener }
}

/// What holds for a jail's first command holds for all: the same code on the same kernel. (What a profile differs in is
/// checked where it is loaded.)
fn inspect_first(
    jail: &Jail,
    plan: &Plan,
    prepared: &Prepared,
    listener: Option<&OwnedFd>,
) -> Result<(), Failure> {
    let network = prepared.kind.network;
    if jail.inspected.borrow().contains(&network) {
        return Ok(());
    }
    let group = format!("{}/{}", jail.setup.cgroup_name, prepared.name);
    let command = &prepared.expecting.child;
    let waiting = inspect::Waiting { command, listener: listener.map(AsFd::as_fd), group: &group };
    inspect::inspect(jail, plan, &prepared.sandbox, &waiting)?;
    jail.inspected.borrow_mut().push(network);
    Ok(())
}

fn usable_cpus(jail: &Jail) -> u32 {
    let configured = jail.setup.cpus.len();
    u32::try_from(if configured == 0 { available_cpus() } else { configured }).unwrap_or(u32::MAX)
}

/// When a sandbox's init dies, the kernel kills the command with SIGKILL, and init's own end is not told before the
/// command is reaped (zap_pid_ns_processes in kernel/pid_namespace.c). The job is not to be blamed for that.
fn not_by_inits_death(command: &Child, init: &Child) -> Result<(), Failure> {
    use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let ended = waitid(WaitId::PidFd(command.pidfd.as_fd()), look)
        .map_err(Failure::of("reap_command", "look how the command ended"))?;
    let killed = ended.and_then(|status| status.terminating_signal()) == Some(Signal::KILL.as_raw());
    if !killed {
        return Ok(());
    }
    let path = format!("/proc/{}/stat", init.pid.as_raw_nonzero());
    let stat = std::fs::read_to_string(path).map_err(|error| {
        Failure::new("init", error.raw_os_error().unwrap_or(0), "look whether the sandbox's init lives")
    })?;
    if is_exiting(&stat) {
        return Err(Failure::new("init", 0, "the sandbox's init died before its command"));
    }
    Ok(())
}

/// PF_EXITING of linux/sched.h in the ninth field of `/proc/PID/stat`; what cannot be read counts as such.
fn is_exiting(stat: &str) -> bool {
    const PF_EXITING: u64 = 0x4;
    let flags =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & PF_EXITING != 0)
}

/// Kills everything and waits until nothing of the job's is there. Its init is dying too, and is reaped when the sandbox is destroyed:
/// the kernel takes the namespaces down meanwhile, and nobody has to wait for that.
fn end(prepared: &Prepared) -> Result<End, Failure> {
    let (group, command) = (&prepared.group, &prepared.expecting.child);
    let left_running = left_running(command, group);
    // Both, whatever could not be counted or killed.
    kill(&prepared.sandbox.init).and(group.kill_if_populated())?;
    let reaped = process::wait4(command.pid).map_err(Failure::of("reap_command", "reap the command"))?;
    wait_until_empty(group)?;
    Ok(End { reaped, left_running: left_running? })
}

/// The main process itself does not count: it has ended, or is being ended.
fn left_running(command: &Child, group: &Group) -> Result<u64, Failure> {
    Ok(group.processes()?.iter().filter(|&&pid| pid != command.pid).count() as u64)
}

/// A process leaves its group in exit, before it can be reaped; only on some kernels a moment later.
fn wait_until_empty(group: &Group) -> Result<(), Failure> {
    let deadline = Instant::now() + GROUP_PATIENCE;
    while group.populated()? {
        if Instant::now() > deadline {
            return Err(Failure::new("cgroup_empty", 0, "a process of the group outlived its sandbox"));
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn report(plan: &Plan, observed: &Observed, mounts: &Mounts) -> Result<Report, Failure> {
    let usage = usage(observed);
    let Observed { seen, end, cwd_errno, room, usage: counted, phases, .. } = observed;
    let started = seen.exec_errno.is_none() && cwd_errno.is_none() && *room == Room::Enough;
    let facts = Facts {
        exit_code: end.reaped.exit_code.filter(|_| started),
        exit_signal: end.reaped.exit_signal.filter(|_| started),
        exec_errno: seen.exec_errno,
        cwd_errno: *cwd_errno,
        forbidden: seen.forbidden.clone(),
        asked: seen.asked,
        oom_kills: counted.oom_kills,
        room: *room,
        pids_refused: counted.pids_refused,
        shortage: counted.shortage,
        peak_memory_bytes: usage.peak_memory_bytes,
        cpu_us: usage.cpu_user_us + usage.cpu_system_us,
        wall_us: usage.wall_us,
    };
    let outcome = outcome(&facts, &plan.limits);
    let mut evidence = evidence(plan, &facts, end.left_running, mounts)?;
    explain(&mut evidence, observed, &outcome);
    Ok(Report { outcome, evidence, usage, phases: *phases, files: Vec::new() })
}

fn evidence(plan: &Plan, facts: &Facts, left_running: u64, mounts: &Mounts) -> Result<Evidence, Failure> {
    let occupied = mounts.occupied()?;
    let busy_millis = (facts.cpu_us.saturating_mul(1000)).checked_div(facts.wall_us).unwrap_or(0);
    let inodes_used = occupied.inodes.saturating_sub(mounts.layout.inodes);
    Ok(Evidence {
        exit_code: facts.exit_code,
        exit_signal: facts.exit_signal,
        exec_errno: facts.exec_errno,
        cwd_errno: facts.cwd_errno,
        oom_kills: facts.oom_kills,
        pids_refused: facts.pids_refused,
        memory_stalled_us: facts.shortage.and_then(|shortage| shortage.stalled_us),
        disk_used_bytes: occupied.bytes.saturating_sub(mounts.layout.bytes),
        disk_full: occupied.bytes_free == 0,
        inodes_used,
        inodes_full: occupied.inodes_free == 0 || inodes_used >= plan.limits.inodes.get(),
        busy_millis: u32::try_from(busy_millis).unwrap_or(u32::MAX),
        left_running,
        ..Evidence::default()
    })
}

/// Adds what was seen and told to what was counted.
fn explain(evidence: &mut Evidence, observed: &Observed, outcome: &Outcome) {
    let Observed { seen, told, usage, .. } = observed;
    evidence.caller.clone_from(&seen.caller);
    evidence.at_kill = seen.looked.as_ref().map(|looked| looked.at_kill.clone());
    evidence.oom_elsewhere = told.oom.elsewhere;
    evidence.oom_victims = oom_victims(observed);
    if let (Outcome::Signalled { signal }, true) = (outcome, seen.natural) {
        evidence.fault.clone_from(&told.fault);
        evidence.signal_origin = signal_origin(*signal, told.fault.is_some(), usage.peak_pids);
    }
}

/// Dead by now, so that a pid inside is known only of those that were still seen.
fn oom_victims(observed: &Observed) -> Vec<Process> {
    let Observed { seen, told, .. } = observed;
    let pids = seen.looked.as_ref().map_or(&[][..], |looked| &looked.pids);
    let of = |victim: &Victim| {
        let host = Pid::from_raw(victim.pid);
        Process {
            pid: pids.iter().find(|(pid, _)| Some(*pid) == host).map(|(_, inner)| *inner),
            name: victim.name.clone(),
            role: if host.is_some() && host == told.main { Role::Main } else { Role::Descendant },
            cpu_us: None,
            activity: None,
            waits_in: None,
        }
    };
    told.oom.victims.iter().map(of).collect()
}

fn usage(observed: &Observed) -> Usage {
    let Observed { seen, end, usage: counted, .. } = observed;
    // Set-up was charged to the group too; most of it was the kernel's work.
    let system = counted.cpu_system_us.saturating_sub(seen.cpu_before_us);
    let rest = seen.cpu_before_us.saturating_sub(counted.cpu_system_us);
    let mut lower_bounds: Vec<String> =
        ["voluntary_switches", "involuntary_switches", "minor_faults", "major_faults"]
            .map(str::to_owned)
            .into();
    if counted.peak_memory_bytes.is_none() {
        lower_bounds.push("peak_memory_bytes".to_owned());
    }
    if counted.throttled_us.is_none() {
        lower_bounds.push("throttled_us".to_owned());
    }
    Usage {
        cpu_user_us: counted.cpu_user_us.saturating_sub(rest),
        cpu_system_us: system,
        wall_us: seen.wall_us,
        peak_memory_bytes: counted.peak_memory_bytes.unwrap_or(0),
        peak_pids: counted.peak_pids,
        read_bytes: counted.read_bytes,
        written_bytes: counted.written_bytes,
        voluntary_switches: end.reaped.voluntary_switches,
        involuntary_switches: end.reaped.involuntary_switches,
        minor_faults: end.reaped.minor_faults,
        major_faults: end.reaped.major_faults,
        throttled_us: counted.throttled_us.unwrap_or(0),
        oom_kills: counted.oom_kills,
        lower_bounds,
    }
}

#[cfg(test)]
mod tests {
    use super::is_exiting;

    #[test]
    fn a_dying_init_is_told_from_a_living_one() {
        assert!(!is_exiting("12 (kiln-jail) S 7 12 12 0 -1 1077936128 90 0 0 0"));
        assert!(is_exiting("12 (kiln) (jail) S 7 12 12 0 -1 1077936132 90 0 0 0"));
        assert!(is_exiting("12 (kiln-jail) Z 7"));
        assert!(is_exiting(""));
    }
}
