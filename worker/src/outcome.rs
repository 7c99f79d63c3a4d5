//! How a command's end becomes its result: exactly one outcome, with evidence and usage.
//!
//! Pure. A failure of ours never looks like an end of the job's, and when the output limit was crossed, that is the outcome
//! whichever way the race between the kill and the command's own end went.

use kiln_jail::report::{self, Failure, LimitKind, Report};
use kiln_proto::{model, v1};

use crate::command::OverLimit;
use crate::evidence::evidence;
use crate::order::CommandOrder;

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// In the jail.
    Reported {
        report: Box<Report>,
        over_limit: Option<OverLimit>,
    },
    Failed(Failure),
    /// Before it was started.
    Cancelled,
}

/// When the worker did what came before the jail; microseconds since the Unix epoch, 0 where it did not come to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    pub(crate) received_unix_us: u64,
    pub(crate) fetched_unix_us: u64,
}

/// The result, but for streams and files.
pub(crate) fn result(order: &CommandOrder, end: End, moments: Moments) -> v1::CommandResult {
    let phases = v1::Phases {
        received_unix_us: moments.received_unix_us,
        fetched_unix_us: moments.fetched_unix_us,
        ..v1::Phases::default()
    };
    let name = order.name.clone();
    match end {
        End::Reported { report, over_limit } => {
            let outcome = reported(&report, over_limit, order.plan.limits.output_bytes.get());
            let output_stream = over_limit.map(|over| over.stream);
            let evidence = model::Evidence { output_stream, ..evidence(report.evidence) };
            v1::CommandResult {
                name,
                outcome: Some((&model::Ending { outcome, evidence }).into()),
                usage: Some(usage(report.usage)),
                phases: Some(with_jail(phases, &report.phases)),
                ..v1::CommandResult::default()
            }
        }
        End::Failed(failure) => {
            let outcome = infrastructure(failure);
            v1::CommandResult {
                name,
                outcome: Some((&model::Ending::new(outcome)).into()),
                phases: Some(phases),
                ..v1::CommandResult::default()
            }
        }
        End::Cancelled => v1::CommandResult {
            name,
            outcome: Some((&model::Ending::new(model::Outcome::Cancelled)).into()),
            phases: Some(phases),
            ..v1::CommandResult::default()
        },
    }
}

fn reported(report: &Report, over_limit: Option<OverLimit>, output_limit: u64) -> model::Outcome {
    if let Some(OverLimit { seen_bytes: seen, .. }) = over_limit {
        return model::Outcome::Limit { which: model::LimitName::Output, limit: output_limit, seen };
    }
    match &report.outcome {
        report::Outcome::Exited { code } => model::Outcome::Exited { code: *code },
        report::Outcome::Signalled { signal } => model::Outcome::Signalled { signal: *signal },
        report::Outcome::Limit { which, limit, seen } => {
            model::Outcome::Limit { which: limit_name(*which), limit: *limit, seen: *seen }
        }
        report::Outcome::Forbidden { syscall, args, arch, .. } => {
            model::Outcome::Forbidden { syscall: call_name(syscall, arch), args: args.to_vec() }
        }
        report::Outcome::Cancelled => model::Outcome::Cancelled,
    }
}

fn infrastructure(failure: Failure) -> model::Outcome {
    let errno = (failure.errno != 0).then_some(failure.errno);
    model::Outcome::Infrastructure { step: failure.step, errno, detail: failure.detail }
}

fn limit_name(which: LimitKind) -> model::LimitName {
    match which {
        LimitKind::Cpu => model::LimitName::Cpu,
        LimitKind::Wall => model::LimitName::Wall,
        LimitKind::Memory => model::LimitName::Memory,
        LimitKind::Pids => model::LimitName::Pids,
        LimitKind::Output => model::LimitName::Output,
        LimitKind::FileSize => model::LimitName::FileSize,
    }
}

fn usage(usage: report::Usage) -> v1::Usage {
    v1::Usage {
        cpu_user_us: Some(usage.cpu_user_us),
        cpu_system_us: Some(usage.cpu_system_us),
        wall_us: Some(usage.wall_us),
        peak_memory_bytes: Some(usage.peak_memory_bytes),
        peak_pids: usage.peak_pids,
        read_bytes: usage.read_bytes,
        written_bytes: usage.written_bytes,
        voluntary_switches: Some(usage.voluntary_switches),
        involuntary_switches: Some(usage.involuntary_switches),
        minor_faults: Some(usage.minor_faults),
        major_faults: Some(usage.major_faults),
        throttled_us: Some(usage.throttled_us),
        oom_kills: Some(usage.oom_kills),
        lower_bounds: usage.lower_bounds,
    }
}

fn with_jail(worker: v1::Phases, jail: &report::Phases) -> v1::Phases {
    v1::Phases {
        prepared_unix_us: jail.prepared_us,
        started_unix_us: jail.started_us,
        ended_unix_us: jail.ended_us,
        collected_unix_us: jail.collected_us,
        ..worker
    }
}

/// `ptrace`, or with the ABI in front where it is not this machine's own: `i386:mmap`.
fn call_name(syscall: &str, arch: &str) -> String {
    if arch == std::env::consts::ARCH { syscall.to_owned() } else { format!("{arch}:{syscall}") }
}

#[cfg(test)]
mod tests {
    use kiln_jail::plan;

    use super::*;

    fn order() -> CommandOrder {
        let one = std::num::NonZeroU64::MIN;
        let limits = plan::Limits {
            cpu_us: one,
            wall_us: one,
            memory_bytes: one,
            pids: one,
            output_bytes: std::num::NonZeroU64::new(1000).unwrap(),
            file_size_bytes: one,
            disk_bytes: one,
            inodes: one,
            open_files: one,
            stack_bytes: one,
            cpu_rate_millis: std::num::NonZeroU32::MIN,
        };
        let plan = plan::Plan {
            argv: vec![b"x".to_vec()],
            env: Vec::new(),
            cwd: b"/work".to_vec(),
            rootfs: plan::Rootfs { parts: Vec::new() },
            limits,
            profile: plan::Profile::Default,
            files_in: Vec::new(),
            shown_from: None,
            files_out: Vec::new(),
        };
        let empty = crate::order::Content::Bytes(bytes::Bytes::new());
        CommandOrder {
            name: "main".into(),
            image: crate::order::Image::Host,
            plan,
            stdin: empty,
            files_in: Vec::new(),
        }
    }

    fn report(outcome: report::Outcome) -> Box<Report> {
        Box::new(Report {
            outcome,
            evidence: report::Evidence { exit_code: Some(3), ..report::Evidence::default() },
            usage: report::Usage {
                cpu_user_us: 7,
                lower_bounds: vec!["peak_pids".into()],
                ..report::Usage::default()
            },
            phases: report::Phases { started_us: 11, ..report::Phases::default() },
            files: Vec::new(),
        })
    }

    fn outcome_of(end: End) -> v1::Outcome {
        result(&order(), end, Moments::default()).outcome.unwrap()
    }

    #[test]
    fn every_end_in_the_jail_keeps_its_kind() {
        let args = [1, 2, 3, 4, 5, 6];
        for (jail, kind) in [
            (report::Outcome::Exited { code: 3 }, v1::OutcomeKind::Exited),
            (report::Outcome::Signalled { signal: 11 }, v1::OutcomeKind::Signalled),
            (report::Outcome::Limit { which: LimitKind::Cpu, limit: 1, seen: 2 }, v1::OutcomeKind::Limit),
            (
                report::Outcome::Forbidden {
                    syscall: "ptrace".into(),
                    number: 101,
                    arch: "x86_64".into(),
                    args,
                },
                v1::OutcomeKind::Forbidden,
            ),
            (report::Outcome::Cancelled, v1::OutcomeKind::Cancelled),
        ] {
            let outcome = outcome_of(End::Reported { report: report(jail), over_limit: None });
            assert_eq!(outcome.kind(), kind);
            assert!(!outcome.sentence.is_empty());
            assert_eq!(outcome.evidence.unwrap().exit_code, Some(3));
        }
    }

    #[test]
    fn calls_of_a_foreign_abi_are_named_with_it() {
        assert_eq!(call_name("ptrace", std::env::consts::ARCH), "ptrace");
        assert_eq!(call_name("mmap", "i386"), "i386:mmap");
    }

    #[test]
    fn too_much_output_is_the_outcome_whoever_won_the_race() {
        for jail in [
            report::Outcome::Exited { code: 0 },
            report::Outcome::Cancelled,
            report::Outcome::Signalled { signal: 9 },
        ] {
            let over_limit = Some(OverLimit { stream: model::Stream::Stderr, seen_bytes: 1001 });
            let outcome = outcome_of(End::Reported { report: report(jail), over_limit });
            assert_eq!((outcome.kind(), outcome.limit()), (v1::OutcomeKind::Limit, v1::LimitName::Output));
            assert_eq!((outcome.limit_value, outcome.seen_value), (Some(1000), Some(1001)));
            assert_eq!(outcome.evidence.unwrap().output_stream(), v1::Stream::Stderr);
        }
    }

    #[test]
    fn a_failure_of_ours_has_no_exit_code_and_no_usage() {
        let failure = Failure { step: "jail".into(), errno: 0, detail: "the jail died".into() };
        let result =
            result(&order(), End::Failed(failure), Moments { received_unix_us: 5, fetched_unix_us: 6 });
        let outcome = result.outcome.unwrap();
        assert_eq!(outcome.kind(), v1::OutcomeKind::Infrastructure);
        assert_eq!((outcome.code, outcome.signal, outcome.infrastructure_errno), (None, None, None));
        assert!(result.usage.is_none());
        assert_eq!(result.phases.unwrap().received_unix_us, 5);
    }
}
