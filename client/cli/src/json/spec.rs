//! A job's spec as JSON: what `submit --spec` reads and `get --json` prints. Only the form is checked here; the server checks the rest.

use std::collections::BTreeMap;

use kiln_proto::v1;
use serde::{Deserialize, Serialize};

use super::bytes::Blob;
use super::{wire_name, word};

const PRIORITY: &str = "PRIORITY_";
const STREAM: &str = "STREAM_";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSpec {
    steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<String>,
    commands: Vec<Command>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pipes: Vec<Pipe>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pipe {
    from: String,
    to: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    argv: Vec<Blob>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    env: Vec<EnvVar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cwd: Option<Blob>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdin: Option<Content>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files_in: Vec<FileIn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files_out: Vec<FileOut>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    profile: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvVar {
    name: Blob,
    value: Blob,
}

/// `{"inline": "text"}`, `{"blob": "blake3:..."}` or `{"output_of": {...}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Inline(Blob),
    Blob(String),
    OutputOf(StepOutput),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepOutput {
    step: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<Blob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIn {
    path: Blob,
    content: Content,
    #[serde(default)]
    executable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOut {
    path: Blob,
    #[serde(default)]
    optional: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
}

macro_rules! limits {
    ($($field:ident),*) => {
        /// Numbers in the units that their names say.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct Limits {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<u64>,)*
        }

        impl From<&v1::Limits> for Limits {
            fn from(limits: &v1::Limits) -> Limits {
                Limits { $($field: limits.$field),* }
            }
        }

        impl From<Limits> for v1::Limits {
            fn from(limits: Limits) -> v1::Limits {
                v1::Limits { $($field: limits.$field),* }
            }
        }
    };
}

limits!(
    cpu_ms,
    wall_ms,
    memory_bytes,
    pids,
    output_bytes,
    file_size_bytes,
    disk_bytes,
    inodes,
    open_files,
    stack_bytes,
    cpu_rate_millis
);

/// A word of an enum that there is not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("priority `{0}` is none of low, normal, high")]
    Priority(String),
    #[error("stream `{0}` is none of stdout, stderr")]
    Stream(String),
    #[error("output_of step `{0}` needs exactly one of `file` and `stream`")]
    Part(String),
}

impl TryFrom<JobSpec> for v1::JobSpec {
    type Error = SpecError;

    fn try_from(spec: JobSpec) -> Result<v1::JobSpec, SpecError> {
        let priority = spec.priority.map(|text| {
            v1::Priority::from_str_name(&wire_name(&text, PRIORITY)).ok_or(SpecError::Priority(text))
        });
        Ok(v1::JobSpec {
            steps: spec.steps.into_iter().map(v1::Step::try_from).collect::<Result<_, _>>()?,
            priority: priority.transpose()?.unwrap_or_default().into(),
            labels: spec.labels.into_iter().collect(),
        })
    }
}

impl TryFrom<Step> for v1::Step {
    type Error = SpecError;

    fn try_from(step: Step) -> Result<v1::Step, SpecError> {
        Ok(v1::Step {
            name: step.name,
            needs: step.needs,
            commands: step.commands.into_iter().map(v1::Command::try_from).collect::<Result<_, _>>()?,
            pipes: step.pipes.into_iter().map(|pipe| v1::Pipe { from: pipe.from, to: pipe.to }).collect(),
        })
    }
}

impl TryFrom<Command> for v1::Command {
    type Error = SpecError;

    fn try_from(command: Command) -> Result<v1::Command, SpecError> {
        let env = command.env.into_iter();
        Ok(v1::Command {
            name: command.name,
            argv: command.argv.into_iter().map(|word| word.0).collect(),
            env: env.map(|pair| v1::EnvVar { name: pair.name.0, value: pair.value.0 }).collect(),
            cwd: command.cwd.map(|path| path.0).unwrap_or_default(),
            image: command.image,
            stdin: command.stdin.map(v1::Content::try_from).transpose()?,
            files_in: command.files_in.into_iter().map(v1::FileIn::try_from).collect::<Result<_, _>>()?,
            files_out: command.files_out.into_iter().map(v1::FileOut::from).collect(),
            limits: command.limits.map(v1::Limits::from),
            profile: command.profile,
        })
    }
}

impl TryFrom<Content> for v1::Content {
    type Error = SpecError;

    fn try_from(content: Content) -> Result<v1::Content, SpecError> {
        use v1::content::Source;
        let source = match content {
            Content::Inline(bytes) => Source::Inline(bytes.0),
            Content::Blob(digest) => Source::Blob(digest),
            Content::OutputOf(output) => Source::OutputOf(output.try_into()?),
        };
        Ok(v1::Content { source: Some(source) })
    }
}

impl TryFrom<StepOutput> for v1::StepOutput {
    type Error = SpecError;

    fn try_from(output: StepOutput) -> Result<v1::StepOutput, SpecError> {
        use v1::step_output::What;
        let what = match (output.file, output.stream) {
            (Some(file), None) => What::File(file.0),
            (None, Some(stream)) => {
                let found = v1::Stream::from_str_name(&wire_name(&stream, STREAM));
                What::Stream(found.ok_or(SpecError::Stream(stream))?.into())
            }
            _ => return Err(SpecError::Part(output.step)),
        };
        Ok(v1::StepOutput { step: output.step, command: output.command, what: Some(what) })
    }
}

impl TryFrom<FileIn> for v1::FileIn {
    type Error = SpecError;

    fn try_from(file: FileIn) -> Result<v1::FileIn, SpecError> {
        let content = Some(file.content.try_into()?);
        Ok(v1::FileIn { path: file.path.0, content, executable: file.executable })
    }
}

impl From<FileOut> for v1::FileOut {
    fn from(file: FileOut) -> v1::FileOut {
        v1::FileOut { path: file.path.0, optional: file.optional, max_bytes: file.max_bytes }
    }
}

impl From<&v1::JobSpec> for JobSpec {
    fn from(spec: &v1::JobSpec) -> JobSpec {
        let priority = match spec.priority() {
            v1::Priority::Unspecified => None,
            priority => Some(word(priority.as_str_name(), PRIORITY)),
        };
        JobSpec {
            steps: spec.steps.iter().map(Step::from).collect(),
            priority,
            labels: spec.labels.clone().into_iter().collect(),
        }
    }
}

impl From<&v1::Step> for Step {
    fn from(step: &v1::Step) -> Step {
        let pipes = step.pipes.iter();
        Step {
            name: step.name.clone(),
            needs: step.needs.clone(),
            commands: step.commands.iter().map(Command::from).collect(),
            pipes: pipes.map(|pipe| Pipe { from: pipe.from.clone(), to: pipe.to.clone() }).collect(),
        }
    }
}

impl From<&v1::Command> for Command {
    fn from(command: &v1::Command) -> Command {
        let env = command.env.iter();
        Command {
            name: command.name.clone(),
            argv: command.argv.iter().map(Blob::from).collect(),
            env: env.map(|pair| EnvVar { name: (&pair.name).into(), value: (&pair.value).into() }).collect(),
            cwd: (!command.cwd.is_empty()).then(|| (&command.cwd).into()),
            image: command.image.clone(),
            stdin: command.stdin.as_ref().and_then(content),
            files_in: command.files_in.iter().filter_map(file_in).collect(),
            files_out: command.files_out.iter().map(FileOut::from).collect(),
            limits: command.limits.as_ref().map(Limits::from),
            profile: command.profile.clone(),
        }
    }
}

impl From<&v1::FileOut> for FileOut {
    fn from(file: &v1::FileOut) -> FileOut {
        FileOut { path: (&file.path).into(), optional: file.optional, max_bytes: file.max_bytes }
    }
}

fn file_in(file: &v1::FileIn) -> Option<FileIn> {
    let content = content(file.content.as_ref()?)?;
    Some(FileIn { path: (&file.path).into(), content, executable: file.executable })
}

fn content(content: &v1::Content) -> Option<Content> {
    use v1::content::Source;
    Some(match content.source.as_ref()? {
        Source::Inline(bytes) => Content::Inline(bytes.into()),
        Source::Blob(digest) => Content::Blob(digest.clone()),
        Source::OutputOf(output) => Content::OutputOf(step_output(output)),
    })
}

fn step_output(output: &v1::StepOutput) -> StepOutput {
    use v1::step_output::What;
    let (file, stream) = match &output.what {
        Some(What::File(path)) => (Some(path.into()), None),
        Some(What::Stream(stream)) => {
            let stream = v1::Stream::try_from(*stream).unwrap_or_default();
            (None, Some(word(stream.as_str_name(), STREAM)))
        }
        None => (None, None),
    };
    StepOutput { step: output.step.clone(), command: output.command.clone(), file, stream }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
        "steps": [
            {"name": "make", "commands": [{
                "argv": ["gcc", {"base64": "/w=="}],
                "env": [{"name": "PATH", "value": "/usr/bin"}],
                "cwd": "/work", "image": "host", "stdin": {"inline": "hello"},
                "files_in": [{"path": "/work/a.c", "content": {"blob": "blake3:00"}, "executable": false}],
                "files_out": [{"path": "/work/a.out", "optional": false, "max_bytes": 10}],
                "limits": {"cpu_ms": 1000, "pids": 16}, "profile": "build"
            }]},
            {"name": "use", "needs": ["make"], "commands": [
                {"name": "left", "argv": ["./a.out"], "files_in": [{"path": "/work/a.out", "executable": true,
                    "content": {"output_of": {"step": "make", "file": "/work/a.out"}}}]},
                {"name": "right", "argv": ["cat"]}
            ], "pipes": [{"from": "left", "to": "right"}]}
        ],
        "priority": "high", "labels": {"course": "42"}
    }"#;

    #[test]
    fn a_spec_goes_to_the_wire_and_comes_back_the_same() {
        let spec: JobSpec = serde_json::from_str(EXAMPLE).expect("the example is well formed");
        let wire = v1::JobSpec::try_from(spec.clone()).expect("the example is well formed");
        assert_eq!(wire.priority(), v1::Priority::High);
        assert_eq!(wire.steps[0].commands[0].argv[1].as_ref(), b"\xff");
        assert_eq!(JobSpec::from(&wire), spec);
        insta::assert_json_snapshot!(spec);
    }

    #[test]
    fn unknown_fields_and_words_are_refused() {
        let refused = |text: &str| match serde_json::from_str::<JobSpec>(text) {
            Ok(spec) => v1::JobSpec::try_from(spec).expect_err(text).to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused(r#"{"steps": [], "stepps": []}"#).contains("stepps"));
        assert!(refused(r#"{"steps": [], "priority": "urgent"}"#).contains("low, normal, high"));
        assert!(
            refused(r#"{"steps": [{"name": "a", "commands": [{"argv": [], "limits": {"cpu": 1}}]}]}"#)
                .contains("`cpu`")
        );
        let stdin = |text: &str| {
            refused(&format!(
                r#"{{"steps": [{{"name": "a", "commands": [{{"argv": [], "stdin": {text}}}]}}]}}"#
            ))
        };
        assert!(stdin(r#"{"output_of": {"step": "b", "stream": "stdlog"}}"#).contains("stdout, stderr"));
        assert!(stdin(r#"{"output_of": {"step": "b"}}"#).contains("exactly one"));
        assert!(stdin(r#"{"file": "x"}"#).contains("unknown variant"));
    }
}
