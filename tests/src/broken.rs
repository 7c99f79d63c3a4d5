//! A kernel of which one part is broken, for a program and everything that it starts: see tests/tracer/broken.c.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The tracer, compiled on first use into the directory of the test that needs it.
pub fn compile(into: &Path) -> PathBuf {
    compile_helper("broken", into)
}

/// A C helper of `tests/tracer/`, which runs on the host as root and never in a sandbox.
pub fn compile_helper(name: &str, into: &Path) -> PathBuf {
    let source = crate::binary::repository().join(format!("tests/tracer/{name}.c"));
    let program = into.join(name);
    let said = Command::new("gcc")
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(&source)
        .output()
        .expect("gcc is required: tests/run installs it");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    program
}
