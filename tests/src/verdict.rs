//! Readers of results: what a suite asserts about outcomes, with everything printed when it does not hold.

use kiln_proto::v1::{
    CommandResult, Evidence, Job, JobVerdict, LimitName, Outcome, OutcomeKind, StepStatus, Usage,
};

/// What a result says, in the shortest form that tests need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Signalled(i32),
    Limit(LimitName),
    Forbidden(String),
    Cancelled,
    Infrastructure(String),
}

/// How a command ended, checked to be one kind whose own fields are set and no others.
pub fn ended(result: &CommandResult) -> Ended {
    let outcome = outcome(result);
    let kind = match outcome.kind() {
        OutcomeKind::Exited => Ended::Exited(outcome.code.expect("exited carries code")),
        OutcomeKind::Signalled => Ended::Signalled(outcome.signal.expect("signalled carries signal")),
        OutcomeKind::Limit => Ended::Limit(outcome.limit()),
        OutcomeKind::Forbidden => Ended::Forbidden(outcome.syscall.clone()),
        OutcomeKind::Cancelled => Ended::Cancelled,
        OutcomeKind::Infrastructure => Ended::Infrastructure(outcome.infrastructure_step.clone()),
        OutcomeKind::Unspecified => panic!("an outcome of no kind: {result:#?}"),
    };
    assert_eq!(outcome.code.is_some(), matches!(kind, Ended::Exited(_)), "{outcome:#?}");
    assert_eq!(outcome.signal.is_some(), matches!(kind, Ended::Signalled(_)), "{outcome:#?}");
    assert_eq!(outcome.limit_value.is_some(), matches!(kind, Ended::Limit(_)), "{outcome:#?}");
    assert_eq!(!outcome.syscall.is_empty(), matches!(kind, Ended::Forbidden(_)), "{outcome:#?}");
    assert!(!outcome.sentence.is_empty(), "{outcome:#?}");
    kind
}

pub fn outcome(result: &CommandResult) -> &Outcome {
    result.outcome.as_ref().unwrap_or_else(|| panic!("a result has an outcome: {result:#?}"))
}

pub fn evidence(result: &CommandResult) -> &Evidence {
    outcome(result).evidence.as_ref().unwrap_or_else(|| panic!("an outcome has evidence: {result:#?}"))
}

pub fn usage(result: &CommandResult) -> &Usage {
    result.usage.as_ref().unwrap_or_else(|| panic!("a result has usage: {result:#?}"))
}

pub fn cpu_us(result: &CommandResult) -> u64 {
    let usage = usage(result);
    usage.cpu_user_us.unwrap_or_default() + usage.cpu_system_us.unwrap_or_default()
}

/// Asserts that the evidence's busy share is CPU over wall time, however much of the machine the program got.
#[track_caller]
pub fn assert_busy_share(result: &CommandResult) {
    let wall = usage(result).wall_us.expect("wall is always known");
    let busy = evidence(result).busy_millis.expect("CPU and wall are known");
    let expected = cpu_us(result) * 1_000 / wall.max(1);
    let near = expected.saturating_sub(5)..=expected + 5;
    assert!(near.contains(&u64::from(busy)), "{busy}, not {expected}: {result:#?}");
}

/// What is kept of stdout in the result itself.
pub fn stdout(result: &CommandResult) -> String {
    String::from_utf8_lossy(&result.stdout.as_ref().expect("a result has stdout").data).into_owned()
}

pub fn stderr(result: &CommandResult) -> String {
    String::from_utf8_lossy(&result.stderr.as_ref().expect("a result has stderr").data).into_owned()
}

/// Asserts a command's end, with the whole result in the message.
#[track_caller]
pub fn assert_ended(result: &CommandResult, expected: Ended) {
    assert_eq!(ended(result), expected, "{result:#?}");
}

/// Asserts that a command exited 0 and wrote exactly this.
#[track_caller]
pub fn assert_wrote(result: &CommandResult, expected: &str) {
    assert_ended(result, Ended::Exited(0));
    assert_eq!(stdout(result), expected, "{result:#?}");
}

/// Asserts that a limit stopped a command: which one, with the limit's value and a value seen that reaches it.
#[track_caller]
pub fn assert_stopped_by(result: &CommandResult, which: LimitName, limit: u64) {
    assert_ended(result, Ended::Limit(which));
    let outcome = outcome(result);
    assert_eq!(outcome.limit_value, Some(limit), "{outcome:#?}");
    assert!(outcome.seen_value.is_some_and(|seen| seen >= limit), "{outcome:#?}");
}

#[track_caller]
pub fn assert_verdict(job: &Job, verdict: JobVerdict) {
    assert_eq!(job.verdict(), verdict, "{job:#?}");
}

/// A step of a job by name.
#[track_caller]
pub fn step<'job>(job: &'job Job, name: &str) -> &'job StepStatus {
    job.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}: {job:#?}"))
}

/// The result of a command by name.
#[track_caller]
pub fn command<'job>(job: &'job Job, step_name: &str, name: &str) -> &'job CommandResult {
    let results = &step(job, step_name).commands;
    results.iter().find(|result| result.name == name).unwrap_or_else(|| panic!("no command {name}: {job:#?}"))
}
