//! `kiln run --learn`: a real program is recorded, runs under what was learnt, and what it did not do is refused. A hostile one
//! is held while it is recorded as in any run.

use std::path::Path;
use std::time::Instant;

use kiln_tests::cli::{Said, kiln};
use kiln_tests::service::{Options, Place, Up};
use serde_json::Value;

/// `kiln run WORDS`, in the place's directory.
fn run(place: &Place, words: &[&str]) -> Said {
    let words: Vec<&str> = [&["run"], words].concat();
    kiln(words).directory(place.path("")).said()
}

fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Everything that the rules of a policy allow.
fn allowed(policy: &Value) -> Vec<String> {
    let rules = policy["rules"].as_array().expect("rules");
    let allowing = rules.iter().filter(|rule| rule["answer"] == "allow");
    let calls = allowing.flat_map(|rule| rule["calls"].as_array().expect("calls"));
    calls.map(|call| call.as_str().expect("a name").to_owned()).collect()
}

const PYTHON: &str = "import sys, os, json\n\
    if len(sys.argv) > 1:\n    os.mkdir('/work/new')\n    print('made')\n\
    else:\n    print(json.dumps({'sum': sum(range(10))}))\n";

#[test]
fn a_python_program_is_learnt_runs_under_its_profile_and_a_call_outside_is_refused() {
    let place = Place::new();
    place.write("prog.py", PYTHON);
    let said = run(&place, &["--learn=own.json", "prog.py"]).exits(0);
    assert_eq!(said.text(), "{\"sum\": 45}\n", "it ran as ever: {said}");
    for word in ["openat", "allowed", "wrote own.json", "Review it", "[profiles.NAME]"] {
        assert!(said.stderr.contains(word), "{word}: {said}");
    }
    let policy = read_json(&place.path("own.json"));
    let calls = allowed(&policy);
    assert!(
        calls.iter().any(|call| call == "openat") && !calls.iter().any(|call| call == "mkdir"),
        "{policy:#}"
    );
    let reasons =
        policy["rules"].as_array().expect("rules").iter().map(|rule| rule["reason"].as_str().expect("one"));
    assert!(reasons.clone().all(|reason| !reason.is_empty()), "{policy:#}");
    assert!(reasons.clone().any(|reason| reason.contains("times while running `prog.py`")), "{policy:#}");

    let config = place.write("kiln.toml", "[profiles.own]\nfile = \"own.json\"\n");
    let config = config.to_str().expect("ASCII");
    kiln(["config", "check", "--config", config]).said().exits(0);
    let again = run(&place, &["--config", config, "--profile", "own", "prog.py"]).exits(0);
    assert_eq!(again.text(), "{\"sum\": 45}\n", "{again}");
    let outside = run(&place, &["--config", config, "--profile", "own", "prog.py", "mkdir"]).exits(1);
    assert!(outside.stderr.contains("Function not implemented"), "{outside}");
    assert_eq!(run(&place, &["prog.py", "mkdir"]).exits(0).text(), "made\n");
}

const C: &str = r#"#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int status;
    if (argc > 1) { perror(symlink("a", "/work/b") ? "symlink" : "linked"); return 0; }
    pid_t child = fork();
    if (child == 0) _exit(7);
    wait(&status);
    printf("child %d\n", WEXITSTATUS(status));
    return 3;
}
"#;

#[test]
fn a_compiled_program_is_learnt_without_its_compiler() {
    let place = Place::new();
    place.write("prog.c", C);
    let said = run(&place, &["--json", "--learn", "--profile", "strict", "prog.c"]).exits(3);
    let value = said.json();
    assert_eq!(value["stdout"], "child 7\n", "{value:#}");
    let learned = &value["learned"];
    assert_eq!(
        (learned["file"].as_str(), learned["unlisted"].as_u64()),
        (Some("kiln-profile.json"), Some(0))
    );
    let calls = learned["calls"].as_array().expect("calls");
    let waits = calls.iter().find(|call| call["call"] == "wait4").expect("it waits");
    assert_eq!((waits["count"].as_u64(), waits["answer"].as_str()), (Some(1), Some("allowed")), "{waits}");
    let policy = read_json(&place.path("kiln-profile.json"));
    let allowed = allowed(&policy);
    assert!(
        allowed.len() < 30 && !allowed.iter().any(|call| call == "unlink"),
        "not the compiler's: {policy:#}"
    );

    let config = place.write("kiln.toml", "[profiles.own]\nfile = \"kiln-profile.json\"\n");
    let config = config.to_str().expect("ASCII");
    let again = run(&place, &["--config", config, "--profile", "own", "prog.c"]).exits(3);
    assert_eq!(again.text(), "child 7\n");
    let outside = run(&place, &["--config", config, "--profile", "own", "prog.c", "x"]).exits(0);
    assert!(outside.stderr.contains("symlink: Function not implemented"), "{outside}");
}

#[test]
fn errors_of_the_profile_are_the_programs_and_are_told() {
    let place = Place::new();
    place.write(
        "prog.py",
        "import socket, os\ntry: socket.socket(socket.AF_INET)\nexcept OSError as e: print(e.errno)\n\
                            try: os.sync()\nexcept OSError as e: print(e.errno)\n",
    );
    let said = run(&place, &["--json", "--learn=p.json", "prog.py"]).exits(0);
    let value = said.json();
    assert_eq!(value["stdout"].as_str().map(|text| text.starts_with("97\n")), Some(true), "{value:#}");
    let calls = value["learned"]["calls"].as_array().expect("calls");
    let socket = calls.iter().find(|call| call["call"] == "socket" && call["answer"] == "failed");
    let socket = socket.unwrap_or_else(|| panic!("{value:#}"));
    assert_eq!(socket["errno"], 97);
    assert_eq!(socket["arguments"][0]["values"][0], 2, "AF_INET: {socket}");
}

#[test]
fn a_forbidden_call_ends_a_recorded_program_too_and_is_named() {
    let place = Place::new();
    place.write("prog.py", "import os\nprint('before', flush=True)\nos.chroot('/')\nprint('after')\n");
    let said = run(&place, &["--json", "--learn=p.json", "prog.py"]).exits(124);
    let value = said.json();
    assert_eq!(
        (value["outcome"]["kind"].as_str(), value["stdout"].as_str()),
        (Some("forbidden"), Some("before\n"))
    );
    assert_eq!(value["outcome"]["syscall"], "chroot");
    let calls = value["learned"]["calls"].as_array().expect("calls");
    assert!(calls.iter().any(|call| call["call"] == "chroot" && call["answer"] == "forbidden"), "{value:#}");
    let policy = read_json(&place.path("p.json"));
    assert!(policy["about"].as_str().expect("about").contains("did not come to its own end"), "{policy:#}");
    assert!(!allowed(&policy).iter().any(|call| call == "chroot"));
}

#[test]
fn limits_land_on_recorded_programs() {
    let place = Place::new();
    place.write("bomb.py", "import os\nwhile True:\n    os.fork()\n");
    place.write("busy.py", "import os\nwhile True:\n    os.getppid()\n");
    place.write("many.py", "import os\nfor n in range(3): os.fork()\nwhile True:\n    os.stat('/')\n");
    let limit = |words: &[&str]| {
        let value = run(&place, &[&["--json"], words].concat()).exits(124).json();
        value["outcome"]["limit"].as_str().unwrap_or_else(|| panic!("{value:#}")).to_owned()
    };
    assert_eq!(limit(&["--learn=1.json", "--pids", "16", "--wall", "20s", "bomb.py"]), "pids");
    for (file, program) in [("2.json", "busy.py"), ("3.json", "many.py")] {
        let learn = format!("--learn={file}");
        let began = Instant::now();
        assert_eq!(limit(&[&learn, "--wall", "2s", "--cpu", "60s", program]), "wall");
        let took = began.elapsed();
        assert!(took.as_secs() < 20, "calls without end do not stop the clock: {took:?}");
        assert_eq!(
            limit(&[&format!("--learn=cpu-{file}"), "--wall", "60s", "--cpu", "300ms", program]),
            "cpu"
        );
    }
}

#[test]
fn a_file_is_not_overwritten_and_a_server_is_not_asked() {
    let place = Place::new();
    place.write("prog.sh", "echo ran\n");
    place.write("p.json", "mine");
    let said = run(&place, &["--learn=p.json", "prog.sh"]).exits(2);
    assert!(said.stderr.contains("p.json exists already") && said.stdout.is_empty(), "{said}");
    assert_eq!(std::fs::read_to_string(place.path("p.json")).expect("it is there"), "mine");
    let said = run(&place, &["--server", "unix:/nowhere.sock", "--learn=q.json", "prog.sh"]).exits(2);
    assert!(said.stderr.contains("--learn") && said.stderr.contains("cannot use the server"), "{said}");
    let said = run(&place, &["--learn", "--explain", "prog.sh"]).exits(2);
    assert!(said.stderr.contains("cannot be used with"), "{said}");
    place.write("broken.c", "int main(void) { return }\n");
    let said = run(&place, &["--learn=r.json", "broken.c"]).exits(126);
    assert!(said.stderr.contains("nothing was learnt") && !place.path("r.json").exists(), "{said}");
}

/// A service's workers record nothing, whoever asks.
#[test]
fn with_a_running_service_learning_is_refused_before_anything_is_sent() {
    let up = Up::start(&Options::default());
    let place = Place::new();
    place.write("prog.sh", "echo ran\n");
    let words = ["run", "--learn=p.json", "prog.sh"];
    let said = kiln(words).directory(place.path("")).server(&up.address()).said().exits(2);
    assert!(said.stderr.contains("cannot use the server") && !place.path("p.json").exists(), "{said}");
}
