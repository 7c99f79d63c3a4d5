//! From measured facts to exactly one outcome. Pure.
//!
//! Order: a forbidden call, memory (the kernel's counter, whatever the exit code), refused forks, what the worker
//! asked for, CPU or wall (which are memory where the time went into its shortage), file size, the natural end.

use crate::cgroup::{Room, Shortage};
use crate::plan::Limits;
use crate::report::{LimitKind, Outcome};
use crate::seccomp::ForbiddenCall;
use crate::wire::KillReason;

/// Shell convention: the program was not found, or was found and could not be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// A command that lost this part of its time to its memory limit, and read so many times its memory again, was stopped by
/// that limit. Reading large files once costs time at the limit too, but reads nothing again.
const STARVED_PART: u64 = 8;
const STARVED_REREAD: u64 = 4;
/// Where the kernel tells no such time. Programs whose own pages are taken away under them do it thousands of times.
const STARVED_REREAD_ALONE: u64 = 64;

/// What was observed of one command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) exit_code: Option<i32>,
    pub(crate) exit_signal: Option<i32>,
    pub(crate) exec_errno: Option<i32>,
    pub(crate) cwd_errno: Option<i32>,
    pub(crate) forbidden: Option<ForbiddenCall>,
    pub(crate) asked: Option<KillReason>,
    pub(crate) oom_kills: u64,
    pub(crate) room: Room,
    pub(crate) pids_refused: u64,
    pub(crate) shortage: Option<Shortage>,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) cpu_us: u64,
    pub(crate) wall_us: u64,
}

pub(crate) fn outcome(facts: &Facts, limits: &Limits) -> Outcome {
    if let Some(call) = &facts.forbidden {
        return forbidden(call);
    }
    if facts.oom_kills > 0 || facts.room == Room::TooLittle {
        return limit(LimitKind::Memory, limits.memory_bytes.get(), facts.peak_memory_bytes);
    }
    if facts.pids_refused > 0 {
        // The refused fork would have been one more than the limit.
        return limit(LimitKind::Pids, limits.pids.get(), limits.pids.get().saturating_add(1));
    }
    match facts.asked {
        Some(KillReason::Cancelled) => return Outcome::Cancelled,
        Some(KillReason::OutputLimit { seen }) => {
            return limit(LimitKind::Output, limits.output_bytes.get(), seen);
        }
        None => {}
    }
    // Reached is enough for wall: the watch ends at the limit, to the microsecond.
    let (over_cpu, over_wall) = (facts.cpu_us > limits.cpu_us.get(), facts.wall_us >= limits.wall_us.get());
    let spent_us = if over_cpu { facts.cpu_us } else { facts.wall_us };
    if (over_cpu || over_wall) && is_starved(facts, spent_us, limits) {
        return limit(LimitKind::Memory, limits.memory_bytes.get(), facts.peak_memory_bytes);
    }
    if over_cpu {
        return limit(LimitKind::Cpu, limits.cpu_us.get(), facts.cpu_us);
    }
    if over_wall {
        return limit(LimitKind::Wall, limits.wall_us.get(), facts.wall_us);
    }
    natural_end(facts, limits)
}

/// Whether the time went into taking pages back and reading them again: a limit too small for the program to go on in,
/// and with nothing to gain from more time. Found as the CPU limit, of a program that never reached its `main`.
fn is_starved(facts: &Facts, spent_us: u64, limits: &Limits) -> bool {
    facts.shortage.is_some_and(|shortage| {
        let reread = shortage.reread_bytes / limits.memory_bytes;
        match shortage.stalled_us {
            Some(us) => reread >= STARVED_REREAD && us.saturating_mul(STARVED_PART) >= spent_us,
            None => reread >= STARVED_REREAD_ALONE,
        }
    })
}

fn natural_end(facts: &Facts, limits: &Limits) -> Outcome {
    match (facts.exec_errno, facts.cwd_errno) {
        (Some(libc::ENOENT | libc::ENOTDIR), _) => return Outcome::Exited { code: NOT_FOUND },
        (Some(_), _) | (_, Some(_)) => return Outcome::Exited { code: NOT_EXECUTABLE },
        (None, None) => {}
    }
    match (facts.exit_signal, facts.exit_code) {
        (Some(libc::SIGXFSZ), _) => {
            let largest = limits.file_size_bytes.get();
            limit(LimitKind::FileSize, largest, largest.saturating_add(1))
        }
        (Some(signal), _) => Outcome::Signalled { signal },
        (None, code) => Outcome::Exited { code: code.unwrap_or(0) },
    }
}

fn forbidden(call: &ForbiddenCall) -> Outcome {
    Outcome::Forbidden {
        syscall: call.syscall.clone(),
        number: call.number,
        arch: call.arch.to_string(),
        args: call.args,
    }
}

fn limit(which: LimitKind, limit: u64, seen: u64) -> Outcome {
    Outcome::Limit { which, limit, seen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    /// Facts of a command over every limit at once; rows take causes away from the strongest on.
    fn everything_at_once() -> Facts {
        Facts {
            exit_code: None,
            exit_signal: Some(libc::SIGXFSZ),
            oom_kills: 1,
            pids_refused: 1,
            asked: Some(KillReason::OutputLimit { seen: 9 }),
            peak_memory_bytes: 7,
            cpu_us: 1_000_001,
            wall_us: 2_000_000,
            ..Facts::default()
        }
    }

    #[test]
    fn the_strongest_cause_wins() {
        let limits = example().limits;
        let mut facts = everything_at_once();
        let mut which = |weaken: fn(&mut Facts)| {
            let outcome = outcome(&facts, &limits);
            weaken(&mut facts);
            match outcome {
                Outcome::Limit { which, .. } => which,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(which(|facts| facts.oom_kills = 0), LimitKind::Memory);
        assert_eq!(which(|facts| facts.pids_refused = 0), LimitKind::Pids);
        assert_eq!(which(|facts| facts.asked = None), LimitKind::Output);
        assert_eq!(which(|facts| facts.cpu_us = 1_000_000), LimitKind::Cpu);
        assert_eq!(which(|facts| facts.wall_us = 1_999_999), LimitKind::Wall);
        assert_eq!(which(|facts| facts.exit_signal = Some(libc::SIGSEGV)), LimitKind::FileSize);
        assert_eq!(outcome(&facts, &limits), Outcome::Signalled { signal: libc::SIGSEGV });
    }

    #[test]
    fn time_lost_to_a_shortage_of_memory_is_the_memory_limit() {
        let limits = example().limits;
        let memory = limits.memory_bytes.get();
        let which = |cpu_us, wall_us, stalled_us, reread_bytes| {
            let shortage = Some(Shortage { stalled_us, reread_bytes });
            let facts = Facts { cpu_us, wall_us, shortage, ..Facts::default() };
            match outcome(&facts, &limits) {
                Outcome::Limit { which, .. } => Some(which),
                _ => None,
            }
        };
        let again = 4 * memory;
        assert_eq!(which(1_200_000, 1_800_000, Some(150_000), again), Some(LimitKind::Memory), "of CPU time");
        assert_eq!(which(1_200_000, 1_800_000, Some(149_999), u64::MAX), Some(LimitKind::Cpu));
        assert_eq!(which(1_200_000, 1_800_000, Some(150_000), again - 1), Some(LimitKind::Cpu), "read once");
        assert_eq!(which(1_000, 2_000_000, Some(1_900_000), again), Some(LimitKind::Memory), "slow disk");
        assert_eq!(which(1_000, 2_000_000, Some(249_999), again), Some(LimitKind::Wall));
        assert_eq!(which(1_000_001, 1_200_000, None, 64 * memory), Some(LimitKind::Memory));
        assert_eq!(which(1_000_001, 1_200_000, None, 64 * memory - 1), Some(LimitKind::Cpu));
        assert_eq!(which(1_000, 1_000, Some(1_000), u64::MAX), None, "it ended by itself");
    }

    #[test]
    fn memory_is_told_by_the_counter_whatever_the_exit_code() {
        let facts = Facts { exit_code: Some(0), oom_kills: 1, peak_memory_bytes: 5, ..Facts::default() };
        let limit = example().limits.memory_bytes.get();
        let expected = Outcome::Limit { which: LimitKind::Memory, limit, seen: 5 };
        assert_eq!(outcome(&facts, &example().limits), expected);
    }

    #[test]
    fn a_program_that_could_not_start_ends_as_in_a_shell() {
        let table = [
            (Some(libc::ENOENT), None, 127),
            (Some(libc::ENOTDIR), None, 127),
            (Some(libc::EACCES), None, 126),
            (Some(libc::ENOEXEC), None, 126),
            (None, Some(libc::ENOENT), 126),
        ];
        for (exec_errno, cwd_errno, code) in table {
            let facts = Facts { exec_errno, cwd_errno, exit_code: Some(70), ..Facts::default() };
            assert_eq!(outcome(&facts, &example().limits), Outcome::Exited { code });
        }
    }
}
