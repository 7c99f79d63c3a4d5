//! The hostile programs of `worker/attacks/cases/`: how a suite starts them through the whole service, and reads how they ended.
//!
//! Cases in C are entries of one program that is stored as a blob first; scripts go along with their job.

use kiln_attacks::{Case, Expectation, Language};
use kiln_proto::v1::{CommandResult, JobSpec};

use crate::api::{self, Api};
use crate::spec::{Cmd, blob, cmd, inline};
use crate::verdict;

pub use kiln_attacks::{DISK_BYTES, MEMORY_BYTES, PIDS};

/// Where the program of the cases in C is put.
pub const PROGRAM: &str = "/work/hostile";

/// Stores what jobs of cases in C take as a blob.
pub async fn store_program(api: &Api) {
    let stored = api.put_blob(kiln_attacks::PROGRAM).await;
    stored.unwrap_or_else(|status| panic!("the program is not stored: {}", api::describe(&status)));
}

/// The case of this name.
#[track_caller]
pub fn named(name: &str) -> &'static Case {
    kiln_attacks::named(name).unwrap_or_else(|| panic!("no worker/attacks/cases/{name}.*"))
}

/// The job that runs a case with these arguments, under its own profile and limits.
pub fn job(case: &Case, arguments: &[&str]) -> JobSpec {
    job_with(case, arguments, |run| run)
}

/// The same with the command changed.
pub fn job_with(case: &Case, arguments: &[&str], change: impl FnOnce(Cmd) -> Cmd) -> JobSpec {
    let mut run = match case.language {
        Language::C => cmd([PROGRAM, case.name]).program(PROGRAM, blob(&api::digest(kiln_attacks::PROGRAM))),
        Language::Interpreted(interpreter) => {
            let script = interpreter.script();
            cmd([interpreter.path(), script]).file(script, inline(case.source))
        }
    };
    run.0.argv.extend(arguments.iter().map(|word| bytes::Bytes::copy_from_slice(word.as_bytes())));
    run.0.limits = Some(case.limits);
    run = case.takes.iter().fold(run.profile(case.profile), |run, take| run.takes(&take.path));
    change(run).job()
}

/// Asserts that a case ended as its header says, files included.
#[track_caller]
pub fn assert_as_expected(case: &Case, result: &CommandResult) {
    let complaints = case.complaints(result);
    assert!(complaints.is_empty(), "{}: {complaints:?}\n{result:#?}", case.name);
}

/// Asserts that a program found everything refused: it says `HELD`, never `ESCAPED`, and exits 0.
#[track_caller]
pub fn assert_held(result: &CommandResult) {
    let judged = Expectation::judge(&[Expectation::Held], result);
    assert!(judged.is_ok(), "{judged:?}\n{result:#?}");
    verdict::assert_ended(result, verdict::Ended::Exited(0));
}

/// Asserts that the sandbox ended a program for a forbidden call of this name.
#[track_caller]
pub fn assert_forbidden(result: &CommandResult, name: &str) {
    verdict::assert_ended(result, verdict::Ended::Forbidden(name.to_owned()));
    let judged = Expectation::judge(&[Expectation::Forbidden(vec![name.to_owned()])], result);
    assert!(judged.is_ok(), "{judged:?}\n{result:#?}");
}
