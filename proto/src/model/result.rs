//! The result of one command: how it ended, what it used, and what it left.

use std::fmt::Arguments;

use prost::bytes::Bytes;

use super::digest::Digest;
use super::names::CommandName;
use super::outcome::Ending;
use super::path::FilePath;
use super::usage::Usage;
use super::violation::{Collector, Invalid};
use crate::{MAX_RESULT_BYTES, v1};

/// What became of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// The command's name.
    pub name: CommandName,
    /// How it ended, and why we think so.
    pub ending: Ending,
    /// What it consumed.
    pub usage: Usage,
    /// What it wrote to stdout.
    pub stdout: Output,
    /// What it wrote to stderr.
    pub stderr: Output,
    /// In the order of its `files_out`.
    pub files: Vec<FileResult>,
    /// When what happened.
    pub phases: Phases,
}

/// One stream of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The first [`MAX_RESULT_BYTES`] at most.
    pub data: Bytes,
    /// All bytes kept.
    pub size_bytes: u64,
    /// All of it, stored, when `data` is not all of it and the job is durable.
    pub blob: Option<Digest>,
    /// The command wrote more than was kept.
    pub truncated: bool,
    /// Piped into another command: nothing was kept.
    pub piped: bool,
}

/// What became of one wanted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileResult {
    /// As asked for.
    pub path: FilePath,
    /// Whether it was found.
    pub state: FileState,
    /// Its size, where it is a regular file.
    pub size_bytes: u64,
    /// Whether any execute bit is set.
    pub executable: bool,
    /// What is in it, when found.
    pub content: FileContent,
}

/// What is in a returned file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FileContent {
    /// Not returned.
    None,
    /// All of it, at most [`MAX_RESULT_BYTES`].
    Inline(Bytes),
    Blob(Digest),
}

/// Whether a wanted file was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileState {
    /// A regular file, returned.
    Found,
    /// Nothing there.
    Missing,
    /// A directory, link, device, FIFO or socket, or a link on the way.
    NotRegular,
    /// Larger than its `max_bytes`.
    TooLarge,
    /// It could not be read.
    Unreadable,
}

/// Moments of one command on its worker, microseconds since the Unix epoch; 0 where it did not come to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as Phases in job.proto, field by field")]
pub struct Phases {
    pub received_unix_us: u64,
    pub fetched_unix_us: u64,
    pub prepared_unix_us: u64,
    pub started_unix_us: u64,
    pub ended_unix_us: u64,
    pub collected_unix_us: u64,
}

impl CommandResult {
    /// A command of which nothing is known but how it ended.
    pub fn unrun(name: CommandName, ending: Ending) -> Self {
        CommandResult {
            name,
            ending,
            usage: Usage::default(),
            stdout: Output::default(),
            stderr: Output::default(),
            files: Vec::new(),
            phases: Phases::default(),
        }
    }

    /// Checks a result from the wire. `field` is its path.
    pub fn check(wire: v1::CommandResult, field: &str) -> Result<Self, Invalid> {
        let mut collector = Collector::default();
        let mut take = |invalid: Invalid| collector.extend(invalid.violations);
        let at = |name: &str| format!("{field}.{name}");
        let name =
            CommandName::new(wire.name).map_err(|error| take(Invalid::new(at("name"), error.to_string())));
        let ending = match wire.outcome {
            Some(outcome) => Ending::check(outcome, format_args!("{field}.outcome")).map_err(&mut take),
            None => {
                take(Invalid::new(at("outcome"), "is unset"));
                Err(())
            }
        };
        let usage =
            Usage::check(wire.usage.unwrap_or_default(), format_args!("{field}.usage")).map_err(&mut take);
        let stdout =
            Output::check(wire.stdout.unwrap_or_default(), format_args!("{field}.stdout")).map_err(&mut take);
        let stderr =
            Output::check(wire.stderr.unwrap_or_default(), format_args!("{field}.stderr")).map_err(&mut take);
        let mut files = Vec::with_capacity(wire.files.len());
        for (index, file) in wire.files.into_iter().enumerate() {
            files.extend(FileResult::check(file, format_args!("{field}.files[{index}]")).map_err(&mut take));
        }
        let phases = wire.phases.map(Phases::from).unwrap_or_default();
        collector.finish()?;
        let checked = "no violation was added";
        Ok(CommandResult {
            name: name.expect(checked),
            ending: ending.expect(checked),
            usage: usage.expect(checked),
            stdout: stdout.expect(checked),
            stderr: stderr.expect(checked),
            files,
            phases,
        })
    }
}

impl TryFrom<v1::CommandResult> for CommandResult {
    type Error = Invalid;

    fn try_from(wire: v1::CommandResult) -> Result<Self, Invalid> {
        CommandResult::check(wire, "result")
    }
}

impl From<&CommandResult> for v1::CommandResult {
    fn from(result: &CommandResult) -> Self {
        v1::CommandResult {
            name: result.name.to_string(),
            outcome: Some((&result.ending).into()),
            usage: Some((&result.usage).into()),
            stdout: Some((&result.stdout).into()),
            stderr: Some((&result.stderr).into()),
            files: result.files.iter().map(v1::FileResult::from).collect(),
            phases: Some(result.phases.into()),
        }
    }
}

impl Output {
    fn check(wire: v1::Output, field: Arguments<'_>) -> Result<Self, Invalid> {
        check_result_bytes(&wire.data, field)?;
        let held = u64::try_from(wire.data.len()).unwrap_or(u64::MAX);
        if held > wire.size_bytes {
            let why = format!("is {}, less than the {held} bytes of data", wire.size_bytes);
            return Err(Invalid::new(format!("{field}.size_bytes"), why));
        }
        if wire.piped && wire.size_bytes > 0 {
            return Err(Invalid::new(format!("{field}.piped"), "is set, but bytes were kept"));
        }
        let blob = optional_digest(&wire.blob, field)?;
        let v1::Output { data, size_bytes, truncated, piped, .. } = wire;
        Ok(Output { data, size_bytes, blob, truncated, piped })
    }

    /// Whether `data` is all that was kept.
    pub fn is_whole(&self) -> bool {
        u64::try_from(self.data.len()) == Ok(self.size_bytes)
    }
}

impl From<&Output> for v1::Output {
    fn from(output: &Output) -> Self {
        v1::Output {
            data: output.data.clone(),
            size_bytes: output.size_bytes,
            blob: output.blob.map(|blob| blob.to_string()).unwrap_or_default(),
            truncated: output.truncated,
            piped: output.piped,
        }
    }
}

impl FileResult {
    /// A file that was not returned.
    pub fn absent(path: FilePath, state: FileState) -> Self {
        FileResult { path, state, size_bytes: 0, executable: false, content: FileContent::None }
    }

    fn check(wire: v1::FileResult, field: Arguments<'_>) -> Result<Self, Invalid> {
        let path_error =
            |error: super::path::PathError| Invalid::new(format!("{field}.path"), error.to_string());
        let path = FilePath::new(wire.path).map_err(path_error)?;
        let state = v1::FileState::try_from(wire.state).ok().and_then(FileState::from_wire);
        let state_error =
            || Invalid::new(format!("{field}.state"), format!("is {}; must be a state", wire.state));
        let state = state.ok_or_else(state_error)?;
        check_result_bytes(&wire.data, field)?;
        let blob = optional_digest(&wire.blob, field)?;
        let content = match (state, blob) {
            (FileState::Found, Some(_)) if !wire.data.is_empty() => {
                return Err(Invalid::new(format!("{field}.blob"), "is set, but data is too"));
            }
            (FileState::Found, Some(digest)) => FileContent::Blob(digest),
            (FileState::Found, None) => FileContent::Inline(wire.data),
            (_, None) if wire.data.is_empty() => FileContent::None,
            _ => return Err(Invalid::new(format!("{field}.state"), "is not FOUND, but there is content")),
        };
        if let FileContent::Inline(data) = &content
            && u64::try_from(data.len()) != Ok(wire.size_bytes)
        {
            let why = format!("is {}, but data has {} bytes", wire.size_bytes, data.len());
            return Err(Invalid::new(format!("{field}.size_bytes"), why));
        }
        Ok(FileResult { path, state, size_bytes: wire.size_bytes, executable: wire.executable, content })
    }
}

impl From<&FileResult> for v1::FileResult {
    fn from(file: &FileResult) -> Self {
        let (data, blob) = match &file.content {
            FileContent::None => (Bytes::new(), String::new()),
            FileContent::Inline(data) => (data.clone(), String::new()),
            FileContent::Blob(digest) => (Bytes::new(), digest.to_string()),
        };
        v1::FileResult {
            path: file.path.to_bytes(),
            state: v1::FileState::from(file.state).into(),
            size_bytes: file.size_bytes,
            executable: file.executable,
            data,
            blob,
        }
    }
}

impl FileState {
    /// `None` for UNSPECIFIED.
    pub const fn from_wire(state: v1::FileState) -> Option<Self> {
        Some(match state {
            v1::FileState::Unspecified => return None,
            v1::FileState::Found => FileState::Found,
            v1::FileState::Missing => FileState::Missing,
            v1::FileState::NotRegular => FileState::NotRegular,
            v1::FileState::TooLarge => FileState::TooLarge,
            v1::FileState::Unreadable => FileState::Unreadable,
        })
    }
}

impl From<FileState> for v1::FileState {
    fn from(state: FileState) -> Self {
        match state {
            FileState::Found => v1::FileState::Found,
            FileState::Missing => v1::FileState::Missing,
            FileState::NotRegular => v1::FileState::NotRegular,
            FileState::TooLarge => v1::FileState::TooLarge,
            FileState::Unreadable => v1::FileState::Unreadable,
        }
    }
}

impl From<v1::Phases> for Phases {
    fn from(wire: v1::Phases) -> Self {
        Phases {
            received_unix_us: wire.received_unix_us,
            fetched_unix_us: wire.fetched_unix_us,
            prepared_unix_us: wire.prepared_unix_us,
            started_unix_us: wire.started_unix_us,
            ended_unix_us: wire.ended_unix_us,
            collected_unix_us: wire.collected_unix_us,
        }
    }
}

impl From<Phases> for v1::Phases {
    fn from(phases: Phases) -> Self {
        v1::Phases {
            received_unix_us: phases.received_unix_us,
            fetched_unix_us: phases.fetched_unix_us,
            prepared_unix_us: phases.prepared_unix_us,
            started_unix_us: phases.started_unix_us,
            ended_unix_us: phases.ended_unix_us,
            collected_unix_us: phases.collected_unix_us,
        }
    }
}

fn check_result_bytes(data: &Bytes, field: Arguments<'_>) -> Result<(), Invalid> {
    if data.len() <= MAX_RESULT_BYTES {
        return Ok(());
    }
    let why = format!("has {} bytes; at most {MAX_RESULT_BYTES} are allowed", data.len());
    Err(Invalid::new(format!("{field}.data"), why))
}

/// Empty means none.
fn optional_digest(text: &str, field: Arguments<'_>) -> Result<Option<Digest>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| Invalid::new(format!("{field}.blob"), format!("{error}")))
}
