//! Makes the program that `kiln bench --limits` runs in sandboxes. It needs a C compiler and no C library.

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "src/bench/limits/gauge.c";
const FLAGS: [&str; 9] = [
    "-O1",
    "-s",
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pie",
    "-no-pie",
    "-fno-tree-loop-distribute-patterns",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=CC");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("gauge");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(&compiler).args(FLAGS).arg("-o").arg(&out).arg(SOURCE).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{} does not compile {SOURCE}: {status}", compiler.display()),
        Err(error) => panic!("no C compiler: cannot start {} ({error}); set CC", compiler.display()),
    }
}
