//! Every test that the documents name as the keeper of a promise exists.
//!
//! A name is `suite::test` or `suite::module::test` in backticks: a function of that name below `tests/tests/SUITE`, or a
//! unit test `crate::path::test` in that crate's sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_tests::binary::repository;

const DOCUMENTS: &[&str] = &["docs/promises.md", "SECURITY.md", "docs/past-escapes.md"];

#[test]
fn every_test_named_in_the_documents_exists() {
    let tests = tests_by_name();
    for document in DOCUMENTS {
        let text = fs::read_to_string(repository().join(document))
            .unwrap_or_else(|error| panic!("{document}: {error}"));
        let names = named_tests(&text);
        assert!(names.len() >= 5, "{document} names the tests that keep its promises; found {names:?}");
        for name in names {
            let words: Vec<&str> = name.split("::").collect();
            let test = words.last().expect("a name");
            let files =
                tests.get(*test).unwrap_or_else(|| panic!("{document} names `{name}`, which is no test"));
            let fits = |file: &PathBuf| stands_in(file, words[0]);
            assert!(files.iter().any(fits), "{document}: `{name}` is not in {}: {files:?}", words[0]);
        }
    }
}

#[test]
fn every_promise_has_a_keeper() {
    let text = fs::read_to_string(repository().join("docs/promises.md")).expect("docs/promises.md");
    let rows = text.lines().filter(|line| line.starts_with('|') && !line.contains("---"));
    for row in rows.skip_while(|row| row.to_lowercase().contains("promise")) {
        assert!(row.contains('`'), "a promise without the test or bench that keeps it: {row}");
    }
}

/// Names of the form `a::b` in backticks whose last word looks like a test.
fn named_tests(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)).map(str::to_owned).collect()
}

fn is_test_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | ':' | '-');
    name.contains("::")
        && name.chars().all(plain)
        && name.rsplit("::").next().is_some_and(|test| test.contains('_'))
}

/// Whether a source file belongs to a suite or a crate of this name.
fn stands_in(file: &Path, name: &str) -> bool {
    let relative = file.strip_prefix(repository()).expect("below the work tree");
    let suite = relative.starts_with(format!("tests/tests/{name}"))
        || relative == Path::new(&format!("tests/tests/{name}.rs"));
    let folder = match name {
        "kiln_proto" | "proto" => "proto",
        "kiln_archive" | "archive" => "proto/archive",
        "kiln_jail" | "jail" => "worker/jail",
        "kiln_worker" | "worker" => "worker",
        "kiln_server" | "server" => "server",
        "kiln_client" | "client" => "client",
        "kiln" | "cli" => "client/cli",
        _ => return suite,
    };
    suite || relative.starts_with(folder)
}

/// Every function under `#[test]`, `#[tokio::test]` or in a proptest block, with the files it stands in.
fn tests_by_name() -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![repository().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory of the work tree").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                open.push(entry.path());
            } else if name.ends_with(".rs") {
                for test in tests_in(&fs::read_to_string(entry.path()).expect("source")) {
                    found.entry(test).or_default().push(entry.path());
                }
            }
        }
    }
    found
}

fn tests_in(source: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn ")) {
            if marked {
                tests.push(rest.split(['(', '<']).next().unwrap_or(rest).to_owned());
            }
            marked = false;
        }
    }
    tests
}
