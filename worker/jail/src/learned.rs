//! What was seen of a program while it was recorded (`kiln run --learn`), and the policy file made of it, to be reviewed.
//!
//! Holds names and numbers of calls only, no path and no string of the program's.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::seccomp::RuleText;

/// Everything seen of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// The most frequent first; one entry per call and rule that answered it.
    pub calls: Vec<LearnedCall>,
    /// In the order in which they are tried.
    pub rules: Vec<LearnedRule>,
    /// Calls that were answered but found no place in `calls`: the program made up too many different ones.
    pub unlisted: u64,
}

/// A call as one rule of the profile answered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedCall {
    pub syscall: String,
    /// `x86_64`, `aarch64`, or the foreign ABI that it was made through.
    pub arch: String,
    pub count: u64,
    pub answer: LearnedAnswer,
    /// Of the arguments that the profile looks at.
    pub values: Vec<LearnedValues>,
}

/// How a call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnedAnswer {
    Allowed,
    /// Success was told, and nothing done.
    Pretended,
    Failed {
        errno: u16,
    },
    /// It ended the sandbox.
    Forbidden,
}

/// The different values of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedValues {
    pub argument: u8,
    pub values: Vec<u32>,
    /// There were more.
    pub more: bool,
}

/// A rule that the program needs: its JSON as in a policy file, and how often it was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedRule {
    json: String,
    seen: u64,
}

impl LearnedRule {
    pub(crate) fn new(rule: &RuleText, seen: u64) -> Self {
        Self { json: serde_json::to_string(rule).expect("strings and lists always have a JSON form"), seen }
    }

    /// As a rule of a file, which says how often it was met.
    fn to_text(&self, running: &str) -> RuleText {
        let mut rule: RuleText = serde_json::from_str(&self.json).expect("it was written by `new`");
        if self.seen > 0 {
            let times = if self.seen == 1 { "once".to_owned() } else { format!("{} times", self.seen) };
            rule.reason = format!("Seen {times} while running {running}. {}", rule.reason);
        }
        rule
    }
}

impl Learned {
    /// The smallest policy that the program, `running` as it did below `profile`, runs under: a file for `[profiles.NAME]` of the
    /// configuration. `remarks` are added to what it says about itself.
    pub fn to_policy(&self, running: &str, profile: &str, remarks: &[String]) -> String {
        let mut about = format!(
            "Learnt from one run of {running} under profile `{profile}`, to be reviewed: what that run did not do is not here."
        );
        for remark in remarks {
            about.push(' ');
            about.push_str(remark);
        }
        let mut text = format!("{{\n  \"about\": {},\n  \"rules\": [\n", json(&about));
        for (index, rule) in self.rules.iter().map(|rule| rule.to_text(running)).enumerate() {
            text.push_str(if index == 0 { "    {\n" } else { ",\n    {\n" });
            text.push_str(&format!("      \"calls\": {},\n", json(&rule.calls)));
            if !rule.when.is_empty() {
                text.push_str(&format!("      \"when\": {},\n", json(&rule.when)));
            }
            text.push_str(&format!("      \"answer\": {},\n", json(&rule.answer)));
            text.push_str(&format!("      \"reason\": {}\n    }}", json(&rule.reason)));
        }
        text.push_str("\n  ]\n}\n");
        text
    }
}

/// On one line, with the blanks that people write.
fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, OneLine);
    value.serialize(&mut serializer).expect("strings and lists always have a JSON form");
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
