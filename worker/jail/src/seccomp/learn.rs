//! Recording a program: every call of it waits for the jail, which answers by the policy of its profile and counts.
//!
//! The program is held as in any run: what the policy allows goes on, what it refuses gets that error, what it notifies ends the
//! sandbox. seccomp_unotify(2) warns of letting a call go on (SECCOMP_USER_NOTIF_FLAG_CONTINUE) after a supervisor has judged
//! it, since what a pointer points at may have changed by then. Here nothing behind a pointer is ever looked at, in the
//! kernel's filter as little as here: both judge the number and the registers, which the kernel copied when the call was made
//! and executes with; only a tracer could change them, and no profile allows ptrace. So the answer is the one that the filter
//! itself would have given.
//!
//! The memory it takes is bounded whatever the program does: entries, and values of an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use super::custom::NEEDED;
use super::file::RuleText;
use super::policy::{Answer, Half, Policy};
use super::tables::{Abi, X32_BIT};
use crate::learned::{Learned, LearnedAnswer, LearnedCall, LearnedRule, LearnedValues};
use crate::sys::seccomp::Notification;

/// Calls and rules told apart; a program that makes up numbers fills them no further.
const MAX_ENTRIES: usize = 1024;
/// Values of one argument of one call.
const MAX_VALUES: usize = 32;

/// What every program and its C library do before `main`, beside [`NEEDED`].
const STARTING: [&str; 8] =
    ["arch_prctl", "brk", "close", "getrandom", "munmap", "rseq", "set_robust_list", "set_tid_address"];

/// Arguments of write(2) and read(2) that the kernel does not look at, and the filter does.
pub(super) const MARKED: [u8; 2] = [3, 4];

/// Lets the command's process speak with the jail below a filter that makes every other call wait. It is no secret worth keeping:
/// reading and writing is allowed by every profile, and a program that guessed it would only not be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) [u64; 2]);

impl Mark {
    /// One that a program does not happen to use.
    pub(super) fn random() -> Self {
        Self([(); 2].map(|()| RandomState::new().hash_one(())))
    }
}

/// What to answer to a waiting call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Continue,
    /// An error, or 0: success, and nothing is done.
    Return(u16),
    Forbid,
}

/// Counts the calls of one command.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    policy: &'a Policy,
    entries: BTreeMap<Key, Entry>,
    unlisted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    audit_arch: u32,
    number: u32,
    /// Which rule answered.
    origin: Option<usize>,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    count: u64,
    /// By argument and mask: what the policy asks of this call.
    values: BTreeMap<(u8, u32), Values>,
}

#[derive(Clone, Debug, Default)]
struct Values {
    seen: BTreeSet<u32>,
    more: bool,
}

/// A call seen: its number and entry.
type Seen<'a> = (u32, &'a Entry);

impl<'a> Recorder<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self { policy, entries: BTreeMap::new(), unlisted: 0 }
    }

    /// Judges a call and counts it.
    pub(crate) fn judge(&mut self, call: &Notification) -> Verdict {
        let number = call.number.cast_unsigned();
        let (answer, origin) = judge(self.policy, Abi::NATIVE, call.audit_arch, number, &call.args);
        let key = Key { audit_arch: call.audit_arch, number, origin };
        if self.entries.len() < MAX_ENTRIES || self.entries.contains_key(&key) {
            let entry = self.entries.entry(key).or_insert_with(|| Entry::new(answer, self.policy, &key));
            entry.count += 1;
            entry.keep(&call.args);
        } else {
            self.unlisted += 1;
        }
        match answer {
            Answer::Allow => Verdict::Continue,
            Answer::Error(errno) => Verdict::Return(errno),
            Answer::Notify => Verdict::Forbid,
        }
    }

    /// What was seen, and the rules that the program needs.
    pub(crate) fn finish(self) -> Learned {
        let calls = self.entries.iter().map(|(key, entry)| {
            let abi = Abi::of_call(key.audit_arch, key.number);
            LearnedCall {
                syscall: abi.call_name(key.number),
                arch: abi.name(),
                count: entry.count,
                answer: match entry.answer {
                    Answer::Allow => LearnedAnswer::Allowed,
                    Answer::Error(0) => LearnedAnswer::Pretended,
                    Answer::Error(errno) => LearnedAnswer::Failed { errno },
                    Answer::Notify => LearnedAnswer::Forbidden,
                },
                values: entry.values.iter().map(|((argument, _), values)| values.told(*argument)).collect(),
            }
        });
        let mut calls: Vec<_> = calls.collect();
        calls.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.syscall.cmp(&other.syscall)));
        Learned { calls, rules: self.rules(), unlisted: self.unlisted }
    }

    /// The policy's own rules in their order, each with the calls that met it and nothing more. Refusals that stand before a rule
    /// which was met stay in front of it: without them more would be allowed than the profile allows.
    fn rules(&self) -> Vec<LearnedRule> {
        let mut by_origin: BTreeMap<usize, Vec<Seen<'_>>> = BTreeMap::new();
        for (key, entry) in &self.entries {
            // What ended the sandbox needs no rule: the floor ends the next one's too.
            let asked = key.audit_arch == Abi::NATIVE.audit_arch() && entry.answer != Answer::Notify;
            if let (Some(origin), true) = (key.origin, asked) {
                by_origin.entry(origin).or_default().push((key.number, entry));
            }
        }
        let starting = self.starting(&mut by_origin);
        let mut rules = vec![starting];
        for (origin, (file, text)) in self.policy.texts.iter().enumerate() {
            let allows = matches!(text.answer.resolve(), Ok(Answer::Allow));
            // The floor stands by itself, and a call that no rule names does not exist anyhow.
            if file == super::custom::FLOOR || (text.when.is_empty() && !allows && is_unknown(text)) {
                continue;
            }
            if let Some(seen) = by_origin.get(&origin) {
                rules.extend(seen_rule(text, seen));
            } else if !text.when.is_empty() && !allows {
                rules.extend(self.kept_rule(file, text, origin, &by_origin));
            }
        }
        rules
    }

    /// What every program needs is one rule; it takes its calls out of the others.
    fn starting(&self, by_origin: &mut BTreeMap<usize, Vec<Seen<'_>>>) -> LearnedRule {
        let mut seen = 0;
        let mut calls: BTreeSet<String> = NEEDED.map(str::to_owned).into();
        for (origin, entries) in by_origin.iter_mut() {
            let text = &self.policy.texts[*origin].1;
            if !text.when.is_empty() || !matches!(text.answer.resolve(), Ok(Answer::Allow)) {
                continue;
            }
            entries.retain(|(number, entry)| {
                let name = Abi::NATIVE.call_name(*number);
                let first = self.policy.rules_of(*number).first() == Some(origin);
                let starts = first && (NEEDED.contains(&&*name) || STARTING.contains(&&*name));
                if starts {
                    seen += entry.count;
                    calls.insert(name);
                }
                !starts
            });
        }
        LearnedRule::new(
            &RuleText {
                calls: calls.into_iter().collect(),
                when: Vec::new(),
                answer: super::file::AnswerText::Allow,
                reason: "Starting and ending: what the kernel, the C library and Kiln do for every program."
                    .to_owned(),
            },
            seen,
        )
    }

    fn kept_rule(
        &self,
        file: &str,
        text: &RuleText,
        origin: usize,
        by_origin: &BTreeMap<usize, Vec<Seen<'_>>>,
    ) -> Option<LearnedRule> {
        let allowed_later = by_origin.range(origin + 1..).flat_map(|(_, seen)| seen);
        let numbers =
            allowed_later.filter(|(_, entry)| entry.answer == Answer::Allow).map(|(number, _)| *number);
        let calls: BTreeSet<String> = numbers
            .filter(|number| self.policy.rules_of(*number).contains(&origin))
            .map(|number| Abi::NATIVE.call_name(number))
            .collect();
        let profile = file.trim_end_matches(".json");
        let kept = RuleText {
            calls: calls.into_iter().collect(),
            reason: format!("Kept from `{profile}`: {}", text.reason),
            ..text.clone()
        };
        (!kept.calls.is_empty()).then(|| LearnedRule::new(&kept, 0))
    }
}

/// What the profile says to any call, through whichever ABI: the compiled filter in words.
pub(super) fn judge(
    policy: &Policy,
    native: Abi,
    audit_arch: u32,
    number: u32,
    args: &[u64; 6],
) -> (Answer, Option<usize>) {
    // Negative numbers have the x32 bit, too, and no ABI.
    let is_x32 = native == Abi::X86_64 && (X32_BIT..0x8000_0000).contains(&number);
    if audit_arch != native.audit_arch() || is_x32 {
        return (Answer::Notify, None);
    }
    policy.answer(number, args)
}

fn is_unknown(text: &RuleText) -> bool {
    text.answer.resolve() == Ok(super::program::UNKNOWN)
}

/// The rule for those calls only, and where it lists values, for those that were seen.
fn seen_rule(text: &RuleText, seen: &[Seen<'_>]) -> Option<LearnedRule> {
    let count = seen.iter().map(|(_, entry)| entry.count).sum();
    let names: BTreeSet<String> = seen.iter().map(|(number, _)| Abi::NATIVE.call_name(*number)).collect();
    let mut rule = RuleText { calls: names.into_iter().collect(), ..text.clone() };
    if text.answer.resolve() == Ok(Answer::Allow) {
        let conditions = text.conditions().unwrap_or_default();
        for (condition, text) in conditions.iter().zip(&mut rule.when) {
            let key = (condition.argument, condition.mask);
            let values: Vec<_> = seen.iter().filter_map(|(_, entry)| entry.values.get(&key)).collect();
            if let (Some(words), Half::Low, true) =
                (&mut text.is, condition.half, values.iter().all(|values| !values.more))
            {
                words.retain(|word| {
                    let value = super::constants::value(word).unwrap_or_default();
                    values.iter().any(|values| values.seen.contains(&value))
                });
            }
        }
    }
    (!rule.calls.is_empty()).then(|| LearnedRule::new(&rule, count))
}

impl Entry {
    fn new(answer: Answer, policy: &Policy, key: &Key) -> Self {
        let rules =
            if key.audit_arch == Abi::NATIVE.audit_arch() { policy.calls.get(&key.number) } else { None };
        let conditions = rules.into_iter().flatten().flat_map(|rule| &rule.conditions);
        let asked = conditions.filter(|condition| condition.half == Half::Low);
        let values = asked.map(|condition| ((condition.argument, condition.mask), Values::default()));
        Self { answer, count: 0, values: values.collect() }
    }

    fn keep(&mut self, args: &[u64; 6]) {
        for ((argument, mask), values) in &mut self.values {
            let value = (args[usize::from(*argument)] & 0xffff_ffff) as u32 & mask;
            if values.seen.len() < MAX_VALUES {
                values.seen.insert(value);
            } else if !values.seen.contains(&value) {
                values.more = true;
            }
        }
    }
}

impl Values {
    fn told(&self, argument: u8) -> LearnedValues {
        LearnedValues { argument, values: self.seen.iter().copied().collect(), more: self.more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::custom;
    use crate::seccomp::policy::BuiltIn;

    fn number(name: &str) -> u32 {
        Abi::NATIVE.calls().find(|(known, _)| *known == name).unwrap().1
    }

    fn call(name: &str, args: [u64; 3]) -> Notification {
        raw(number(name), Abi::NATIVE.audit_arch(), args)
    }

    fn raw(number: u32, audit_arch: u32, args: [u64; 3]) -> Notification {
        Notification {
            id: 1,
            pid: 7,
            number: number.cast_signed(),
            audit_arch,
            args: [args[0], args[1], args[2], 0, 0, 0],
        }
    }

    fn policy(profile: BuiltIn) -> Policy {
        Policy::of(profile, Abi::NATIVE).unwrap()
    }

    /// A program that computes, asks for a socket it does not get, names itself, and forks.
    fn recorded(policy: &Policy) -> Learned {
        let mut recorder = Recorder::new(policy);
        let starts = ["execve", "brk", "read", "write", "exit_group", "set_tid_address"];
        let made = starts.map(|name| call(name, [0; 3]));
        let made = made.into_iter().chain([
            call("openat", [0; 3]),
            call("openat", [0; 3]),
            call("socket", [2, 1, 0]),
            call("prctl", [15, 0, 0]),
            call("prctl", [38, 0, 0]),
            call("clone", [0x0120_0011, 0, 0]),
            call("io_uring_setup", [0; 3]),
        ]);
        for call in made {
            recorder.judge(&call);
        }
        recorder.finish()
    }

    #[test]
    fn calls_are_judged_as_by_the_policy_and_counted_with_the_values_it_asks_for() {
        let policy = policy(BuiltIn::Strict);
        let mut recorder = Recorder::new(&policy);
        assert_eq!(recorder.judge(&call("read", [0; 3])), Verdict::Continue);
        assert_eq!(recorder.judge(&call("socket", [2, 1, 0])), Verdict::Return(97));
        assert_eq!(recorder.judge(&call("prlimit64", [0, 4, 1])), Verdict::Return(0));
        assert_eq!(recorder.judge(&call("memfd_create", [0; 3])), Verdict::Return(38));
        assert_eq!(recorder.judge(&call("socket", [16, 3, 0])), Verdict::Return(97));
        let learned = recorder.finish();
        let socket = learned.calls.iter().find(|call| call.syscall == "socket").unwrap();
        assert_eq!((socket.count, &socket.answer), (2, &LearnedAnswer::Failed { errno: 97 }));
        assert_eq!(learned.unlisted, 0);
    }

    #[test]
    fn foreign_abis_and_exploits_are_forbidden() {
        let policy = policy(BuiltIn::Default);
        let mut recorder = Recorder::new(&policy);
        assert_eq!(recorder.judge(&call("ptrace", [0; 3])), Verdict::Forbid);
        assert_eq!(recorder.judge(&raw(20, Abi::I386.audit_arch(), [0; 3])), Verdict::Forbid);
        let learned = recorder.finish();
        assert!(learned.calls.iter().all(|call| call.answer == LearnedAnswer::Forbidden));
        assert!(learned.calls.iter().any(|call| call.arch == "i386" && call.syscall == "getpid"));
        assert_eq!(learned.rules.len(), 1, "nothing of it becomes a rule: {:?}", learned.rules);
    }

    #[test]
    fn a_program_that_makes_up_numbers_and_values_fills_no_memory() {
        let policy = policy(BuiltIn::Default);
        let mut recorder = Recorder::new(&policy);
        for number in 0..5000 {
            recorder.judge(&raw(number, Abi::NATIVE.audit_arch(), [u64::from(number); 3]));
            recorder.judge(&call("ioctl", [0, u64::from(number) + 0x6000, 0]));
        }
        let learned = recorder.finish();
        assert_eq!(learned.calls.len(), MAX_ENTRIES);
        assert_eq!(learned.calls.iter().map(|call| call.count).sum::<u64>() + learned.unlisted, 10_000);
        let values = &learned.calls.iter().find(|call| call.syscall == "ioctl").unwrap().values[0];
        assert!(values.more && values.values.len() == MAX_VALUES, "{values:?}");
    }

    #[test]
    fn the_learnt_profile_holds_and_allows_what_was_seen_and_nothing_else() {
        let base = policy(BuiltIn::Strict);
        let text = recorded(&base).to_policy("`prog`", "strict", &[]);
        let (policy, _) = custom::compile("learnt.json", &text, Abi::NATIVE)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let answer = |call: &Notification| policy.answer(call.number.cast_unsigned(), &call.args).0;
        for (name, args) in
            [("openat", [0; 3]), ("prctl", [15, 0, 0]), ("clone", [0x0120_0011, 0, 0]), ("brk", [0; 3])]
        {
            assert_eq!(answer(&call(name, args)), Answer::Allow, "{name}\n{text}");
        }
        assert_eq!(answer(&call("socket", [2, 1, 0])), Answer::Error(97), "as it was refused\n{text}");
        assert_eq!(
            answer(&call("prctl", [4, 0, 0])),
            Answer::Error(38),
            "an option that was not seen\n{text}"
        );
        assert_eq!(
            answer(&call("clone", [0x1_0000, 0, 0])),
            Answer::Error(1),
            "threads, as in strict\n{text}"
        );
        assert_eq!(answer(&call("getpid", [0; 3])), Answer::Error(38), "{text}");
        assert_eq!(answer(&call("ptrace", [0; 3])), Answer::Notify, "{text}");
        for word in ["Seen 2 times while running `prog`", "Kept from `strict`", "PR_SET_NAME"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let line = r#""when": [{"argument": 0, "is": ["PR_SET_NAME", "PR_SET_NO_NEW_PRIVS"]}],"#;
        assert!(text.contains(line), "as people write it: {text}");
        assert!(!text.contains("PR_SET_PDEATHSIG") && !text.contains("io_uring"), "{text}");
    }

    /// For any arguments: what was learnt from a profile allows no more than it.
    #[test]
    fn a_learnt_profile_allows_no_more_than_the_one_it_was_learnt_under() {
        for profile in BuiltIn::ALL {
            let base = policy(profile);
            let mut recorder = Recorder::new(&base);
            for number in 0..500 {
                for value in [0, 1, 3, 15, 0x0120_0011] {
                    recorder.judge(&raw(number, Abi::NATIVE.audit_arch(), [value, value, 3]));
                }
            }
            let text = recorder.finish().to_policy("all", profile.name(), &[]);
            let (learnt, _) = custom::compile("learnt.json", &text, Abi::NATIVE)
                .unwrap_or_else(|error| panic!("{error}\n{text}"));
            for number in 0..500 {
                for bit in 0..33 {
                    for place in 0..3 {
                        let mut args = [0; 6];
                        args[place] = (1_u64 << bit) & 0xffff_ffff;
                        if learnt.answer(number, &args).0 == Answer::Allow {
                            assert_eq!(
                                base.answer(number, &args).0,
                                Answer::Allow,
                                "{profile:?} {number} {args:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
