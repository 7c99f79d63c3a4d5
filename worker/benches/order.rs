//! Instructions from a checked command to the plan that the jail is told.
//!
//! `tests/instructions` compares them with the baseline.

#![expect(unused_qualifications, reason = "gungraun's macros name what they made by its path")]

use std::hint::black_box;
use std::sync::Arc;

use gungraun::prelude::*;
use kiln_jail::plan::{CustomProfile, Part, Plan, Rootfs};
use kiln_proto::model::{Command, JobSpec, LimitPolicy, MAX_FILES_IN, MAX_FILES_OUT};
use kiln_proto::v1;
use kiln_worker::library;

type Profiles = Arc<[CustomProfile]>;

/// A command of a checked job, with so many files in and out.
fn command((files_in, files_out): (usize, usize)) -> (Command, Rootfs, Profiles) {
    let file_in = |index| v1::FileIn {
        path: format!("/work/data/input-{index}.txt").into(),
        content: Some(v1::Content { source: Some(v1::content::Source::Inline("1 2 3\n".into())) }),
        executable: false,
    };
    let file_out = |index| v1::FileOut {
        path: format!("/work/out/output-{index}.txt").into(),
        optional: true,
        max_bytes: None,
    };
    let command = v1::Command {
        argv: vec!["/usr/bin/python3".into(), "-I".into(), "/work/main.py".into()],
        env: vec![v1::EnvVar { name: "NAME".into(), value: "some value".into() }],
        files_in: (0..files_in).map(file_in).collect(),
        files_out: (0..files_out).map(file_out).collect(),
        ..v1::Command::default()
    };
    let step = v1::Step { name: "main".into(), commands: vec![command], ..v1::Step::default() };
    let spec = v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() };
    let mut job = JobSpec::check(spec, &LimitPolicy::default()).expect("a good job");
    let part = |place: &str| Part { source: place.into(), target: place.into() };
    let mut parts = vec![Part { source: b"/run/kiln/host-root".to_vec(), target: b"/".to_vec() }];
    parts.extend(["/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt"].map(part));
    (job.steps[0].commands.swap_remove(0), Rootfs { parts }, Arc::default())
}

#[library_benchmark(setup = command)]
#[bench::no_files((0, 0))]
#[bench::few_files((2, 1))]
#[bench::most_files((MAX_FILES_IN, MAX_FILES_OUT))]
fn plan((command, rootfs, profiles): (Command, Rootfs, Profiles)) -> (Plan, Command, Profiles) {
    let plan = library::plan(&command, rootfs, &profiles).expect("nothing of it is unresolved");
    black_box((plan, command, profiles))
}

library_benchmark_group!(name = order, benchmarks = [plan]);

main!(library_benchmark_groups = order);
