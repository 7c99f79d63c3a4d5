//! What is promised is tried: every row that must have a test has one, every case runs in the suite or in `kiln attack`.

use std::fs;

use kiln_tests::binary::repository;

/// Rows that must be tried through the whole service with oracles of their own.
const REQUIRED: &[&str] = &[
    "a1", "a2", "a4", "a5", "a10", "a12", "a13", "a14", "a15", "b1", "b2", "b5", "b8", "b9", "c1", "c2",
    "c3", "c6", "c9", "c11",
];
/// Cases in `worker/attacks/cases` at least.
const CASES: usize = 150;

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

/// Rows of the catalogue's lists without numbers.
const LISTS: [&str; 2] = ["D", "E"];

#[test]
fn every_row_of_the_catalogue_has_its_line() {
    let text = fs::read_to_string(repository().join("docs/past-escapes.md")).expect("docs/past-escapes.md");
    let counted = kiln_attacks::Row::counted().map(|row| row.to_string());
    for row in counted.chain(LISTS.map(str::to_owned)) {
        let begin = format!("| {row} |");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&begin)).collect();
        assert_eq!(lines.len(), 1, "row {row} has one line");
        let absent = kiln_attacks::absent_features().any(|absent| absent.row.to_string() == row);
        let held = lines[0].contains('`') && lines[0].split('|').count() == 7;
        assert!(held || absent, "row {row} names nothing that holds it: {}", lines[0]);
    }
}

#[test]
fn every_case_that_the_line_of_a_row_names_exists() {
    let text = fs::read_to_string(repository().join("docs/past-escapes.md")).expect("docs/past-escapes.md");
    let clients: String = ["clients", "archives"]
        .map(|folder| repository().join("client/cli/src/attack").join(folder).join("mod.rs"))
        .map(|path| fs::read_to_string(path).expect("hostile clients"))
        .concat();
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let names = rows.flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_case =
        |name: &&str| name.split('-').next().is_some_and(|row| row.parse::<kiln_attacks::Row>().is_ok());
    let cases: Vec<&str> = names.filter(is_case).collect();
    assert!(cases.len() >= CASES, "{} cases are named", cases.len());
    for name in cases {
        let exists = kiln_attacks::named(name).is_some() || clients.contains(&format!("\"{name}\""));
        assert!(exists, "docs/past-escapes.md names {name}, which is no case");
    }
}
