//! Bytes that go into a command: nothing, inline, a stored blob, or what an earlier step left.

use std::fmt::Arguments;

use prost::bytes::Bytes;

use super::checker::{Checker, Scope};
use super::digest::Digest;
use super::path::FilePath;
use super::violation::quoted;
use crate::{MAX_INLINE_BYTES, v1};

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// No bytes.
    Empty,
    /// At most [`MAX_INLINE_BYTES`], at least one.
    Inline(Bytes),
    /// A stored blob. That it exists is the server's to check.
    Blob(Digest),
    /// What a step in `needs` left. Both are indices, and `what` is something that this command returns.
    OutputOf {
        /// Index of the step in the job.
        step: usize,
        /// Index of the command in that step.
        command: usize,
        /// What of it.
        what: OutputPart,
    },
}

/// A part of what a command leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutputPart {
    /// One of its `files_out`, not an optional one.
    File(FilePath),
    /// One of its streams, not piped into another command.
    Stream(Stream),
}

/// An output stream of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// `None` for UNSPECIFIED.
    pub const fn from_wire(stream: v1::Stream) -> Option<Self> {
        match stream {
            v1::Stream::Unspecified => None,
            v1::Stream::Stdout => Some(Stream::Stdout),
            v1::Stream::Stderr => Some(Stream::Stderr),
        }
    }

    /// `stdout` or `stderr`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl From<Stream> for v1::Stream {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => v1::Stream::Stdout,
            Stream::Stderr => v1::Stream::Stderr,
        }
    }
}

impl Content {
    /// Checks content; `None` after a violation.
    pub(crate) fn check(
        content: &v1::Content,
        field: Arguments<'_>,
        checker: &mut Checker<'_>,
    ) -> Option<Content> {
        match &content.source {
            None => {
                checker.violations.add(field, "says no source; set one of inline, blob, output_of");
                None
            }
            Some(v1::content::Source::Inline(bytes)) => check_inline(bytes, field, checker),
            Some(v1::content::Source::Blob(digest)) => {
                let digest = digest.parse().map_err(|error| format!("{error}"));
                checker.violations.keep(format_args!("{field}.blob"), digest).map(Content::Blob)
            }
            Some(v1::content::Source::OutputOf(output)) => {
                let field = format_args!("{field}.output_of");
                match checker.scope {
                    Scope::Job { spec, step } => Reference { spec, step, output, field }.check(checker),
                    Scope::Lease => {
                        checker
                            .violations
                            .add(field, "is not resolved; a lease holds inline content or blobs");
                        None
                    }
                }
            }
        }
    }

    /// `names` gives a step's and a command's name by their indices.
    pub(crate) fn to_wire(&self, names: impl Fn(usize, usize) -> (String, String)) -> v1::Content {
        use v1::content::Source;
        let source = match self {
            Content::Empty => Source::Inline(Bytes::new()),
            Content::Inline(bytes) => Source::Inline(bytes.clone()),
            Content::Blob(digest) => Source::Blob(digest.to_string()),
            Content::OutputOf { step, command, what } => {
                let (step, command) = names(*step, *command);
                let what = match what {
                    OutputPart::File(path) => v1::step_output::What::File(path.to_bytes()),
                    OutputPart::Stream(stream) => {
                        v1::step_output::What::Stream(v1::Stream::from(*stream).into())
                    }
                };
                Source::OutputOf(v1::StepOutput { step, command, what: Some(what) })
            }
        };
        v1::Content { source: Some(source) }
    }
}

fn check_inline(bytes: &Bytes, field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<Content> {
    checker.inline_bytes = checker.inline_bytes.saturating_add(bytes.len());
    if bytes.len() > MAX_INLINE_BYTES {
        let why = format!(
            "has {} bytes; at most {MAX_INLINE_BYTES} are allowed, upload more as a blob",
            bytes.len()
        );
        checker.violations.add(format_args!("{field}.inline"), why);
        return None;
    }
    Some(if bytes.is_empty() { Content::Empty } else { Content::Inline(bytes.clone()) })
}

/// An `output_of` in a job, by the names of the wire.
struct Reference<'a> {
    spec: &'a v1::JobSpec,
    /// The step that holds it.
    step: usize,
    output: &'a v1::StepOutput,
    field: Arguments<'a>,
}

impl Reference<'_> {
    fn check(&self, checker: &mut Checker<'_>) -> Option<Content> {
        let found = self.step().and_then(|step| {
            let command = self.command(step)?;
            Ok(Content::OutputOf { step, command, what: self.part(step, command)? })
        });
        found.map_err(|(field, why)| checker.violations.add(format_args!("{}.{field}", self.field), why)).ok()
    }

    fn step(&self) -> Result<usize, (&'static str, String)> {
        let name = &self.output.step;
        let refused = |why: &str| Err(("step", format!("is {}; {why}", quoted(name.as_bytes()))));
        let Some(step) = self.spec.steps.iter().position(|step| step.name == *name) else {
            return refused("must be a step of this job");
        };
        if !self.spec.steps[self.step].needs.contains(name) {
            return refused("must be in this step's needs");
        }
        Ok(step)
    }

    fn command(&self, step: usize) -> Result<usize, (&'static str, String)> {
        let (name, commands) = (&self.output.command, &self.spec.steps[step].commands);
        if name.is_empty() {
            return match commands.len() {
                1 => Ok(0),
                several => {
                    Err(("command", format!("is empty; the step has {several} commands, so name one")))
                }
            };
        }
        let position =
            commands.iter().position(|command| super::step::wire_name(command, commands.len()) == name);
        position.ok_or_else(|| {
            ("command", format!("is {}; must be a command of that step", quoted(name.as_bytes())))
        })
    }

    fn part(&self, step: usize, command: usize) -> Result<OutputPart, (&'static str, String)> {
        let step = &self.spec.steps[step];
        match &self.output.what {
            None => Err(("what", "is unset; set file or stream".to_owned())),
            Some(v1::step_output::What::File(path)) => {
                let files = &step.commands[command].files_out;
                let path_checked =
                    FilePath::new(path.clone()).map_err(|error| ("file", error.to_string()))?;
                match files.iter().find(|file| file.path == *path) {
                    None => {
                        Err(("file", format!("is {}; must be in that command's files_out", quoted(path))))
                    }
                    Some(file) if file.optional => Err((
                        "file",
                        format!("is {}, which is optional there; it may be missing", quoted(path)),
                    )),
                    Some(_) => Ok(OutputPart::File(path_checked)),
                }
            }
            Some(v1::step_output::What::Stream(number)) => {
                let stream = v1::Stream::try_from(*number).ok().and_then(Stream::from_wire);
                let stream = stream.ok_or_else(|| {
                    ("stream", format!("is {number}; must be STREAM_STDOUT or STREAM_STDERR"))
                })?;
                let name = super::step::wire_name(&step.commands[command], step.commands.len());
                if stream == Stream::Stdout && step.pipes.iter().any(|pipe| pipe.from == name) {
                    return Err((
                        "stream",
                        "is STREAM_STDOUT, which is piped there: nothing is kept".to_owned(),
                    ));
                }
                Ok(OutputPart::Stream(stream))
            }
        }
    }
}
