//! Bad input: an error that names the field and what is allowed, and nothing is left behind.

use bytes::Bytes;
use kiln_proto::v1::{JobSpec, Limits, SubmitRequest};
use kiln_tests::api::{Api, assert_names_field, describe, digest, reason};
use kiln_tests::service::{Options, Place, Service, Up};
use kiln_tests::spec::{after, blob, cmd, file_of, inline, job, labelled, piped, sh, stdout_of, step};
use tonic::{Code, Status};

/// Submits and runs a bad spec: both refuse it alike.
async fn refusals(api: &Api, spec: JobSpec) -> [Status; 2] {
    let request = SubmitRequest { spec: Some(spec.clone()), idempotency_key: String::new() };
    let submit = api.jobs.clone().submit(request).await.expect_err("Submit takes it");
    let run = api.try_run(spec).await.expect_err("Run takes it");
    [submit, run]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_spec_names_its_field() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    for (field, spec) in bad_specs() {
        for status in refusals(&api, spec).await {
            assert_names_field(&status, field);
            assert_eq!(reason(&status), "INVALID_JOB", "{}", describe(&status));
        }
    }
    let listed =
        api.jobs.clone().list(kiln_proto::v1::ListRequest::default()).await.expect("list").into_inner();
    assert!(listed.jobs.is_empty(), "nothing was taken: {listed:#?}");
}

fn bad_specs() -> Vec<(&'static str, JobSpec)> {
    let long = "n".repeat(5_000);
    let at = |path: &str| sh("true").file(path, inline("x")).job();
    let mut unnamed_pair = step("s", [sh("true"), sh("true")]);
    unnamed_pair.commands.truncate(2);
    let mut nul = cmd(["true"]);
    nul.0.argv.push(Bytes::from_static(b"a\0b"));
    let cycle = job([after(&["b"], sh("true").step("a")), after(&["a"], sh("true").step("b"))]);
    let both_inputs = [cmd(["true"]).name("a"), cmd(["cat"]).name("b").stdin(inline("x"))];
    let many = (0..65).map(|n| sh("true").step(&format!("s{n}")));
    vec![
        ("steps", JobSpec::default()),
        ("steps", job(many)),
        ("argv", cmd::<&str>([]).job()),
        ("argv", cmd([""]).job()),
        ("argv", nul.job()),
        ("argv", cmd(["true", &"x".repeat(200_000)]).job()),
        ("cwd", sh("true").cwd("relative").job()),
        ("cwd", sh("true").cwd("/work/../etc").job()),
        ("env", sh("true").env("", "no name").job()),
        ("env", sh("true").env("A=B", "x").job()),
        ("env", sh("true").env("NUL", "a\0b").job()),
        ("files_in[0].path", at("relative")),
        ("files_in[0].path", at("/work/../etc/passwd")),
        ("files_in[0].path", at("/etc/passwd")),
        ("files_in[0].path", at("/work")),
        ("files_in[0].path", at("/work/a/./b")),
        ("files_in[0].path", at("/work/nul\0")),
        ("files_in[0].path", at(&format!("/work/{long}"))),
        ("files_out[0].path", sh("true").wants("/root/.ssh/id_rsa").job()),
        ("files_out[0].path", sh("true").wants("/work/../../etc/shadow").job()),
        ("files_in", (0..241).fold(sh("true"), |c, n| c.file(&format!("/work/{n}"), inline("x"))).job()),
        ("steps[0].name", sh("true").step("").into_job()),
        ("steps[0].name", sh("true").step(&long).into_job()),
        ("steps[0].name", sh("true").step("Upper Case").into_job()),
        ("name", job([sh("true").step("same"), sh("true").step("same")])),
        ("name", job([unnamed_pair])),
        ("needs", job([after(&["nobody"], sh("true").step("a"))])),
        ("needs", cycle),
        ("needs", job([after(&["self"], sh("true").step("self"))])),
        ("pipes", job([piped(step("s", [sh("true").name("a")]), &[("a", "nowhere")])])),
        ("pipes", job([piped(step("s", [sh("true").name("a")]), &[("nowhere", "a")])])),
        ("stdin", job([piped(step("s", both_inputs), &[("a", "b")])])),
        ("stdin", job([sh("true").step("a"), sh("cat").stdin(stdout_of("a")).step("b")])),
        (
            "stdin",
            job([
                sh("true").step("a"),
                after(&["a"], sh("cat").stdin(file_of("a", "/work/unasked")).step("b")),
            ]),
        ),
        ("stdin", sh("cat").stdin(blob("blake3:short")).job()),
        ("stdin", sh("cat").stdin(inline(vec![b'x'; (1 << 20) + 1])).job()),
        ("image", sh("true").image("../host").job()),
        ("profile", sh("true").profile("none").job()),
        ("labels", labelled(sh("true").job(), &long, "x")),
        ("labels", labelled(sh("true").job(), "x", &long)),
        ("priority", JobSpec { priority: 99, ..sh("true").job() }),
    ]
}

trait IntoJob {
    fn into_job(self) -> JobSpec;
}

impl IntoJob for kiln_proto::v1::Step {
    fn into_job(self) -> JobSpec {
        job([self])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_refuses_zero_overflow_and_what_is_over_the_policy() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    type Set = fn(&mut Limits, u64);
    let limits: [(&str, Set); 11] = [
        ("cpu_ms", |l, v| l.cpu_ms = Some(v)),
        ("wall_ms", |l, v| l.wall_ms = Some(v)),
        ("memory_bytes", |l, v| l.memory_bytes = Some(v)),
        ("pids", |l, v| l.pids = Some(v)),
        ("output_bytes", |l, v| l.output_bytes = Some(v)),
        ("file_size_bytes", |l, v| l.file_size_bytes = Some(v)),
        ("disk_bytes", |l, v| l.disk_bytes = Some(v)),
        ("inodes", |l, v| l.inodes = Some(v)),
        ("open_files", |l, v| l.open_files = Some(v)),
        ("stack_bytes", |l, v| l.stack_bytes = Some(v)),
        ("cpu_rate_millis", |l, v| l.cpu_rate_millis = Some(v)),
    ];
    for (name, set) in limits {
        for value in [0, u64::MAX, i64::MAX as u64, 1 << 62] {
            let spec = sh("true").limits(|limits| set(limits, value)).job();
            for status in refusals(&api, spec).await {
                assert_names_field(&status, name);
                assert!(
                    status.message().contains(name),
                    "the message names the field: {}",
                    describe(&status)
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_violations_are_told_at_once() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let spec = cmd::<&str>([]).cwd("relative").profile("none").limits(|limits| limits.cpu_ms = Some(0)).job();
    for status in refusals(&api, spec).await {
        for field in ["argv", "cwd", "profile", "cpu_ms"] {
            assert_names_field(&status, field);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_policy_is_the_maximum() {
    let place = Place::new();
    let options = Options::default()
        .config("[limits.maximum]\nmemory = \"64MiB\"\n[limits.default]\nmemory = \"32MiB\"");
    let _server = Service::server(&place, &options);
    let api = Api::connect(&place.address()).await;
    let over = sh("true").limits(|limits| limits.memory_bytes = Some((64 << 20) + 1)).job();
    for status in refusals(&api, over).await {
        assert_names_field(&status, "memory_bytes");
        assert!(describe(&status).contains("64"), "what is allowed is told: {}", describe(&status));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_images_and_blobs_are_told() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let nowhere = digest(b"never stored");
    for image in ["nobody", &nowhere] {
        for status in refusals(&api, sh("true").image(image).job()).await {
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::NotFound, "UNKNOWN_IMAGE"),
                "{status:?}"
            );
        }
    }
    for spec in [sh("cat").stdin(blob(&nowhere)).job(), sh("true").file("/work/x", blob(&nowhere)).job()] {
        for status in refusals(&api, spec).await {
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::NotFound, "UNKNOWN_BLOB"),
                "{status:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_spec_and_a_bad_key_are_told() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let absent = SubmitRequest { spec: None, idempotency_key: String::new() };
    assert_names_field(&api.jobs.clone().submit(absent).await.expect_err("no spec"), "steps");
    let request = SubmitRequest { spec: Some(sh("true").job()), idempotency_key: "k".repeat(129) };
    assert_names_field(&api.jobs.clone().submit(request).await.expect_err("a long key"), "idempotency_key");
}
