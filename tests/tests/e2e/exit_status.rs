//! The exit status of `kiln run` tells how the program ended: every case of the README, with nothing set up.

use std::io::Read;
use std::time::Duration;

use kiln_tests::census::{eventually, family, groups_of, job_processes};
use kiln_tests::cli::{Said, kiln};
use kiln_tests::service::{Place, own_number};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_programs_own_status_and_output_come_through() {
    let said = kiln(["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).said().exits(7);
    assert_eq!(said.text(), "out\n");
    assert!(said.stderr.contains("err\n"), "{said}");
    kiln(["run", "--", "true"]).said().exits(0);
}

#[test]
fn a_signal_is_128_and_its_number() {
    kiln(["run", "--", "sh", "-c", "kill -SEGV $$"]).said().exits(128 + 11);
    kiln(["run", "--", "sh", "-c", "kill -TERM $$"]).said().exits(128 + 15);
}

#[test]
fn a_limit_is_124_and_says_which() {
    let said = kiln(["run", "--wall", "300ms", "--", "sleep", "60"]).said().exits(124);
    assert!(said.stderr.contains("wall"), "{said}");
    let said = kiln(["run", "--cpu", "200ms", "--", "sh", "-c", "while :; do :; done"]).said().exits(124);
    assert!(said.stderr.to_lowercase().contains("cpu"), "{said}");
    let hog = "x = b'x' * (200 << 20)";
    let said = kiln(["run", "--memory", "64M", "--", "python3", "-c", hog]).said().exits(124);
    assert!(said.stderr.contains("memory"), "{said}");
    let said = kiln(["run", "--output", "1K", "--", "yes"]).said().exits(124);
    assert!(said.stderr.contains("output"), "{said}");
}

#[test]
fn a_forbidden_call_is_124_and_names_it() {
    let place = Place::new();
    let source = "#include <sys/ptrace.h>\n#include <stdio.h>\nint main(void){ptrace(PTRACE_TRACEME,0,0,0); puts(\"traced\"); return 0;}";
    let path = place.write("tracer.c", source);
    let said = kiln(["run", path.to_str().expect("ASCII")]).said().exits(124);
    assert!(said.stderr.contains("ptrace"), "{said}");
    assert!(!said.text().contains("traced"), "{said}");
}

#[test]
fn a_failed_compilation_is_126_with_the_compilers_words() {
    let place = Place::new();
    let path = place.write("broken.cpp", "int main() { return undeclared_thing; }");
    let said = kiln(["run", path.to_str().expect("ASCII")]).said().exits(126);
    assert!(said.stderr.contains("undeclared_thing"), "{said}");
    assert!(said.stdout.is_empty(), "{said}");
}

#[test]
fn kilns_own_failure_is_125() {
    let nobody = "unix:/nonexistent/kiln.sock";
    let said = kiln(["run", "--", "true"]).server(nobody).said().exits(125);
    assert!(said.stderr.contains("/nonexistent/kiln.sock"), "{said}");
}

#[test]
fn wrong_usage_is_2() {
    kiln(["run"]).said().exits(2);
    kiln(["run", "--no-such-flag", "--", "true"]).said().exits(2);
    kiln(["run", "/no/such/file.py"]).said().exits(2);
    kiln(["no-such-command"]).said().exits(2);
    for (flag, value) in [
        ("--cpu", "0"),
        ("--memory", "-1"),
        ("--wall", "forever"),
        ("--pids", "0"),
        ("--memory", "99999999999G"),
    ] {
        let said = kiln(["run", &format!("{flag}={value}"), "--", "true"]).said().exits(2);
        assert!(said.stderr.contains(flag.trim_start_matches("--")), "it names the field: {said}");
    }
    let place = Place::new();
    let path = place.write("program.unknown-language", "?");
    let said = kiln(["run", path.to_str().expect("ASCII")]).said().exits(2);
    assert!(said.stderr.contains("language"), "{said}");
}

#[test]
fn ctrl_c_is_130_and_nothing_stays() {
    let duration = own_number(1);
    let script = format!("echo started; exec sleep {duration}");
    let (mut child, words) = kiln(["run", "--wall", "10m", "--", "sh", "-c", &script]).spawn();
    let mut first = [0; 8];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("live output");
    assert_eq!(&first, b"started\n");
    let members = family(child.id());
    kill_process(Pid::from_child(&child), Signal::INT).expect("our own child");
    let output = child.wait_with_output().expect("our own child");
    Said::of(words, output).exits(130);
    eventually("processes are gone", Duration::from_secs(10), || job_processes(&duration).is_empty());
    eventually("groups are gone", Duration::from_secs(10), || groups_of(&members).is_empty());
}

#[test]
fn stdin_is_passed_through() {
    let said = kiln(["run", "--", "cat"]).stdin("through\n").said().exits(0);
    assert_eq!(said.text(), "through\n");
    let large = vec![b'y'; 3 << 20];
    let said = kiln(["run", "--", "wc", "-c"]).stdin(large).said().exits(0);
    assert_eq!(said.text().trim(), "3145728");
}

#[test]
fn arguments_are_the_programs_own() {
    let place = Place::new();
    let path = place.write("arguments.py", "import sys; print(sys.argv[1:])");
    let said = kiln(["run", path.to_str().expect("ASCII"), "--cpu", "-x", "a b"]).said().exits(0);
    assert_eq!(said.text(), "['--cpu', '-x', 'a b']\n");
}
