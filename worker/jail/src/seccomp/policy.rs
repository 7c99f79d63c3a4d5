//! Policies as data: what each profile answers to each system call, read from the JSON files beside this one.
//!
//! A file is `{"inherits": NAME?, "rules": [{"calls": [...], "when": [...]?, "answer": ..., "reason": ...}]}`. For one call its
//! rules are tried in order, a file's own before the inherited ones; the first whose conditions all hold answers; when
//! none does, the call does not exist (ENOSYS). Conditions look at the low 32 bits of an argument: every number named
//! in a policy is an int or unsigned int to the kernel, and comparing 64 bits would let garbage above slip past (as in
//! CVE-2019-7303).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::constants;
use super::tables::Abi;
use crate::plan::Profile;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    Allow,
    /// The call returns this error; 0 tells success, and nothing is done.
    Error(u16),
    /// The call waits; the listener kills the sandbox and names it.
    Notify,
}

/// A test of 32 bits of one argument, after masking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) half: Half,
    pub(super) mask: u32,
    pub(super) test: Test,
}

/// Which 32 bits: the low ones unless a pointer is asked whether it is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Half {
    #[default]
    Low,
    High,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Is(Vec<u32>),
    IsNot(Vec<u32>),
    HasAny(u32),
}

/// One rule of one call. Without conditions it always answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) answer: Answer,
}

/// The rules of every call of one ABI, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) calls: BTreeMap<u32, Vec<Rule>>,
}

/// What is wrong with a policy file. The files are part of this program and its tests read them all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PolicyError {
    #[error("{file}: {why}")]
    Syntax { file: &'static str, why: String },
    #[error("{file}: no profile is called {name}")]
    Inherits { file: &'static str, name: String },
    #[error("{file}: no system call is called {name}")]
    Call { file: &'static str, name: String },
    #[error("{file}: no value is called {name}")]
    Value { file: &'static str, name: String },
    #[error(
        "{file}: {calls}: a condition names one of `is`, `is_not`, `has_any`, and an argument from 0 to 5"
    )]
    Condition { file: &'static str, calls: String },
    #[error("{file}: {calls}: a rule gives a reason")]
    Reason { file: &'static str, calls: String },
}

impl Policy {
    pub(super) fn of(profile: Profile, abi: Abi) -> Result<Self, PolicyError> {
        let numbers: BTreeMap<&str, u32> = abi.calls().collect();
        let mut calls: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
        let mut next = Some(source(profile));
        while let Some((file, text)) = next {
            let parsed = parse(file, text)?;
            for rule in &parsed.rules {
                for (number, rule) in rule.resolve(file, &numbers)? {
                    calls.entry(number).or_default().push(rule);
                }
            }
            next = parsed.inherits.map(|name| named(file, &name)).transpose()?;
        }
        Ok(Self { calls })
    }

    /// What this policy says: the reference that the compiled filter, and a running sandbox, are tested against.
    pub(super) fn answer(&self, number: u32, args: &[u64; 6]) -> Answer {
        let rules = self.calls.get(&number).map_or(&[][..], Vec::as_slice);
        let answers = rules.iter().find(|rule| rule.conditions.iter().all(|condition| condition.holds(args)));
        answers.map_or(super::program::UNKNOWN, |rule| rule.answer)
    }
}

impl Condition {
    fn holds(&self, args: &[u64; 6]) -> bool {
        let argument = args[usize::from(self.argument)];
        let half = match self.half {
            Half::Low => argument & 0xffff_ffff,
            Half::High => argument >> 32,
        };
        let value = half as u32 & self.mask;
        match &self.test {
            Test::Is(values) => values.contains(&value),
            Test::IsNot(values) => !values.contains(&value),
            Test::HasAny(bits) => value & bits != 0,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(rename = "about")]
    _about: String,
    inherits: Option<String>,
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    calls: Vec<String>,
    #[serde(default)]
    when: Vec<ConditionText>,
    answer: AnswerText,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionText {
    argument: u8,
    #[serde(default)]
    half: Half,
    mask: Option<String>,
    is: Option<Vec<String>>,
    is_not: Option<Vec<String>>,
    has_any: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnswerText {
    Allow,
    Notify,
    Error(String),
    /// Success is told, and nothing is done.
    Pretend,
}

impl RuleText {
    /// One rule per call that exists on this ABI.
    fn resolve(
        &self,
        file: &'static str,
        numbers: &BTreeMap<&str, u32>,
    ) -> Result<Vec<(u32, Rule)>, PolicyError> {
        if self.reason.trim().is_empty() {
            return Err(PolicyError::Reason { file, calls: self.calls.join(", ") });
        }
        let conditions = self
            .when
            .iter()
            .map(|condition| condition.resolve(file, &self.calls))
            .collect::<Result<Vec<_>, _>>()?;
        let answer = match &self.answer {
            AnswerText::Allow => Answer::Allow,
            AnswerText::Notify => Answer::Notify,
            AnswerText::Pretend => Answer::Error(0),
            AnswerText::Error(name) => Answer::Error(
                constants::errno(name).ok_or_else(|| PolicyError::Value { file, name: name.clone() })?,
            ),
        };
        let mut resolved = Vec::new();
        for name in &self.calls {
            if let Some(number) = numbers.get(name.as_str()) {
                resolved.push((*number, Rule { conditions: conditions.clone(), answer }));
            } else if !known_anywhere(name) {
                return Err(PolicyError::Call { file, name: name.clone() });
            }
        }
        Ok(resolved)
    }
}

impl ConditionText {
    fn resolve(&self, file: &'static str, calls: &[String]) -> Result<Condition, PolicyError> {
        let value = |name: &String| {
            constants::value(name).ok_or_else(|| PolicyError::Value { file, name: name.clone() })
        };
        let values = |names: &[String]| names.iter().map(value).collect::<Result<Vec<_>, _>>();
        let test = match (&self.is, &self.is_not, &self.has_any) {
            (Some(is), None, None) if !is.is_empty() => Test::Is(values(is)?),
            (None, Some(is_not), None) if !is_not.is_empty() => Test::IsNot(values(is_not)?),
            (None, None, Some(bits)) => Test::HasAny(values(bits)?.into_iter().fold(0, |all, bit| all | bit)),
            _ => return Err(PolicyError::Condition { file, calls: calls.join(", ") }),
        };
        if self.argument > 5 {
            return Err(PolicyError::Condition { file, calls: calls.join(", ") });
        }
        let mask = self.mask.as_ref().map(value).transpose()?.unwrap_or(u32::MAX);
        Ok(Condition { argument: self.argument, half: self.half, mask, test })
    }
}

fn parse(file: &'static str, text: &str) -> Result<PolicyFile, PolicyError> {
    serde_json::from_str(text).map_err(|error| PolicyError::Syntax { file, why: error.to_string() })
}

fn source(profile: Profile) -> (&'static str, &'static str) {
    match profile {
        Profile::Strict => ("strict.json", include_str!("strict.json")),
        Profile::Default => ("default.json", include_str!("default.json")),
        Profile::Build => ("build.json", include_str!("build.json")),
    }
}

fn named(file: &'static str, name: &str) -> Result<(&'static str, &'static str), PolicyError> {
    match name {
        "strict" => Ok(source(Profile::Strict)),
        "default" => Ok(source(Profile::Default)),
        _ => Err(PolicyError::Inherits { file, name: name.to_owned() }),
    }
}

/// A call that one architecture has and another never had (`open`, `fork`) is no mistake.
fn known_anywhere(name: &str) -> bool {
    [Abi::X86_64, Abi::Aarch64].into_iter().any(|abi| abi.calls().any(|(known, _)| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [Profile; 3] = [Profile::Strict, Profile::Default, Profile::Build];

    #[test]
    fn every_policy_resolves_on_both_architectures() {
        for profile in PROFILES {
            for abi in [Abi::X86_64, Abi::Aarch64] {
                let policy = Policy::of(profile, abi).unwrap();
                assert!(policy.calls.len() > 150, "{profile:?} {abi:?}: {}", policy.calls.len());
            }
        }
    }

    /// A rule after one that always answers would be dead, except where a profile overrides what it inherits.
    #[test]
    fn no_file_has_dead_rules() {
        for profile in PROFILES {
            let (file, text) = source(profile);
            let parsed = parse(file, text).unwrap();
            let mut closed = Vec::new();
            for rule in &parsed.rules {
                for call in &rule.calls {
                    assert!(!closed.contains(call), "{file}: a second rule for {call} is never reached");
                    if rule.when.is_empty() {
                        closed.push(call.clone());
                    }
                }
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        let rule = |text: &str| {
            serde_json::from_str::<RuleText>(text).unwrap().resolve("x.json", &Abi::X86_64.calls().collect())
        };
        let call = rule(r#"{"calls": ["opne"], "answer": "allow", "reason": "r"}"#).unwrap_err();
        assert_eq!(call, PolicyError::Call { file: "x.json", name: "opne".to_owned() });
        let errno = rule(r#"{"calls": ["open"], "answer": {"error": "EOOPS"}, "reason": "r"}"#).unwrap_err();
        assert_eq!(errno, PolicyError::Value { file: "x.json", name: "EOOPS".to_owned() });
        let reason = rule(r#"{"calls": ["open"], "answer": "allow", "reason": " "}"#).unwrap_err();
        assert!(matches!(reason, PolicyError::Reason { .. }));
        let when = r#"{"calls": ["open"], "when": [{"argument": 6, "is": ["1"]}], "answer": "allow", "reason": "r"}"#;
        assert!(matches!(rule(when).unwrap_err(), PolicyError::Condition { .. }));
    }
}
