//! What is promised is tried: every row that must have a test has one, every case runs in the suite or in `kiln attack`.

use std::fs;

use kiln_tests::binary::repository;

/// Rows that must be tried through the whole service with oracles of their own.
const REQUIRED: &[&str] = &[
    "a1", "a2", "a4", "a5", "a10", "a12", "a13", "a14", "a15", "b1", "b2", "b5", "b8", "b9", "c1", "c2",
    "c3", "c6", "c9", "c11",
];
/// Cases in `worker/attacks/cases` at least.
const CASES: usize = 70;

fn suite() -> String {
    let folder = repository().join("tests/tests/escape");
    let files = fs::read_dir(folder).expect("this suite").flatten();
    files.map(|entry| fs::read_to_string(entry.path()).expect("source")).collect()
}

#[test]
fn every_required_row_has_a_test() {
    let suite = suite();
    for row in REQUIRED {
        assert!(suite.contains(&format!("fn {row}_")), "row {row} has no test");
    }
}

#[test]
fn no_case_is_lost() {
    let folder = repository().join("worker/attacks/cases");
    let files = fs::read_dir(folder).expect("the cases").flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending != "h")).count();
    let cases = kiln_attacks::all().len();
    assert_eq!(cases, files, "every file is embedded");
    assert!(cases >= CASES, "{cases} of {CASES}");
}
