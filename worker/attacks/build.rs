//! Makes the multi-call program from `cases/*.c` and the list of all case files.
//!
//! Each C file is compiled with `-Dmain=case_NAME`, all are linked into one program, statically where this machine can: it
//! then runs in any image. Only what changed is compiled again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::SystemTime;

/// A case that falls off its end would exit with whatever was in a register.
const FLAGS: [&str; 6] =
    ["-std=gnu11", "-O1", "-w", "-Werror=return-type", "-fno-strict-aliasing", "-pthread"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for folder in ["cases", "program"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let cases = files(Path::new("cases"));
    write_list(&out, &cases);
    let programs: Vec<&PathBuf> = cases.iter().filter(|path| ending(path) == "c").collect();
    let table = write_table(&out, &programs);
    let mut units: Vec<Unit> = programs.iter().map(|path| Unit::case(path, &out)).collect();
    units.push(Unit::of(Path::new("program/main.c"), "main", &out));
    for honest in ["victim", "waiter"] {
        let source = PathBuf::from(format!("program/{honest}.c"));
        units.push(Unit::of(&source, &format!("case_{honest}"), &out));
    }
    units.push(Unit::of(&table, "main", &out));
    let headers =
        newest(&files(Path::new("cases")).into_iter().filter(|path| ending(path) == "h").collect::<Vec<_>>());
    compile(&units, headers.max(modified(Path::new("build.rs"))));
    let linkage = link(&units, &out);
    println!("cargo:rustc-env=KILN_HOSTILE_LINKAGE={linkage}");
}

/// One translation unit.
struct Unit {
    source: PathBuf,
    object: PathBuf,
    entry: String,
}

impl Unit {
    fn case(source: &Path, out: &Path) -> Unit {
        Unit::of(source, &format!("case_{}", symbol(source)), out)
    }

    fn of(source: &Path, entry: &str, out: &Path) -> Unit {
        let object = out.join(format!("{}.o", stem(source)));
        Unit { source: source.to_owned(), object, entry: entry.to_owned() }
    }

    fn is_stale(&self, headers: SystemTime) -> bool {
        !self.object.exists() || modified(&self.object) <= modified(&self.source).max(headers)
    }

    fn compile(&self) -> Result<(), String> {
        let mut command = compiler();
        command
            .args(FLAGS)
            .arg(format!("-Dmain={}", self.entry))
            .arg("-c")
            .arg(&self.source)
            .arg("-o")
            .arg(&self.object);
        run(command).map_err(|why| format!("{}: {why}", self.source.display()))
    }
}

/// Compiles what is stale, on every core.
fn compile(units: &[Unit], headers: SystemTime) {
    let stale: Vec<&Unit> = units.iter().filter(|unit| unit.is_stale(headers)).collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = stale.len().div_ceil(cores).max(1);
    let failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = stale
            .chunks(share)
            .map(|part| {
                scope.spawn(move || part.iter().filter_map(|unit| unit.compile().err()).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("compiling does not panic")).collect()
    });
    assert!(failures.is_empty(), "cases that do not compile:\n{}", failures.join("\n"));
}

/// Links `OUT_DIR/hostile`; the answer is how.
fn link(units: &[Unit], out: &Path) -> &'static str {
    let link = |how: &[&str]| {
        let mut command = compiler();
        command.args(how).args(["-pthread", "-s"]).args(units.iter().map(|unit| &unit.object));
        command.arg("-o").arg(out.join("hostile"));
        run(command)
    };
    let Err(no_static) = link(&["-static"]) else { return "static" };
    println!(
        "cargo:warning=hostile programs are linked dynamically, and run only in images with this machine's libc: {}",
        first_line(&no_static)
    );
    link(&[]).unwrap_or_else(|why| panic!("the hostile program cannot be linked: {why}"));
    "dynamic"
}

/// `cc` only finds the compiler and its flags for the target.
fn compiler() -> Command {
    let build = cc::Build::new();
    build
        .try_get_compiler()
        .unwrap_or_else(|error| panic!("a C compiler is needed for the hostile programs: {error}"))
        .to_command()
}

fn run(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// `OUT_DIR/cases.rs`: every case file with its content.
fn write_list(out: &Path, cases: &[PathBuf]) {
    let root = std::env::current_dir().expect("cargo runs build scripts in the package");
    let entries: String = cases
        .iter()
        .filter(|path| ending(path) != "h")
        .map(|path| {
            format!("    ({:?}, {:?}, include_str!({:?})),\n", stem(path), ending(path), root.join(path))
        })
        .collect();
    write_changed(&out.join("cases.rs"), &format!("&[\n{entries}]\n"));
}

/// `OUT_DIR/table.c`: names and entries, for `program/main.c`.
fn write_table(out: &Path, programs: &[&PathBuf]) -> PathBuf {
    let declarations: String =
        programs.iter().map(|path| format!("int case_{}(int, char **);\n", symbol(path))).collect();
    let rows: String =
        programs.iter().map(|path| format!("    {{\"{}\", case_{}}},\n", stem(path), symbol(path))).collect();
    let honest = "int case_victim(int, char **);\nint case_waiter(int, char **);\n";
    let honest_rows = "    {\"victim\", case_victim},\n    {\"waiter\", case_waiter},\n";
    let text = format!(
        "{declarations}{honest}\
         const struct {{ const char *name; int (*run)(int, char **); }} cases[] = {{\n{rows}{honest_rows}    {{0, 0}},\n}};\n"
    );
    let path = out.join("table.c");
    write_changed(&path, &text);
    path
}

/// Leaves a file that is right already, with its time.
fn write_changed(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return;
    }
    let mut file = fs::File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(text.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

fn newest(paths: &[PathBuf]) -> SystemTime {
    paths.iter().map(|path| modified(path)).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn symbol(path: &Path) -> String {
    stem(path).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn stem(path: &Path) -> &str {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_else(|| panic!("{}: no plain name", path.display()))
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
