//! Starts and stops the real services, each test on directories and sockets of its own.
//!
//! A service is ready when it says so, not after a while. It is stopped when its guard is dropped, and what it logged is
//! printed when the test failed.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::binary;

/// How long a service may take until it is ready or has stopped: generous, since machines may be loaded.
const PATIENCE: Duration = Duration::from_secs(90);

/// A number that no other test of this machine uses now: as the duration of a sleep it marks a process to be found.
pub fn own_number(first_digit: u32) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{first_digit}{:07}{:02}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed) % 100)
}

/// The private directories of one test: `kiln.sock`, `data/`, `tmp/` and whatever the test puts there.
pub struct Place {
    directory: TempDir,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("kiln-test-").tempdir().expect("a directory in /tmp");
        for name in ["data", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).expect("a new directory is empty");
        }
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the server of this place listens, e.g. `unix:/tmp/kiln-test-x/kiln.sock`.
    pub fn address(&self) -> String {
        format!("unix:{}", self.path("kiln.sock").display())
    }

    /// Writes a file and says where it is.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("make the directory");
        std::fs::write(&path, content).expect("write into the test's own directory");
        path
    }
}

/// What differs from the defaults of a service.
#[derive(Clone, Debug)]
pub struct Options {
    pub slots: u32,
    /// Lines of the configuration file, below what the harness writes.
    pub config: String,
    pub env: Vec<(String, String)>,
    /// Whether the worker looks for languages.
    pub languages: Languages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Languages {
    Probed,
    NotProbed,
}

impl Default for Options {
    fn default() -> Self {
        Self { slots: 2, config: String::new(), env: Vec::new(), languages: Languages::NotProbed }
    }
}

impl Options {
    pub fn slots(slots: u32) -> Self {
        Self { slots, ..Self::default() }
    }

    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running service; stopped when dropped.
pub struct Service {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    what: String,
}

/// `kiln up` on a place of its own.
pub struct Up {
    pub service: Service,
    pub place: Place,
}

impl Up {
    pub fn start(options: &Options) -> Self {
        let place = Place::new();
        let service = Service::up(&place, options);
        Self { service, place }
    }

    pub fn address(&self) -> String {
        self.place.address()
    }
}

impl Service {
    /// Server and worker in one process, on the place's socket and data directory.
    pub fn up(place: &Place, options: &Options) -> Self {
        let config = place.write("up.toml", configuration(place, "data", options, &["server", "worker"]));
        Self::start("up", place, &config, &[], options)
    }

    /// The server alone.
    pub fn server(place: &Place, options: &Options) -> Self {
        let config = place.write("server.toml", configuration(place, "data", options, &["server"]));
        Self::start("server", place, &config, &[], options)
    }

    /// A worker of the place's server, with a data directory of its own.
    pub fn worker(place: &Place, name: &str, options: &Options) -> Self {
        let data = format!("worker-{name}");
        let options = &options.clone().config(&format!("[worker]\nname = \"{name}\""));
        let text = configuration(place, &data, options, &["worker"]);
        let config = place.write(&format!("{data}.toml"), text);
        Self::start("worker", place, &config, &[], options)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the service wrote so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no panic while held").clone()
    }

    /// SIGKILL, and reaped.
    pub fn kill_hard(mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate().unwrap_or_else(|| panic!("kiln {} did not stop on SIGTERM", self.what))
    }

    /// Asks for the end, once; `None` when it does not come.
    fn terminate(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::TERM).expect("our own child, not reaped yet");
        self.wait_until(Instant::now() + PATIENCE)
    }

    /// Waits for the end of the service by its own doing.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.wait_until(Instant::now() + PATIENCE);
        (status.unwrap_or_else(|| panic!("kiln {} goes on", self.what)), self.log())
    }

    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    fn start(what: &str, place: &Place, config: &Path, arguments: &[&str], options: &Options) -> Self {
        let (mut service, ready) = Self::spawn(what, place, config, arguments, options);
        if ready.recv_timeout(PATIENCE).is_err() {
            let ended = service.child.try_wait();
            panic!("kiln {what} did not become ready ({ended:?}):\n{}", service.log().join("\n"));
        }
        service
    }

    /// Starts a service that is expected not to become ready, e.g. on a host that lacks something.
    pub fn doomed(
        what: &str,
        place: &Place,
        arguments: &[&str],
        options: &Options,
    ) -> (ExitStatus, Vec<String>) {
        let text = configuration(place, "data", options, &["server", "worker"]);
        let config = place.write("doomed.toml", text);
        let (service, ready) = Self::spawn(what, place, &config, arguments, options);
        assert!(
            ready.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Disconnected),
            "kiln {what} must not become ready:\n{}",
            service.log().join("\n")
        );
        service.wait()
    }

    fn spawn(
        what: &str,
        place: &Place,
        config: &Path,
        arguments: &[&str],
        options: &Options,
    ) -> (Self, mpsc::Receiver<()>) {
        let mut command = Command::new(binary::kiln());
        command.arg(what).arg("--config").arg(config).args(arguments);
        command.env("TMPDIR", place.path("tmp")).env_remove("KILN_SERVER").env_remove("KILN_CONFIG");
        command.envs(options.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start kiln");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (tell, ready) = mpsc::channel();
        read_lines(child.stdout.take().expect("piped"), &log, tell.clone());
        read_lines(child.stderr.take().expect("piped"), &log, tell);
        (Self { child, log, what: what.to_owned() }, ready)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.terminate().is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
            eprintln!("kiln {} had to be killed", self.what);
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(200);
            eprintln!("--- kiln {} (pid {}) said:\n{}", self.what, self.pid(), log[from..].join("\n"));
        }
    }
}

/// The configuration file of a test's service.
fn configuration(place: &Place, data: &str, options: &Options, sections: &[&str]) -> String {
    let mut text = String::new();
    if sections.contains(&"server") {
        text.push_str(&format!("[server]\nlisten = [\"{}\"]\n", place.address()));
        text.push_str(&format!("data_dir = \"{}\"\n", place.path(data).display()));
    }
    if sections.contains(&"worker") {
        let probe = options.languages == Languages::Probed;
        text.push_str("[worker]\n");
        if !sections.contains(&"server") {
            text.push_str(&format!("server = \"{}\"\n", place.address()));
        }
        text.push_str(&format!("data_dir = \"{}\"\n", place.path(&format!("{data}/worker")).display()));
        text.push_str(&format!("slots = {}\nprobe_languages = {probe}\n", options.slots));
    }
    merge(text, &options.config)
}

/// Adds the test's own lines: each goes into its section, in the place of a line with the same key.
fn merge(text: String, more: &str) -> String {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    let mut at = 0;
    for line in text.lines().chain(more.lines()).map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            at = sections.iter().position(|(name, _)| name == line).unwrap_or_else(|| {
                sections.push((line.to_owned(), Vec::new()));
                sections.len() - 1
            });
            continue;
        }
        let key = |line: &str| line.split('=').next().unwrap_or(line).trim().to_owned();
        let lines = &mut sections[at].1;
        lines.retain(|present| key(present) != key(line));
        lines.push(line.to_owned());
    }
    sections.into_iter().map(|(name, lines)| format!("{name}\n{}\n", lines.join("\n"))).collect()
}

/// Collects lines and tells once when one says that the service is ready.
fn read_lines(stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>, tell: mpsc::Sender<()>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let ready = line.starts_with("kiln ") && line.contains(" ready");
            log.lock().expect("no panic while held").push(line);
            if ready {
                tell.send(()).ok();
            }
        }
    });
}
