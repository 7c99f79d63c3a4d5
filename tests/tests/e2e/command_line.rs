//! What the command line prints: JSON of a stable shape, lists, live watching, help.

use kiln_tests::cli::kiln;
use kiln_tests::service::{Options, Place, Up};
use serde_json::Value;

#[track_caller]
fn at<'value>(value: &'value Value, pointer: &str) -> &'value Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

#[test]
fn run_json_is_one_object_of_the_promised_shape() {
    let said = kiln(["run", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]).said().exits(3);
    let value = said.json();
    assert_eq!(at(&value, "/outcome/kind"), "exited");
    assert_eq!(at(&value, "/outcome/code"), 3);
    assert!(at(&value, "/outcome/evidence").is_object());
    assert_eq!(
        (at(&value, "/stdout"), at(&value, "/stderr")),
        (&Value::from("out\n"), &Value::from("err\n"))
    );
    for field in ["cpu_user_us", "cpu_system_us", "wall_us", "peak_memory_bytes"] {
        assert!(at(&value, &format!("/usage/{field}")).is_u64(), "{field}: {value:#}");
    }
    assert!(at(&value, "/steps").is_array());
    assert!(said.stderr.is_empty(), "nothing beside the object: {said}");
}

#[test]
fn each_kind_of_outcome_has_its_words_in_json() {
    let json = |words: &[&str]| kiln([&["run", "--json"], words].concat()).said().json();
    let value = json(&["--", "sh", "-c", "kill -ABRT $$"]);
    assert_eq!(
        (at(&value, "/outcome/kind"), at(&value, "/outcome/signal")),
        (&Value::from("signalled"), &Value::from(6))
    );
    let value = json(&["--wall", "200ms", "--", "sleep", "9"]);
    assert_eq!(
        (at(&value, "/outcome/kind"), at(&value, "/outcome/limit")),
        (&Value::from("limit"), &Value::from("wall"))
    );
    assert!(
        at(&value, "/outcome/evidence/busy_millis").as_u64().is_some_and(|busy| busy < 200),
        "idle: {value:#}"
    );
}

#[test]
fn output_that_is_not_text_is_base64() {
    let value = kiln(["run", "--json", "--", "printf", "\\377\\376"]).said().exits(0).json();
    assert_eq!(at(&value, "/stdout_base64"), "//4=");
    assert!(value.get("stdout").is_none(), "one of both: {value:#}");
    assert_eq!(at(&value, "/stderr"), "");
}

#[test]
fn a_usage_table_comes_on_stderr_and_no_spinner_on_a_pipe() {
    let said = kiln(["run", "--", "echo", "x"]).said().exits(0);
    assert_eq!(said.text(), "x\n");
    let table = said.stderr.to_lowercase();
    assert!(["cpu", "wall", "memory"].iter().all(|word| table.contains(word)), "{said}");
    assert!(!said.stderr.contains('\u{1b}') && !said.stderr.contains('\r'), "no terminal codes: {said}");
}

#[test]
fn submit_get_watch_list_and_cancel_work_together() {
    let up = Up::start(&Options::default());
    let call = |words: &[&str]| kiln(words).server(&up.address()).said();
    let place = Place::new();
    let path = place.write("hello.py", "print('from a file')");
    let submitted = call(&["submit", "--json", path.to_str().expect("ASCII")]).exits(0).json();
    let id = at(&submitted, "/job_id").as_str().expect("text").to_owned();
    let watched = call(&["watch", &id]).exits(0);
    assert!(watched.text().contains("from a file"), "{watched}");
    let got = call(&["get", "--json", &id]).exits(0).json();
    assert_eq!((at(&got, "/state"), at(&got, "/verdict")), (&Value::from("done"), &Value::from("succeeded")));
    assert_eq!(at(&got, "/id"), &Value::from(id.clone()));
    let listed = call(&["list", "--json"]).exits(0);
    assert!(listed.text().contains(&id), "{listed}");
    let slow = call(&["submit", "--json", "--wall", "10m", "--", "sleep", "500"]).exits(0).json();
    let slow = at(&slow, "/job_id").as_str().expect("text").to_owned();
    call(&["cancel", &slow]).exits(0);
    let got = call(&["get", "--json", &slow]).exits(0).json();
    assert_eq!(at(&got, "/verdict"), "cancelled", "{got:#}");
}

#[test]
fn submit_can_wait() {
    let up = Up::start(&Options::default());
    let said =
        kiln(["submit", "--wait", "--json", "--", "echo", "waited"]).server(&up.address()).said().exits(0);
    assert!(said.text().contains("waited"), "{said}");
}

#[test]
fn languages_are_listed_with_versions() {
    let said = kiln(["languages", "--json"]).said().exits(0);
    let value = said.json();
    let all = at(&value, "/languages").as_array().expect("a list");
    for name in ["c", "cpp", "python", "perl", "bash", "java", "javascript"] {
        let entry =
            all.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name}: {said}"));
        assert!(entry["version"].as_str().is_some_and(|version| !version.is_empty()), "{entry}");
    }
    assert!(kiln(["languages"]).said().exits(0).text().contains("Python 3"), "versions are shown");
}

#[test]
fn doctor_says_what_this_host_has() {
    let said = kiln(["doctor", "--json"]).said().exits(0);
    let text = said.json().to_string().to_lowercase();
    for word in ["cgroup", "landlock", "seccomp", "overlay", "namespace"] {
        assert!(text.contains(word), "{word}: {said}");
    }
    let table = kiln(["doctor"]).said().exits(0);
    assert!(table.text().lines().count() > 5, "{table}");
}

#[test]
fn help_and_version_are_there_for_every_command() {
    let version = kiln(["--version"]).said().exits(0);
    assert!(version.text().contains(env!("CARGO_PKG_VERSION")), "{version}");
    for command in [
        "up",
        "server",
        "worker",
        "run",
        "submit",
        "get",
        "watch",
        "list",
        "cancel",
        "image",
        "doctor",
        "languages",
        "config",
        "bench",
    ] {
        let said = kiln([command, "--help"]).said().exits(0);
        assert!(said.text().contains("Usage"), "{said}");
    }
}
