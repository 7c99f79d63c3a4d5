//! Who may depend on whom, and where `unsafe` may stand: held over `cargo metadata` and the sources themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use kiln_tests::binary::repository;

/// For each crate, the crates of ours that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("kiln-proto", &[]),
    ("kiln-archive", &[]),
    ("kiln-jail", &[]),
    ("kiln-attacks", &["kiln-proto"]),
    ("kiln-server", &["kiln-proto", "kiln-archive"]),
    ("kiln-worker", &["kiln-proto", "kiln-archive", "kiln-jail", "kiln-attacks"]),
    ("kiln-client", &["kiln-proto"]),
    (
        "kiln",
        &[
            "kiln-proto",
            "kiln-archive",
            "kiln-jail",
            "kiln-attacks",
            "kiln-server",
            "kiln-worker",
            "kiln-client",
        ],
    ),
    (
        "kiln-tests",
        &[
            "kiln-proto",
            "kiln-client",
            "kiln-server",
            "kiln-worker",
            "kiln-jail",
            "kiln-attacks",
            "kiln-archive",
        ],
    ),
];

/// What the jail's dependency tree must not contain: it is small, single-threaded and starts nothing.
const NOT_IN_THE_JAIL: &[&str] = &["tokio", "tonic", "prost", "hyper", "futures-util", "mio", "rayon"];

#[test]
fn crates_depend_on_each_other_only_in_the_allowed_directions() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} has no row here: say what it may know"));
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Build) {
            let known = allowed.contains_key(dependency.name.as_str());
            assert!(
                !known || may.contains(&dependency.name.as_str()),
                "{name} must not know {}",
                dependency.name
            );
        }
    }
}

#[test]
fn the_jail_has_no_async_runtime_and_no_grpc() {
    let tree = normal_dependencies(&metadata(), "kiln-jail");
    assert!(tree.contains("rustix"), "the tree is read rightly: {tree:?}");
    for name in NOT_IN_THE_JAIL {
        assert!(!tree.contains(*name), "kiln-jail depends on {name}: {tree:?}");
    }
}

#[test]
fn the_proto_crate_does_no_io() {
    let tree = normal_dependencies(&metadata(), "kiln-proto");
    for name in ["rusqlite", "nix", "tempfile"] {
        assert!(!tree.contains(name), "kiln-proto depends on {name}");
    }
}

#[test]
fn no_crate_depends_on_openssl() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let tree = normal_dependencies(&metadata, &package.name);
        let found: Vec<_> =
            tree.iter().filter(|name| name.starts_with("openssl") || *name == "native-tls").collect();
        assert!(found.is_empty(), "{} depends on {found:?}", package.name);
    }
}

#[test]
fn unsafe_stands_only_in_the_jails_sys() {
    let sys = repository().join("worker/jail/src/sys");
    let mut seen_in_sys = 0;
    for path in rust_files(repository()) {
        let text = fs::read_to_string(&path).expect("a source file");
        let count = text.lines().filter(|line| has_unsafe_code(line)).count();
        if path.starts_with(&sys) || path == sys.with_extension("rs") {
            seen_in_sys += count;
        } else {
            assert_eq!(count, 0, "{} has unsafe code", path.display());
        }
    }
    assert!(seen_in_sys > 0, "the search finds what is there");
}

#[test]
fn every_crate_but_the_jail_forbids_unsafe_code() {
    let root = fs::read_to_string(repository().join("Cargo.toml")).expect("Cargo.toml");
    assert!(root.contains("unsafe_code = \"forbid\""), "the workspace forbids unsafe code");
    for package in metadata().workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest");
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert!(inherits || package.name == "kiln-jail", "{} does not inherit the lints", package.name);
    }
}

#[test]
fn no_file_is_longer_than_seven_hundred_lines() {
    for path in rust_files(repository()) {
        let lines = fs::read_to_string(&path).expect("a source file").lines().count();
        assert!(lines <= 700, "{} has {lines} lines: split it", path.display());
    }
}

fn metadata() -> Metadata {
    // Of this platform only: what others need was never downloaded.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--locked", "--offline", "--filter-platform", &platform];
    MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        .other_options(options.map(str::to_owned).to_vec())
        .exec()
        .expect("cargo metadata")
}

/// Names of everything that a package needs when it is used, not when it is tested or built.
fn normal_dependencies(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("metadata with dependencies");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start =
        metadata.packages.iter().find(|package| package.name == name).expect("a package of the workspace");
    let mut open = vec![&start.id];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let normal =
            |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|k| k.kind == DependencyKind::Normal);
        open.extend(nodes[id].deps.iter().filter(|dep| normal(&dep.dep_kinds)).map(|dep| &dep.pkg));
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory of the work tree").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                open.push(entry.path());
            } else if name.ends_with(".rs") {
                found.push(entry.path());
            }
        }
    }
    found
}

/// A line of code, not of comment, that opens an unsafe block or declares something unsafe.
fn has_unsafe_code(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe(", "unsafe trait"]
        .iter()
        .any(|form| code.contains(form) && !code.contains(&format!("\"{form}")))
}
