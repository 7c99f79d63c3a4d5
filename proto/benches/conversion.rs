//! Instructions between the wire and the checked model, both ways: what each job pays at the API, at the lease and at the report.
//!
//! `tests/instructions` compares them with the baseline.

#![expect(unused_qualifications, reason = "gungraun's macros name what they made by its path")]

use std::hint::black_box;

use gungraun::prelude::*;
use kiln_proto::model::{CommandResult, Invalid, JobSpec, LimitPolicy, Step};
use kiln_proto::v1;
use prost::Message;
use prost::bytes::Bytes;

/// `/bin/true` with nothing said.
fn least() -> v1::JobSpec {
    let command = v1::Command { argv: vec!["/bin/true".into()], ..v1::Command::default() };
    let step = v1::Step { name: "main".into(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

/// A command as a judge sends it: a few variables, limits, two files in and one out.
fn usual_command(name: String) -> v1::Command {
    let variable = |index| v1::EnvVar { name: format!("NAME_{index}").into(), value: "some value".into() };
    let inline = |text: &'static str| v1::Content { source: Some(v1::content::Source::Inline(text.into())) };
    let file_in =
        |path: String, text| v1::FileIn { path: path.into(), content: Some(inline(text)), executable: false };
    v1::Command {
        name,
        argv: ["/usr/bin/python3", "-I", "/work/main.py"].map(Bytes::from).to_vec(),
        env: (0..4).map(variable).collect(),
        stdin: Some(inline("1 2\n")),
        files_in: vec![
            file_in("/work/main.py".into(), "print(sum(map(int, input().split())))\n"),
            file_in("/work/data/input.txt".into(), "1 2 3\n"),
        ],
        files_out: vec![v1::FileOut {
            path: "/work/out.txt".into(),
            optional: true,
            max_bytes: Some(1 << 20),
        }],
        limits: Some(v1::Limits {
            cpu_ms: Some(2_000),
            memory_bytes: Some(256 << 20),
            ..v1::Limits::default()
        }),
        ..v1::Command::default()
    }
}

fn usual() -> v1::JobSpec {
    let step =
        v1::Step { name: "main".into(), commands: vec![usual_command("main".into())], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

/// As many steps and commands as there may be, each step after the one before.
fn most() -> v1::JobSpec {
    let step = |index: usize| v1::Step {
        name: format!("step-{index}"),
        needs: if index == 0 { vec![] } else { vec![format!("step-{}", index - 1)] },
        commands: (0..8).map(|command| usual_command(format!("command-{command}"))).collect(),
        pipes: vec![],
    };
    v1::JobSpec { steps: (0..64).map(step).collect(), ..v1::JobSpec::default() }
}

fn encoded(spec: v1::JobSpec) -> (Bytes, LimitPolicy) {
    (spec.encode_to_vec().into(), LimitPolicy::default())
}

fn checked(spec: v1::JobSpec) -> JobSpec {
    JobSpec::check(spec, &LimitPolicy::default()).expect("a good job")
}

fn leased(spec: v1::JobSpec) -> (v1::Step, LimitPolicy) {
    let mut step = checked(spec).to_wire().steps.swap_remove(0);
    step.needs.clear();
    (step, LimitPolicy::default())
}

/// What comes back of a command that said a little and left one file.
fn wire_result() -> v1::CommandResult {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let output = |text: &'static str| v1::Output {
        data: bytes(text),
        size_bytes: text.len() as u64,
        ..v1::Output::default()
    };
    let file = v1::FileResult {
        path: "/work/out.txt".into(),
        state: v1::FileState::Found.into(),
        size_bytes: 4,
        data: bytes("left"),
        ..v1::FileResult::default()
    };
    let kind = v1::OutcomeKind::Exited.into();
    v1::CommandResult {
        name: "main".into(),
        outcome: Some(v1::Outcome { kind, code: Some(0), ..v1::Outcome::default() }),
        usage: Some(v1::Usage::default()),
        stdout: Some(output("3\n")),
        stderr: Some(output("")),
        files: vec![file],
        phases: Some(v1::Phases::default()),
    }
}

fn encoded_result() -> Bytes {
    wire_result().encode_to_vec().into()
}

fn result() -> CommandResult {
    wire_result().try_into().expect("a good result")
}

#[library_benchmark(setup = encoded)]
#[bench::least(least())]
#[bench::usual(usual())]
#[bench::most(most())]
fn job_from_wire((encoded, policy): (Bytes, LimitPolicy)) -> Result<JobSpec, Invalid> {
    let wire = v1::JobSpec::decode(encoded).expect("encoded in the setup");
    black_box(JobSpec::check(wire, &policy))
}

#[library_benchmark(setup = checked)]
#[bench::least(least())]
#[bench::usual(usual())]
#[bench::most(most())]
fn job_to_wire(job: JobSpec) -> (Vec<u8>, JobSpec) {
    black_box((job.to_wire().encode_to_vec(), job))
}

#[library_benchmark(setup = leased)]
#[bench::least(least())]
#[bench::usual(usual())]
#[bench::most(most())]
fn step_from_lease((step, policy): (v1::Step, LimitPolicy)) -> Result<Step, Invalid> {
    black_box(Step::check_lease(step, &policy))
}

#[library_benchmark(setup = encoded_result)]
#[bench::usual()]
fn result_from_wire(encoded: Bytes) -> Result<CommandResult, Invalid> {
    let wire = v1::CommandResult::decode(encoded).expect("encoded in the setup");
    black_box(wire.try_into())
}

#[library_benchmark(setup = result)]
#[bench::usual()]
fn result_to_wire(result: CommandResult) -> (Vec<u8>, CommandResult) {
    black_box((v1::CommandResult::from(&result).encode_to_vec(), result))
}

library_benchmark_group!(
    name = conversion,
    benchmarks = [job_from_wire, job_to_wire, step_from_lease, result_from_wire, result_to_wire]
);

main!(library_benchmark_groups = conversion);
