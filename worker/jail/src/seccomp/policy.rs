//! Policies as data: what each profile answers to each system call, read from the JSON files beside this one or from the
//! operator's.
//!
//! A file is `{"about": ..., "inherits": NAME?, "rules": [{"calls": [...], "when": [...]?, "answer": ..., "reason": ...}]}`. For
//! one call its rules are tried in order, a file's own before the inherited ones; the first whose conditions all hold answers;
//! when none does, the call does not exist (ENOSYS). Conditions look at the low 32 bits of an argument: every number named
//! in a policy is an int or unsigned int to the kernel, and comparing 64 bits would let garbage above slip past (as in
//! CVE-2019-7303).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::{Fault, PolicyError, PolicyFile, RuleText};
use super::program::UNKNOWN;
use super::tables::Abi;
use crate::plan::Profile;

/// The profiles that are part of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    Strict,
    Default,
    Build,
}

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Half {
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) calls: BTreeMap<u32, Vec<Rule>>,
    /// For each of `calls`' rules, its place in `texts`.
    origins: BTreeMap<u32, Vec<usize>>,
    /// Every rule as it is written, in the order in which they are tried, with its file.
    pub(super) texts: Vec<(String, RuleText)>,
}

impl BuiltIn {
    pub(super) const ALL: [Self; 3] = [Self::Strict, Self::Default, Self::Build];

    /// None for a custom profile.
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        Self::ALL.into_iter().find(|built_in| *profile == built_in.profile())
    }

    pub(super) fn profile(self) -> Profile {
        match self {
            Self::Strict => Profile::Strict,
            Self::Default => Profile::Default,
            Self::Build => Profile::Build,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Default => "default",
            Self::Build => "build",
        }
    }

    /// The file and those that it inherits from, in the order in which their rules are tried.
    pub(super) fn files(self) -> Result<Vec<(String, PolicyFile)>, PolicyError> {
        let text = match self {
            Self::Strict => include_str!("strict.json"),
            Self::Default => include_str!("default.json"),
            Self::Build => include_str!("build.json"),
        };
        let name = format!("{}.json", self.name());
        let parsed = PolicyFile::parse(&name, text)?;
        let inherited = inherited(&name, &parsed)?;
        Ok(std::iter::once((name, parsed)).chain(inherited).collect())
    }
}

/// The files that a file inherits from, in the order in which their rules are tried.
pub(super) fn inherited(file: &str, parsed: &PolicyFile) -> Result<Vec<(String, PolicyFile)>, PolicyError> {
    let Some(name) = &parsed.inherits else { return Ok(Vec::new()) };
    let found = BuiltIn::ALL.into_iter().find(|profile| profile.name() == name);
    let unknown =
        || PolicyError { file: file.to_owned(), rule: None, fault: Fault::Inherits { name: name.clone() } };
    found.ok_or_else(unknown)?.files()
}

impl Policy {
    pub(super) fn of(profile: BuiltIn, abi: Abi) -> Result<Self, PolicyError> {
        Self::of_files(&profile.files()?, abi)
    }

    /// Resolves files on one ABI; their rules are tried in this order.
    pub(super) fn of_files(files: &[(String, PolicyFile)], abi: Abi) -> Result<Self, PolicyError> {
        let numbers: BTreeMap<&str, u32> = abi.calls().collect();
        let mut policy = Self::default();
        for (file, parsed) in files {
            for (index, rule) in parsed.rules.iter().enumerate() {
                let wrong = |fault| PolicyError { file: file.clone(), rule: Some(index + 1), fault };
                policy.add(rule, &numbers).map_err(wrong)?;
                policy.texts.push((file.clone(), rule.clone()));
            }
        }
        Ok(policy)
    }

    /// A call that one architecture has and another never had (`open`, `fork`) is no mistake.
    fn add(&mut self, text: &RuleText, numbers: &BTreeMap<&str, u32>) -> Result<(), Fault> {
        let rule = Rule { conditions: text.conditions()?, answer: text.answer.resolve()? };
        for number in text.calls.iter().filter_map(|name| numbers.get(name.as_str())) {
            self.calls.entry(*number).or_default().push(rule.clone());
            self.origins.entry(*number).or_default().push(self.texts.len());
        }
        Ok(())
    }

    /// What this policy says to a call of its own ABI, and which of `texts` says it: the reference that the compiled filter, and a
    /// running sandbox, are tested against, and what decides while a program is recorded.
    pub(super) fn answer(&self, number: u32, args: &[u64; 6]) -> (Answer, Option<usize>) {
        let rules = self.calls.get(&number).map_or(&[][..], Vec::as_slice);
        let holds = |rule: &Rule| rule.conditions.iter().all(|condition| condition.holds(args));
        match rules.iter().position(holds) {
            Some(index) => (rules[index].answer, Some(self.origins[&number][index])),
            None => (UNKNOWN, None),
        }
    }

    /// The rules of one call as places in `texts`, in the order in which they are tried.
    pub(super) fn rules_of(&self, number: u32) -> &[usize] {
        self.origins.get(&number).map_or(&[], Vec::as_slice)
    }
}

impl Condition {
    pub(super) fn holds(&self, args: &[u64; 6]) -> bool {
        let value = self.value(args);
        match &self.test {
            Test::Is(values) => values.contains(&value),
            Test::IsNot(values) => !values.contains(&value),
            Test::HasAny(bits) => value & bits != 0,
        }
    }

    /// The 32 bits that are tested.
    pub(super) fn value(&self, args: &[u64; 6]) -> u32 {
        let argument = args[usize::from(self.argument)];
        let half = match self.half {
            Half::Low => argument & 0xffff_ffff,
            Half::High => argument >> 32,
        };
        half as u32 & self.mask
    }

    /// How many instructions it compiles to.
    pub(super) fn instructions(&self) -> usize {
        let tests = match &self.test {
            Test::Is(values) | Test::IsNot(values) => values.len(),
            Test::HasAny(_) => 1,
        };
        1 + usize::from(self.mask != u32::MAX) + tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_resolves_on_both_architectures() {
        for profile in BuiltIn::ALL {
            for abi in [Abi::X86_64, Abi::Aarch64] {
                let policy = Policy::of(profile, abi).unwrap();
                assert!(policy.calls.len() > 150, "{profile:?} {abi:?}: {}", policy.calls.len());
            }
        }
    }

    /// Parsing refuses dead rules, misspelled names and rules without a reason in any file: see `file`.
    #[test]
    fn every_file_of_this_program_holds() {
        for profile in BuiltIn::ALL {
            for (file, parsed) in profile.files().unwrap() {
                assert!(!parsed.rules.is_empty(), "{file}");
            }
        }
    }

    /// Calls of x86-64 that newer architectures never had, with what their C libraries call instead.
    const TWINS: [(&str, &str); 38] = [
        ("access", "faccessat"),
        ("alarm", "setitimer"),
        ("chmod", "fchmodat"),
        ("chown", "fchownat"),
        ("creat", "openat"),
        ("dup2", "dup3"),
        ("epoll_create", "epoll_create1"),
        ("epoll_wait", "epoll_pwait"),
        ("eventfd", "eventfd2"),
        ("fork", "clone"),
        ("futimesat", "utimensat"),
        ("getdents", "getdents64"),
        ("getpgrp", "getpgid"),
        ("getrlimit", "prlimit64"),
        ("inotify_init", "inotify_init1"),
        ("lchown", "fchownat"),
        ("link", "linkat"),
        ("lstat", "newfstatat"),
        ("mkdir", "mkdirat"),
        ("mknod", "mknodat"),
        ("open", "openat"),
        ("pause", "ppoll"),
        ("pipe", "pipe2"),
        ("poll", "ppoll"),
        ("readlink", "readlinkat"),
        ("rename", "renameat2"),
        ("rmdir", "unlinkat"),
        ("select", "pselect6"),
        ("setrlimit", "prlimit64"),
        ("signalfd", "signalfd4"),
        ("stat", "newfstatat"),
        ("symlink", "symlinkat"),
        ("time", "clock_gettime"),
        ("unlink", "unlinkat"),
        ("utime", "utimensat"),
        ("utimes", "utimensat"),
        ("vfork", "clone"),
        ("arch_prctl", "prctl"),
    ];

    /// A program that runs below a profile on x86-64 has what it needs below the same profile on aarch64.
    #[test]
    fn what_x86_64_allows_is_allowed_on_aarch64_under_its_own_name_or_its_twins() {
        let number =
            |abi: Abi, call: &str| abi.calls().find(|(name, _)| *name == call).map(|(_, number)| number);
        // PR_SET_NAME, which is allowed, where zero is no option.
        let args = |call: &str| if call == "prctl" { [15, 0, 0, 0, 0, 0] } else { [0; 6] };
        for profile in BuiltIn::ALL {
            let [x86_64, aarch64] = [Abi::X86_64, Abi::Aarch64].map(|abi| Policy::of(profile, abi).unwrap());
            let mut compared = 0;
            for (call, old) in Abi::X86_64.calls() {
                if x86_64.answer(old, &args(call)).0 != Answer::Allow {
                    continue;
                }
                let twin = TWINS.iter().find(|(name, _)| *name == call).map_or(call, |(_, twin)| twin);
                let on_aarch64 = number(Abi::Aarch64, call).map_or(twin, |_| call);
                let new = number(Abi::Aarch64, on_aarch64).unwrap_or_else(|| panic!("{call} has no twin"));
                assert_eq!(
                    aarch64.answer(new, &args(on_aarch64)).0,
                    Answer::Allow,
                    "{profile:?} {call}: {on_aarch64}"
                );
                let beside = number(Abi::X86_64, twin).unwrap_or_else(|| panic!("{twin} on x86-64"));
                assert_eq!(x86_64.answer(beside, &args(twin)).0, Answer::Allow, "{profile:?} {call}: {twin}");
                compared += 1;
            }
            assert!(compared > 200, "{profile:?}: {compared} calls compared");
        }
    }

    #[test]
    fn every_call_that_only_exploits_make_is_notified_on_both_architectures() {
        for abi in [Abi::X86_64, Abi::Aarch64] {
            let policy = Policy::of(BuiltIn::Default, abi).unwrap();
            for call in
                "ptrace bpf mount umount2 pivot_root chroot move_mount setns init_module kexec_load keyctl"
                    .split(' ')
            {
                let (_, number) = abi
                    .calls()
                    .find(|(name, _)| *name == call)
                    .unwrap_or_else(|| panic!("{call} on {abi:?}"));
                assert_eq!(policy.answer(number, &[0; 6]).0, Answer::Notify, "{call} on {abi:?}");
            }
        }
    }

    #[test]
    fn the_answer_names_the_rule_that_gave_it() {
        let policy = Policy::of(BuiltIn::Default, Abi::X86_64).unwrap();
        let (answer, origin) = policy.answer(56, &[0x1000_0000, 0, 0, 0, 0, 0]);
        assert_eq!(answer, Answer::Error(1));
        let (file, rule) = &policy.texts[origin.unwrap()];
        assert!(file == "default.json" && rule.reason.contains("namespaces"), "{file}: {rule:?}");
        assert_eq!(policy.answer(9999, &[0; 6]), (UNKNOWN, None));
    }
}
