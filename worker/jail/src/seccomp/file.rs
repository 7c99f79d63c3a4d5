//! The format of policy files, built-in and custom, as it is written: read, bounded, and for `kiln run --learn` written.
//!
//! Owns the words only. What they mean on one architecture is [`super::policy`]'s matter, and whether a custom file may say
//! them is [`super::custom`]'s.

use serde::{Deserialize, Serialize};

use super::constants;
use super::policy::{Answer, Condition, Half, Test};

/// Longest text of a policy.
pub const MAX_POLICY_BYTES: usize = 64 << 10;
/// Most rules of a file.
const MAX_RULES: usize = 256;
/// A conditional jump of classic BPF skips at most 255 instructions, and a rule's conditions jump behind it.
const MAX_RULE_INSTRUCTIONS: usize = 240;

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {}{fault}", rule.map(|number| format!("rule {number}: ")).unwrap_or_default())]
pub struct PolicyError {
    /// The file, or the profile's name.
    pub file: String,
    /// Counted from 1.
    pub rule: Option<usize>,
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("has {bytes} bytes; at most {MAX_POLICY_BYTES} are allowed")]
    TooLong { bytes: usize },
    #[error("{why}")]
    Syntax { why: String },
    #[error("inherits {name:?}; allowed are \"strict\", \"default\", \"build\", or no `inherits`")]
    Inherits { name: String },
    #[error("`about` is empty; say what the profile is for")]
    NoAbout,
    #[error("has {count} rules; at most {MAX_RULES} are allowed")]
    TooManyRules { count: usize },
    #[error("`calls` is empty")]
    NoCalls,
    #[error("no system call is called {name:?}")]
    UnknownCall { name: String },
    #[error("names {name:?} twice")]
    CallTwice { name: String },
    #[error("{call:?}: is never reached, since rule {by} answers every call of it")]
    Dead { call: String, by: usize },
    #[error("{call:?}: has the same conditions as rule {by}")]
    Repeated { call: String, by: usize },
    #[error("argument {argument}: no value is called {name:?}; numbers are written as \"17\" or \"0x11\"")]
    UnknownValue { argument: u8, name: String },
    #[error("no error is called {name:?}; allowed are {}", constants::errnos().collect::<Vec<_>>().join(", "))]
    UnknownErrno { name: String },
    #[error("a condition is on argument {argument}; allowed are 0 to 5")]
    Argument { argument: u8 },
    #[error(
        "argument {argument}: a condition has exactly one of `is`, `is_not` and `has_any`, and it is not empty"
    )]
    NoTest { argument: u8 },
    #[error(
        "its conditions compile to {instructions} instructions; at most {MAX_RULE_INSTRUCTIONS} are possible"
    )]
    LongRule { instructions: usize },
    #[error("`reason` is empty; say why")]
    NoReason,
    #[error("allows {call:?}, which no profile may allow: {reason}")]
    NeverAllowed { call: String, reason: String },
    #[error("allows {call:?} with {value} as argument {argument}, which no profile may allow: {reason}")]
    ValueNeverAllowed { call: String, argument: u8, value: String, reason: String },
    #[error(
        "does not allow {call:?} whatever its arguments are, and without it no program can be started or end"
    )]
    NeededCall { call: &'static str },
    #[error("compiles to {instructions} instructions; the kernel takes at most {maximum}")]
    TooLarge { instructions: usize, maximum: usize },
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    pub(super) about: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inherits: Option<String>,
    pub(super) rules: Vec<RuleText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    pub(crate) calls: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) when: Vec<ConditionText>,
    pub(crate) answer: AnswerText,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionText {
    pub(crate) argument: u8,
    #[serde(default, skip_serializing_if = "is_low")]
    pub(crate) half: Half,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_not: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has_any: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnswerText {
    Allow,
    Notify,
    Error(String),
    /// Success is told, and nothing is done.
    Pretend,
}

impl PolicyFile {
    /// Reads a file and checks all that can be said of it alone.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let whole = |fault| PolicyError { file: file.to_owned(), rule: None, fault };
        if text.len() > MAX_POLICY_BYTES {
            return Err(whole(Fault::TooLong { bytes: text.len() }));
        }
        let parsed: Self =
            serde_json::from_str(text).map_err(|error| whole(Fault::Syntax { why: error.to_string() }))?;
        if parsed.about.trim().is_empty() {
            return Err(whole(Fault::NoAbout));
        }
        if parsed.rules.len() > MAX_RULES {
            return Err(whole(Fault::TooManyRules { count: parsed.rules.len() }));
        }
        for (index, rule) in parsed.rules.iter().enumerate() {
            rule.check(&parsed.rules[..index]).map_err(|fault| PolicyError {
                file: file.to_owned(),
                rule: Some(index + 1),
                fault,
            })?;
        }
        Ok(parsed)
    }
}

impl RuleText {
    /// Whether every word is known and the rule can be reached behind the ones before it.
    fn check(&self, before: &[RuleText]) -> Result<(), Fault> {
        if self.reason.trim().is_empty() {
            return Err(Fault::NoReason);
        }
        if self.calls.is_empty() {
            return Err(Fault::NoCalls);
        }
        for (index, name) in self.calls.iter().enumerate() {
            if !super::tables::is_a_call(name) {
                return Err(Fault::UnknownCall { name: name.clone() });
            }
            if self.calls[..index].contains(name) {
                return Err(Fault::CallTwice { name: name.clone() });
            }
        }
        self.answer.resolve()?;
        let conditions = self.conditions()?;
        let instructions: usize = conditions.iter().map(Condition::instructions).sum();
        if instructions > MAX_RULE_INSTRUCTIONS {
            return Err(Fault::LongRule { instructions });
        }
        self.calls.iter().try_for_each(|call| self.check_reached(call, &conditions, before))
    }

    fn check_reached(
        &self,
        call: &String,
        conditions: &[Condition],
        before: &[RuleText],
    ) -> Result<(), Fault> {
        for (index, earlier) in before.iter().enumerate().filter(|(_, rule)| rule.calls.contains(call)) {
            let (call, by) = (call.clone(), index + 1);
            if earlier.when.is_empty() {
                return Err(Fault::Dead { call, by });
            }
            if earlier.conditions()? == conditions {
                return Err(Fault::Repeated { call, by });
            }
        }
        Ok(())
    }

    pub(super) fn conditions(&self) -> Result<Vec<Condition>, Fault> {
        self.when.iter().map(ConditionText::resolve).collect()
    }
}

impl ConditionText {
    fn resolve(&self) -> Result<Condition, Fault> {
        let argument = self.argument;
        if argument > 5 {
            return Err(Fault::Argument { argument });
        }
        let value = |name: &String| {
            constants::value(name).ok_or_else(|| Fault::UnknownValue { argument, name: name.clone() })
        };
        let values = |names: &[String]| names.iter().map(value).collect::<Result<Vec<_>, _>>();
        let test = match (&self.is, &self.is_not, &self.has_any) {
            (Some(is), None, None) if !is.is_empty() => Test::Is(values(is)?),
            (None, Some(is_not), None) if !is_not.is_empty() => Test::IsNot(values(is_not)?),
            (None, None, Some(bits)) if !bits.is_empty() => {
                Test::HasAny(values(bits)?.into_iter().fold(0, |all, bit| all | bit))
            }
            _ => return Err(Fault::NoTest { argument }),
        };
        let mask = self.mask.as_ref().map(value).transpose()?.unwrap_or(u32::MAX);
        Ok(Condition { argument, half: self.half, mask, test })
    }
}

impl AnswerText {
    pub(super) fn resolve(&self) -> Result<Answer, Fault> {
        Ok(match self {
            Self::Allow => Answer::Allow,
            Self::Notify => Answer::Notify,
            Self::Pretend => Answer::Error(0),
            Self::Error(name) => Answer::Error(
                constants::errno(name).ok_or_else(|| Fault::UnknownErrno { name: name.clone() })?,
            ),
        })
    }
}

/// serde hands over a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_low(half: &Half) -> bool {
    *half == Half::Low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file with these rules.
    fn with_rules(rules: &str) -> String {
        format!(r#"{{"about": "a test", "rules": [{rules}]}}"#)
    }

    fn told(text: &str) -> String {
        PolicyFile::parse("x.json", text).expect_err(text).to_string()
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let open = r#"{"calls": ["open"], "answer": "allow", "reason": "r"}"#;
        let when = |when: &str| {
            format!(r#"{{"calls": ["socket"], "when": [{when}], "answer": "allow", "reason": "r"}}"#)
        };
        let table = [
            (r#"{"calls": ["opne"], "answer": "allow", "reason": "r"}"#, "no system call is called \"opne\""),
            (r#"{"calls": [], "answer": "allow", "reason": "r"}"#, "`calls` is empty"),
            (r#"{"calls": ["open"], "answer": "allow", "reason": " "}"#, "`reason` is empty"),
            (r#"{"calls": ["read", "read"], "answer": "allow", "reason": "r"}"#, "names \"read\" twice"),
            (
                r#"{"calls": ["read"], "answer": {"error": "EOOPS"}, "reason": "r"}"#,
                "no error is called \"EOOPS\"; allowed are EPERM,",
            ),
            (
                r#"{"calls": ["read", "open"], "answer": "allow", "reason": "r"}"#,
                "\"open\": is never reached, since rule 1 answers every call of it",
            ),
            (&when(r#"{"argument": 6, "is": ["1"]}"#), "argument 6; allowed are 0 to 5"),
            (&when(r#"{"argument": 0, "is": ["AF_TOY"]}"#), "argument 0: no value is called \"AF_TOY\""),
            (&when(r#"{"argument": 0, "is": ["-1"]}"#), "no value is called \"-1\""),
            (&when(r#"{"argument": 0, "is": ["0x100000000"]}"#), "no value is called"),
            (&when(r#"{"argument": 1, "is": []}"#), "argument 1: a condition has exactly one of"),
            (&when(r#"{"argument": 1, "is": ["1"], "is_not": ["2"]}"#), "exactly one of"),
            (&when(r#"{"argument": 1}"#), "exactly one of"),
        ];
        for (rule, named) in table {
            let error = told(&with_rules(&format!("{open}, {rule}")));
            assert!(error.starts_with("x.json: rule 2: ") && error.contains(named), "{rule}: {error}");
        }
    }

    #[test]
    fn repeated_rules_and_rules_too_long_for_a_jump_are_named() {
        let socket = r#"{"calls": ["socket"], "when": [{"argument": 0, "is": ["AF_UNIX"]}], "answer": "allow", "reason": "r"}"#;
        let spelled = socket.replace("AF_UNIX", "0x1");
        let error = told(&with_rules(&format!("{socket}, {spelled}")));
        assert_eq!(error, "x.json: rule 2: \"socket\": has the same conditions as rule 1");
        let many: Vec<String> = (0..300).map(|number| format!("\"{number}\"")).collect();
        let long = socket.replace("\"AF_UNIX\"", &many.join(","));
        assert!(told(&with_rules(&long)).contains("rule 1: its conditions compile to 301 instructions"));
    }

    #[test]
    fn whole_files_that_are_wrong_say_what_is_allowed() {
        let table = [
            ("{".to_owned(), "line 1 column"),
            (r#"{"about": " ", "rules": []}"#.to_owned(), "`about` is empty"),
            (r#"{"rules": []}"#.to_owned(), "missing field `about`"),
            (r#"{"about": "a", "rules": [], "extends": "x"}"#.to_owned(), "unknown field `extends`"),
            (
                with_rules(r#"{"calls": ["read"], "answer": "maybe", "reason": "r"}"#),
                "unknown variant `maybe`",
            ),
            (" ".repeat(MAX_POLICY_BYTES + 1), "has 65537 bytes; at most 65536"),
        ];
        for (text, named) in table {
            let error = told(&text);
            assert!(error.starts_with("x.json: ") && error.contains(named), "{named}: {error}");
        }
        let rule = r#"{"calls": ["read"], "answer": "allow", "reason": "r"}"#;
        let many = vec![rule; MAX_RULES + 1].join(",");
        assert!(told(&with_rules(&many)).contains("has 257 rules; at most 256"));
    }

    proptest! {
        /// Whatever bytes an operator's file has: an answer, never a panic.
        #[test]
        fn no_text_is_too_strange(text in ".{0,200}") {
            let _ = PolicyFile::parse("x.json", &text);
        }

        /// Well-formed files of arbitrary words as well; and what holds is written and read back the same.
        #[test]
        fn what_holds_is_written_and_read_back_the_same(
            calls in prop::collection::vec(prop_oneof![Just("read"), Just("socket"), Just("clone"), Just("opne")], 0..3),
            argument in 0u8..8,
            values in prop::collection::vec(prop_oneof![Just("1"), Just("0xff"), Just("AF_UNIX"), Just("x")], 0..4),
            answer in prop_oneof![Just("\"allow\""), Just("\"pretend\""), Just("{\"error\": \"EPERM\"}"), Just("{\"error\": \"E\"}")],
        ) {
            let rule = serde_json::json!({
                "calls": calls, "when": [{"argument": argument, "is": values}], "reason": "r",
                "answer": serde_json::from_str::<serde_json::Value>(answer).expect("JSON"),
            });
            if let Ok(parsed) = PolicyFile::parse("x.json", &with_rules(&rule.to_string())) {
                let written = serde_json::to_string(&parsed).expect("it can be written");
                prop_assert_eq!(PolicyFile::parse("x.json", &written), Ok(parsed));
            }
        }
    }
}
