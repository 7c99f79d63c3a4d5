//! Jobs of every kind of end, honest and hostile, in turns: what a service sees in a long life.

use std::collections::BTreeMap;

use kiln_proto::v1::{JobSpec, OutcomeKind};

use crate::api::Api;
use crate::hostile;
use crate::spec::{Cmd, MIB, after, file_of, inline, job, piped, python, sh, step};

/// The n-th job, none of which takes longer than a blink.
pub fn nth(n: usize) -> JobSpec {
    match n % 10 {
        0 => sh("echo out; echo err >&2; exit 3").job(),
        1 => sh("kill -9 $$").job(),
        2 => sh("sleep 100 & sleep 100 & exit 0").job(),
        3 => sh("sleep 100").limits(|limits| limits.wall_ms = Some(30)).job(),
        4 => python("x = b'x' * (64 << 20)").limits(|limits| limits.memory_bytes = Some(24 * MIB)).job(),
        5 => sh("yes").limits(|limits| limits.output_bytes = Some(200_000)).job(),
        6 => sh("mkdir -p a/b; echo x > a/b/c; mkfifo f; ln -s / l")
            .takes("/work/a/b/c")
            .takes("/work/l")
            .job(),
        7 => job([
            sh("seq 1 20000 > f").wants("/work/f").step("one"),
            after(&["one"], sh("wc -l < f").file("/work/f", file_of("one", "/work/f")).step("two")),
        ]),
        8 => job([piped(step("s", [sh("seq 9").name("a"), sh("sort -r").name("b")]), &[("a", "b")])]),
        _ => sh("cat").stdin(inline(vec![b'z'; 100_000])).file("/work/in", inline("x")).job(),
    }
}

/// How many turns it takes until every hostile program came once.
pub fn turn() -> usize {
    2 * kiln_attacks::all().len()
}

/// Every second job is one of [`nth`], the others are the hostile programs in turns. Needs [`hostile::store_program`].
pub fn nth_with_hostile(n: usize) -> JobSpec {
    if n.is_multiple_of(2) {
        return nth(n / 2);
    }
    let cases = kiln_attacks::all();
    hostile::job_with(&cases[n / 2 % cases.len()], &[], small)
}

/// Limits that each hostile program reaches at once: they come in thousands.
fn small(command: Cmd) -> Cmd {
    command.limits(|limits| {
        limits.cpu_ms = Some(200);
        limits.wall_ms = Some(400);
    })
}

/// Runs jobs by several callers at a time and counts their ends; none may be a failure of ours.
pub async fn run(
    api: &Api,
    callers: usize,
    range: std::ops::Range<usize>,
    nth: impl Fn(usize) -> JobSpec,
) -> BTreeMap<String, usize> {
    let one_caller = async |caller: usize| {
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for n in range.clone().skip(caller).step_by(callers) {
            let done = api.run(nth(n)).await.job;
            for result in done.steps.iter().flat_map(|step| &step.commands) {
                let outcome = result.outcome.as_ref().expect("an outcome");
                assert_ne!(outcome.kind(), OutcomeKind::Infrastructure, "job {n}: {result:#?}");
                *ends.entry(outcome.kind().as_str_name().to_owned()).or_default() += 1;
            }
        }
        ends
    };
    let all = futures_util::future::join_all((0..callers).map(one_caller)).await;
    all.into_iter().flatten().fold(BTreeMap::new(), |mut total, (kind, count)| {
        *total.entry(kind).or_default() += count;
        total
    })
}
