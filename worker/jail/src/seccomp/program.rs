//! Compiles a policy into one classic BPF program. Pure: data in, instructions out.
//!
//! One program, not a stack of them: the kernel takes the strictest answer of a stack, and ERRNO outranks USER_NOTIF,
//! so that stacked filters can hide a notification. One decision tree over the numbers also costs each call seven
//! comparisons instead of hundreds. That is why `seccompiler`, which makes one filter per action, lends its types here and
//! is the second opinion of the tests, but does not compile the policies.

use super::policy::{Answer, Condition, Half, Policy, Rule, Test};
use super::tables::{Abi, X32_BIT};
use crate::sys::seccomp::Instruction;

/// What a call gets that no rule answers: it does not exist here, and libraries fall back.
pub(super) const UNKNOWN: Answer = Answer::Error(libc::ENOSYS as u16);

/// Offsets into `struct seccomp_data` (linux/seccomp.h); both supported architectures are little-endian.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const ARGS_AT: u32 = 16;

/// linux/bpf_common.h.
const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

/// linux/seccomp.h.
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

/// Numbers from `first` up to the next span's are answered by `rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    first: u32,
    rules: Vec<Rule>,
}

/// The whole filter: foreign architectures are notified, then a tree over the numbers.
pub(super) fn compile(policy: &Policy, abi: Abi) -> Vec<Instruction> {
    let mut program = vec![
        statement(LOAD_WORD, ARCH_AT),
        jump(JUMP_EQUAL, abi.audit_arch(), 1, 0),
        answer(Answer::Notify),
        statement(LOAD_WORD, NUMBER_AT),
    ];
    program.extend(tree(&spans(policy, abi)));
    program
}

/// The number line in spans of equal rules, from 0 to the largest u32.
fn spans(policy: &Policy, abi: Abi) -> Vec<Span> {
    let unknown = || vec![Rule { conditions: Vec::new(), answer: UNKNOWN }];
    let mut spans = vec![Span { first: 0, rules: unknown() }];
    for (number, rules) in &policy.calls {
        push(&mut spans, *number, rules.clone());
        push(&mut spans, number + 1, unknown());
    }
    if abi == Abi::X86_64 {
        push(&mut spans, X32_BIT, vec![Rule { conditions: Vec::new(), answer: Answer::Notify }]);
        // Beyond are negative numbers, which no ABI has.
        push(&mut spans, 0x8000_0000, unknown());
    }
    spans.dedup_by(|later, earlier| later.rules == earlier.rules);
    spans
}

fn push(spans: &mut Vec<Span>, first: u32, rules: Vec<Rule>) {
    if spans.last().is_some_and(|last| last.first == first) {
        spans.pop();
    }
    spans.push(Span { first, rules });
}

fn tree(spans: &[Span]) -> Vec<Instruction> {
    if let [span] = spans {
        return chain(&span.rules);
    }
    let (left, right) = spans.split_at(spans.len() / 2);
    let (lower, upper) = (tree(left), tree(right));
    let mut program = match u8::try_from(lower.len()) {
        Ok(distance) => vec![jump(JUMP_GREATER_EQUAL, right[0].first, distance, 0)],
        // Conditional jumps reach 255 instructions.
        Err(_) => {
            let distance = u32::try_from(lower.len()).expect("a filter has at most 4,096 instructions");
            vec![jump(JUMP_GREATER_EQUAL, right[0].first, 0, 1), statement(JUMP, distance)]
        }
    };
    program.extend(lower);
    program.extend(upper);
    program
}

fn chain(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for rule in rules {
        program.extend(conditional(rule));
        if rule.conditions.is_empty() {
            return program;
        }
    }
    program.push(answer(UNKNOWN));
    program
}

/// Conditions, each of which jumps behind the rule when it does not hold, then the answer.
fn conditional(rule: &Rule) -> Vec<Instruction> {
    let mut program = vec![answer(rule.answer)];
    for condition in rule.conditions.iter().rev() {
        let mut with = test(condition, program.len());
        with.append(&mut program);
        program = with;
    }
    program
}

/// `behind` is how many instructions of the rule follow this test.
fn test(condition: &Condition, behind: usize) -> Vec<Instruction> {
    let half = match condition.half {
        Half::Low => 0,
        Half::High => 4,
    };
    let mut program = vec![statement(LOAD_WORD, ARGS_AT + 8 * u32::from(condition.argument) + half)];
    if condition.mask != u32::MAX {
        program.push(statement(AND, condition.mask));
    }
    match &condition.test {
        Test::HasAny(bits) => program.push(jump(JUMP_ANY_BIT, *bits, 0, distance(behind))),
        Test::Is(values) => {
            for (index, value) in values.iter().enumerate() {
                let left = values.len() - 1 - index;
                let otherwise = if left == 0 { distance(behind) } else { 0 };
                program.push(jump(JUMP_EQUAL, *value, distance(left), otherwise));
            }
        }
        Test::IsNot(values) => {
            for (index, value) in values.iter().enumerate() {
                let left = values.len() - 1 - index;
                program.push(jump(JUMP_EQUAL, *value, distance(left + behind), 0));
            }
        }
    }
    program
}

fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).expect("policies are part of the program, and their rules are short")
}

fn answer(answer: Answer) -> Instruction {
    statement(
        RETURN,
        match answer {
            Answer::Allow => RET_ALLOW,
            Answer::Error(errno) => RET_ERRNO | u32::from(errno),
            Answer::Notify => RET_USER_NOTIF,
        },
    )
}

fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, when_true: u8, when_false: u8) -> Instruction {
    Instruction { code, jt: when_true, jf: when_false, k }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::Profile;

    /// Interprets a program as the kernel does.
    fn run(program: &[Instruction], arch: u32, number: u32, args: &[u64; 6]) -> Answer {
        let word = |at: u32| match at {
            NUMBER_AT => number,
            ARCH_AT => arch,
            _ if at % 8 == 4 => (args[(at as usize - 16) / 8] >> 32) as u32,
            _ => (args[(at as usize - 16) / 8] & 0xffff_ffff) as u32,
        };
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let holds = match code {
                LOAD_WORD => {
                    accumulator = word(k);
                    continue;
                }
                AND => {
                    accumulator &= k;
                    continue;
                }
                JUMP => {
                    at += k as usize;
                    continue;
                }
                RETURN if k == RET_ALLOW => return Answer::Allow,
                RETURN if k == RET_USER_NOTIF => return Answer::Notify,
                RETURN => return Answer::Error((k & 0xffff) as u16),
                JUMP_EQUAL => accumulator == k,
                JUMP_GREATER_EQUAL => accumulator >= k,
                JUMP_ANY_BIT => accumulator & k != 0,
                _ => panic!("instruction {code:#x}"),
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }

    /// In the order of [`Profile`].
    static COMPILED: LazyLock<[(Policy, Vec<Instruction>); 3]> = LazyLock::new(|| {
        [Profile::Strict, Profile::Default, Profile::Build].map(|profile| {
            let policy = Policy::of(profile, Abi::X86_64).unwrap();
            let program = compile(&policy, Abi::X86_64);
            (policy, program)
        })
    });

    fn profiles() -> impl Strategy<Value = Profile> {
        prop_oneof![Just(Profile::Strict), Just(Profile::Default), Just(Profile::Build)]
    }

    #[test]
    fn programs_are_small() {
        for profile in [Profile::Strict, Profile::Default, Profile::Build] {
            let program = compile(&Policy::of(profile, Abi::X86_64).unwrap(), Abi::X86_64);
            assert!(program.len() < 700, "{profile:?}: {} instructions", program.len());
        }
    }

    #[test]
    fn every_number_is_answered_as_the_policy_says() {
        for profile in [Profile::Strict, Profile::Default, Profile::Build] {
            for abi in [Abi::X86_64, Abi::Aarch64] {
                let policy = Policy::of(profile, abi).unwrap();
                let program = compile(&policy, abi);
                for number in 0..1000 {
                    for args in [[0; 6], [u64::MAX; 6]] {
                        let seen = run(&program, abi.audit_arch(), number, &args);
                        assert_eq!(seen, policy.answer(number, &args), "{profile:?} {abi:?} {number}");
                    }
                }
            }
        }
    }

    /// Another compiler, written by others, agrees about every call whose answer does not depend on arguments.
    #[test]
    fn seccompiler_agrees_about_what_is_allowed() {
        use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
        for profile in [Profile::Strict, Profile::Default, Profile::Build] {
            let policy = Policy::of(profile, Abi::X86_64).unwrap();
            let ours = compile(&policy, Abi::X86_64);
            let plain = |rules: &Vec<Rule>| rules.first().is_some_and(|rule| rule.conditions.is_empty());
            let allowed = |rules: &Vec<Rule>| plain(rules) && rules[0].answer == Answer::Allow;
            let rules = policy.calls.iter().filter(|(_, rules)| allowed(rules));
            let filter = SeccompFilter::new(
                rules.map(|(number, _)| (i64::from(*number), Vec::new())).collect(),
                SeccompAction::Errno(libc::ENOSYS as u32),
                SeccompAction::Allow,
                TargetArch::x86_64,
            );
            let theirs = BpfProgram::try_from(filter.unwrap()).unwrap();
            let mut compared = 0;
            for number in (0..1000).filter(|number| policy.calls.get(number).is_none_or(allowed)) {
                let seen = run(&ours, Abi::X86_64.audit_arch(), number, &[0; 6]);
                assert_eq!(
                    seen,
                    run(&theirs, Abi::X86_64.audit_arch(), number, &[0; 6]),
                    "{profile:?} {number}"
                );
                compared += 1;
            }
            assert!(compared > 700, "{profile:?}: {compared} calls compared");
        }
    }

    #[test]
    fn foreign_abis_are_notified() {
        let program = compile(&Policy::of(Profile::Build, Abi::X86_64).unwrap(), Abi::X86_64);
        let none = [0; 6];
        assert_eq!(run(&program, Abi::I386.audit_arch(), 20, &none), Answer::Notify);
        assert_eq!(run(&program, Abi::X86_64.audit_arch(), X32_BIT | 39, &none), Answer::Notify);
        assert_eq!(run(&program, Abi::X86_64.audit_arch(), u32::MAX, &none), UNKNOWN);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_program_does_what_the_policy_says(
            profile in profiles(),
            number in 0u32..470,
            // Small values and single bits, with garbage above that the kernel ignores.
            args in prop::array::uniform6(prop_oneof![
                0u64..64,
                (0u32..32).prop_map(|bit| 1u64 << bit),
                any::<u64>(),
                any::<u64>().prop_map(|garbage| (garbage << 32) | 1),
            ]),
        ) {
            let (policy, program) = &COMPILED[profile as usize];
            prop_assert_eq!(run(program, Abi::X86_64.audit_arch(), number, &args), policy.answer(number, &args));
        }
    }
}
