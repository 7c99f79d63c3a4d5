//! Hostile programs of `tests/hostile/`: how they are found, started through the whole service, and read.
//!
//! Each begins with three comment lines: what it tries, where that was seen, what must happen. It ends in one of three
//! ways: it prints `HELD` and exits 0 when it was refused, it prints `ESCAPED` with how and exits 66 when it got
//! through, or the sandbox ends it.

use std::fs;
use std::path::PathBuf;

use kiln_proto::v1::{CommandResult, JobSpec};

use crate::api::Api;
use crate::binary;
use crate::spec::{Cmd, c_job, cmd, inline};
use crate::verdict::{self, Ended};

/// Names of limits for which a hostile program is started with small values, so that each is reached at once.
pub const MEMORY_BYTES: u64 = 64 << 20;
pub const DISK_BYTES: u64 = 32 << 20;
pub const PIDS: u64 = 32;

/// A program of `tests/hostile/`.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// e.g. `B1-proc-self-exe`.
    pub name: String,
    /// `c`, `py` or `sh`.
    pub language: String,
    pub source: String,
}

/// All programs, by name.
pub fn all() -> Vec<Hostile> {
    let directory = binary::repository().join("tests/hostile");
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .expect("tests/hostile is part of the project")
        .flatten()
        .map(|e| e.path())
        .collect();
    paths.sort();
    paths.iter().map(read).collect()
}

/// The program of this name, whatever its language.
pub fn named(name: &str) -> Hostile {
    all()
        .into_iter()
        .find(|hostile| hostile.name == name)
        .unwrap_or_else(|| panic!("no tests/hostile/{name}.*"))
}

impl Hostile {
    /// The job that compiles (where needed) and runs it, with these arguments, under the default profile and small limits.
    pub fn job(&self, arguments: &[&str]) -> JobSpec {
        self.job_with(arguments, |run| run)
    }

    /// The same with the running command changed.
    pub fn job_with(&self, arguments: &[&str], change: impl FnOnce(Cmd) -> Cmd) -> JobSpec {
        let run = |mut run: Cmd| {
            run.0.argv.extend(arguments.iter().map(|word| bytes::Bytes::copy_from_slice(word.as_bytes())));
            change(small_limits(run))
        };
        match self.language.as_str() {
            "c" => c_job(&self.source, run),
            "py" => run(interpreted("/usr/bin/python3", "/work/hostile.py", &self.source)).job(),
            "sh" => run(interpreted("/bin/bash", "/work/hostile.sh", &self.source)).job(),
            other => panic!("no way to run tests/hostile/{}.{other}", self.name),
        }
    }

    /// Runs it and gives the result of the hostile command. A compile step that fails is a bug of the suite.
    pub async fn run(&self, api: &Api, arguments: &[&str]) -> CommandResult {
        result_of(api, self.job(arguments)).await
    }
}

/// Runs a job of a hostile program and gives the result of its last step.
pub async fn result_of(api: &Api, job: JobSpec) -> CommandResult {
    let done = api.run(job).await.job;
    for step in &done.steps {
        if step.name == "compile" {
            verdict::assert_ended(&step.commands[0], Ended::Exited(0));
        }
    }
    done.steps
        .last()
        .and_then(|step| step.commands.last())
        .cloned()
        .unwrap_or_else(|| panic!("no result: {done:#?}"))
}

/// Asserts that a program found everything refused: it says `HELD`, never `ESCAPED`, and exits 0.
#[track_caller]
pub fn assert_held(result: &CommandResult) {
    let output = verdict::stdout(result);
    assert!(!output.contains("ESCAPED"), "{output}\n{result:#?}");
    verdict::assert_ended(result, Ended::Exited(0));
    assert!(output.contains("HELD"), "{output}\n{result:#?}");
}

/// Asserts that the sandbox ended a program for a forbidden call of one of these names.
#[track_caller]
pub fn assert_forbidden(result: &CommandResult, names: &[&str]) {
    let output = verdict::stdout(result);
    assert!(!output.contains("ESCAPED"), "{output}\n{result:#?}");
    match verdict::ended(result) {
        Ended::Forbidden(call) => assert!(names.contains(&call.as_str()), "{call} is none of {names:?}"),
        other => panic!("expected a forbidden call of {names:?}, not {other:?}: {result:#?}"),
    }
}

fn read(path: &PathBuf) -> Hostile {
    let name = path.file_stem().and_then(|stem| stem.to_str()).expect("names are ASCII").to_owned();
    let language = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_owned();
    let source = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Hostile { name, language, source }
}

fn interpreted(interpreter: &str, path: &str, source: &str) -> Cmd {
    cmd([interpreter, path]).file(path, inline(source))
}

fn small_limits(run: Cmd) -> Cmd {
    run.limits(|limits| {
        limits.cpu_ms = Some(3_000);
        limits.wall_ms = Some(6_000);
        limits.memory_bytes = Some(MEMORY_BYTES);
        limits.disk_bytes = Some(DISK_BYTES);
        limits.pids = Some(PIDS);
        limits.output_bytes = Some(1 << 20);
    })
}
