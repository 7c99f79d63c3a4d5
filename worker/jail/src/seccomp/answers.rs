//! What a profile answers to a call, told by its policy and not by the filter that was compiled from it: the table that a
//! running sandbox is compared with.

use super::policy::{Answer, BuiltIn, Policy};
use super::program::UNKNOWN;
use super::tables::{Abi, X32_BIT};
use crate::plan::Profile;
use crate::report::Failure;

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// This machine's own.
    Native,
    /// `int 0x80` on x86-64.
    I386,
    /// x86-64 with the x32 bit, which numbers here do not carry.
    X32,
}

/// The table of one profile on this machine.
#[derive(Clone, Debug)]
pub struct Answers {
    policy: Policy,
}

impl Answers {
    /// Of a built-in profile.
    pub fn of(profile: &Profile) -> Result<Self, Failure> {
        let built_in = BuiltIn::of(profile)
            .ok_or_else(|| Failure::new("seccomp", 0, format!("{} is not built in", profile.name())))?;
        let policy = Policy::of(built_in, Abi::NATIVE)
            .map_err(|error| Failure::new("seccomp", 0, format!("policy {error}")))?;
        Ok(Self { policy })
    }

    pub fn answer(&self, convention: Convention, number: u32, args: &[u64; 6]) -> Answer {
        let beyond_the_bit = number & !(X32_BIT - 1);
        match convention {
            Convention::I386 | Convention::X32 => Answer::Notify,
            Convention::Native if Abi::NATIVE == Abi::X86_64 && beyond_the_bit == X32_BIT => Answer::Notify,
            Convention::Native if beyond_the_bit != 0 => UNKNOWN,
            Convention::Native => self.policy.answer(number, args).0,
        }
    }
}

/// The call's name where it is made this way, or `syscall_N`.
pub fn call_name(convention: Convention, number: u32) -> String {
    let abi = match convention {
        Convention::Native => Abi::NATIVE,
        Convention::I386 => Abi::I386,
        Convention::X32 => Abi::X32,
    };
    abi.call_name(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_conventions_and_numbers_beyond_every_table_have_answers_too() {
        let answers = Answers::of(&Profile::Default).unwrap();
        let none = [0; 6];
        let answer = |convention, number| answers.answer(convention, number, &none);
        assert_eq!(answer(Convention::I386, 20), Answer::Notify);
        assert_eq!(answer(Convention::X32, 39), Answer::Notify);
        assert_eq!(answer(Convention::Native, u32::MAX), UNKNOWN);
        assert_eq!(answer(Convention::Native, X32_BIT - 1), UNKNOWN);
        #[cfg(target_arch = "x86_64")]
        {
            assert_eq!(answer(Convention::Native, 39), Answer::Allow);
            assert_eq!(answer(Convention::Native, X32_BIT), Answer::Notify);
            assert_eq!(answer(Convention::Native, X32_BIT * 2), UNKNOWN);
        }
    }

    #[test]
    fn names_follow_the_convention() {
        assert_eq!(call_name(Convention::I386, 20), "getpid");
        assert_eq!(call_name(Convention::X32, 39), "getpid");
        assert_eq!(call_name(Convention::Native, 1_000), "syscall_1000");
    }
}
