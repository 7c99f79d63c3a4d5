//! Properties of the checks: nothing on the wire makes them panic, and what they accept is stable.

use kiln_proto::model::{
    CommandResult, Ending, Evidence, FileContent, FileState, JobSpec, LimitPolicy, Outcome, Step, Verdict,
    command_verdict, job_verdict, step_succeeded, step_verdict,
};
use kiln_proto::v1;
use kiln_proto::v1::content::Source;
use kiln_proto::v1::step_output::What;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use prost::bytes::Bytes;

/// Mostly names that exist, so that references hit.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[abc]",
        1 => Just(String::new()),
        1 => Just("main".to_owned()),
        1 => "\\PC{0,8}",
    ]
}

fn path() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => "/work/[ab](/[ab])?".prop_map(Bytes::from),
        2 => "/tmp/[ab]".prop_map(Bytes::from),
        1 => prop::collection::vec(any::<u8>(), 0..8).prop_map(Bytes::from),
        1 => Just(Bytes::new()),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![4 => "[a-z]{1,4}".prop_map(Bytes::from), 1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from)]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![path().prop_map(What::File), (0i32..4).prop_map(What::Stream)]
}

fn content() -> impl Strategy<Value = v1::Content> {
    let digest = "0123456789abcdef".repeat(4);
    let source = prop_oneof![
        4 => bytes().prop_map(Source::Inline),
        2 => Just(Source::Blob(format!("blake3:{digest}"))),
        1 => name().prop_map(Source::Blob),
        4 => (name(), name(), option::of(what()))
            .prop_map(|(step, command, what)| Source::OutputOf(v1::StepOutput { step, command, what })),
    ];
    option::weighted(0.9, source).prop_map(|source| v1::Content { source })
}

fn limits() -> impl Strategy<Value = v1::Limits> {
    let value = || option::weighted(0.2, prop_oneof![6 => 1u64..2_000, 1 => any::<u64>()]);
    (value(), value(), value(), value(), option::weighted(0.2, 0u64..1 << 33)).prop_map(
        |(cpu_ms, wall_ms, pids, open_files, memory_bytes)| v1::Limits {
            cpu_ms,
            wall_ms,
            pids,
            open_files,
            memory_bytes,
            ..v1::Limits::default()
        },
    )
}

fn command() -> impl Strategy<Value = v1::Command> {
    let variable = (bytes(), bytes()).prop_map(|(name, value)| v1::EnvVar { name, value });
    let file_in = (path(), option::weighted(0.9, content()), any::<bool>())
        .prop_map(|(path, content, executable)| v1::FileIn { path, content, executable });
    let file_out = (path(), any::<bool>(), option::weighted(0.2, 0u64..100))
        .prop_map(|(path, optional, max_bytes)| v1::FileOut { path, optional, max_bytes });
    let image = prop_oneof![4 => Just(String::new()), 1 => Just("host".to_owned()), 1 => name()];
    let profile = prop_oneof![4 => Just(String::new()), 1 => Just("strict".to_owned()), 1 => Just("build".to_owned()), 1 => name()];
    (
        (name(), prop::collection::vec(bytes(), 1..3), prop::collection::vec(variable, 0..2)),
        (option::weighted(0.2, path()), image, profile, option::weighted(0.3, content())),
        (prop::collection::vec(file_in, 0..2), prop::collection::vec(file_out, 0..3), option::of(limits())),
    )
        .prop_map(|((name, argv, env), (cwd, image, profile, stdin), (files_in, files_out, limits))| {
            v1::Command {
                name,
                argv,
                env,
                cwd: cwd.unwrap_or_default(),
                image,
                stdin,
                files_in,
                files_out,
                limits,
                profile,
            }
        })
}

fn step() -> impl Strategy<Value = v1::Step> {
    let pipe = (name(), name()).prop_map(|(from, to)| v1::Pipe { from, to });
    (
        name(),
        prop::collection::vec(name(), 0..2),
        prop::collection::vec(command(), 0..3),
        prop::collection::vec(pipe, 0..2),
    )
        .prop_map(|(name, needs, commands, pipes)| v1::Step { name, needs, commands, pipes })
}

fn spec() -> impl Strategy<Value = v1::JobSpec> {
    (
        prop::collection::vec(step(), 0..4),
        -1i32..6,
        prop::collection::btree_map("[a-z]{0,3}", "\\PC{0,4}", 0..2),
    )
        .prop_map(|(steps, priority, labels)| v1::JobSpec { steps, priority, labels })
}

/// Specs that are good by construction, so that the accepting half is exercised too.
fn good_spec() -> impl Strategy<Value = v1::JobSpec> {
    let steps = 1usize..5;
    let shape =
        steps.prop_flat_map(|steps| prop::collection::vec((1usize..4, any::<u8>(), bytes(), 0u64..4), steps));
    (shape, 0i32..4, prop::collection::btree_map("[a-z]{1,3}", "[a-z]{0,4}", 0..3)).prop_map(
        |(shape, priority, labels)| {
            let steps = shape.iter().enumerate().map(|(index, (commands, bits, argument, cpu))| {
                let needs: Vec<_> =
                    (0..index).filter(|need| bits >> need & 1 == 1).map(|need| format!("s{need}")).collect();
                let reference = needs.first().map(|step| v1::Content {
                    source: Some(Source::OutputOf(v1::StepOutput {
                        step: step.clone(),
                        command: "c0".to_owned(),
                        what: Some(What::File(Bytes::from_static(b"/work/out"))),
                    })),
                });
                let command = |number: usize| v1::Command {
                    name: format!("c{number}"),
                    argv: vec![
                        Bytes::from_static(b"p"),
                        argument.iter().copied().filter(|byte| *byte != 0).collect(),
                    ],
                    stdin: reference.clone().filter(|_| number == 0),
                    files_out: vec![v1::FileOut { path: "/work/out".into(), ..v1::FileOut::default() }],
                    limits: (*cpu > 0).then(|| v1::Limits { cpu_ms: Some(*cpu), ..v1::Limits::default() }),
                    ..v1::Command::default()
                };
                let pipes =
                    (1..*commands).map(|to| v1::Pipe { from: format!("c{}", to - 1), to: format!("c{to}") });
                v1::Step {
                    name: format!("s{index}"),
                    needs,
                    commands: (0..*commands).map(command).collect(),
                    pipes: pipes.collect(),
                }
            });
            v1::JobSpec { steps: steps.collect(), priority, labels }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_spec_panics_and_what_is_accepted_is_stable(spec in spec()) {
        let policy = LimitPolicy::default();
        match JobSpec::check(spec, &policy) {
            Ok(job) => prop_assert_eq!(JobSpec::check(job.to_wire(), &policy), Ok(job)),
            Err(invalid) => prop_assert!(!invalid.violations.is_empty()),
        }
    }

    #[test]
    fn good_specs_are_accepted_and_stable(spec in good_spec()) {
        let policy = LimitPolicy::default();
        let job = JobSpec::check(spec, &policy);
        prop_assert!(job.is_ok(), "{:?}", job);
        let job = job?;
        let wire = job.to_wire();
        prop_assert_eq!(JobSpec::check(wire.clone(), &policy), Ok(job.clone()));
        // The encoding identifies the job: idempotency compares it.
        let decoded = v1::JobSpec::decode(wire.encode_to_vec().as_slice())?;
        prop_assert_eq!(JobSpec::check(decoded, &policy)?.to_wire().encode_to_vec(), wire.encode_to_vec());
        let order = job.order();
        for (position, index) in order.iter().enumerate() {
            prop_assert!(job.steps[*index].needs.iter().all(|need| order[..position].contains(need)));
        }
    }

    #[test]
    fn any_bytes_that_decode_are_checked_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let policy = LimitPolicy::default();
        if let Ok(spec) = v1::JobSpec::decode(bytes.as_slice()) {
            let _ = JobSpec::check(spec, &policy);
        }
        if let Ok(step) = v1::Step::decode(bytes.as_slice()) {
            let _ = Step::check_lease(step, &policy);
        }
        if let Ok(result) = v1::CommandResult::decode(bytes.as_slice()) {
            let _ = CommandResult::try_from(result);
        }
        if let Ok(outcome) = v1::Outcome::decode(bytes.as_slice()) {
            let _ = Ending::try_from(outcome);
        }
    }

    #[test]
    fn a_leased_step_never_panics(step in step()) {
        let _ = Step::check_lease(step, &LimitPolicy::default());
    }
}

fn result_of(outcome: Outcome) -> CommandResult {
    let mut result = CommandResult::unrun(
        "main".parse().expect("a name"),
        Ending { outcome, evidence: Evidence::default() },
    );
    result.files = vec![kiln_proto::model::FileResult {
        size_bytes: 1,
        content: FileContent::Inline(Bytes::from_static(b"x")),
        ..kiln_proto::model::FileResult::absent(
            kiln_proto::model::FilePath::new("/work/out").expect("a path"),
            FileState::Found,
        )
    }];
    result
}

fn one_step() -> Step {
    let command = v1::Command {
        argv: vec![Bytes::from_static(b"true")],
        files_out: vec![v1::FileOut { path: "/work/out".into(), ..v1::FileOut::default() }],
        ..v1::Command::default()
    };
    let step = v1::Step { name: "s".into(), commands: vec![command], ..v1::Step::default() };
    let spec = v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() };
    JobSpec::check(spec, &LimitPolicy::default()).expect("it is good").steps.remove(0)
}

#[test]
fn verdicts() {
    let step = one_step();
    let limit = Outcome::Limit { which: kiln_proto::model::LimitName::Cpu, limit: 1, seen: 2 };
    let infrastructure =
        Outcome::Infrastructure { step: "clone".into(), errno: Some(12), detail: "no memory".into() };
    let forbidden = Outcome::Forbidden { syscall: "ptrace".into(), args: vec![] };
    let cases = [
        (Outcome::Exited { code: 0 }, Verdict::Succeeded),
        (Outcome::Exited { code: 1 }, Verdict::Failed),
        (Outcome::Signalled { signal: 11 }, Verdict::Failed),
        (forbidden, Verdict::Failed),
        (limit, Verdict::Limit),
        (Outcome::Cancelled, Verdict::Cancelled),
        (infrastructure, Verdict::Infrastructure),
    ];
    for (outcome, verdict) in cases {
        let result = result_of(outcome);
        assert_eq!(command_verdict(&step.commands[0], &result), verdict, "{result:?}");
        assert_eq!(step_verdict(&step, std::slice::from_ref(&result)), verdict);
        assert_eq!(step_succeeded(&step, &[result]), verdict == Verdict::Succeeded);
        assert_eq!(Verdict::from_wire(verdict.into()), Some(verdict));
    }
    assert_eq!(step_verdict(&step, &[]), Verdict::Infrastructure, "a missing result is ours");
    assert_eq!(job_verdict([Verdict::Succeeded, Verdict::Limit, Verdict::Failed]), Verdict::Limit);
    assert_eq!(job_verdict([Verdict::Succeeded]), Verdict::Succeeded);
}

#[test]
fn a_missing_file_fails_unless_optional() {
    let mut step = one_step();
    let mut result = result_of(Outcome::Exited { code: 0 });
    for (state, optional, verdict) in [
        (FileState::Missing, false, Verdict::Failed),
        (FileState::Missing, true, Verdict::Succeeded),
        (FileState::NotRegular, true, Verdict::Failed),
        (FileState::TooLarge, false, Verdict::Failed),
        (FileState::Unreadable, true, Verdict::Failed),
    ] {
        step.commands[0].files_out[0].optional = optional;
        result.files[0].state = state;
        assert_eq!(command_verdict(&step.commands[0], &result), verdict, "{state:?}, optional {optional}");
    }
    result.files.clear();
    assert_eq!(command_verdict(&step.commands[0], &result), Verdict::Failed, "no word of a wanted file");
}

#[test]
fn results_go_to_the_wire_and_back() {
    let mut result = result_of(Outcome::Exited { code: 3 });
    result.stdout.data = Bytes::from_static(b"out");
    result.stdout.size_bytes = 70_000;
    result.stdout.blob = Some([7; 32].into());
    result.phases.started_unix_us = 5;
    assert_eq!(CommandResult::try_from(v1::CommandResult::from(&result)), Ok(result.clone()));
    assert!(!result.stdout.is_whole());
}

#[test]
fn results_that_contradict_themselves_are_refused_by_field() {
    let good = v1::CommandResult::from(&result_of(Outcome::Exited { code: 0 }));
    type Case = (fn(&mut v1::CommandResult), &'static str);
    let cases: &[Case] = &[
        (|result| result.name = "Bad".into(), "result.name"),
        (|result| result.outcome = None, "result.outcome"),
        (|result| result.stdout.get_or_insert_default().data = vec![0; 65_537].into(), "result.stdout.data"),
        (|result| result.stderr.get_or_insert_default().data = "x".into(), "result.stderr.size_bytes"),
        (|result| result.stdout.get_or_insert_default().blob = "blake3:0".into(), "result.stdout.blob"),
        (|result| result.files[0].path = "/etc/passwd".into(), "result.files[0].path"),
        (|result| result.files[0].state = 0, "result.files[0].state"),
        (|result| result.files[0].state = 2, "result.files[0].state"),
        (|result| result.files[0].size_bytes = 9, "result.files[0].size_bytes"),
    ];
    for (change, field) in cases {
        let mut wire = good.clone();
        change(&mut wire);
        let invalid = CommandResult::try_from(wire).expect_err(field);
        assert_eq!(invalid.violations[0].field, *field);
    }
}
