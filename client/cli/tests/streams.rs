//! The binary at the edges of its own streams and files: readers that go away, pipes as inputs, files brought back.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// 128 + SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// `kiln WORDS...` in a directory of its own, with temporary files of its own.
fn kiln(place: &TempDir, words: &[&str]) -> Command {
    let temporary = place.path().join("tmp");
    fs::create_dir_all(&temporary).expect("the directory is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    for name in ["KILN_SERVER", "KILN_CONFIG", "KILN_DATA_DIR", "KILN_LISTEN", "KILN_SLOTS"] {
        command.env_remove(name);
    }
    command.args(words).current_dir(place.path()).env("TMPDIR", temporary);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn place() -> TempDir {
    tempfile::Builder::new().prefix("kiln-streams-").tempdir().expect("a temporary directory")
}

fn left_in(place: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(place.path().join("tmp")).expect("the directory is there");
    entries.map(|entry| entry.expect("readable").file_name().display().to_string()).collect()
}

/// Exit status and what was said on stderr.
fn end(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (child.wait().expect("our own child").code(), said)
}

#[test]
fn a_reader_that_went_away_ends_a_command_quietly() {
    let place = place();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = kiln(&place, &["config", "print"]).stdout(writer).spawn().expect("kiln starts");
    assert_eq!(end(child), (Some(CLOSED_PIPE), String::new()));
}

#[test]
fn a_reader_that_goes_away_ends_the_run_and_leaves_nothing() {
    let place = place();
    let mut child =
        kiln(&place, &["run", "--output", "1G", "--wall", "10m", "--", "yes"]).spawn().expect("kiln starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "y");
    drop(lines);
    assert_eq!(end(child), (Some(CLOSED_PIPE), String::new()));
    assert_eq!(left_in(&place), Vec::<String>::new());
}

#[test]
fn files_come_back_beside_us_with_content_and_mode() {
    let place = place();
    let script = "head -c 200000 /dev/zero | tr '\\0' x > big; printf '#!/bin/sh\\n' > tool; chmod +x tool";
    let words = ["run", "--out", "big", "--out", "/work/tool:here", "--", "sh", "-c", script];
    let (status, said) = end(kiln(&place, &words).spawn().expect("kiln starts"));
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(fs::read(place.path().join("big")).expect("it came back"), vec![b'x'; 200_000]);
    let mode = fs::metadata(place.path().join("here")).expect("it came back").permissions().mode();
    assert!(mode & 0o100 != 0, "{mode:o}");
    assert_eq!(left_in(&place), Vec::<String>::new());
}

#[test]
fn a_pipe_can_be_an_input_file_however_large() {
    let place = place();
    let pipe = place.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());
    for size in [3, 2 << 20] {
        let writer = write_into(&pipe, size);
        let words = ["run", "--stdin", "pipe", "--", "wc", "-c"];
        let output = kiln(&place, &words).output().expect("kiln starts");
        writer.join().expect("it wrote");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), size.to_string());
    }
}

/// Opening a FIFO blocks until its reader is there, so it takes a thread.
fn write_into(pipe: &Path, size: usize) -> std::thread::JoinHandle<()> {
    let pipe = pipe.to_owned();
    std::thread::spawn(move || fs::write(pipe, vec![b'x'; size]).expect("somebody reads"))
}

#[test]
fn a_signal_ends_a_bench_without_leaving_anything() {
    let place = place();
    let words = ["bench", "--seconds", "1"];
    let mut child = kiln(&place, &words).spawn().expect("kiln starts");
    let mut notes = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(notes.any(|line| line.expect("text").contains("over gRPC")), "it gets to the part with a server");
    assert!(!running_in(&place).is_empty(), "its services are there");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our own child");
    let rest: Vec<_> = notes.map(|line| line.expect("text")).collect();
    assert_eq!(child.wait().expect("our own child").code(), Some(130), "{rest:?}");
    assert_eq!(left_in(&place), Vec::<String>::new());
    assert_eq!(running_in(&place), Vec::<String>::new());
}

/// Command lines of processes that work in our directory: the bench's services do, as it does itself.
fn running_in(place: &TempDir) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("it is mounted").flatten().map(|entry| entry.path());
    let ours =
        processes.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == place.path()));
    ours.map(|process| fs::read_to_string(process.join("cmdline")).unwrap_or_default()).collect()
}

/// Every part of it: the last one makes sandboxes in which something is left out on purpose.
#[test]
fn a_bench_measures_every_case_to_its_end() {
    let place = place();
    let words =
        ["--json", "bench", "--full", "--seconds", "1", "--runs", "2", "--large", "1MiB", "--idle", "0"];
    let output = kiln(&place, &words).args(["--plot", "plot.svg"]).output().expect("kiln starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lengths = ["rows", "phases", "filters"].map(|part| report[part].as_array().map_or(0, Vec::len));
    assert!(lengths.into_iter().all(|length| length > 0), "{report}");
    let targets = report["targets"].as_array().expect("targets");
    assert_eq!(targets.len(), 16, "{targets:?}");
    // What needs another sandbox, and what others on this host may make unknown.
    let may_be_missing = ["bwrap", "a ready sandbox"];
    for target in targets {
        let what = target["what"].as_str().expect("a name");
        let measured = target["verdict"] != "not_measured";
        assert!(measured || may_be_missing.iter().any(|name| what.contains(name)), "{target}");
    }
    assert!(fs::read_to_string(place.path().join("plot.svg")).expect("it was drawn").starts_with("<svg"));
    assert_eq!(left_in(&place), Vec::<String>::new());
}
