//! Every rule about a job's spec, broken one at a time: each names its field and what is allowed.

use kiln_proto::model::{JobSpec, LimitPolicy, Step};
use kiln_proto::v1;
use kiln_proto::v1::content::Source;
use kiln_proto::v1::step_output::What;
use prost::bytes::Bytes;

fn command(name: &str) -> v1::Command {
    v1::Command { name: name.into(), argv: vec![Bytes::from_static(b"true")], ..v1::Command::default() }
}

fn step(name: &str, commands: Vec<v1::Command>) -> v1::Step {
    v1::Step { name: name.into(), commands, ..v1::Step::default() }
}

fn content(source: Source) -> Option<v1::Content> {
    Some(v1::Content { source: Some(source) })
}

fn output_of(step: &str, command: &str, what: Option<What>) -> Option<v1::Content> {
    content(Source::OutputOf(v1::StepOutput { step: step.into(), command: command.into(), what }))
}

fn file_in(path: impl Into<Bytes>) -> v1::FileIn {
    let content = content(Source::Inline(Bytes::from_static(b"x")));
    v1::FileIn { path: path.into(), content, executable: false }
}

fn file_out(path: impl Into<Bytes>) -> v1::FileOut {
    v1::FileOut { path: path.into(), ..v1::FileOut::default() }
}

fn pipe(from: &str, to: &str) -> v1::Pipe {
    v1::Pipe { from: from.into(), to: to.into() }
}

/// Two steps: `make` of one command that leaves a file, and `use` of two piped commands, the first reading that file.
fn good() -> v1::JobSpec {
    let mut maker = command("");
    maker.files_out = vec![
        file_out("/work/out"),
        v1::FileOut { path: "/work/maybe".into(), optional: true, max_bytes: Some(10) },
    ];
    let mut first = command("first");
    let file = output_of("make", "", Some(What::File("/work/out".into())));
    first.files_in = vec![v1::FileIn { path: "/work/in".into(), content: file, executable: true }];
    first.stdin = output_of("make", "main", Some(What::Stream(v1::Stream::Stderr.into())));
    first.env = vec![v1::EnvVar { name: "A".into(), value: "=".into() }];
    let mut using = step("use", vec![first, command("second")]);
    using.needs = vec!["make".into()];
    using.pipes = vec![pipe("first", "second")];
    v1::JobSpec { steps: vec![step("make", vec![maker]), using], ..v1::JobSpec::default() }
}

/// The violations of the good job after a change.
fn refusal(change: impl FnOnce(&mut v1::JobSpec)) -> Vec<(String, String)> {
    let mut spec = good();
    change(&mut spec);
    let invalid = JobSpec::check(spec, &LimitPolicy::default()).expect_err("the change breaks a rule");
    invalid.violations.into_iter().map(|violation| (violation.field, violation.why)).collect()
}

/// One change, the field it breaks, and a part of what is said.
type Case = (fn(&mut v1::JobSpec), &'static str, &'static str);

fn assert_refused(cases: &[Case]) {
    for (change, field, why) in cases {
        let violations = refusal(change);
        assert_eq!(violations.len(), 1, "{field}: {violations:?}");
        assert_eq!(violations[0].0, *field, "{violations:?}");
        assert!(violations[0].1.contains(why), "{field}: {}", violations[0].1);
        assert!(violations[0].1.len() < 400, "{field}: input is not repeated at length");
    }
}

#[test]
fn the_good_job_is_good() {
    let job = JobSpec::check(good(), &LimitPolicy::default()).expect("it breaks no rule");
    assert_eq!(job.order(), [0, 1]);
    assert_eq!(job.steps[1].needs, [0]);
    assert_eq!(job.steps[0].commands[0].name.as_str(), "main");
    assert_eq!(job.steps[0].commands[0].cwd.as_bytes(), b"/work");
    assert_eq!(job.steps[1].reader_of(0), Some(1));
    assert_eq!(job.steps[1].feeder_of(1), Some(0));
    assert_eq!(job.step("use"), Some(1));
    assert_eq!(job.steps[1].command("second"), Some(1));
}

#[test]
fn counts() {
    assert_refused(&[
        (|job| job.steps.clear(), "steps", "has 0 entries; 1 to 64 are allowed"),
        (
            |job| job.steps = (0..65).map(|index| step(&format!("s{index}"), vec![command("")])).collect(),
            "steps",
            "has 65 entries; 1 to 64 are allowed",
        ),
        (|job| job.steps[0].commands.clear(), "steps[0].commands", "has 0 entries; 1 to 8 are allowed"),
        (
            |job| job.steps[0].commands = (0..9).map(|index| command(&format!("c{index}"))).collect(),
            "steps[0].commands",
            "has 9 entries",
        ),
        (|job| job.steps[0].pipes = vec![pipe("a", "b"); 17], "steps[0].pipes", "at most 16 are allowed"),
        (|job| job.steps[0].needs = vec!["x".into(); 65], "steps[0].needs", "at most 64 are allowed"),
        (
            |job| job.steps[0].commands[0].files_in = vec![file_in("/work/a"); 241],
            "steps[0].commands[0].files_in",
            "has 241 entries; at most 240 are allowed",
        ),
        (
            |job| job.steps[0].commands[0].files_out = vec![file_out("/work/a"); 251],
            "steps[0].commands[0].files_out",
            "has 251 entries; at most 250 are allowed",
        ),
        (
            |job| job.labels = (0..33).map(|index| (format!("l{index}"), String::new())).collect(),
            "labels",
            "has 33 entries; at most 32 are allowed",
        ),
    ]);
}

#[test]
fn names() {
    assert_refused(&[
        (|job| job.steps[1].name = "Use it".into(), "steps[1].name", "must be 1 to 63 of [a-z0-9_-]"),
        (|job| job.steps[1].name = String::new(), "steps[1].name", "must be 1 to 63"),
        (|job| job.steps[1].name = "x".repeat(5_000), "steps[1].name", "must be 1 to 63"),
        (
            |job| job.steps[1].commands[0].files_in[0].path = "/work/\0".into(),
            "steps[1].commands[0].files_in[0].path",
            "NUL",
        ),
        (
            |job| job.steps.push(step("use", vec![command("")])),
            "steps[2].name",
            "is \"use\", the name of another step",
        ),
        (
            |job| job.steps.push(step("s", vec![command("é")])),
            "steps[2].commands[0].name",
            "must be 1 to 63 of [a-z0-9_-]",
        ),
        (
            |job| job.steps.push(step("s", vec![command("a"), command("")])),
            "steps[2].commands[1].name",
            "must be 1 to 63 of [a-z0-9_-]",
        ),
        (
            |job| job.steps.push(step("s", vec![command("a"), command("a")])),
            "steps[2].commands[1].name",
            "is \"a\", the name of another command",
        ),
        (|job| job.labels = [("a".into(), "x".repeat(256))].into(), "labels[\"a\"]", "at most 255 bytes"),
        (|job| job.priority = 9, "priority", "is 9; must be PRIORITY_LOW"),
        (|job| job.priority = -1, "priority", "is -1; must be PRIORITY_LOW"),
    ]);
}

#[test]
fn arguments_and_environment() {
    assert_refused(&[
        (|job| job.steps[0].commands[0].argv.clear(), "steps[0].commands[0].argv", "is empty; the program"),
        (
            |job| job.steps[0].commands[0].argv = vec![Bytes::new()],
            "steps[0].commands[0].argv[0]",
            "is empty",
        ),
        (
            |job| job.steps[0].commands[0].argv.push(Bytes::from_static(b"a\0b")),
            "steps[0].commands[0].argv[1]",
            "holds a NUL byte",
        ),
        (
            |job| job.steps[0].commands[0].argv.push(vec![b'x'; 128 << 10].into()),
            "steps[0].commands[0].argv",
            "has 131078 bytes, one more for each string counted; at most 131072 are allowed",
        ),
        (
            |job| {
                job.steps[0].commands[0].env =
                    vec![v1::EnvVar { name: "A".into(), value: vec![b'x'; 128 << 10].into() }]
            },
            "steps[0].commands[0].argv",
            "together with env",
        ),
        (
            |job| job.steps[1].commands[0].env[0].name = Bytes::new(),
            "steps[1].commands[0].env[0].name",
            "must be 1 byte or more, without '=' and NUL",
        ),
        (
            |job| job.steps[1].commands[0].env[0].name = "A=B".into(),
            "steps[1].commands[0].env[0].name",
            "without '='",
        ),
        (
            |job| job.steps[1].commands[0].env[0].name = "A\0".into(),
            "steps[1].commands[0].env[0].name",
            "NUL",
        ),
        (
            |job| job.steps[1].commands[0].env[0].value = "\0".into(),
            "steps[1].commands[0].env[0].value",
            "NUL",
        ),
        (
            |job| {
                let twice = job.steps[1].commands[0].env[0].clone();
                job.steps[1].commands[0].env.push(twice);
            },
            "steps[1].commands[0].env[1].name",
            "there already",
        ),
    ]);
}

#[test]
fn paths() {
    assert_refused(&[
        (|job| job.steps[0].commands[0].cwd = "work".into(), "steps[0].commands[0].cwd", "must be absolute"),
        (|job| job.steps[0].commands[0].cwd = "/work/..".into(), "steps[0].commands[0].cwd", "\"..\""),
        (|job| job.steps[0].commands[0].cwd = "/a\0".into(), "steps[0].commands[0].cwd", "NUL"),
        (
            |job| job.steps[0].commands[0].cwd = [b"/", &[b'x'; 5_000][..]].concat().into(),
            "steps[0].commands[0].cwd",
            "has 5001 bytes; at most 4095 are allowed",
        ),
        (
            |job| job.steps[1].commands[0].cwd = "/work/in/deeper".into(),
            "steps[1].commands[0].cwd",
            "a file is put there",
        ),
        (
            |job| job.steps[1].commands[0].files_in[0].path = "in".into(),
            "steps[1].commands[0].files_in[0].path",
            "must be absolute",
        ),
        (
            |job| job.steps[1].commands[0].files_in[0].path = "/work/../etc/passwd".into(),
            "steps[1].commands[0].files_in[0].path",
            "no component may be empty, \".\" or \"..\"",
        ),
        (
            |job| job.steps[1].commands[0].files_in[0].path = "/etc/passwd".into(),
            "steps[1].commands[0].files_in[0].path",
            "must be a file below /work or /tmp",
        ),
        (
            |job| job.steps[1].commands[0].files_in[0].path = [b"/work/", &[b'x'; 256][..]].concat().into(),
            "steps[1].commands[0].files_in[0].path",
            "has a component of 256 bytes; at most 255 are allowed",
        ),
        (
            |job| job.steps[1].commands[0].files_in.push(file_in("/work/in")),
            "steps[1].commands[0].files_in[1].path",
            "another file is put there too",
        ),
        (
            |job| job.steps[1].commands[0].files_in.push(file_in("/work/in/below")),
            "steps[1].commands[0].files_in[1].path",
            "a directory on its way is put there as a file",
        ),
        (
            |job| job.steps[1].commands[0].files_out.push(file_out("/etc/shadow")),
            "steps[1].commands[0].files_out[0].path",
            "must be a file below /work or /tmp",
        ),
        (
            |job| job.steps[0].commands[0].files_out.push(file_out("/work/out")),
            "steps[0].commands[0].files_out[2].path",
            "there already",
        ),
        (
            |job| job.steps[0].commands[0].files_out[1].max_bytes = Some(0),
            "steps[0].commands[0].files_out[1].max_bytes",
            "is 0; must be 1 B to 8.0 GiB",
        ),
        (
            |job| job.steps[0].commands[0].files_out[1].max_bytes = Some(u64::MAX),
            "steps[0].commands[0].files_out[1].max_bytes",
            "must be 1 B to 8.0 GiB",
        ),
    ]);
}

#[test]
fn needs_and_pipes() {
    assert_refused(&[
        (
            |job| job.steps[1].needs.push("nobody".into()),
            "steps[1].needs[1]",
            "must be the name of a step of this job",
        ),
        (|job| job.steps[1].needs.push("make".into()), "steps[1].needs[1]", "there already"),
        (
            |job| job.steps[0].needs.push("make".into()),
            "steps[0].needs",
            "form a cycle: \"make\" needs \"make\"",
        ),
        (
            |job| job.steps[0].needs.push("use".into()),
            "steps[0].needs",
            "form a cycle: \"make\" needs \"use\" needs \"make\"",
        ),
        (
            |job| job.steps[1].pipes[0].to = "nowhere".into(),
            "steps[1].pipes[0].to",
            "is \"nowhere\"; must be the name of",
        ),
        (
            |job| job.steps[1].pipes[0].from = String::new(),
            "steps[1].pipes[0].from",
            "must be the name of a command",
        ),
        (|job| job.steps[1].pipes[0].from = "second".into(), "steps[1].pipes[0]", "to itself"),
        (
            |job| {
                job.steps[1].commands.push(command("third"));
                job.steps[1].pipes.push(pipe("first", "third"));
            },
            "steps[1].pipes[1].from",
            "is \"first\", whose stdout has a pipe already",
        ),
        (
            |job| {
                job.steps[1].commands.push(command("third"));
                job.steps[1].pipes.push(pipe("third", "second"));
            },
            "steps[1].pipes[1].to",
            "is \"second\", whose stdin has a pipe already",
        ),
        (
            |job| job.steps[1].commands[1].stdin = content(Source::Inline("x".into())),
            "steps[1].commands[1].stdin",
            "a pipe feeds this command; must be unset",
        ),
    ]);
}

#[test]
fn two_commands_may_be_piped_both_ways() {
    let mut spec = good();
    spec.steps[1].commands[0].stdin = None;
    spec.steps[1].pipes.push(pipe("second", "first"));
    JobSpec::check(spec, &LimitPolicy::default()).expect("interactive programs talk both ways");
}

#[test]
fn image_and_profile() {
    assert_refused(&[
        (
            |job| job.steps[0].commands[0].image = "../x".into(),
            "steps[0].commands[0].image",
            "must be \"host\", the name",
        ),
        (
            |job| job.steps[0].commands[0].image = "blake3:00".into(),
            "steps[0].commands[0].image",
            "its digest",
        ),
        (
            |job| job.steps[0].commands[0].image = "x".repeat(5_000),
            "steps[0].commands[0].image",
            "must be \"host\"",
        ),
        (
            |job| job.steps[0].commands[0].profile = "Root".into(),
            "steps[0].commands[0].profile",
            "is \"Root\"; must be \"strict\", \"default\", \"build\", or a profile of the server's",
        ),
    ]);
}

#[test]
fn limits() {
    let set = |job: &mut v1::JobSpec, limits| job.steps[0].commands[0].limits = Some(limits);
    let cpu_over = refusal(|job| set(job, v1::Limits { cpu_ms: Some(3_600_001), ..v1::Limits::default() }));
    assert_eq!(cpu_over[0].0, "steps[0].commands[0].limits.cpu_ms");
    let both = v1::Limits { cpu_ms: Some(0), pids: Some(u64::MAX), ..v1::Limits::default() };
    let two = refusal(|job| set(job, both));
    assert_eq!(
        two.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
        ["steps[0].commands[0].limits.cpu_ms", "steps[0].commands[0].limits.pids"]
    );
}

#[test]
fn contents() {
    const FILE: &str = "steps[1].commands[0].files_in[0].content";
    fn set(job: &mut v1::JobSpec, content: Option<v1::Content>) {
        job.steps[1].commands[0].files_in[0].content = content;
    }
    assert_refused(&[
        (|job| set(job, None), FILE, "is unset; set one of inline, blob, output_of"),
        (|job| set(job, Some(v1::Content::default())), FILE, "set one of inline, blob, output_of"),
        (
            |job| set(job, content(Source::Blob("blake3:xyz".into()))),
            "steps[1].commands[0].files_in[0].content.blob",
            "64 lower-case hexadecimal digits",
        ),
        (
            |job| set(job, content(Source::Inline(vec![0; (1 << 20) + 1].into()))),
            "steps[1].commands[0].files_in[0].content.inline",
            "has 1048577 bytes; at most 1048576 are allowed, upload more as a blob",
        ),
        (
            |job| {
                let files = (0..5).map(|index| v1::FileIn {
                    path: format!("/work/{index}").into(),
                    content: content(Source::Inline(vec![0; 1 << 20].into())),
                    executable: false,
                });
                job.steps[1].commands[1].files_in = files.collect();
            },
            "steps",
            "hold 5242880 bytes of inline content; at most 4194304 are allowed",
        ),
    ]);
}

#[test]
fn outputs_of_earlier_steps() {
    const FIELD: &str = "steps[1].commands[0].files_in[0].content.output_of";
    let stdout = || Some(What::Stream(v1::Stream::Stdout.into()));
    let cases: Vec<(&str, &str, Option<What>, &str, &str)> = vec![
        ("nobody", "", stdout(), "step", "must be a step of this job"),
        ("use", "first", stdout(), "step", "must be in this step's needs"),
        ("make", "nobody", stdout(), "command", "must be a command of that step"),
        ("make", "", None, "what", "set file or stream"),
        ("make", "", Some(What::Stream(0)), "stream", "must be STREAM_STDOUT or STREAM_STDERR"),
        ("make", "", Some(What::Stream(7)), "stream", "must be STREAM_STDOUT or STREAM_STDERR"),
        ("make", "", Some(What::File("/work/other".into())), "file", "must be in that command's files_out"),
        ("make", "", Some(What::File("/work/maybe".into())), "file", "is optional there; it may be missing"),
        ("make", "", Some(What::File("out".into())), "file", "must be absolute"),
    ];
    for (step, command, what, part, why) in cases {
        let violations = refusal(|job| {
            job.steps[1].commands[0].files_in[0].content = output_of(step, command, what);
        });
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].0, format!("{FIELD}.{part}"));
        assert!(violations[0].1.contains(why), "{violations:?}");
    }
}

#[test]
fn output_of_a_step_of_several_commands_names_one_and_not_a_piped_stdout() {
    let add = |job: &mut v1::JobSpec, command_name: &str| {
        let mut last = command("");
        last.stdin = output_of("use", command_name, Some(What::Stream(v1::Stream::Stdout.into())));
        let mut step = step("last", vec![last]);
        step.needs = vec!["use".into()];
        job.steps.push(step);
    };
    let unnamed = refusal(|job| add(job, ""));
    assert_eq!(unnamed[0].0, "steps[2].commands[0].stdin.output_of.command");
    assert!(unnamed[0].1.contains("has 2 commands, so name one"), "{unnamed:?}");
    let piped = refusal(|job| add(job, "first"));
    assert_eq!(piped[0].0, "steps[2].commands[0].stdin.output_of.stream");
    assert!(piped[0].1.contains("nothing is kept"), "{piped:?}");
    let mut fine = good();
    add(&mut fine, "second");
    JobSpec::check(fine, &LimitPolicy::default()).expect("the last command's stdout is kept");
}

#[test]
fn several_violations_are_told_at_once() {
    let violations = refusal(|job| {
        job.steps[0].name = "Bad".into();
        job.steps[0].commands[0].argv.clear();
        job.steps[1].pipes[0].to = "nowhere".into();
        job.priority = 9;
    });
    let fields: Vec<_> = violations.iter().map(|(field, _)| field.as_str()).collect();
    assert!(fields.contains(&"steps[0].name"), "{fields:?}");
    assert!(fields.contains(&"steps[0].commands[0].argv"), "{fields:?}");
    assert!(fields.contains(&"steps[1].pipes[0].to"), "{fields:?}");
    assert!(fields.contains(&"priority"), "{fields:?}");
}

#[test]
fn a_flood_of_mistakes_gives_a_short_answer() {
    let violations = refusal(|job| {
        job.steps[0].commands[0].env = vec![v1::EnvVar::default(); 60_000];
    });
    assert!(violations.len() < 40, "{}", violations.len());
    assert!(violations.last().is_some_and(|(_, why)| why.contains("more violations")), "{violations:?}");
}

#[test]
fn a_lease_is_complete() {
    let policy = LimitPolicy::default();
    let job = JobSpec::check(good(), &policy).expect("it is good");
    let mut wire = job.to_wire().steps.swap_remove(1);
    let unresolved = Step::check_lease(wire.clone(), &policy).expect_err("it holds output_of").to_string();
    assert!(
        unresolved.contains("step.commands[0].files_in[0].content.output_of: is not resolved"),
        "{unresolved}"
    );
    assert!(unresolved.contains("step.commands[0].stdin.output_of: is not resolved"), "{unresolved}");
    wire.commands[0].stdin = None;
    wire.commands[0].files_in[0].content = content(Source::Inline("x".into()));
    let step = Step::check_lease(wire.clone(), &policy).expect("all is resolved");
    assert_eq!(step.commands, {
        let mut commands = job.steps[1].commands.clone();
        commands[0].stdin = kiln_proto::model::Content::Empty;
        commands[0].files_in[0].content = kiln_proto::model::Content::Inline("x".into());
        commands
    });
    let break_and_check = |change: fn(&mut v1::Step)| {
        let mut broken = wire.clone();
        change(&mut broken);
        Step::check_lease(broken, &policy).expect_err("the change breaks a rule").to_string()
    };
    let named = break_and_check(|step| step.commands[0].image = "debian".into());
    assert!(named.contains("step.commands[0].image: is a name"), "{named}");
    let unlimited = break_and_check(|step| step.commands[1].limits = None);
    assert!(unlimited.contains("step.commands[1].limits.cpu_ms: is unset; must be"), "{unlimited}");
}
