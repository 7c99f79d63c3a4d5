//! One hostile program with what it is about: the value that a case file's header is read into.

use std::fmt;
use std::path::PathBuf;

use kiln_proto::v1;

use crate::expectation::Expectation;
use crate::header::{self, About, HeaderError};
use crate::limits;
use crate::row::Row;

/// A hostile program.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// e.g. `B8-unshare`.
    pub name: &'static str,
    pub language: Language,
    pub source: &'static str,
    pub about: About,
    pub row: Row,
    /// Any of them is right.
    pub expect: Vec<Expectation>,
    pub args: Vec<Argument>,
    /// Small ones, with what the case asks for; complete but for what the policy decides.
    pub limits: v1::Limits,
    /// Name of a built-in one.
    pub profile: &'static str,
    pub takes: Vec<Take>,
    /// Programs of the image without which the case cannot be tried.
    pub needs: Vec<String>,
    /// Layers of the sandbox without which it cannot be held.
    pub layers: Vec<Layer>,
    pub runs: Runs,
    /// Whether it belongs to the subset that runs when a worker starts.
    pub at_start: bool,
}

/// What a case is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Part of [`crate::PROGRAM`].
    C,
    Interpreted(Interpreter),
}

/// A program of the image that runs a case's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpreter {
    Python,
    Shell,
}

/// A layer of the sandbox that an operator may allow to be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Landlock,
    Seccomp,
    Idmap,
}

/// How often it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    Once,
    /// With argument `first`, then with `second`, which must find nothing of the first.
    Twice,
    /// With arguments `one` and `two` at the same time.
    Beside,
}

/// A file that is asked for, and what must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    pub path: String,
    /// `None`: whatever it is.
    pub state: Option<v1::FileState>,
}

/// One word of a command line, perhaps with something of the host's in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument(pub(crate) Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// Something of the host's that a case is told, so that it can try to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    CanaryFile,
    CanaryPort,
    CanaryAbstract,
    CanarySecret,
    ServicePid,
    ServiceSocket,
}

/// What the placeholders stand for.
#[derive(Clone, Debug)]
pub struct Targets {
    pub canary_file: PathBuf,
    pub canary_port: u16,
    pub canary_abstract: String,
    pub canary_secret: String,
    pub service_pid: u32,
    pub service_socket: String,
}

impl Case {
    /// Reads a case file. The error names the line and the key.
    pub fn read(name: &'static str, ending: &str, source: &'static str) -> Result<Case, HeaderError> {
        header::read(name, ending, source)
    }

    /// The words behind the program, for one run of it.
    #[must_use]
    pub fn arguments(&self, targets: &Targets) -> Vec<String> {
        self.args.iter().map(|argument| argument.resolve(targets)).collect()
    }

    /// Whether its command line holds the canary's secret: then it may come back.
    #[must_use]
    pub fn is_told_the_secret(&self) -> bool {
        let secret = Piece::Placeholder(Placeholder::CanarySecret);
        self.args.iter().any(|argument| argument.0.contains(&secret))
    }

    /// As [`Case::arguments`], for a case that is told nothing of the host.
    pub fn fixed_arguments(&self) -> impl Iterator<Item = String> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Placeholder(_) => String::new(),
        };
        self.args.iter().map(move |argument| argument.0.iter().map(text).collect())
    }

    /// The files it is asked for, as a command says it.
    #[must_use]
    pub fn files_out(&self) -> Vec<v1::FileOut> {
        let file =
            |take: &Take| v1::FileOut { path: take.path.clone().into(), optional: true, max_bytes: None };
        self.takes.iter().map(file).collect()
    }

    /// Its limits, with those of a policy where it says nothing.
    #[must_use]
    pub fn limits_over(&self, base: v1::Limits) -> v1::Limits {
        limits::over(self.limits, base)
    }

    /// What begins each run's arguments, in the order in which they run.
    #[must_use]
    pub fn roles(&self) -> &'static [&'static str] {
        match self.runs {
            Runs::Once => &[],
            Runs::Twice => &["first", "second"],
            Runs::Beside => &["one", "two"],
        }
    }

    /// Why an outcome with its output and files is not what must happen; empty when it is.
    #[must_use]
    pub fn complaints(&self, result: &v1::CommandResult) -> Vec<String> {
        let mut complaints: Vec<String> =
            Expectation::judge(&self.expect, result).err().into_iter().collect();
        for (take, file) in self.takes.iter().zip(&result.files) {
            if take.state.is_some_and(|state| state != file.state()) {
                complaints.push(format!("{} came back as {}", take.path, file.state().as_str_name()));
            }
        }
        if self.takes.len() != result.files.len() {
            complaints.push(format!(
                "{} files were asked for, {} came back",
                self.takes.len(),
                result.files.len()
            ));
        }
        complaints
    }
}

impl Argument {
    fn resolve(&self, targets: &Targets) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Placeholder(placeholder) => placeholder.of(targets),
        };
        self.0.iter().map(piece).collect()
    }
}

impl Placeholder {
    /// All of them.
    pub const ALL: [Placeholder; 6] = [
        Placeholder::CanaryFile,
        Placeholder::CanaryPort,
        Placeholder::CanaryAbstract,
        Placeholder::CanarySecret,
        Placeholder::ServicePid,
        Placeholder::ServiceSocket,
    ];

    /// The word between the braces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Placeholder::CanaryFile => "canary_file",
            Placeholder::CanaryPort => "canary_port",
            Placeholder::CanaryAbstract => "canary_abstract",
            Placeholder::CanarySecret => "canary_secret",
            Placeholder::ServicePid => "service_pid",
            Placeholder::ServiceSocket => "service_socket",
        }
    }

    fn of(self, targets: &Targets) -> String {
        match self {
            Placeholder::CanaryFile => targets.canary_file.display().to_string(),
            Placeholder::CanaryPort => targets.canary_port.to_string(),
            Placeholder::CanaryAbstract => targets.canary_abstract.clone(),
            Placeholder::CanarySecret => targets.canary_secret.clone(),
            Placeholder::ServicePid => targets.service_pid.to_string(),
            Placeholder::ServiceSocket => targets.service_socket.clone(),
        }
    }
}

impl Layer {
    /// All of them.
    pub const ALL: [Layer; 3] = [Layer::Landlock, Layer::Seccomp, Layer::Idmap];

    /// As in `worker.allow_missing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Layer::Landlock => "landlock",
            Layer::Seccomp => "seccomp",
            Layer::Idmap => "idmap",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Interpreter {
    /// Where an image has it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Interpreter::Python => "/usr/bin/python3",
            Interpreter::Shell => "/bin/bash",
        }
    }

    /// Where the source is put.
    #[must_use]
    pub const fn script(self) -> &'static str {
        match self {
            Interpreter::Python => "/work/hostile.py",
            Interpreter::Shell => "/work/hostile.sh",
        }
    }
}
