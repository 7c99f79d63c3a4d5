//! Names and ids that people and programs choose: of jobs, steps, commands, images, workers and labels.
//!
//! Each is short, printable and holds no path separator (labels' values apart), so none can hurt a log, a metric or a file name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::violation::{Collector, Invalid, quoted};

/// Longest name of a step, command, image or label.
pub const MAX_NAME_BYTES: usize = 63;
/// Longest name of a worker.
pub const MAX_WORKER_NAME_BYTES: usize = 128;
/// Longest value of a label.
pub const MAX_LABEL_VALUE_BYTES: usize = 255;
/// Most labels of a job.
pub const MAX_LABELS: usize = 32;
/// Longest idempotency key.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Why a text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Outside the alphabet or the length.
    #[error("is {text}; must be {allowed}")]
    NotAName { text: String, allowed: &'static str },
    /// Not a UUIDv7 in its usual spelling.
    #[error("is {text}; must be a job's id, a UUIDv7 such as 0190a0b0-c0d0-7000-8000-000000000000")]
    NotAJobId { text: String },
}

/// A job's id: a UUIDv7, whose order is the order of submission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// A new id at this moment.
    pub fn now() -> Self {
        JobId(Uuid::now_v7())
    }

    /// The 16 bytes, whose order is the ids' order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From the 16 bytes of a UUIDv7.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, NameError> {
        JobId::checked(Uuid::from_bytes(bytes)).ok_or_else(|| NameError::NotAJobId { text: quoted(&bytes) })
    }

    fn checked(uuid: Uuid) -> Option<Self> {
        (uuid.get_version_num() == 7 && uuid.get_variant() == uuid::Variant::RFC4122).then_some(JobId(uuid))
    }
}

impl FromStr for JobId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let id = Uuid::try_parse(text).ok().and_then(JobId::checked);
        // One id has one text: no braces, no upper case.
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| NameError::NotAJobId { text: quoted(text.as_bytes()) })
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes a newtype over `String` with one check.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $allowed:literal, $is_allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Must be ", $allowed, ".")]
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                let is_allowed: fn(&str) -> bool = $is_allowed;
                if is_allowed(&text) {
                    return Ok($name(text));
                }
                Err(NameError::NotAName { text: quoted(text.as_bytes()), allowed: $allowed })
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $name::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type!(
    /// Name of a step, unique in its job.
    StepName,
    "1 to 63 of [a-z0-9_-]",
    is_plain_name
);
name_type!(
    /// Name of a command, unique in its step.
    CommandName,
    "1 to 63 of [a-z0-9_-]",
    is_plain_name
);
name_type!(
    /// Name of a profile of the operator's.
    ProfileName,
    "1 to 63 of [a-z0-9_-]",
    is_plain_name
);
name_type!(
    /// Name of an imported image. Never `host`, which is the machine's own toolchains.
    ImageName,
    "1 to 63 of [a-z0-9._-], beginning with a letter or digit, and not \"host\"",
    is_image_name
);
name_type!(
    /// Name of a worker, unique among those of a server.
    WorkerName,
    "1 to 128 of [A-Za-z0-9._-]",
    is_worker_name
);
name_type!(
    /// Name of a label.
    LabelName,
    "1 to 63 bytes without control characters",
    |text| is_text(text, MAX_NAME_BYTES) && !text.is_empty()
);
name_type!(
    /// Value of a label; may be empty.
    LabelValue,
    "at most 255 bytes without control characters",
    |text| is_text(text, MAX_LABEL_VALUE_BYTES)
);
name_type!(
    /// What makes two submissions the same.
    IdempotencyKey,
    "1 to 128 bytes without control characters",
    |text| is_text(text, MAX_IDEMPOTENCY_KEY_BYTES) && !text.is_empty()
);

impl CommandName {
    /// Name of a step's only command that was given none.
    pub const MAIN: &'static str = "main";

    /// `main`.
    pub fn main() -> Self {
        CommandName(Self::MAIN.to_owned())
    }
}

/// Labels of a job, or those that a job must carry to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(BTreeMap<LabelName, LabelValue>);

impl Labels {
    /// Checks labels from the wire. `field` is their path.
    pub fn check(labels: BTreeMap<String, String>, field: &str) -> Result<Labels, Invalid> {
        let mut collector = Collector::default();
        if labels.len() > MAX_LABELS {
            collector.add(field, format!("has {} entries; at most {MAX_LABELS} are allowed", labels.len()));
        }
        let mut checked = BTreeMap::new();
        for (name, value) in labels.into_iter().take(MAX_LABELS) {
            let value_field = format!("{field}[{}]", quoted(name.as_bytes()));
            let name = collector.keep(format_args!("{field} (a name)"), LabelName::new(name));
            let value = collector.keep(&value_field, LabelValue::new(value));
            checked.extend(name.zip(value));
        }
        collector.finish().map(|()| Labels(checked))
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelName, &LabelValue)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every label of `wanted` is here, with the same value.
    pub fn contain(&self, wanted: &Labels) -> bool {
        wanted.0.iter().all(|(name, value)| self.0.get(name) == Some(value))
    }

    /// As on the wire.
    pub fn to_wire(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }
}

fn is_plain_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn is_image_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text != "host"
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn is_worker_name(text: &str) -> bool {
    (1..=MAX_WORKER_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_text(text: &str, most: usize) -> bool {
    text.len() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_edges() {
        for text in ["a", "step-1", "a_b", "0", &"x".repeat(63)] {
            assert!(StepName::new(text).is_ok(), "{text}");
            assert!(CommandName::new(text).is_ok(), "{text}");
        }
        for text in ["", "A", "a b", "a/b", "..", "a\0", "é", &"x".repeat(64), &"x".repeat(5_000)] {
            let error = StepName::new(text).expect_err(text).to_string();
            assert!(error.ends_with("must be 1 to 63 of [a-z0-9_-]") && error.len() < 300, "{error}");
            assert!(CommandName::new(text).is_err(), "{text}");
        }
        for text in ["host", "-a", ".a", "A", "a/b", ""] {
            assert!(ImageName::new(text).is_err(), "{text}");
        }
        assert!(ImageName::new("debian-12.5").is_ok());
        assert!(WorkerName::new("Host-1.example").is_ok());
        assert!(WorkerName::new("a b").is_err());
        assert!(IdempotencyKey::new("").is_err());
        assert!(IdempotencyKey::new("k".repeat(128)).is_ok());
        assert!(IdempotencyKey::new("k".repeat(129)).is_err());
    }

    #[test]
    fn job_ids_have_one_text_and_one_version() {
        let id = JobId::now();
        assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        assert_eq!(JobId::from_bytes(*id.as_bytes()), Ok(id));
        let v4 = "3b241101-e2bb-4255-8caf-4136c566a962";
        for text in ["", "x", v4, &id.to_string().to_uppercase(), &format!("{{{id}}}"), &"0".repeat(5_000)] {
            assert!(text.parse::<JobId>().is_err(), "{text}");
        }
        assert!(JobId::from_bytes([0; 16]).is_err());
    }

    #[test]
    fn labels_are_counted_and_each_is_named() {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let labels = Labels::check(map(&[("team", "a"), ("empty", "")]), "labels").expect("both are good");
        assert!(labels.contain(&Labels::default()));
        assert!(labels.contain(&Labels::check(map(&[("team", "a")]), "labels").expect("good")));
        assert!(!labels.contain(&Labels::check(map(&[("team", "b")]), "labels").expect("good")));
        let invalid = Labels::check(map(&[("", "a"), ("b", "\n")]), "labels").expect_err("two are bad");
        let fields: Vec<_> = invalid.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["labels (a name)", "labels[\"b\"]"]);
        let many = (0..33).map(|index| (format!("l{index}"), String::new())).collect();
        assert!(Labels::check(many, "labels").expect_err("33").to_string().contains("at most 32"));
    }
}
