//! Runs commands of the `kiln` binary as a person would, with captured output.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value;

use crate::binary;

/// One call of `kiln`.
pub struct Kiln {
    command: Command,
    stdin: Vec<u8>,
    words: Vec<String>,
}

/// How a call ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Said {
    pub words: Vec<String>,
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// `kiln WORDS...`, without a configuration file of the host and without inherited settings.
pub fn kiln<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Kiln {
    let words: Vec<String> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
    let mut command = Command::new(binary::kiln());
    command.args(&words).current_dir(binary::repository());
    for name in ["KILN_SERVER", "KILN_CONFIG", "KILN_DATA_DIR", "KILN_LISTEN", "KILN_SLOTS"] {
        command.env_remove(name);
    }
    Kiln { command, stdin: Vec::new(), words }
}

impl Kiln {
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Talks to a server instead of starting everything inside itself.
    pub fn server(self, address: &str) -> Self {
        self.env("KILN_SERVER", address)
    }

    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.command.current_dir(directory.into());
        self
    }

    /// Runs it to its end.
    pub fn said(self) -> Said {
        let (child, words) = self.spawn();
        let output = child.wait_with_output().expect("our own child");
        Said::of(words, output)
    }

    /// Starts it with piped streams; stdin is written and closed.
    pub fn spawn(mut self) -> (Child, Vec<String>) {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("start kiln");
        let mut pipe = child.stdin.take().expect("piped");
        let stdin = self.stdin;
        // A program may end without reading: the broken pipe is its matter.
        thread::spawn(move || pipe.write_all(&stdin).ok());
        (child, self.words)
    }
}

impl Said {
    pub fn of(words: Vec<String>, output: Output) -> Self {
        let code =
            output.status.code().unwrap_or_else(|| panic!("kiln {words:?} was ended by {}", output.status));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { words, code, stdout: output.stdout, stderr }
    }

    /// Asserts the exit status.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}: {self}"))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { words, code, stderr, .. } = self;
        write!(f, "kiln {words:?} exited {code}\nstdout: {}\nstderr: {stderr}", self.text())
    }
}
