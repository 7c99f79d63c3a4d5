//! Every example runs in its language and prints what it should; languages that this host lacks are counted, not skipped
//! silently.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_tests::binary::repository;
use kiln_tests::cli::kiln;
use kiln_tests::service::{Languages, Options, Up};

/// Without these this is no machine to test Kiln on: `tests/run` installs them.
const REQUIRED: &[&str] = &["bash", "c", "cpp", "java", "javascript", "perl", "python", "rust"];

/// One folder below `examples/`, named after its language.
struct Example {
    language: String,
    program: PathBuf,
    input: Vec<u8>,
    expected: String,
}

#[test]
fn every_language_found_here_runs_its_example_and_the_required_ones_are_found() {
    let up = Up::start(&Options { languages: Languages::Probed, ..Options::default() });
    let found = languages();
    let mut ran = BTreeSet::new();
    for example in examples() {
        if !found.contains(&example.language) {
            eprintln!("not on this host: {}", example.language);
            continue;
        }
        let path = example.program.to_str().expect("ASCII").to_owned();
        for server in [None, Some(up.address())] {
            let call = kiln(["run", &path]).stdin(example.input.clone());
            let said = match &server {
                Some(address) => call.server(address).said(),
                None => call.said(),
            };
            assert_eq!(said.text(), example.expected, "{}: {said}", example.language);
            assert_eq!(said.code, 0, "{said}");
        }
        ran.insert(example.language);
    }
    let missing: Vec<_> = REQUIRED.iter().filter(|name| !ran.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} did not run; ran {ran:?}, found {found:?}");
}

#[test]
fn every_language_of_an_example_is_one_that_kiln_knows() {
    let table = kiln(["languages", "--all", "--json"]).said();
    let known = table.text();
    for example in examples() {
        assert!(known.contains(&format!("\"{}\"", example.language)), "{}: {table}", example.language);
    }
}

/// What `kiln languages` finds on this host.
fn languages() -> BTreeSet<String> {
    let value = kiln(["languages", "--json"]).said().exits(0).json();
    let found =
        |entry: &serde_json::Value| entry["version"].as_str().is_some_and(|version| !version.is_empty());
    let entries = value["languages"].as_array().expect("a list").iter().filter(|entry| found(entry));
    entries.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect()
}

fn examples() -> Vec<Example> {
    let folders = fs::read_dir(repository().join("examples")).expect("examples/ is part of the project");
    let mut examples: Vec<Example> = folders.flatten().filter_map(|folder| example(&folder.path())).collect();
    examples.sort_by(|a, b| a.language.cmp(&b.language));
    assert!(examples.len() >= REQUIRED.len(), "examples/ has {}", examples.len());
    examples
}

/// A folder with `expected.txt` is an example: one program, and `input.txt` when it reads something.
fn example(folder: &Path) -> Option<Example> {
    let expected = fs::read_to_string(folder.join("expected.txt")).ok()?;
    let programs: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !is_text(path))
        .collect();
    assert_eq!(programs.len(), 1, "{} holds one program: {programs:?}", folder.display());
    Some(Example {
        language: folder.file_name()?.to_str()?.to_owned(),
        program: programs[0].clone(),
        input: fs::read(folder.join("input.txt")).unwrap_or_default(),
        expected,
    })
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "txt" || ending == "md")
}
