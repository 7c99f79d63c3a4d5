//! Calls through i386 (`int 0x80`) and with the x32 bit: each ends its sandbox, and the outcome names it in its own ABI.
//!
//! One sandbox per call. The short form tries every number in the default profile, harmless and hostile arguments by turns, and
//! every sixteenth in the others; `KILN_CENSUS=full` tries all, with both.

use kiln_jail::plan::Profile;
use kiln_jail::seccomp::Convention;
use kiln_proto::v1::CommandResult;
use kiln_tests::verdict::{Ended, ended};

use crate::judging::{Kind, notified};
use crate::program::{Call, Stand, Told, name};

const SIGSEGV: i32 = 11;
const CLIENTS: usize = 4;
const HARMLESS: [u64; 6] = [0; 6];
const HOSTILE: [u64; 6] = [u64::MAX; 6];

fn is_full() -> bool {
    std::env::var_os("KILN_CENSUS").is_some_and(|form| form == "full")
}

/// What is tried of 2,048 calls.
fn chosen(profile: &Profile) -> Vec<Call> {
    let call = |number: u32, args| Call { number, args };
    let both = (0..1_024).flat_map(|number| [call(number, HARMLESS), call(number, HOSTILE)]);
    match profile {
        _ if is_full() => both.collect(),
        // Number n with the harmless ones when n is even, with the hostile ones when it is odd.
        Profile::Default => both.filter(|call| (call.number % 2 == 0) == (call.args == HARMLESS)).collect(),
        _ => both.filter(|call| call.number % 16 == 4).collect(),
    }
}

/// Without the emulation a kernel answers `int 0x80` by SIGSEGV, before any filter.
fn emulated(stand: &Stand) -> bool {
    const GETPID: u32 = 20;
    match stand.outside(Convention::I386, &Call { number: GETPID, args: HARMLESS }) {
        Told::Returned { result, .. } => result > 0,
        _ => false,
    }
}

async fn every_number(profile: &Profile, convention: Convention) {
    let stand = Stand::start().await;
    let exists = convention == Convention::X32 || emulated(&stand);
    let judge = |call: &Call, result: &CommandResult| match ended(result) {
        Ended::Signalled(SIGSEGV) if !exists => Ok(Kind::LackedByKernel),
        _ => notified(convention, call, result),
    };
    let (stand, judge) = (&stand, &judge);
    let calls = chosen(profile);
    let one = |call: Call| async move {
        let result = stand.one(profile, convention, &call).await;
        judge(&call, &result).map_err(|why| format!("{convention:?} {call:x?}: {why}"))
    };
    let calls_of = |client: usize| calls.iter().copied().skip(client).step_by(CLIENTS);
    let clients = (0..CLIENTS).map(|client| async move {
        let mut judged = Vec::new();
        for call in calls_of(client) {
            judged.push(one(call).await);
        }
        judged
    });
    let judged = futures_util::future::join_all(clients).await.concat();
    let wrong: Vec<&String> = judged.iter().filter_map(|judged| judged.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), judged.len());
    assert_eq!(judged.len(), calls.len(), "every call is counted once");
    let left_out = 2_048 - judged.len();
    let emulation = if exists { "" } else { " (this kernel has no such calls at all)" };
    eprintln!(
        "{convention:?} in {}: {} calls, each notified{emulation}; {left_out} left out of this form",
        name(profile),
        judged.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_i386_number_ends_the_sandbox_in_strict() {
    every_number(&Profile::Strict, Convention::I386).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_i386_number_ends_the_sandbox_in_default() {
    every_number(&Profile::Default, Convention::I386).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_i386_number_ends_the_sandbox_in_build() {
    every_number(&Profile::Build, Convention::I386).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_x32_number_ends_the_sandbox_in_strict() {
    every_number(&Profile::Strict, Convention::X32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_x32_number_ends_the_sandbox_in_default() {
    every_number(&Profile::Default, Convention::X32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_x32_number_ends_the_sandbox_in_build() {
    every_number(&Profile::Build, Convention::X32).await;
}
