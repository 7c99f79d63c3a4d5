//! Where the binary under test and the repository are.

use std::path::{Path, PathBuf};

/// The `kiln` binary beside the running test executable: `target/PROFILE/deps/SUITE-HASH` -> `target/PROFILE/kiln`.
///
/// It is never built from here: `tests/run` (or `cargo build --workspace --bins`) does that once.
pub fn kiln() -> PathBuf {
    let test = std::env::current_exe().expect("/proc is mounted");
    let profile = test.parent().and_then(Path::parent).expect("a test lives in target/PROFILE/deps");
    let kiln = profile.join("kiln");
    assert!(
        kiln.is_file(),
        "{} is missing: run tests/run, or `cargo build --workspace --bins` first",
        kiln.display()
    );
    kiln
}

/// The root of the work tree.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent")
}

/// Where cargo builds, e.g. for the foreign client's Python environment made by `tests/run`.
pub fn target() -> PathBuf {
    kiln().ancestors().nth(2).expect("target/PROFILE/kiln").to_owned()
}
