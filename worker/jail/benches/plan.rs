//! Instructions that a plan takes on its way into the jail, and a report on its way out. What the kernel does on the socket is not counted.
//!
//! `tests/instructions` compares them with the baseline.

#![expect(unused_qualifications, reason = "gungraun's macros name what they made by its path")]

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::fd::{AsFd, OwnedFd};

use gungraun::prelude::*;
use kiln_jail::plan::{
    FileIn, FileOut, Limits, MAX_FILES_IN, MAX_FILES_OUT, Owner, Part, Plan, PlanError, Profile, Rootfs, Way,
};
use kiln_jail::report::{Evidence, FileFound, Outcome, Phases, Report, Usage};
use kiln_jail::wire::{self, Reply, Request};
use rustix::net::{RecvFlags, SendFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn count(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).expect("not zero")
}

fn limits() -> Limits {
    Limits {
        cpu_us: count(2_000_000),
        wall_us: count(10_000_000),
        memory_bytes: count(256 << 20),
        pids: count(64),
        output_bytes: count(1 << 20),
        file_size_bytes: count(16 << 20),
        disk_bytes: count(64 << 20),
        inodes: count(1_000),
        open_files: count(64),
        stack_bytes: count(8 << 20),
        cpu_rate_millis: NonZeroU32::new(1_000).expect("not zero"),
    }
}

/// A plan with so many files in and out.
fn plan((files_in, files_out): (usize, usize)) -> Plan {
    let file_in = |index| FileIn {
        path: format!("/work/data/input-{index}.txt").into_bytes(),
        way: Way::Copied { mode: 0o644, owner: Owner::Command },
    };
    let file_out = |index| FileOut {
        path: format!("/work/out/output-{index}.txt").into_bytes(),
        max_bytes: count(1 << 20),
    };
    let part = |place: &str| Part { source: place.into(), target: place.into() };
    let mut parts = vec![Part { source: b"/run/kiln/host-root".to_vec(), target: b"/".to_vec() }];
    parts.extend(["/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt"].map(part));
    Plan {
        argv: ["/usr/bin/python3", "-I", "/work/main.py"].map(|word| word.as_bytes().to_vec()).to_vec(),
        env: (0..4).map(|index| (format!("NAME_{index}").into_bytes(), b"some value".to_vec())).collect(),
        cwd: b"/work".to_vec(),
        rootfs: Rootfs { parts },
        limits: limits(),
        profile: Profile::Default,
        files_in: (0..files_in).map(file_in).collect(),
        files_out: (0..files_out).map(file_out).collect(),
        shown_from: None,
    }
}

fn run(files: (usize, usize)) -> Request {
    Request::Run(Box::new(plan(files)))
}

fn finished(files: usize) -> Reply {
    Reply::Finished(Box::new(Report {
        outcome: Outcome::Exited { code: 0 },
        evidence: Evidence::default(),
        usage: Usage::default(),
        phases: Phases::default(),
        files: vec![FileFound::Missing; files],
    }))
}

type Pair = (OwnedFd, OwnedFd);

fn to_send<T>(message: T) -> (Pair, T) {
    (wire::pair().expect("socketpair"), message)
}

fn to_send_run(files: (usize, usize)) -> (Pair, Request) {
    to_send(run(files))
}

fn to_send_finished(files: usize) -> (Pair, Reply) {
    to_send(finished(files))
}

fn sent<T: Serialize>(message: &T) -> Pair {
    let pair = wire::pair().expect("socketpair");
    wire::send(pair.0.as_fd(), message, &[], SendFlags::empty()).expect("send");
    pair
}

fn sent_run(files: (usize, usize)) -> Pair {
    sent(&run(files))
}

fn sent_finished(files: usize) -> Pair {
    sent(&finished(files))
}

fn send<T: Serialize>(((from, to), message): (Pair, T)) -> (Pair, T) {
    wire::send(from.as_fd(), &message, &[], SendFlags::empty()).expect("send");
    ((from, to), message)
}

fn receive<T: DeserializeOwned>(pair: Pair) -> (Pair, T) {
    let (message, _) = wire::receive(pair.1.as_fd(), RecvFlags::empty()).expect("receive").expect("sent");
    (pair, message)
}

#[library_benchmark(setup = plan)]
#[bench::no_files((0, 0))]
#[bench::few_files((2, 1))]
#[bench::most_files((MAX_FILES_IN, MAX_FILES_OUT))]
fn check(plan: Plan) -> (Result<(), PlanError>, Plan) {
    black_box((plan.check(), plan))
}

#[library_benchmark(setup = to_send_run)]
#[bench::few_files((2, 1))]
#[bench::most_files((MAX_FILES_IN, MAX_FILES_OUT))]
fn send_run(input: (Pair, Request)) -> (Pair, Request) {
    black_box(send(input))
}

#[library_benchmark(setup = sent_run)]
#[bench::few_files((2, 1))]
#[bench::most_files((MAX_FILES_IN, MAX_FILES_OUT))]
fn receive_run(pair: Pair) -> (Pair, Request) {
    black_box(receive(pair))
}

#[library_benchmark(setup = to_send_finished)]
#[bench::few_files(1)]
#[bench::most_files(MAX_FILES_OUT)]
fn send_finished(input: (Pair, Reply)) -> (Pair, Reply) {
    black_box(send(input))
}

#[library_benchmark(setup = sent_finished)]
#[bench::few_files(1)]
#[bench::most_files(MAX_FILES_OUT)]
fn receive_finished(pair: Pair) -> (Pair, Reply) {
    black_box(receive(pair))
}

library_benchmark_group!(
    name = plan_and_wire,
    benchmarks = [check, send_run, receive_run, send_finished, receive_finished]
);

main!(library_benchmark_groups = plan_and_wire);
