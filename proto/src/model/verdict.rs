//! What the ends of commands mean for their step and job. Pure.

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::outcome::Outcome;
use super::result::{CommandResult, FileState};
use super::step::Step;
use crate::v1;

/// What became of a command, a step or a job. The greater explains the lesser: where one command hit a limit and its
/// neighbour then failed on a broken pipe, the limit is the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exited 0 and left the wanted files.
    Succeeded,
    /// Its user's matter: exited otherwise, was signalled, made a forbidden call, or left no wanted file.
    Failed,
    /// A limit stopped it.
    Limit,
    /// Somebody cancelled it.
    Cancelled,
    /// Kiln failed.
    Infrastructure,
}

/// Verdict of one command. Its result's files are in the order of its `files_out`.
pub fn command_verdict(command: &Command, result: &CommandResult) -> Verdict {
    match &result.ending.outcome {
        Outcome::Exited { code: 0 } if left_files(command, result) => Verdict::Succeeded,
        Outcome::Exited { .. } | Outcome::Signalled { .. } | Outcome::Forbidden { .. } => Verdict::Failed,
        Outcome::Limit { .. } => Verdict::Limit,
        Outcome::Cancelled => Verdict::Cancelled,
        Outcome::Infrastructure { .. } => Verdict::Infrastructure,
    }
}

/// Verdict of a step by its commands' results, in the order of the step. A missing result is Kiln's failure.
pub fn step_verdict(step: &Step, results: &[CommandResult]) -> Verdict {
    if results.len() != step.commands.len() {
        return Verdict::Infrastructure;
    }
    let verdicts =
        step.commands.iter().zip(results).map(|(command, result)| command_verdict(command, result));
    verdicts.max().unwrap_or(Verdict::Infrastructure)
}

/// Whether the steps that need this one may run.
pub fn step_succeeded(step: &Step, results: &[CommandResult]) -> bool {
    step_verdict(step, results) == Verdict::Succeeded
}

/// Verdict of a job by the verdicts of the steps that ran. A job that was cancelled before any ran gives no verdicts: say
/// [`Verdict::Cancelled`] then.
pub fn job_verdict(steps: impl IntoIterator<Item = Verdict>) -> Verdict {
    steps.into_iter().max().unwrap_or(Verdict::Succeeded)
}

impl Verdict {
    /// Lower-case word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Succeeded => "succeeded",
            Verdict::Failed => "failed",
            Verdict::Limit => "limit",
            Verdict::Cancelled => "cancelled",
            Verdict::Infrastructure => "infrastructure",
        }
    }

    /// `None` for UNSPECIFIED.
    pub const fn from_wire(verdict: v1::JobVerdict) -> Option<Self> {
        Some(match verdict {
            v1::JobVerdict::Unspecified => return None,
            v1::JobVerdict::Succeeded => Verdict::Succeeded,
            v1::JobVerdict::Failed => Verdict::Failed,
            v1::JobVerdict::Limit => Verdict::Limit,
            v1::JobVerdict::Cancelled => Verdict::Cancelled,
            v1::JobVerdict::Infrastructure => Verdict::Infrastructure,
        })
    }
}

impl From<Verdict> for v1::JobVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Succeeded => v1::JobVerdict::Succeeded,
            Verdict::Failed => v1::JobVerdict::Failed,
            Verdict::Limit => v1::JobVerdict::Limit,
            Verdict::Cancelled => v1::JobVerdict::Cancelled,
            Verdict::Infrastructure => v1::JobVerdict::Infrastructure,
        }
    }
}

/// Every file wanted is there; an optional one may be missing, but not be something else.
fn left_files(command: &Command, result: &CommandResult) -> bool {
    result.files.len() == command.files_out.len()
        && command.files_out.iter().zip(&result.files).all(|(wanted, file)| match file.state {
            FileState::Found => true,
            FileState::Missing => wanted.optional,
            FileState::NotRegular | FileState::TooLarge | FileState::Unreadable => false,
        })
}
