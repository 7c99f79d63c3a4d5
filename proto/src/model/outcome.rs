//! How a command ended, exactly one way. The facts behind it are in `evidence`, the sentence that people read in `sentence`.
//!
//! The three kinds that are never confused stay apart here: the job's own end, a limit, and Kiln's failure; a message that mixes them
//! is refused.

use std::fmt::Arguments;

use super::evidence::Evidence;
use super::limit_name::{LimitEffect, LimitName};
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

/// An outcome with its evidence: what the wire calls `Outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Ending {
    pub outcome: Outcome,
    pub evidence: Evidence,
}

impl Ending {
    /// An outcome that nothing more is known about.
    pub fn new(outcome: Outcome) -> Self {
        Ending { outcome, evidence: Evidence::default() }
    }

    /// Kiln failed.
    pub fn infrastructure(step: impl Into<String>, errno: Option<i32>, detail: impl Into<String>) -> Self {
        Ending::new(Outcome::Infrastructure { step: step.into(), errno, detail: detail.into() })
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
        Ending::check(wire, format_args!("outcome"))
    }
}

impl Ending {
    pub(crate) fn check(wire: v1::Outcome, field: Arguments<'_>) -> Result<Self, Invalid> {
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
                Outcome::Exited { code: in_range(code, 0, 255, format_args!("{field}.code"))? }
            }
            v1::OutcomeKind::Signalled => {
                let signal = wire.signal.ok_or_else(|| missing("signal"))?;
                Outcome::Signalled { signal: in_range(signal, 1, 64, format_args!("{field}.signal"))? }
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

fn in_range(value: i32, least: i32, most: i32, field: Arguments<'_>) -> Result<i32, Invalid> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Invalid::new(field.to_string(), format!("is {value}; must be {least} to {most}")))
}

fn stopping_limit(wire: &v1::Outcome, field: Arguments<'_>) -> Result<LimitName, Invalid> {
    let name = v1::LimitName::try_from(wire.limit).ok().and_then(LimitName::from_wire);
    let stops = name.filter(|name| name.effect() == LimitEffect::Stops);
    let why = || format!("is {}; must be a limit that stops a command", wire.limit);
    stops.ok_or_else(|| Invalid::new(format!("{field}.limit"), why()))
}

/// Fields of a kind other than the one said.
fn check_contradictions(wire: &v1::Outcome, field: Arguments<'_>) -> Result<(), Invalid> {
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
            collector.add(format_args!("{field}.{name}"), why);
        }
    }
    collector.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(which: LimitName, limit: u64, seen: u64) -> Outcome {
        Outcome::Limit { which, limit, seen }
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
