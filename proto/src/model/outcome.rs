//! How a command ended, exactly one way, and the measured facts behind it.
//!
//! Owns the sentence that people read. The three kinds that are never confused stay apart here: the job's own end, a limit, and Kiln's
//! failure; a message that mixes them is refused.

use super::limit_name::{LimitEffect, LimitName};
use super::units::{human_bytes, human_micros};
use super::violation::{Collector, Invalid};
use crate::v1;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are explained at their variants")]
pub enum Outcome {
    /// It exited, with a status of 0 to 255.
    Exited { code: i32 },
    /// A signal ended it, 1 to 64.
    Signalled { signal: i32 },
    /// A stopping limit was hit. `limit` and `seen` are in the limit's unit: microseconds, bytes or a count.
    Limit { which: LimitName, limit: u64, seen: u64 },
    /// It made a call that only an exploit makes, e.g. `ptrace` or `i386:mmap`.
    Forbidden { syscall: String, args: Vec<u64> },
    /// Somebody asked for its end.
    Cancelled,
    /// Kiln failed: the command did not run, or its end is unknown.
    Infrastructure { step: String, errno: Option<i32>, detail: String },
}

/// Measured facts. `None` where the kernel did not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as Evidence in job.proto, field by field")]
pub struct Evidence {
    pub exit_code: Option<i32>,
    pub exit_signal: Option<i32>,
    pub exec_errno: Option<i32>,
    pub oom_kills: Option<u64>,
    pub pids_refused: Option<u64>,
    pub disk_used_bytes: Option<u64>,
    pub disk_full: Option<bool>,
    pub inodes_used: Option<u64>,
    pub inodes_full: Option<bool>,
    pub busy_millis: Option<u32>,
    pub left_running: Option<u64>,
}

/// An outcome with its evidence: what the wire calls `Outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Ending {
    pub outcome: Outcome,
    pub evidence: Evidence,
}

/// Below this share of a CPU a command that ran out of wall time was mostly waiting.
const MOSTLY_IDLE_BELOW_MILLIS: u32 = 100;

impl Ending {
    /// An outcome that nothing more is known about.
    pub fn new(outcome: Outcome) -> Self {
        Ending { outcome, evidence: Evidence::default() }
    }

    /// Kiln failed.
    pub fn infrastructure(step: impl Into<String>, errno: Option<i32>, detail: impl Into<String>) -> Self {
        Ending::new(Outcome::Infrastructure { step: step.into(), errno, detail: detail.into() })
    }

    /// One sentence for people, without a full stop, e.g. `stopped: used 1.00 s of 1.00 s of CPU time`.
    pub fn sentence(&self) -> String {
        match &self.outcome {
            Outcome::Exited { code } => exited_sentence(*code, &self.evidence),
            Outcome::Signalled { signal } => {
                format!("killed by signal {}{}", signal_text(*signal), refusals(&self.evidence))
            }
            Outcome::Limit { which, limit, seen } => limit_sentence(*which, *limit, *seen, &self.evidence),
            Outcome::Forbidden { syscall, .. } => format!("stopped: forbidden call {syscall}"),
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

impl Outcome {
    /// Lower-case word, as in JSON: `exited`, `limit` ...
    pub const fn kind(&self) -> &'static str {
        match self {
            Outcome::Exited { .. } => "exited",
            Outcome::Signalled { .. } => "signalled",
            Outcome::Limit { .. } => "limit",
            Outcome::Forbidden { .. } => "forbidden",
            Outcome::Cancelled => "cancelled",
            Outcome::Infrastructure { .. } => "infrastructure",
        }
    }

    /// Whether it exited 0.
    pub const fn is_success(&self) -> bool {
        matches!(self, Outcome::Exited { code: 0 })
    }
}

impl From<&Ending> for v1::Outcome {
    fn from(ending: &Ending) -> Self {
        let mut wire = v1::Outcome {
            evidence: Some((&ending.evidence).into()),
            sentence: ending.sentence(),
            ..v1::Outcome::default()
        };
        match &ending.outcome {
            Outcome::Exited { code } => {
                wire.set_kind(v1::OutcomeKind::Exited);
                wire.code = Some(*code);
            }
            Outcome::Signalled { signal } => {
                wire.set_kind(v1::OutcomeKind::Signalled);
                wire.signal = Some(*signal);
            }
            Outcome::Limit { which, limit, seen } => {
                wire.set_kind(v1::OutcomeKind::Limit);
                wire.set_limit((*which).into());
                (wire.limit_value, wire.seen_value) = (Some(*limit), Some(*seen));
            }
            Outcome::Forbidden { syscall, args } => {
                wire.set_kind(v1::OutcomeKind::Forbidden);
                (wire.syscall, wire.syscall_args) = (syscall.clone(), args.clone());
            }
            Outcome::Cancelled => wire.set_kind(v1::OutcomeKind::Cancelled),
            Outcome::Infrastructure { step, errno, detail } => {
                wire.set_kind(v1::OutcomeKind::Infrastructure);
                wire.infrastructure_step.clone_from(step);
                wire.infrastructure_errno = *errno;
                wire.infrastructure_detail.clone_from(detail);
            }
        }
        wire
    }
}

impl TryFrom<v1::Outcome> for Ending {
    type Error = Invalid;

    /// Refuses an outcome of two kinds at once, or of none. The sentence is not read: it is made from the facts.
    fn try_from(wire: v1::Outcome) -> Result<Self, Invalid> {
        Ending::check(wire, "outcome")
    }
}

impl Ending {
    pub(crate) fn check(wire: v1::Outcome, field: &str) -> Result<Self, Invalid> {
        check_contradictions(&wire, field)?;
        let missing =
            |name: &str| Invalid::new(format!("{field}.{name}"), "is unset, but belongs to this kind");
        let outcome = match wire.kind() {
            v1::OutcomeKind::Unspecified => {
                return Err(Invalid::new(
                    format!("{field}.kind"),
                    format!("is {}; must be a kind", wire.kind),
                ));
            }
            v1::OutcomeKind::Exited => {
                let code = wire.code.ok_or_else(|| missing("code"))?;
                Outcome::Exited { code: in_range(code, 0, 255, &format!("{field}.code"))? }
            }
            v1::OutcomeKind::Signalled => {
                let signal = wire.signal.ok_or_else(|| missing("signal"))?;
                Outcome::Signalled { signal: in_range(signal, 1, 64, &format!("{field}.signal"))? }
            }
            v1::OutcomeKind::Limit => Outcome::Limit {
                which: stopping_limit(&wire, field)?,
                limit: wire.limit_value.ok_or_else(|| missing("limit_value"))?,
                seen: wire.seen_value.ok_or_else(|| missing("seen_value"))?,
            },
            v1::OutcomeKind::Forbidden if wire.syscall.is_empty() => return Err(missing("syscall")),
            v1::OutcomeKind::Forbidden => {
                Outcome::Forbidden { syscall: wire.syscall, args: wire.syscall_args }
            }
            v1::OutcomeKind::Cancelled => Outcome::Cancelled,
            v1::OutcomeKind::Infrastructure if wire.infrastructure_step.is_empty() => {
                return Err(missing("infrastructure_step"));
            }
            v1::OutcomeKind::Infrastructure => Outcome::Infrastructure {
                step: wire.infrastructure_step,
                errno: wire.infrastructure_errno,
                detail: wire.infrastructure_detail,
            },
        };
        Ok(Ending { outcome, evidence: wire.evidence.unwrap_or_default().into() })
    }
}

impl From<v1::Evidence> for Evidence {
    fn from(wire: v1::Evidence) -> Self {
        Evidence {
            exit_code: wire.exit_code,
            exit_signal: wire.exit_signal,
            exec_errno: wire.exec_errno,
            oom_kills: wire.oom_kills,
            pids_refused: wire.pids_refused,
            disk_used_bytes: wire.disk_used_bytes,
            disk_full: wire.disk_full,
            inodes_used: wire.inodes_used,
            inodes_full: wire.inodes_full,
            busy_millis: wire.busy_millis,
            left_running: wire.left_running,
        }
    }
}

impl From<&Evidence> for v1::Evidence {
    fn from(evidence: &Evidence) -> Self {
        v1::Evidence {
            exit_code: evidence.exit_code,
            exit_signal: evidence.exit_signal,
            exec_errno: evidence.exec_errno,
            oom_kills: evidence.oom_kills,
            pids_refused: evidence.pids_refused,
            disk_used_bytes: evidence.disk_used_bytes,
            disk_full: evidence.disk_full,
            inodes_used: evidence.inodes_used,
            inodes_full: evidence.inodes_full,
            busy_millis: evidence.busy_millis,
            left_running: evidence.left_running,
        }
    }
}

/// Name of a signal, e.g. `SIGSEGV`, where it has one.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    // The numbers of x86_64 and aarch64 (signal(7)).
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let index = usize::try_from(signal).ok()?.checked_sub(1)?;
    NAMES.get(index).copied()
}

fn exited_sentence(code: i32, evidence: &Evidence) -> String {
    match evidence.exec_errno {
        Some(errno) => format!("exited with {code}: the program could not be started, {}", errno_text(errno)),
        None if code == 0 => "exited with 0".to_owned(),
        None => format!("exited with {code}{}", refusals(evidence)),
    }
}

/// What was full when a program failed, which may be why. The kernel tells nothing of refused descriptors and stacks.
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

fn limit_sentence(which: LimitName, limit: u64, seen: u64, evidence: &Evidence) -> String {
    let text = match which {
        LimitName::Cpu => format!("used {} of {} of CPU time", human_micros(seen), human_micros(limit)),
        LimitName::Wall => {
            format!(
                "wall time {} of {}{}",
                human_micros(seen),
                human_micros(limit),
                busy(evidence.busy_millis)
            )
        }
        LimitName::Memory => {
            let killed = evidence.oom_kills.filter(|count| *count > 0).map(|count| {
                format!(" (kernel killed {count} {})", if count == 1 { "process" } else { "processes" })
            });
            let (seen, limit) = (human_bytes(seen), human_bytes(limit));
            format!("used {seen} of {limit} of memory{}", killed.unwrap_or_default())
        }
        LimitName::Pids => {
            format!("a fork over the limit of {limit} {}", if limit == 1 { "process" } else { "processes" })
        }
        LimitName::Output => format!("more than {} of output", human_bytes(limit)),
        LimitName::FileSize => format!("a file larger than {}", human_bytes(limit)),
        LimitName::Disk | LimitName::Stack => format!("the {which} limit of {}", human_bytes(limit)),
        LimitName::Inodes | LimitName::OpenFiles | LimitName::CpuRate => {
            format!("the {which} limit of {limit}")
        }
    };
    format!("stopped: {text}")
}

fn busy(busy_millis: Option<u32>) -> String {
    match busy_millis {
        None => String::new(),
        Some(millis) if millis < MOSTLY_IDLE_BELOW_MILLIS => ", mostly idle".to_owned(),
        Some(millis) => format!(", {} % of a CPU busy", millis / 10),
    }
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

fn in_range(value: i32, least: i32, most: i32, field: &str) -> Result<i32, Invalid> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Invalid::new(field, format!("is {value}; must be {least} to {most}")))
}

fn stopping_limit(wire: &v1::Outcome, field: &str) -> Result<LimitName, Invalid> {
    let name = v1::LimitName::try_from(wire.limit).ok().and_then(LimitName::from_wire);
    let stops = name.filter(|name| name.effect() == LimitEffect::Stops);
    let why = || format!("is {}; must be a limit that stops a command", wire.limit);
    stops.ok_or_else(|| Invalid::new(format!("{field}.limit"), why()))
}

/// Fields of a kind other than the one said.
fn check_contradictions(wire: &v1::Outcome, field: &str) -> Result<(), Invalid> {
    use v1::OutcomeKind::{Exited, Forbidden, Infrastructure, Limit, Signalled};
    let belongs = [
        ("code", Exited, wire.code.is_some()),
        ("signal", Signalled, wire.signal.is_some()),
        ("limit", Limit, wire.limit != 0),
        ("limit_value", Limit, wire.limit_value.is_some()),
        ("seen_value", Limit, wire.seen_value.is_some()),
        ("syscall", Forbidden, !wire.syscall.is_empty()),
        ("syscall_args", Forbidden, !wire.syscall_args.is_empty()),
        ("infrastructure_step", Infrastructure, !wire.infrastructure_step.is_empty()),
        ("infrastructure_errno", Infrastructure, wire.infrastructure_errno.is_some()),
        ("infrastructure_detail", Infrastructure, !wire.infrastructure_detail.is_empty()),
    ];
    let mut collector = Collector::default();
    for (name, kind, set) in belongs {
        if set && kind != wire.kind() {
            let why = format!(
                "is set, but belongs to {} and the kind is {}",
                kind.as_str_name(),
                wire.kind().as_str_name()
            );
            collector.add(format!("{field}.{name}"), why);
        }
    }
    collector.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(outcome: Outcome, evidence: Evidence) -> String {
        Ending { outcome, evidence }.sentence()
    }

    fn limit(which: LimitName, limit: u64, seen: u64) -> Outcome {
        Outcome::Limit { which, limit, seen }
    }

    #[test]
    fn sentences() {
        let none = Evidence::default;
        let cases: Vec<(Outcome, Evidence, &str)> = vec![
            (Outcome::Exited { code: 0 }, none(), "exited with 0"),
            (Outcome::Exited { code: 1 }, none(), "exited with 1"),
            (Outcome::Exited { code: 0 }, Evidence { disk_full: Some(true), ..none() }, "exited with 0"),
            (
                Outcome::Exited { code: 1 },
                Evidence { disk_full: Some(true), disk_used_bytes: Some(64 << 20), ..none() },
                "exited with 1; its disk limit was reached (64.0 MiB)",
            ),
            (
                Outcome::Exited { code: 1 },
                Evidence { inodes_full: Some(true), inodes_used: Some(64), ..none() },
                "exited with 1; its inodes limit was reached (64 files and directories)",
            ),
            (
                Outcome::Exited { code: 127 },
                Evidence { exec_errno: Some(2), ..none() },
                "exited with 127: the program could not be started, no such file (errno 2)",
            ),
            (Outcome::Signalled { signal: 11 }, none(), "killed by signal 11 (SIGSEGV)"),
            (Outcome::Signalled { signal: 34 }, none(), "killed by signal 34"),
            (
                limit(LimitName::Cpu, 1_000_000, 1_002_000),
                none(),
                "stopped: used 1.00 s of 1.00 s of CPU time",
            ),
            (
                limit(LimitName::Memory, 64 << 20, 64 << 20),
                Evidence { oom_kills: Some(1), ..none() },
                "stopped: used 64.0 MiB of 64.0 MiB of memory (kernel killed 1 process)",
            ),
            (
                limit(LimitName::Wall, 2_000_000, 2_001_000),
                Evidence { busy_millis: Some(3), ..none() },
                "stopped: wall time 2.00 s of 2.00 s, mostly idle",
            ),
            (
                limit(LimitName::Wall, 2_000_000, 2_001_000),
                Evidence { busy_millis: Some(950), ..none() },
                "stopped: wall time 2.00 s of 2.00 s, 95 % of a CPU busy",
            ),
            (limit(LimitName::Pids, 16, 17), none(), "stopped: a fork over the limit of 16 processes"),
            (
                limit(LimitName::Output, 1 << 20, (1 << 20) + 1),
                none(),
                "stopped: more than 1.0 MiB of output",
            ),
            (limit(LimitName::FileSize, 1 << 20, 1 << 20), none(), "stopped: a file larger than 1.0 MiB"),
            (
                Outcome::Forbidden { syscall: "ptrace".to_owned(), args: vec![] },
                none(),
                "stopped: forbidden call ptrace",
            ),
            (Outcome::Cancelled, none(), "cancelled"),
        ];
        for (outcome, evidence, text) in cases {
            assert_eq!(sentence(outcome, evidence), text);
        }
        let failed = Ending::infrastructure("mount_overlay", Some(28), "mounting the image");
        assert_eq!(failed.sentence(), "Kiln failed at mount_overlay: mounting the image (errno 28)");
    }

    #[test]
    fn every_outcome_goes_to_the_wire_and_back() {
        let outcomes = [
            Outcome::Exited { code: 255 },
            Outcome::Signalled { signal: 9 },
            limit(LimitName::FileSize, 5, 6),
            Outcome::Forbidden { syscall: "i386:mmap".to_owned(), args: vec![0, u64::MAX] },
            Outcome::Cancelled,
            Outcome::Infrastructure { step: "clone".to_owned(), errno: None, detail: "gone".to_owned() },
        ];
        for outcome in outcomes {
            let evidence = Evidence { oom_kills: Some(0), disk_full: Some(false), ..Evidence::default() };
            let ending = Ending { outcome, evidence };
            let wire = v1::Outcome::from(&ending);
            assert_eq!(wire.sentence, ending.sentence());
            assert_eq!(Ending::try_from(wire), Ok(ending));
        }
    }

    #[test]
    fn contradictions_are_refused_by_field() {
        let exited = || v1::Outcome { kind: 1, code: Some(0), ..v1::Outcome::default() };
        let cases: Vec<(v1::Outcome, &str)> = vec![
            (v1::Outcome::default(), "outcome.kind"),
            (v1::Outcome { kind: 99, ..v1::Outcome::default() }, "outcome.kind"),
            (v1::Outcome { code: None, ..exited() }, "outcome.code"),
            (v1::Outcome { code: Some(256), ..exited() }, "outcome.code"),
            (v1::Outcome { code: Some(-1), ..exited() }, "outcome.code"),
            (v1::Outcome { signal: Some(9), ..exited() }, "outcome.signal"),
            (v1::Outcome { limit: 1, ..exited() }, "outcome.limit"),
            (v1::Outcome { syscall: "ptrace".to_owned(), ..exited() }, "outcome.syscall"),
            (v1::Outcome { infrastructure_step: "x".to_owned(), ..exited() }, "outcome.infrastructure_step"),
            (v1::Outcome { kind: 6, ..v1::Outcome::default() }, "outcome.infrastructure_step"),
            (v1::Outcome { kind: 6, code: Some(1), ..v1::Outcome::default() }, "outcome.code"),
            (v1::Outcome { kind: 2, signal: Some(0), ..v1::Outcome::default() }, "outcome.signal"),
            (v1::Outcome { kind: 3, limit: 0, ..v1::Outcome::default() }, "outcome.limit"),
            (v1::Outcome { kind: 3, limit: 7, ..v1::Outcome::default() }, "outcome.limit"),
            (v1::Outcome { kind: 3, limit: 1, ..v1::Outcome::default() }, "outcome.limit_value"),
            (v1::Outcome { kind: 4, ..v1::Outcome::default() }, "outcome.syscall"),
        ];
        for (wire, field) in cases {
            let invalid = Ending::try_from(wire).expect_err(field);
            assert_eq!(invalid.violations[0].field, field);
        }
    }
}
