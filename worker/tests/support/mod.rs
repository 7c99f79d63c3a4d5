//! A runner with real jails in a directory of its own, and steps in few words.
#![expect(dead_code, reason = "each suite uses its part")]

pub(crate) mod server;

use std::path::PathBuf;

use kiln_proto::{model, v1};
use kiln_worker::config::{EngineConfig, WorkerFile};
use kiln_worker::library::Runner;

/// The program that tests start as the jail.
pub(crate) fn jail_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_kiln-worker-jail"))
}

pub(crate) fn engine_config(data_dir: &std::path::Path, slots: usize) -> EngineConfig {
    let file = WorkerFile {
        slots: Some(slots),
        data_dir: Some(data_dir.to_owned()),
        jail_program: Some(jail_program()),
        ..WorkerFile::default()
    };
    EngineConfig::resolve(&file).expect("good settings")
}

/// A runner that must be stopped at the end: the directory goes with it.
pub(crate) struct TestRunner {
    pub(crate) runner: Runner,
    pub(crate) directory: tempfile::TempDir,
}

impl TestRunner {
    pub(crate) async fn start(slots: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let runner = Runner::start(&engine_config(directory.path(), slots)).await.expect("the runner starts");
        Self { runner, directory }
    }

    pub(crate) async fn run(&self, command: v1::Command) -> v1::CommandResult {
        self.run_step(step(vec![command], &[])).await.remove(0)
    }

    pub(crate) async fn run_step(&self, step: model::Step) -> Vec<v1::CommandResult> {
        self.runner.run(&step).await.expect("an order that can be run")
    }

    pub(crate) async fn stop(self) {
        self.runner.stop().await;
    }
}

/// A shell script as a command.
pub(crate) fn shell(script: &str) -> v1::Command {
    argv(&["/bin/sh", "-c", script])
}

pub(crate) fn argv(words: &[&str]) -> v1::Command {
    v1::Command {
        argv: words.iter().map(|word| word.as_bytes().to_vec().into()).collect(),
        env: vec![v1::EnvVar { name: "PATH".into(), value: "/usr/bin:/bin".into() }],
        limits: Some(default_limits()),
        ..v1::Command::default()
    }
}

pub(crate) fn default_limits() -> v1::Limits {
    v1::Limits::from(&model::LimitPolicy::default().default)
}

pub(crate) fn inline(bytes: impl Into<Vec<u8>>) -> v1::Content {
    v1::Content { source: Some(v1::content::Source::Inline(bytes.into().into())) }
}

pub(crate) fn blob(digest: &model::Digest) -> v1::Content {
    v1::Content { source: Some(v1::content::Source::Blob(digest.to_string())) }
}

pub(crate) fn file_in(path: &str, content: v1::Content) -> v1::FileIn {
    v1::FileIn { path: path.to_owned().into(), content: Some(content), executable: false }
}

pub(crate) fn file_out(path: &str) -> v1::FileOut {
    v1::FileOut { path: path.to_owned().into(), optional: false, max_bytes: None }
}

/// A step of these commands, joined by pipes from and to the commands of these indices.
pub(crate) fn step(commands: Vec<v1::Command>, pipes: &[(usize, usize)]) -> model::Step {
    let named = commands.into_iter().enumerate().map(|(index, command)| {
        let name = if command.name.is_empty() { format!("c{index}") } else { command.name.clone() };
        v1::Command { name, ..command }
    });
    let pipe = |(from, to): &(usize, usize)| v1::Pipe { from: format!("c{from}"), to: format!("c{to}") };
    let step = v1::Step {
        name: "test".to_owned(),
        commands: named.collect(),
        pipes: pipes.iter().map(pipe).collect(),
        ..v1::Step::default()
    };
    model::Step::check_lease(step, &model::LimitPolicy::default()).expect("a valid step")
}

/// `exited 0`, `limit output` and so on.
pub(crate) fn ending(result: &v1::CommandResult) -> String {
    let outcome = result.outcome.as_ref().expect("every result has an outcome");
    match outcome.kind() {
        v1::OutcomeKind::Exited => format!("exited {}", outcome.code.expect("a code")),
        v1::OutcomeKind::Signalled => format!("signalled {}", outcome.signal.expect("a signal")),
        v1::OutcomeKind::Limit => format!("limit {:?}", outcome.limit()).to_lowercase(),
        kind => format!("{kind:?}: {}", outcome.sentence).to_lowercase(),
    }
}

pub(crate) fn stdout(result: &v1::CommandResult) -> &v1::Output {
    result.stdout.as_ref().expect("a result has stdout")
}

pub(crate) fn stderr(result: &v1::CommandResult) -> &v1::Output {
    result.stderr.as_ref().expect("a result has stderr")
}

/// A worker of the test server, with real jails.
pub(crate) fn worker_config(
    address: &str,
    data_dir: &std::path::Path,
    slots: usize,
) -> kiln_worker::config::Config {
    let file = WorkerFile {
        server: Some(address.to_owned()),
        name: Some(format!("test-{}", std::process::id())),
        slots: Some(slots),
        data_dir: Some(data_dir.to_owned()),
        jail_program: Some(jail_program()),
        probe_languages: Some(false),
        drain_ms: Some(300),
        ..WorkerFile::default()
    };
    kiln_worker::config::Config::resolve(file).expect("good settings")
}

/// Starts a worker against the test server; says why when it does not start.
pub(crate) async fn start_worker(
    server: &mut server::TestServer,
    config: kiln_worker::config::Config,
) -> (kiln_worker::Worker, v1::RegisterWorker, server::Dialogue) {
    let starting = kiln_worker::Worker::start(config);
    tokio::pin!(starting);
    let (register, dialogue) = tokio::select! {
        registered = server.register() => registered,
        ended = &mut starting => panic!("the worker ended before it registered: {:?}", ended.err()),
    };
    (starting.await.expect("the worker starts"), register, dialogue)
}
