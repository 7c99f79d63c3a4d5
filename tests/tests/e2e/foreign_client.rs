//! A client that is not ours: Python with `grpcio`, its code generated from `proto/`, gets what our own clients get.

use std::path::PathBuf;
use std::process::Command;

use kiln_tests::api::Api;
use kiln_tests::binary::{repository, target};
use kiln_tests::service::{Options, Place, Service};
use kiln_tests::spec::c_job;
use kiln_tests::verdict::{stdout, step};
use serde_json::Value;

const SOURCE: &str = "#include <stdio.h>\nint main(void){ int n=0,s=0; while(scanf(\"%d\",&n)==1) s+=n; printf(\"sum %d\\n\", s); return 4; }";

#[tokio::test(flavor = "multi_thread")]
async fn python_runs_and_submits_the_same_job_with_the_same_result() {
    let place = Place::new();
    let listen = format!("[server]\nlisten = [\"{}\", \"tcp:127.0.0.1:0\"]", place.address());
    let server = Service::server(&place, &Options::default().config(&listen));
    let _first = Service::worker(&place, "first", &Options::slots(1));
    let _second = Service::worker(&place, "second", &Options::slots(1));
    let api = Api::connect(&place.address()).await;
    let ours = api.run(c_job(SOURCE, |run| run.stdin(kiln_tests::spec::inline("1 2 3 4")))).await.job;
    let expected = stdout(&step(&ours, "run").commands[0]);
    assert_eq!(expected, "sum 10\n");
    generate_stubs(&place);
    for address in [place.address(), loopback(&server)] {
        let said = python_client(&place, &address);
        for way in ["run", "submit"] {
            let result = &said[way];
            assert_eq!(
                (&result["stdout"], &result["code"]),
                (&Value::from(expected.clone()), &Value::from(4)),
                "{said:#}"
            );
            assert_eq!(result["verdict"], "JOB_VERDICT_FAILED", "exit 4 is a failure: {said:#}");
        }
        assert_eq!(said["refused"]["code"], "INVALID_ARGUMENT", "{said:#}");
        assert_eq!(said["refused"]["reason"], "INVALID_JOB", "{said:#}");
    }
}

/// The port that the server chose, from its ready line.
fn loopback(server: &Service) -> String {
    let log = server.log().join("\n");
    let port = log.split("127.0.0.1:").nth(1).unwrap_or_else(|| panic!("no port in {log}"));
    format!("127.0.0.1:{}", port.chars().take_while(char::is_ascii_digit).collect::<String>())
}

fn generate_stubs(place: &Place) {
    let generated = place.path("generated");
    std::fs::create_dir(&generated).expect("a new directory");
    let proto = repository().join("proto/proto");
    let mut protoc = Command::new(python());
    protoc.args(["-m", "grpc_tools.protoc"]).arg(format!("-I{}", proto.display()));
    protoc
        .arg(format!("--python_out={}", generated.display()))
        .arg(format!("--grpc_python_out={}", generated.display()));
    protoc.args(["job", "jobs", "blobs", "images", "fleet"].map(|name| format!("kiln/v1/{name}.proto")));
    let made = protoc.output().expect("start python");
    assert!(made.status.success(), "protoc: {}", String::from_utf8_lossy(&made.stderr));
}

/// Runs `tests/foreign/client.py` against a server.
fn python_client(place: &Place, address: &str) -> Value {
    let script = repository().join("tests/foreign/client.py");
    let mut client = Command::new(python());
    client.arg(script).arg(address).arg(SOURCE).env("PYTHONPATH", place.path("generated"));
    let said = client.output().expect("start python");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{text}\n{errors}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{errors}"))
}

/// The environment that `tests/run` makes; its absence is a failure, not a reason to skip.
fn python() -> PathBuf {
    let python = std::env::var_os("KILN_TEST_PYTHON")
        .map_or_else(|| target().join("python/bin/python3"), PathBuf::from);
    assert!(python.exists(), "{} is missing: tests/run makes it", python.display());
    python
}
