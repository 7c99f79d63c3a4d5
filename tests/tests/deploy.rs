//! `deploy/` is true: units, sample configurations and the Dockerfile are read, and what they name exists.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_tests::binary::{self, repository};
use kiln_tests::cli::kiln;

fn files(ending: &str) -> Vec<PathBuf> {
    let mut open = vec![repository().join("deploy")];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("deploy/ is part of the project").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else if entry.file_name().to_string_lossy().ends_with(ending) {
                found.push(entry.path());
            }
        }
    }
    assert!(!found.is_empty(), "deploy/ has files that end in {ending}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Words of a command line with `kiln` as the program: the subcommand and flags must be in its help.
fn assert_command_exists(line: &str) {
    let words: Vec<&str> =
        line.split_whitespace().skip_while(|word| !word.ends_with("kiln")).skip(1).collect();
    let help = kiln([words[0], "--help"]).said().exits(0).text();
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        let name = flag.split('=').next().expect("a first part");
        assert!(help.contains(name), "`{line}`: {} has no {name}", words[0]);
    }
}

#[test]
fn sample_configurations_pass_the_check() {
    for path in files(".toml") {
        kiln(["config", "check", "--config", path.to_str().expect("ASCII")]).said().exits(0);
    }
}

#[test]
fn units_start_commands_that_exist_with_configurations_that_exist() {
    for path in files(".service") {
        let unit = read(&path);
        let starts: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("ExecStart=")).collect();
        assert_eq!(starts.len(), 1, "{}: one ExecStart", path.display());
        assert_command_exists(starts[0]);
        let config = starts[0].split_whitespace().skip_while(|word| *word != "--config").nth(1);
        let name = Path::new(config.expect("units name their configuration")).file_name().expect("a file");
        let sample = repository().join("deploy").join(name);
        assert!(sample.exists(), "{}: {} has no sample", path.display(), name.display());
    }
}

#[test]
fn units_are_hardened_and_the_workers_is_delegated_its_cgroup() {
    for path in files(".service") {
        let unit = read(&path);
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        for setting in [
            "NoNewPrivileges=",
            "ProtectSystem=",
            "ProtectHome=",
            "RuntimeDirectory=kiln",
            "Restart=on-failure",
        ] {
            assert!(unit.contains(setting), "{name}: {setting}");
        }
        let inherited = [
            "SystemCallFilter=",
            "ProtectClock=",
            "ProtectKernelModules=",
            "ProtectHostname=",
            "RestrictRealtime=",
        ];
        let works = unit.contains("kiln worker") || unit.contains("kiln up");
        assert_eq!(unit.contains("Delegate=yes"), works, "{name}: Delegate=yes where jobs run");
        if works {
            let found = inherited.iter().find(|setting| unit.lines().any(|line| line.starts_with(**setting)));
            assert_eq!(found, None, "{name}: its filter would outrank the sandbox's own");
        } else {
            for setting in [
                "CapabilityBoundingSet=\n",
                "PrivateUsers=yes",
                "SystemCallFilter=@system-service",
                "MemoryDenyWriteExecute=yes",
            ] {
                assert!(unit.contains(setting), "{name}: {setting}");
            }
        }
    }
}

#[test]
fn the_capabilities_of_the_workers_units_are_all_that_sandboxes_need() {
    for name in ["kiln-worker.service", "kiln.service"] {
        let unit = read(&repository().join("deploy").join(name));
        let set = unit
            .lines()
            .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
            .expect("a bounding set");
        let words: Vec<String> =
            set.split(' ').map(|word| format!("+{}", word[4..].to_lowercase())).collect();
        let bounding = format!("-all,{}", words.join(","));
        let said = std::process::Command::new("setpriv")
            .args(["--no-new-privs", "--bounding-set", &bounding, "sh", "-c", "exec \"$@\"", "sh"])
            .arg(binary::kiln())
            .args(["run", "--quiet", "--", "sh", "-c", "sleep 100 & echo ran"])
            .output()
            .expect("setpriv is part of util-linux");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.status.success() && text == "ran\n",
            "{name}: {text}{}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
}

#[test]
fn systemd_itself_accepts_the_units() {
    for path in files(".service") {
        let unit = read(&path).replace("/usr/local/bin/kiln", "/bin/true");
        let directory = tempfile::tempdir().expect("a directory in /tmp");
        let copy = directory.path().join(path.file_name().expect("a file"));
        fs::write(&copy, unit).expect("a new file");
        let said =
            std::process::Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output();
        let said = said.expect("systemd-analyze is required: tests/run installs it");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        let name = copy.file_name().expect("a file").to_string_lossy().into_owned();
        let complaints: Vec<&str> = text.lines().filter(|line| line.contains(&name)).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

#[test]
fn the_dockerfile_builds_what_it_copies_and_asks_for_no_more_than_it_needs() {
    let text = read(&repository().join("deploy/Dockerfile"));
    let stages: Vec<&str> = text.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert!(stages.len() >= 2 && stages[0].contains(" AS "), "several stages: {stages:?}");
    let rust = read(&repository().join("Cargo.toml"));
    let version = rust
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("a version")
        .trim_matches('"');
    assert!(stages[0].contains(version), "built with Rust {version}: {}", stages[0]);
    assert!(text.contains("cargo build --release --locked"), "the locked dependencies are built");
    for line in text.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        for source in line.split_whitespace().skip(1).collect::<Vec<_>>().split_last().expect("a target").1 {
            assert!(repository().join(source).exists(), "{line}: {source} does not exist");
        }
    }
    let start = text.lines().find(|line| line.starts_with("ENTRYPOINT")).expect("an entry point");
    assert!(start.contains("kiln"), "{start}");
    let notes = read(&repository().join("deploy/README.md"));
    let runs: Vec<&str> = notes.lines().filter(|line| line.trim_start().starts_with("docker run")).collect();
    assert!(!runs.is_empty() && runs.iter().all(|line| !line.contains("--privileged")), "{runs:?}");
}

#[test]
fn commands_in_the_notes_exist() {
    for path in files(".md") {
        let text = read(&path);
        for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("kiln ")) {
            let command = line.split('#').next().unwrap_or(line);
            assert_command_exists(command);
        }
    }
}
