//! Compiles a policy into one classic BPF program. Pure: data in, instructions out.
//!
//! One program, not a stack of them: the kernel takes the strictest answer of a stack, and ERRNO outranks USER_NOTIF,
//! so that stacked filters can hide a notification. One decision tree over the numbers also costs each call seven
//! comparisons instead of hundreds. That is why `seccompiler`, which makes one filter per action, lends its types here and
//! is the second opinion of the tests, but does not compile the policies.

use super::learn::{MARKED, Mark};
use super::policy::{Answer, Condition, Half, Policy, Rule, Test};
use super::tables::{Abi, X32_BIT};
use crate::sys::seccomp::Instruction;

/// What a call gets that no rule answers: it does not exist here, and libraries fall back.
pub(super) const UNKNOWN: Answer = Answer::Error(libc::ENOSYS as u16);

/// BPF_MAXINSNS of linux/bpf_common.h.
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

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

/// The filter of a recorded command: every call waits for the jail, which answers by the policy; see [`super::learn`]. Only the words that
/// the command's process exchanges with the jail before the jail listens pass, by a mark in arguments that write(2) and read(2)
/// do not have.
pub(super) fn record(abi: Abi, mark: Mark) -> Vec<Instruction> {
    let passes = |argument: u8| {
        let half = |half, value| Condition { argument, half, mask: u32::MAX, test: Test::Is(vec![value]) };
        let word = mark.0[usize::from(argument) - usize::from(MARKED[0])];
        [half(Half::Low, word as u32), half(Half::High, (word >> 32) as u32)]
    };
    let conditions = MARKED.into_iter().flat_map(passes).collect();
    let marked = conditional(&Rule { conditions, answer: Answer::Allow });
    let number = |call| abi.calls().find(|(name, _)| *name == call).map_or(u32::MAX, |(_, number)| number);
    let mut program = vec![
        statement(LOAD_WORD, ARCH_AT),
        jump(JUMP_EQUAL, abi.audit_arch(), 1, 0),
        answer(Answer::Notify),
        statement(LOAD_WORD, NUMBER_AT),
        jump(JUMP_EQUAL, number("write"), 1, 0),
        jump(JUMP_EQUAL, number("read"), 0, distance(marked.len())),
    ];
    program.extend(marked);
    program.push(answer(Answer::Notify));
    program
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
            let distance = u32::try_from(lower.len()).expect("policy files are small");
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
    u8::try_from(instructions).expect("a policy file's rules are short: it was checked when it was read")
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
    use crate::seccomp::learn::judge;
    use crate::seccomp::policy::BuiltIn;

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

    /// In the order of [`BuiltIn::ALL`].
    static COMPILED: LazyLock<[(Policy, Vec<Instruction>); 3]> = LazyLock::new(|| compiled(Abi::X86_64));
    static COMPILED_FOR_AARCH64: LazyLock<[(Policy, Vec<Instruction>); 3]> =
        LazyLock::new(|| compiled(Abi::Aarch64));

    fn compiled(abi: Abi) -> [(Policy, Vec<Instruction>); 3] {
        BuiltIn::ALL.map(|profile| {
            let policy = Policy::of(profile, abi).unwrap();
            let program = compile(&policy, abi);
            (policy, program)
        })
    }

    fn profiles() -> impl Strategy<Value = BuiltIn> {
        prop_oneof![Just(BuiltIn::Strict), Just(BuiltIn::Default), Just(BuiltIn::Build)]
    }

    #[test]
    fn programs_are_small() {
        for profile in BuiltIn::ALL {
            let program = compile(&Policy::of(profile, Abi::X86_64).unwrap(), Abi::X86_64);
            assert!(program.len() < 700, "{profile:?}: {} instructions", program.len());
        }
    }

    #[test]
    fn every_number_is_answered_as_the_policy_says() {
        for profile in BuiltIn::ALL {
            for abi in [Abi::X86_64, Abi::Aarch64] {
                let policy = Policy::of(profile, abi).unwrap();
                let program = compile(&policy, abi);
                for number in 0..1000 {
                    for args in [[0; 6], [u64::MAX; 6]] {
                        let seen = run(&program, abi.audit_arch(), number, &args);
                        assert_eq!(seen, policy.answer(number, &args).0, "{profile:?} {abi:?} {number}");
                    }
                }
            }
        }
    }

    /// Another compiler, written by others, agrees about every call whose answer does not depend on arguments.
    #[test]
    fn seccompiler_agrees_about_what_is_allowed() {
        use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
        for profile in BuiltIn::ALL {
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
        let program = compile(&Policy::of(BuiltIn::Build, Abi::X86_64).unwrap(), Abi::X86_64);
        let none = [0; 6];
        assert_eq!(run(&program, Abi::I386.audit_arch(), 20, &none), Answer::Notify);
        assert_eq!(run(&program, Abi::X86_64.audit_arch(), X32_BIT | 39, &none), Answer::Notify);
        assert_eq!(run(&program, Abi::X86_64.audit_arch(), u32::MAX, &none), UNKNOWN);
        let program = compile(&Policy::of(BuiltIn::Build, Abi::Aarch64).unwrap(), Abi::Aarch64);
        for foreign in [Abi::Arm, Abi::X86_64, Abi::I386] {
            assert_eq!(run(&program, foreign.audit_arch(), 63, &none), Answer::Notify, "{foreign:?}");
        }
    }

    /// Under a recorder the jail answers in the kernel's place: by the same policy, so with the same answers.
    #[test]
    fn the_recorder_judges_as_the_program_does() {
        let arches = [Abi::X86_64, Abi::Aarch64, Abi::I386, Abi::Arm].map(Abi::audit_arch);
        for (policy, program) in &*COMPILED {
            let bits = (0..32).flat_map(|bit| [1_u32 << bit, (1_u32 << bit) | 39]);
            for number in (0..500).chain(bits).chain([u32::MAX]) {
                for (arch, args) in
                    arches.into_iter().flat_map(|arch| [(arch, [0; 6]), (arch, [u64::MAX; 6])])
                {
                    let judged = judge(policy, Abi::X86_64, arch, number, &args).0;
                    assert_eq!(judged, run(program, arch, number, &args), "{number:#x} through {arch:#x}");
                }
            }
        }
    }

    #[test]
    fn only_marked_reads_and_writes_pass_a_recorder() {
        for abi in [Abi::X86_64, Abi::Aarch64] {
            let program = record(abi, Mark([0x1234_5678_9abc_def0, 5]));
            let marked = [3, 4, 5, 0x1234_5678_9abc_def0, 5, 6];
            for (name, number) in abi.calls() {
                let passes = matches!(name, "read" | "write");
                let expected = if passes { Answer::Allow } else { Answer::Notify };
                assert_eq!(run(&program, abi.audit_arch(), number, &marked), expected, "{abi:?} {name}");
                for (argument, bit) in [(3, 0), (3, 63), (4, 0), (4, 32)] {
                    let mut other = marked;
                    other[argument] ^= 1 << bit;
                    assert_eq!(
                        run(&program, abi.audit_arch(), number, &other),
                        Answer::Notify,
                        "{abi:?} {name}"
                    );
                }
            }
            assert_eq!(run(&program, Abi::I386.audit_arch(), 4, &marked), Answer::Notify);
        }
    }

    /// Whether the kernel will answer this call from its bitmap, without running the filter: it can when the filter allows it by
    /// number and architecture alone (seccomp_is_const_allow in kernel/seccomp.c, which knows no more than these instructions).
    fn is_allowed_by_number_alone(program: &[Instruction], abi: Abi, number: u32) -> bool {
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let holds = match code {
                LOAD_WORD if k == NUMBER_AT => {
                    accumulator = number;
                    continue;
                }
                LOAD_WORD if k == ARCH_AT => {
                    accumulator = abi.audit_arch();
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
                RETURN => return k == RET_ALLOW,
                JUMP_EQUAL => accumulator == k,
                JUMP_GREATER_EQUAL => accumulator >= k,
                JUMP_ANY_BIT => accumulator & k != 0,
                // It looks at an argument.
                _ => return false,
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }

    /// The filter then costs such a call the test of one bit.
    #[test]
    fn frequent_calls_are_allowed_by_number_alone() {
        let frequent = "read write readv writev pread64 pwrite64 lseek close openat newfstatat fstat statx getdents64 readlinkat \
                        faccessat munmap brk madvise futex rt_sigaction rt_sigprocmask rt_sigreturn clock_gettime nanosleep getpid \
                        gettid getppid getrandom ppoll epoll_pwait epoll_ctl sched_yield wait4 exit_group execve dup3 pipe2";
        let more = "mmap mprotect recvmsg sendmsg";
        for (profile, calls) in [
            (BuiltIn::Strict, frequent.to_owned()),
            (BuiltIn::Default, format!("{frequent} {more}")),
            (BuiltIn::Build, format!("{frequent} {more}")),
        ] {
            for abi in [Abi::X86_64, Abi::Aarch64] {
                let program = compile(&Policy::of(profile, abi).unwrap(), abi);
                for name in calls.split_whitespace() {
                    let (_, number) = abi
                        .calls()
                        .find(|(known, _)| *known == name)
                        .unwrap_or_else(|| panic!("{name} on {abi:?}"));
                    assert!(is_allowed_by_number_alone(&program, abi, number), "{profile:?} {abi:?} {name}");
                }
                let (_, ioctl) = abi.calls().find(|(known, _)| *known == "ioctl").unwrap();
                assert!(!is_allowed_by_number_alone(&program, abi, ioctl), "the check can fail");
            }
        }
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
            for (abi, compiled) in [(Abi::X86_64, &COMPILED), (Abi::Aarch64, &COMPILED_FOR_AARCH64)] {
                let (policy, program) = &compiled[profile as usize];
                prop_assert_eq!(run(program, abi.audit_arch(), number, &args), policy.answer(number, &args).0);
            }
        }
    }
}
