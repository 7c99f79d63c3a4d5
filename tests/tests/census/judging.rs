//! Whether what became of a call is what the profile's table says, and the count of all that were judged.

use std::collections::{BTreeMap, BTreeSet};

use kiln_jail::plan::Profile;
use kiln_jail::seccomp::{Answer, Answers, Convention, call_name};
use kiln_proto::v1::CommandResult;
use kiln_tests::verdict::{Ended, ended, outcome, stdout};

use crate::program::{Call, Stand, State, Told, name};

const EINVAL: u16 = 22;
const ENOSYS: u16 = 38;
const SIGSEGV: i32 = 11;

/// Allowed calls that do not come back from these arguments, and why.
const WAITING: [(&str, &str); 6] = [
    ("pause", "waits for a signal, and none comes"),
    ("select", "no descriptor and no time-out: waits for a signal"),
    ("pselect6", "the same"),
    ("ppoll", "the same"),
    ("rt_sigsuspend", "waits for a signal"),
    ("rt_sigtimedwait", "waits for a signal"),
];
const ENDING: [(&str, &str); 2] =
    [("exit", "ends the process with its argument"), ("exit_group", "ends the process with its argument")];
/// Dies by SIGSEGV.
const CRASHING: [(&str, &str); 1] = [("rt_sigreturn", "takes what is on the stack for a signal frame")];

/// Calls that the kernel shows to no filter (seccomp_uprobe_exception in kernel/seccomp.c, since 6.14), since programs that are
/// traced with uprobes make them unawares. From anywhere but the trampoline the first is SIGILL and the second ENXIO.
const SHOWN_TO_NO_FILTER: [(u32, Told); 2] =
    [(335, Told::Signalled(4)), (336, Told::Returned { result: -6, state: State::Same })];

/// How a call was told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Allowed, and the kernel's own answer came.
    Reached,
    /// Allowed, and the answer is EINVAL, which the kernel and the table both give for other arguments of this call.
    ReachedPerhaps,
    /// Allowed, and this kernel has no such call.
    LackedByKernel,
    Waited,
    Ended,
    Crashed,
    /// The table's error came, and nothing had changed.
    Refused,
    /// Success was told, and nothing had changed.
    Pretended,
    /// The kernel asked no filter, and did nothing.
    Unfiltered,
    /// The sandbox ended, and the outcome names the call and its arguments.
    Notified,
}

/// Everything that was judged of one profile.
pub(crate) struct Judge<'a> {
    pub(crate) stand: &'a Stand,
    pub(crate) profile: &'a Profile,
    pub(crate) answers: Answers,
    counts: BTreeMap<Kind, usize>,
    wrong: Vec<String>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(stand: &'a Stand, profile: &'a Profile) -> Self {
        let answers = Answers::of(profile).expect("the profile's policy");
        Self { stand, profile, answers, counts: BTreeMap::new(), wrong: Vec::new() }
    }

    /// Makes all these calls and judges each: those to be notified in sandboxes of their own.
    pub(crate) async fn judge(&mut self, calls: &[Call]) {
        let answer = |call: &Call| self.answers.answer(Convention::Native, call.number, &call.args);
        let (ending, others): (Vec<Call>, Vec<Call>) =
            calls.iter().partition(|call| answer(call) == Answer::Notify);
        let told = self.stand.calls(self.profile, &others).await;
        for (call, told) in others.iter().zip(told) {
            let judged = self.one(call, told);
            self.note(call, judged);
        }
        for call in &ending {
            let result = self.stand.one(self.profile, Convention::Native, call).await;
            self.note(call, notified(Convention::Native, call, &result));
        }
    }

    /// Says what was counted, and fails if anything was not as the table says.
    pub(crate) fn conclude(self, expected: usize) -> BTreeMap<Kind, usize> {
        eprintln!("{}: {expected} calls: {:?}", name(self.profile), self.counts);
        assert!(self.wrong.is_empty(), "{} calls:\n{}", self.wrong.len(), self.wrong.join("\n"));
        assert_eq!(self.counts.values().sum::<usize>(), expected, "every call is counted once");
        self.counts
    }

    fn note(&mut self, call: &Call, judged: Result<Kind, String>) {
        match judged {
            Ok(kind) => *self.counts.entry(kind).or_default() += 1,
            Err(why) => {
                let called = call_name(Convention::Native, call.number);
                self.wrong.push(format!("{called} ({}) {:x?}: {why}", call.number, call.args));
            }
        }
    }

    fn one(&self, call: &Call, told: Told) -> Result<Kind, String> {
        match (self.answers.answer(Convention::Native, call.number, &call.args), told) {
            (Answer::Error(errno), Told::Returned { result, state: State::Same })
                if result == -i64::from(errno) =>
            {
                Ok(if errno == 0 { Kind::Pretended } else { Kind::Refused })
            }
            (Answer::Error(ENOSYS), told) if SHOWN_TO_NO_FILTER.contains(&(call.number, told)) => {
                Ok(Kind::Unfiltered)
            }
            (Answer::Allow, told) => self.allowed(call, told),
            (answer, told) => Err(format!("the table says {answer:?}, and it {told:?}")),
        }
    }

    fn allowed(&self, call: &Call, told: Told) -> Result<Kind, String> {
        let called = call_name(Convention::Native, call.number);
        let listed = |list: &[(&str, &str)]| list.iter().any(|(name, _)| *name == called);
        match told {
            Told::Returned { result, .. } if result == -i64::from(ENOSYS) => {
                match self.stand.outside(Convention::Native, call) {
                    Told::Returned { result: outside, .. } if outside == result => Ok(Kind::LackedByKernel),
                    outside => Err(format!("allowed, but ENOSYS; outside it {outside:?}")),
                }
            }
            Told::Returned { result, .. } => {
                let given = self.errors_for_other_arguments(call.number);
                let same = given.iter().find(|errno| **errno != 0 && result == -i64::from(**errno));
                match same {
                    None => Ok(Kind::Reached),
                    Some(&EINVAL) => Ok(Kind::ReachedPerhaps),
                    Some(errno) => Err(format!("allowed, but errno {errno}, as for other arguments")),
                }
            }
            Told::Blocked if listed(&WAITING) => Ok(Kind::Waited),
            Told::Exited(code) if listed(&ENDING) && code as u64 == call.args[0] & 0xff => Ok(Kind::Ended),
            Told::Signalled(SIGSEGV) if listed(&CRASHING) => Ok(Kind::Crashed),
            told => Err(format!("allowed, and it {told:?}")),
        }
    }

    /// Errors that the table gives this call depending on its arguments: single bits and small values show every condition.
    fn errors_for_other_arguments(&self, number: u32) -> BTreeSet<u16> {
        let values = (0..32).map(|bit| 1u64 << bit).chain(0..64);
        let tries = values.flat_map(|value| (0..6).map(move |at| (at, value)));
        let errors = tries.filter_map(|(at, value)| {
            let mut args = [0; 6];
            args[at] = value;
            match self.answers.answer(Convention::Native, number, &args) {
                Answer::Error(errno) => Some(errno),
                _ => None,
            }
        });
        errors.collect()
    }
}

/// A call that ends the sandbox: it did not return, and the outcome has its name and its arguments.
pub(crate) fn notified(convention: Convention, call: &Call, result: &CommandResult) -> Result<Kind, String> {
    let plain = call_name(convention, call.number);
    let expected = match convention {
        Convention::Native => plain,
        Convention::I386 => format!("i386:{plain}"),
        Convention::X32 => format!("x32:{plain}"),
    };
    // Of an i386 call the low halves count; what the kernel tells of the high ones depends on its version.
    let counting = if convention == Convention::I386 { 0xffff_ffff } else { u64::MAX };
    let told: Vec<u64> = outcome(result).syscall_args.iter().map(|arg| arg & counting).collect();
    match ended(result) {
        Ended::Forbidden(named) if named != expected => Err(format!("named {named}, not {expected}")),
        Ended::Forbidden(_) if told != call.args.map(|arg| arg & counting) => {
            Err(format!("told arguments {told:x?}"))
        }
        Ended::Forbidden(_) if stdout(result).is_empty() => Ok(Kind::Notified),
        other => Err(format!("expected forbidden {expected}, not {other:?} with {:?}", stdout(result))),
    }
}
