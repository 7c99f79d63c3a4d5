//! Exit statuses of `kiln`, and which one a job's end means.
//!
//! The program's own status is passed through; Kiln's own statuses are those that shells and `timeout(1)` taught people.

use kiln_proto::v1::{CommandResult, Job, JobVerdict, OutcomeKind, StepState};

pub(crate) const SUCCESS: u8 = 0;
/// The answer is no: no such job, a missing requirement, a wanted file that the program did not leave.
pub(crate) const NEGATIVE: u8 = 1;
pub(crate) const USAGE: u8 = 2;
/// A limit or the filter stopped the program.
pub(crate) const STOPPED: u8 = 124;
/// Kiln failed.
pub(crate) const KILN_FAILED: u8 = 125;
pub(crate) const COMPILE_FAILED: u8 = 126;
/// Cancelled: Ctrl-C, or somebody's `kiln cancel`.
pub(crate) const CANCELLED: u8 = 130;
/// 128 + SIGPIPE, as a program that is not told otherwise ends.
pub(crate) const CLOSED_PIPE: u8 = 141;
/// 128 + SIGHUP.
pub(crate) const HUNG_UP: u8 = 129;
/// 128 + SIGTERM.
pub(crate) const TERMINATED: u8 = 143;

/// Name of the step that [`kiln_proto::language`] compiles in.
pub(crate) const COMPILE_STEP: &str = "compile";

/// The result that decides how the job ended: the first that did not exit 0, else the last one.
pub(crate) fn deciding(job: &Job) -> Option<(&str, &CommandResult)> {
    let all =
        || job.steps.iter().flat_map(|step| step.commands.iter().map(|done| (step.name.as_str(), done)));
    all().find(|(_, done)| !exited_zero(done)).or_else(|| all().last())
}

/// The exit status that a finished job means.
pub(crate) fn of_job(job: &Job) -> u8 {
    let verdict = job.verdict();
    match verdict {
        JobVerdict::Succeeded => return SUCCESS,
        JobVerdict::Cancelled => return CANCELLED,
        JobVerdict::Infrastructure | JobVerdict::Unspecified => return KILN_FAILED,
        JobVerdict::Failed | JobVerdict::Limit => {}
    }
    if compile_failed(job) {
        return COMPILE_FAILED;
    }
    let Some((_, result)) = deciding(job) else { return KILN_FAILED };
    match of_result(result) {
        // Every command exited 0, yet the job failed: a wanted file is missing.
        SUCCESS => NEGATIVE,
        status => status,
    }
}

/// Whether the job ended in the compile step of a language, through the program text.
pub(crate) fn compile_failed(job: &Job) -> bool {
    let compiles = job.steps.len() > 1 && job.steps[0].name == COMPILE_STEP;
    compiles && job.steps[0].state() == StepState::Failed
}

fn of_result(result: &CommandResult) -> u8 {
    let Some(outcome) = &result.outcome else { return KILN_FAILED };
    match outcome.kind() {
        OutcomeKind::Exited => low_byte(outcome.code.unwrap_or(i32::from(KILN_FAILED))),
        OutcomeKind::Signalled => low_byte(128 + outcome.signal.unwrap_or(0)),
        OutcomeKind::Limit | OutcomeKind::Forbidden => STOPPED,
        OutcomeKind::Cancelled => CANCELLED,
        OutcomeKind::Infrastructure | OutcomeKind::Unspecified => KILN_FAILED,
    }
}

fn exited_zero(result: &CommandResult) -> bool {
    result
        .outcome
        .as_ref()
        .is_some_and(|outcome| outcome.kind() == OutcomeKind::Exited && outcome.code == Some(0))
}

/// As `waitpid(2)` would give it to our own parent.
fn low_byte(status: i32) -> u8 {
    (status & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use kiln_proto::v1::{Outcome, StepStatus};

    use super::*;

    fn step(name: &str, state: StepState, outcomes: Vec<Outcome>) -> StepStatus {
        let commands = outcomes
            .into_iter()
            .map(|outcome| CommandResult { outcome: Some(outcome), ..CommandResult::default() })
            .collect();
        StepStatus { name: name.to_owned(), state: state.into(), commands, ..StepStatus::default() }
    }

    fn job(verdict: JobVerdict, steps: Vec<StepStatus>) -> Job {
        Job { verdict: verdict.into(), steps, ..Job::default() }
    }

    fn exited(code: i32) -> Outcome {
        Outcome { kind: OutcomeKind::Exited.into(), code: Some(code), ..Outcome::default() }
    }

    fn of_kind(kind: OutcomeKind) -> Outcome {
        Outcome { kind: kind.into(), signal: Some(11), ..Outcome::default() }
    }

    #[test]
    fn every_end_of_a_single_command_has_its_status() {
        use {JobVerdict as Verdict, OutcomeKind as Kind};
        let table = [
            (Verdict::Succeeded, exited(0), 0),
            (Verdict::Failed, exited(3), 3),
            (Verdict::Failed, exited(255), 255),
            (Verdict::Failed, exited(0), NEGATIVE),
            (Verdict::Failed, of_kind(Kind::Signalled), 139),
            (Verdict::Limit, of_kind(Kind::Limit), STOPPED),
            (Verdict::Failed, of_kind(Kind::Forbidden), STOPPED),
            (Verdict::Cancelled, of_kind(Kind::Cancelled), CANCELLED),
            (Verdict::Infrastructure, of_kind(Kind::Infrastructure), KILN_FAILED),
            (Verdict::Unspecified, exited(0), KILN_FAILED),
        ];
        for (verdict, outcome, status) in table {
            let state = if status == 0 { StepState::Succeeded } else { StepState::Failed };
            let job = job(verdict, vec![step("run", state, vec![outcome.clone()])]);
            assert_eq!(of_job(&job), status, "{verdict:?} {outcome:?}");
        }
    }

    #[test]
    fn a_failed_compile_step_is_126_and_its_skipped_run_step_changes_nothing() {
        for outcome in [exited(1), of_kind(OutcomeKind::Signalled), of_kind(OutcomeKind::Limit)] {
            let steps = vec![
                step(COMPILE_STEP, StepState::Failed, vec![outcome]),
                step("run", StepState::Skipped, vec![]),
            ];
            assert_eq!(of_job(&job(JobVerdict::Failed, steps)), COMPILE_FAILED);
        }
        let ran = vec![
            step(COMPILE_STEP, StepState::Succeeded, vec![exited(0)]),
            step("run", StepState::Failed, vec![exited(7)]),
        ];
        assert_eq!(of_job(&job(JobVerdict::Failed, ran)), 7);
    }

    #[test]
    fn the_first_command_that_failed_decides() {
        let steps = vec![
            step("a", StepState::Succeeded, vec![exited(0)]),
            step("b", StepState::Failed, vec![exited(0), exited(9), exited(8)]),
        ];
        assert_eq!(of_job(&job(JobVerdict::Failed, steps)), 9);
    }
}
