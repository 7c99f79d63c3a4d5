//! What became of a command, as JSON.

use bytes::Bytes;
use kiln_proto::v1;
use serde::Serialize;

use super::bytes::{Blob, base64_of};
use super::evidence::Evidence;
use super::word;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_value: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_value: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    syscall: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    syscall_args: Vec<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    infrastructure_step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    infrastructure_errno: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    infrastructure_detail: String,
    evidence: Evidence,
    sentence: String,
}

/// A struct of optional fields that are on the wire by the same names.
macro_rules! optional_fields {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? } $(and { $($extra:ident: $extra_type:ty),* })?) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Serialize)]
        pub(crate) struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<$type>,)*
            $($($extra: $extra_type,)*)?
        }

        impl From<&v1::$name> for $name {
            fn from(wire: &v1::$name) -> $name {
                $name { $($field: wire.$field,)* $($($extra: wire.$extra.clone(),)*)? }
            }
        }
    };
}

optional_fields!(
    /// What a command consumed; absent where the kernel does not tell.
    Usage {
        cpu_user_us: u64,
        cpu_system_us: u64,
        wall_us: u64,
        peak_memory_bytes: u64,
        peak_pids: u64,
        read_bytes: u64,
        written_bytes: u64,
        voluntary_switches: u64,
        involuntary_switches: u64,
        minor_faults: u64,
        major_faults: u64,
        throttled_us: u64,
        oom_kills: u64,
    } and { lower_bounds: Vec<String> }
);

impl From<&v1::Outcome> for Outcome {
    fn from(wire: &v1::Outcome) -> Outcome {
        let limit = match wire.limit() {
            v1::LimitName::Unspecified => None,
            limit => Some(word(limit.as_str_name(), "LIMIT_NAME_")),
        };
        Outcome {
            kind: word(wire.kind().as_str_name(), "OUTCOME_KIND_"),
            code: wire.code,
            signal: wire.signal,
            limit,
            limit_value: wire.limit_value,
            seen_value: wire.seen_value,
            syscall: wire.syscall.clone(),
            syscall_args: wire.syscall_args.clone(),
            infrastructure_step: wire.infrastructure_step.clone(),
            infrastructure_errno: wire.infrastructure_errno,
            infrastructure_detail: wire.infrastructure_detail.clone(),
            evidence: wire.evidence.as_ref().map(Evidence::from).unwrap_or_default(),
            sentence: wire.sentence.clone(),
        }
    }
}

/// stdout and stderr, flat: `stdout` where it is UTF-8, else `stdout_base64`; what is not plain is said beside it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Streams {
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    stdout_blob: String,
    #[serde(skip_serializing_if = "is_false")]
    stdout_truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    stdout_piped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    stderr_blob: String,
    #[serde(skip_serializing_if = "is_false")]
    stderr_truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    stderr_piped: bool,
}

/// What was received of both streams of a command, beyond what its result holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Streams {
    pub(crate) fn new(result: &v1::CommandResult, received: Option<&Received>) -> Streams {
        let empty = v1::Output::default();
        let (out, err) = (result.stdout.as_ref().unwrap_or(&empty), result.stderr.as_ref().unwrap_or(&empty));
        let longer = |kept: &Bytes, live: Option<&Vec<u8>>| match live {
            Some(live) if live.len() > kept.len() => live.clone(),
            _ => kept.to_vec(),
        };
        let (stdout, stdout_base64) = text_or_base64(longer(&out.data, received.map(|live| &live.stdout)));
        let (stderr, stderr_base64) = text_or_base64(longer(&err.data, received.map(|live| &live.stderr)));
        Streams {
            stdout,
            stdout_base64,
            stdout_size_bytes: Some(out.size_bytes),
            stdout_blob: out.blob.clone(),
            stdout_truncated: out.truncated,
            stdout_piped: out.piped,
            stderr,
            stderr_base64,
            stderr_size_bytes: Some(err.size_bytes),
            stderr_blob: err.blob.clone(),
            stderr_truncated: err.truncated,
            stderr_piped: err.piped,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct File {
    path: Blob,
    state: String,
    size_bytes: u64,
    executable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Blob>,
    #[serde(skip_serializing_if = "String::is_empty")]
    blob: String,
}

impl From<&v1::FileResult> for File {
    fn from(wire: &v1::FileResult) -> File {
        let inside = wire.state() == v1::FileState::Found && wire.blob.is_empty();
        File {
            path: (&wire.path).into(),
            state: word(wire.state().as_str_name(), "FILE_STATE_"),
            size_bytes: wire.size_bytes,
            executable: wire.executable,
            data: inside.then(|| (&wire.data).into()),
            blob: wire.blob.clone(),
        }
    }
}

/// Moments, microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Phases {
    received_unix_us: u64,
    fetched_unix_us: u64,
    prepared_unix_us: u64,
    started_unix_us: u64,
    ended_unix_us: u64,
    collected_unix_us: u64,
}

impl From<&v1::Phases> for Phases {
    fn from(wire: &v1::Phases) -> Phases {
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

#[derive(Clone, Debug, Serialize)]
pub(crate) struct CommandResult {
    name: String,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) usage: Option<Usage>,
    #[serde(flatten)]
    pub(crate) streams: Streams,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<File>,
    phases: Option<Phases>,
}

impl CommandResult {
    pub(crate) fn new(wire: &v1::CommandResult, received: Option<&Received>) -> CommandResult {
        CommandResult {
            name: wire.name.clone(),
            outcome: wire.outcome.as_ref().map(Outcome::from),
            usage: wire.usage.as_ref().map(Usage::from),
            streams: Streams::new(wire, received),
            files: wire.files.iter().map(File::from).collect(),
            phases: wire.phases.as_ref().map(Phases::from),
        }
    }
}

fn text_or_base64(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(base64_of(error.as_bytes()))),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
