//! `tests/census/census.c`: compiled once, given to the real service, and read.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use kiln_jail::plan::Profile;
use kiln_jail::seccomp::Convention;
use kiln_proto::v1::{CommandResult, JobSpec, Stream};
use kiln_tests::api::Api;
use kiln_tests::binary::repository;
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{Cmd, MIB, blob, cmd, inline};
use kiln_tests::verdict::{Ended, assert_ended};
use tempfile::TempDir;

/// One call, made the native way unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) args: [u64; 6],
}

/// What became of the process that made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Returned {
        result: i64,
        state: State,
    },
    /// It sleeps in the call.
    Blocked,
    Exited(i32),
    Signalled(i32),
}

/// Whether the caller's own identity, limits, descriptors, mask and the like are as before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Same,
    Changed,
}

/// A service with the program in its blob store.
pub(crate) struct Stand {
    api: Api,
    digest: String,
    directory: TempDir,
    _up: Up,
}

pub(crate) fn name(profile: &Profile) -> &str {
    profile.name()
}

impl Stand {
    pub(crate) async fn start() -> Self {
        let up = Up::start(&Options::slots(2));
        let api = Api::connect(&up.address()).await;
        let directory =
            tempfile::Builder::new().prefix("kiln-census-").tempdir().expect("a directory in /tmp");
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))
            .expect("our own directory");
        let source = repository().join("tests/census/census.c");
        let program = directory.path().join("census");
        let built =
            Command::new("gcc").args(["-O1", "-s", "-static", "-o"]).arg(&program).arg(source).status();
        assert!(built.expect("gcc is required").success(), "tests/census/census.c does not compile");
        let content = std::fs::read(&program).expect("gcc wrote it");
        let digest = api.put_blob(&content).await.expect("the blob store takes it").digest;
        Self { api, digest, directory, _up: up }
    }

    /// Makes all these calls in one sandbox, each in a process of its own.
    pub(crate) async fn calls(&self, profile: &Profile, calls: &[Call]) -> Vec<Told> {
        let list: String = calls.iter().map(|call| line(call) + "\n").collect();
        let job = self.command(profile, &["calls", "/work/calls"]).file("/work/calls", inline(list)).job();
        let lines = self.lines(job).await;
        assert_eq!(lines.last().map(String::as_str), Some(format!("all {}", calls.len()).as_str()));
        let told: Vec<Told> =
            lines[..calls.len()].iter().enumerate().map(|(n, line)| read(n, line)).collect();
        assert_eq!(told.len(), calls.len());
        told
    }

    /// Looks at these paths: errno of lstat, of opening for reading, of opening for writing.
    pub(crate) async fn paths(&self, profile: &Profile, paths: &[String]) -> Vec<[i32; 3]> {
        let digest =
            self.api.put_blob(paths.join("\n").as_bytes()).await.expect("the blob store takes it").digest;
        let job = self.command(profile, &["paths", "/work/paths"]).file("/work/paths", blob(&digest)).job();
        let lines = self.lines(job).await;
        assert_eq!(lines.last().map(String::as_str), Some("all"));
        let told = lines[..paths.len()].iter().enumerate().map(|(n, line)| {
            let numbers: Vec<i32> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
            assert_eq!(numbers[0] as usize, n, "{line}");
            [numbers[1], numbers[2], numbers[3]]
        });
        told.collect()
    }

    /// Makes one call in a sandbox of its own.
    pub(crate) async fn one(&self, profile: &Profile, convention: Convention, call: &Call) -> CommandResult {
        let words = words(convention, call);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.api.run_one(self.command(profile, &words).job()).await
    }

    /// The same outside of any sandbox, without privileges; only for calls whose arguments make them harmless.
    pub(crate) fn outside(&self, convention: Convention, call: &Call) -> Told {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(self.binary()).args(words(convention, call));
        let output = command.output().expect("setpriv is required");
        if let Some(signal) = output.status.signal() {
            return Told::Signalled(signal);
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text.trim().strip_prefix("returned ").and_then(|result| result.parse().ok()) {
            Some(result) => Told::Returned { result, state: State::Same },
            None => Told::Exited(output.status.code().unwrap_or_default()),
        }
    }

    fn binary(&self) -> PathBuf {
        self.directory.path().join("census")
    }

    fn command(&self, profile: &Profile, arguments: &[&str]) -> Cmd {
        let argv = std::iter::once("/work/census").chain(arguments.iter().copied());
        cmd(argv).program("/work/census", blob(&self.digest)).profile(name(profile)).limits(|limits| {
            limits.cpu_ms = Some(60_000);
            limits.wall_ms = Some(110_000);
            limits.memory_bytes = Some(64 * MIB);
            // Children of calls that make processes may live on for a moment on a loaded machine.
            limits.pids = Some(512);
        })
    }

    async fn lines(&self, job: JobSpec) -> Vec<String> {
        let told = self.api.run(job).await;
        let result = &told.job.steps[0].commands[0];
        assert_ended(result, Ended::Exited(0));
        String::from_utf8(told.live("main", Stream::Stdout))
            .expect("ASCII")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn line(call: &Call) -> String {
    let words = std::iter::once(u64::from(call.number)).chain(call.args);
    words.map(|word| format!("{word:x}")).collect::<Vec<_>>().join(" ")
}

fn words(convention: Convention, call: &Call) -> Vec<String> {
    let abi = match convention {
        Convention::Native => "native",
        Convention::I386 => "i386",
        Convention::X32 => "x32",
    };
    ["one", abi].into_iter().map(str::to_owned).chain(line(call).split(' ').map(str::to_owned)).collect()
}

fn read(n: usize, line: &str) -> Told {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse::<i64>().unwrap_or_else(|_| panic!("{line}"));
    assert_eq!(number(0) as usize, n, "{line}");
    match words[1] {
        "returned" => {
            let state = if words[3] == "same" { State::Same } else { State::Changed };
            Told::Returned { result: number(2), state }
        }
        "blocked" => Told::Blocked,
        "exited" => Told::Exited(number(2) as i32),
        "signalled" => Told::Signalled(number(2) as i32),
        _ => panic!("{line}"),
    }
}
