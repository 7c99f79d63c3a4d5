//! Every hostile program says what it is about and is really used; every row that is promised has its test.

use std::fs;

use kiln_tests::binary::repository;
use kiln_tests::hostile;

/// Rows that must be tried through the whole service.
const REQUIRED: &[&str] = &[
    "a1", "a2", "a4", "a5", "a10", "a12", "a13", "a14", "a15", "b1", "b2", "b5", "b8", "b9", "c1", "c2",
    "c3", "c6", "c9", "c11",
];

fn suite() -> String {
    let folder = repository().join("tests/tests/escape");
    let files = fs::read_dir(folder).expect("this suite").flatten();
    files.map(|entry| fs::read_to_string(entry.path()).expect("source")).collect()
}

#[test]
fn every_hostile_program_says_what_it_tries_where_it_was_seen_and_what_must_happen() {
    for program in hostile::all() {
        let lines: Vec<&str> = program.source.lines().take(3).collect();
        for (line, word) in lines.iter().zip(["Tries:", "Seen:", "Must:"]) {
            let text = line.trim_start_matches(['/', '#', ' ']);
            assert!(text.starts_with(word) && text.len() > word.len() + 10, "{}: {line}", program.name);
        }
    }
}

#[test]
fn every_hostile_program_is_run() {
    let suite = suite();
    for program in hostile::all() {
        assert!(suite.contains(&format!("\"{}\"", program.name)), "{} is not run by any test", program.name);
    }
}

#[test]
fn every_required_row_has_a_test() {
    let suite = suite();
    for row in REQUIRED {
        assert!(suite.contains(&format!("fn {row}_")), "row {row} has no test");
    }
}
