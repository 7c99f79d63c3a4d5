//! Policies that an operator wrote: what they may say, and what stands whatever they say.
//!
//! The floor (`floor.json`) is what no profile may ever allow. Its rules without conditions name calls that a custom file may
//! not allow; a file that does is refused, since its author would believe that the call works. Its rules with conditions go
//! before the file's own, so that `clone` can be allowed for threads and still makes no namespace; a file that names such a
//! value in a rule that allows is refused as well.

use super::file::{Fault, PolicyError, PolicyFile, RuleText};
use super::policy::{Answer, Condition, Half, Policy, Test, inherited};
use super::program::{self, MAX_INSTRUCTIONS};
use super::tables::Abi;
use crate::sys::seccomp::Instruction;

/// What the command's process does between loading its filter and being gone: it tells the jail, waits for its word, executes
/// the program, and ends where that fails.
pub(super) const NEEDED: [&str; 4] = ["read", "write", "execve", "exit_group"];

pub(super) const FLOOR: &str = "floor.json";

/// Reads a custom policy and checks that it holds on every architecture. `file` names it in errors.
pub(super) fn compile(file: &str, text: &str, abi: Abi) -> Result<(Policy, Vec<Instruction>), PolicyError> {
    let files = files(file, text)?;
    let wrong = |fault| PolicyError { file: file.to_owned(), rule: None, fault };
    let mut compiled = None;
    for other in [Abi::X86_64, Abi::Aarch64] {
        let policy = Policy::of_files(&files, other)?;
        check_needed(&policy, other).map_err(wrong)?;
        let program = program::compile(&policy, other);
        if program.len() > MAX_INSTRUCTIONS {
            let fault = Fault::TooLarge { instructions: program.len(), maximum: MAX_INSTRUCTIONS };
            return Err(wrong(fault));
        }
        if other == abi {
            compiled = Some((policy, program));
        }
    }
    Ok(compiled.expect("programs run on one of the two architectures"))
}

/// The floor's conditions, the file, what it inherits, the rest of the floor: in the order in which rules are tried.
fn files(file: &str, text: &str) -> Result<Vec<(String, PolicyFile)>, PolicyError> {
    let parsed = PolicyFile::parse(file, text)?;
    let floor = floor()?;
    for (index, rule) in parsed.rules.iter().enumerate() {
        check_floor(rule, &floor).map_err(|fault| PolicyError {
            file: file.to_owned(),
            rule: Some(index + 1),
            fault,
        })?;
    }
    let inherited = inherited(file, &parsed)?;
    let (always, conditional): (Vec<_>, Vec<_>) =
        floor.rules.into_iter().partition(|rule| rule.when.is_empty());
    let part = |rules| (FLOOR.to_owned(), PolicyFile { about: floor.about.clone(), inherits: None, rules });
    let mut files = vec![part(conditional), (file.to_owned(), parsed)];
    files.extend(inherited);
    files.push(part(always));
    Ok(files)
}

fn floor() -> Result<PolicyFile, PolicyError> {
    PolicyFile::parse(FLOOR, include_str!("floor.json"))
}

/// Whether a rule allows, in so many words, what the floor forbids.
fn check_floor(rule: &RuleText, floor: &PolicyFile) -> Result<(), Fault> {
    if rule.answer.resolve()? != Answer::Allow {
        return Ok(());
    }
    for call in &rule.calls {
        for forbidden in floor.rules.iter().filter(|forbidden| forbidden.calls.contains(call)) {
            let (call, reason) = (call.clone(), forbidden.reason.clone());
            match &forbidden.conditions()?[..] {
                [] => return Err(Fault::NeverAllowed { call, reason }),
                [condition] => {
                    if let Some((argument, value)) = named(rule, condition)? {
                        return Err(Fault::ValueNeverAllowed { call, argument, value, reason });
                    }
                }
                // Several conditions together are too much for one word; the floor's rule goes first all the same.
                [..] => {}
            }
        }
    }
    Ok(())
}

/// A value in the rule's conditions that meets the floor's condition, as it is written.
fn named(rule: &RuleText, floor: &Condition) -> Result<Option<(u8, String)>, Fault> {
    for (text, condition) in rule.when.iter().zip(rule.conditions()?) {
        if condition.argument != floor.argument || condition.half != Half::Low {
            continue;
        }
        let words = text.is.iter().chain(&text.has_any).flatten();
        for word in words {
            let value = super::constants::value(word).unwrap_or_default();
            let meets = match (&floor.test, &condition.test) {
                (Test::HasAny(bits), Test::Is(_) | Test::HasAny(_)) => value & bits != 0,
                (Test::Is(values), Test::Is(_)) => values.contains(&value),
                (Test::IsNot(values), Test::Is(_)) => !values.contains(&value),
                _ => false,
            };
            if meets {
                return Ok(Some((text.argument, word.clone())));
            }
        }
    }
    Ok(None)
}

fn check_needed(policy: &Policy, abi: Abi) -> Result<(), Fault> {
    for call in NEEDED {
        let number = abi.calls().find(|(name, _)| *name == call).map(|(_, number)| number);
        let first = number.and_then(|number| policy.calls.get(&number)?.first());
        if first.is_none_or(|rule| !rule.conditions.is_empty() || rule.answer != Answer::Allow) {
            return Err(Fault::NeededCall { call });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::seccomp::policy::BuiltIn;

    const ALLOWS: &str =
        r#"{"calls": ["read", "write", "execve", "exit_group"], "answer": "allow", "reason": "r"}"#;

    fn compiled(text: &str) -> Result<Policy, String> {
        compile("x.json", text, Abi::X86_64).map(|(policy, _)| policy).map_err(|error| error.to_string())
    }

    /// A file that inherits nothing, allows the needed calls, and says this besides.
    fn with_rule(rule: &str) -> String {
        format!(r#"{{"about": "a test", "rules": [{ALLOWS}, {rule}]}}"#)
    }

    fn number(name: &str) -> u32 {
        Abi::X86_64.calls().find(|(known, _)| *known == name).unwrap().1
    }

    /// Every call that the floor names, by any spelling of an allowing rule.
    #[test]
    fn a_file_that_allows_what_no_profile_may_is_refused_with_the_call_and_the_reason() {
        for rule in floor().unwrap().rules.iter().filter(|rule| rule.when.is_empty()) {
            for call in &rule.calls {
                for when in ["", r#""when": [{"argument": 0, "is": ["0"]}],"#] {
                    let text = with_rule(&format!(
                        r#"{{"calls": ["getpid", "{call}"], {when} "answer": "allow", "reason": "r"}}"#
                    ));
                    let error = compiled(&text).unwrap_err();
                    let told = format!(
                        "x.json: rule 2: allows {call:?}, which no profile may allow: {}",
                        rule.reason
                    );
                    assert_eq!(error, told);
                }
                let text =
                    with_rule(&format!(r#"{{"calls": ["{call}"], "answer": "pretend", "reason": "r"}}"#));
                assert!(compiled(&text).is_ok(), "{call} may be refused in any way");
            }
        }
    }

    #[test]
    fn a_value_that_no_profile_may_allow_is_refused_by_name() {
        let table = [
            ("clone", 0, "has_any", "CLONE_NEWUSER"),
            ("clone", 0, "is", "0x10000011"),
            ("unshare", 0, "has_any", "CLONE_NEWNS"),
            ("socket", 0, "is", "AF_VSOCK"),
            ("socketpair", 0, "is", "17"),
            ("prctl", 0, "is", "PR_SET_SECCOMP"),
            ("ioctl", 1, "is", "TIOCSTI"),
            ("fcntl", 1, "is", "F_SETLEASE"),
            ("setrlimit", 0, "is", "RLIMIT_CORE"),
        ];
        for (call, argument, test, value) in table {
            let text = with_rule(&format!(
                r#"{{"calls": ["{call}"], "when": [{{"argument": {argument}, "{test}": ["0x40", "{value}"]}}], "answer": "allow", "reason": "r"}}"#
            ));
            let error = compiled(&text.replace("\"0x40\", ", "")).unwrap_err();
            let told = format!(
                "x.json: rule 2: allows {call:?} with {value} as argument {argument}, which no profile may allow: "
            );
            assert!(error.starts_with(&told), "{error}");
        }
    }

    /// A blanket rule for threads is what an author writes; it still makes no namespaces.
    #[test]
    fn what_is_allowed_in_general_is_narrowed_by_the_floor() {
        let text = with_rule(
            r#"{"calls": ["clone", "unshare", "socket", "prctl", "ioctl", "fcntl", "setrlimit", "prlimit64"], "answer": "allow", "reason": "r"}"#,
        );
        let policy = compiled(&text).unwrap();
        let answer =
            |call, args: [u64; 3]| policy.answer(number(call), &[args[0], args[1], args[2], 0, 0, 0]).0;
        assert_eq!(answer("clone", [0x11, 0, 0]), Answer::Allow);
        assert_eq!(answer("clone", [0xffff_ffff_1000_0011, 0, 0]), Answer::Error(1));
        assert_eq!(answer("unshare", [0x400, 0, 0]), Answer::Allow);
        assert_eq!(answer("unshare", [0x2_0000, 0, 0]), Answer::Notify);
        assert_eq!(answer("socket", [2, 1, 0]), Answer::Allow);
        assert_eq!(answer("socket", [40, 1, 0]), Answer::Error(97));
        assert_eq!(answer("prctl", [15, 0, 0]), Answer::Allow);
        assert_eq!(answer("prctl", [22, 2, 0]), Answer::Error(22));
        assert_eq!(answer("ioctl", [0, 0x5412, 0]), Answer::Error(1));
        assert_eq!(answer("fcntl", [0, 1024, 0]), Answer::Error(22));
        assert_eq!(answer("setrlimit", [4, 0, 0]), Answer::Error(0));
        assert_eq!(answer("prlimit64", [0, 4, 0]), Answer::Allow, "reads");
        assert_eq!(answer("prlimit64", [0, 4, 1 << 32]), Answer::Error(0));
    }

    #[test]
    fn exploit_calls_are_named_also_where_a_file_inherits_nothing() {
        let policy = compiled(&with_rule(
            r#"{"calls": ["ptrace"], "answer": {"error": "EPERM"}, "reason": "as in build"}"#,
        ))
        .unwrap();
        assert_eq!(policy.answer(number("mount"), &[0; 6]).0, Answer::Notify);
        assert_eq!(policy.answer(number("ptrace"), &[0; 6]).0, Answer::Error(1));
        assert_eq!(policy.answer(number("getpid"), &[0; 6]).0, Answer::Error(38));
    }

    #[test]
    fn a_file_without_which_no_program_starts_is_refused() {
        for call in NEEDED {
            let rest = NEEDED
                .map(|name| format!("\"{name}\""))
                .join(", ")
                .replace(&format!("\"{call}\""), "\"getpid\"");
            let text = format!(
                r#"{{"about": "a", "rules": [{{"calls": [{rest}], "answer": "allow", "reason": "r"}}]}}"#
            );
            let error = compiled(&text).unwrap_err();
            assert!(error.starts_with(&format!("x.json: does not allow {call:?} whatever")), "{error}");
        }
        let inherits = r#"{"about": "a", "inherits": "strict", "rules": []}"#;
        assert!(compiled(inherits).is_ok(), "strict allows them");
        let narrowed = with_rule("")
            .replace(", ]", "]")
            .replace(r#""answer": "allow""#, r#""when": [{"argument": 0, "is": ["1"]}], "answer": "allow""#);
        assert!(compiled(&narrowed).unwrap_err().contains("whatever its arguments are"));
    }

    #[test]
    fn inheriting_from_anything_but_the_built_in_ones_is_refused() {
        for name in ["mine", "floor", ""] {
            let error =
                compiled(&format!(r#"{{"about": "a", "inherits": "{name}", "rules": []}}"#)).unwrap_err();
            assert!(error.starts_with(&format!("x.json: inherits {name:?}; allowed are")), "{error}");
        }
    }

    #[test]
    fn a_file_of_too_many_instructions_is_refused() {
        let values: Vec<String> = (0..230).map(|value| format!("\"{value}\"")).collect();
        let rules: Vec<String> = Abi::X86_64
            .calls()
            .filter(|(name, _)| !NEEDED.contains(name) && check_free(name))
            .take(40)
            .map(|(name, _)| {
                format!(
                    r#"{{"calls": ["{name}"], "when": [{{"argument": 5, "is": [{}]}}], "answer": "allow", "reason": "r"}}"#,
                    values.join(",")
                )
            })
            .collect();
        let error = compiled(&with_rule(&rules.join(","))).unwrap_err();
        assert!(error.contains("instructions; the kernel takes at most 4096"), "{error}");
    }

    fn check_free(name: &str) -> bool {
        !floor().unwrap().rules.iter().any(|rule| rule.calls.iter().any(|call| call == name))
    }

    /// What holds for custom files holds for our own.
    #[test]
    fn no_built_in_profile_allows_what_the_floor_forbids() {
        for profile in BuiltIn::ALL {
            for (_, parsed) in profile.files().unwrap() {
                for rule in &parsed.rules {
                    assert_eq!(check_floor(rule, &floor().unwrap()), Ok(()), "{profile:?}: {rule:?}");
                }
            }
        }
    }

    /// The floor, two generous files and the built-in profiles.
    static NARROWED: LazyLock<(Policy, Vec<Policy>)> = LazyLock::new(|| {
        let generous = with_rule(
            r#"{"calls": ["clone", "unshare", "socket", "socketpair", "prctl", "ioctl", "fcntl", "setrlimit", "prlimit64"], "answer": "allow", "reason": "r"}"#,
        );
        let inherits = r#"{"about": "a", "inherits": "build", "rules": [{"calls": ["clone", "prctl", "ioctl"], "answer": "allow", "reason": "r"}]}"#;
        let built_in = BuiltIn::ALL.map(|profile| Policy::of(profile, Abi::X86_64).unwrap());
        let policies =
            [compiled(&generous).unwrap(), compiled(inherits).unwrap()].into_iter().chain(built_in);
        let floor = Policy::of_files(&[(FLOOR.to_owned(), floor().unwrap())], Abi::X86_64).unwrap();
        (floor, policies.collect())
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// By any arguments, through any profile: never allowed.
        #[test]
        fn nothing_that_the_floor_forbids_is_ever_allowed(
            which in 0usize..5,
            call in 0usize..200,
            args in prop::array::uniform6(prop_oneof![0u64..64, (0u32..32).prop_map(|bit| 1u64 << bit), any::<u64>()]),
        ) {
            let (floor, policies) = &*NARROWED;
            let policy = &policies[which];
            let number = *floor.calls.keys().nth(call % floor.calls.len()).unwrap();
            if let (_, Some(_)) = floor.answer(number, &args) {
                prop_assert_ne!(policy.answer(number, &args).0, Answer::Allow, "{} {:?}", number, args);
            }
        }
    }
}
