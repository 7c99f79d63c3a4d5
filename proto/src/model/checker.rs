//! What the checks of a spec share: the policy, where the checked part stands, and the violations so far.

use std::fmt::Display;

use super::limit_policy::LimitPolicy;
use super::limits::Unset;
use super::violation::{Collector, Invalid};
use crate::v1;

/// Where a step comes from.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// From a client, as step number `step` of a job whose shape (names and counts apart) is not yet known to be good.
    Job { spec: &'a v1::JobSpec, step: usize },
    /// From the server, on its way to a worker: complete, and nothing in it refers to other steps.
    Lease,
}

pub(crate) struct Checker<'a> {
    pub(crate) policy: &'a LimitPolicy,
    pub(crate) scope: Scope<'a>,
    /// Inline content so far.
    pub(crate) inline_bytes: usize,
    pub(crate) violations: Collector,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(policy: &'a LimitPolicy, scope: Scope<'a>) -> Self {
        Checker { policy, scope, inline_bytes: 0, violations: Collector::default() }
    }

    /// What a limit that the message does not say means.
    pub(crate) fn unset_limits(&self) -> Unset {
        match self.scope {
            Scope::Job { .. } => Unset::Default,
            Scope::Lease => Unset::Refused,
        }
    }

    /// Adds a violation when there are more, or fewer, than allowed.
    pub(crate) fn count(
        &mut self,
        field: impl Display,
        count: usize,
        allowed: std::ops::RangeInclusive<usize>,
    ) {
        if allowed.contains(&count) {
            return;
        }
        let (least, most) = (allowed.start(), allowed.end());
        let what = if *least == 0 { format!("at most {most} are") } else { format!("{least} to {most} are") };
        self.violations.add(field, format!("has {count} entries; {what} allowed"));
    }

    /// The checked value, unless there were violations.
    pub(crate) fn finish<T>(self, checked: Option<T>) -> Result<T, Invalid> {
        self.violations.finish()?;
        Ok(checked.expect("a part is only missing where a violation was added"))
    }
}
