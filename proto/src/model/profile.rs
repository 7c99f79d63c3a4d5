//! Confinement profiles by name: the built-in ones, and those of an operator's configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::names::ProfileName;
use super::violation::{Violation, quoted};
use crate::v1;

/// Confinement profile of a command. What a custom one allows is known where its file is: on the worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Computing and files.
    Strict,
    /// Languages with threads and JITs.
    #[default]
    Default,
    /// Compilers and build tools: may write anywhere in the throwaway root.
    Build,
    /// One of the operator's.
    Custom(ProfileName),
}

/// A text that can be no profile's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is {text}; must be \"strict\", \"default\", \"build\", or a profile of the server's configuration: 1 to 63 of [a-z0-9_-]"
)]
pub struct ProfileError {
    text: String,
}

/// The custom profiles of a configuration, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileNames(BTreeSet<ProfileName>);

impl Profile {
    /// The built-in ones.
    pub const BUILT_IN: [Profile; 3] = [Profile::Strict, Profile::Default, Profile::Build];

    /// Its name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Profile::Strict => "strict",
            Profile::Default => "default",
            Profile::Build => "build",
            Profile::Custom(name) => name.as_str(),
        }
    }

    /// Empty means `default`.
    pub(super) fn from_wire(text: &str) -> Result<Self, ProfileError> {
        if text.is_empty() { Ok(Profile::Default) } else { text.parse() }
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let built_in = Profile::BUILT_IN.into_iter().find(|profile| profile.as_str() == text);
        let custom = || ProfileName::new(text).ok().map(Profile::Custom);
        built_in.or_else(custom).ok_or_else(|| ProfileError { text: quoted(text.as_bytes()) })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ProfileNames {
    /// By name, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ProfileName> {
        self.0.iter()
    }

    /// Every command of a job that names a profile which does not exist here. What can be no name at all is refused by
    /// [`JobSpec::check`](super::JobSpec::check), and is not told twice.
    pub fn unknown_in(&self, spec: &v1::JobSpec) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (s, step) in spec.steps.iter().enumerate() {
            for (c, command) in step.commands.iter().enumerate() {
                if let Ok(Profile::Custom(name)) = Profile::from_wire(&command.profile)
                    && !self.0.contains(&name)
                {
                    let why = format!("is {}; must be {}", quoted(name.as_str().as_bytes()), self.allowed());
                    violations.push(Violation::new(format!("steps[{s}].commands[{c}].profile"), why));
                }
            }
        }
        violations
    }

    /// `"strict", "default", "build" or "mine"`.
    fn allowed(&self) -> String {
        let built_in = Profile::BUILT_IN.map(|profile| profile.to_string());
        let mut all: Vec<_> = built_in.into_iter().chain(self.0.iter().map(ProfileName::to_string)).collect();
        let last = all.pop().unwrap_or_default();
        let all: Vec<_> = all.into_iter().map(|name| format!("\"{name}\"")).collect();
        format!("{} or \"{last}\"", all.join(", "))
    }
}

impl FromIterator<ProfileName> for ProfileNames {
    fn from_iter<I: IntoIterator<Item = ProfileName>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(profiles: &[&str]) -> v1::JobSpec {
        let command =
            |profile: &&str| v1::Command { profile: (*profile).to_owned(), ..v1::Command::default() };
        let commands = profiles.iter().map(command).collect();
        v1::JobSpec { steps: vec![v1::Step { commands, ..v1::Step::default() }], ..v1::JobSpec::default() }
    }

    #[test]
    fn names_go_to_the_wire_and_back() {
        for text in ["strict", "default", "build", "data-base_2"] {
            assert_eq!(text.parse::<Profile>().unwrap().to_string(), text);
        }
        assert_eq!(Profile::from_wire(""), Ok(Profile::Default));
        for text in ["Root", "a b", "..", &"x".repeat(64)] {
            let error = text.parse::<Profile>().unwrap_err().to_string();
            assert!(error.contains("must be \"strict\", \"default\", \"build\", or"), "{error}");
        }
    }

    #[test]
    fn a_profile_that_does_not_exist_is_told_with_those_that_do() {
        let names: ProfileNames = ["mine".parse().unwrap()].into_iter().collect();
        let violations = names.unknown_in(&spec(&["", "mine", "strict", "yours", "No Name"]));
        let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
        let expected = "steps[0].commands[3].profile: is \"yours\"; must be \"strict\", \"default\", \"build\" or \"mine\"";
        assert_eq!(told, [expected]);
        let none = ProfileNames::default().unknown_in(&spec(&["mine"]));
        assert!(none[0].why.ends_with("must be \"strict\", \"default\" or \"build\""), "{none:?}");
    }
}
