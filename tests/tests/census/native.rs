//! Every number from 0 to 1,023 and some beyond, made the native way, with five sets of arguments, in each profile.

use kiln_jail::plan::Profile;

use crate::judging::{Judge, Kind};
use crate::program::{Call, Stand};

/// Harmless, then hostile: null pointers, -1, garbage pointers, 4 GiB above small numbers, the last page of user space.
const ARGUMENTS: [[u64; 6]; 5] =
    [[0; 6], [u64::MAX; 6], [0xdead_beef_dead_b000; 6], [0x1_0000_0000; 6], [0x7fff_ffff_f000; 6]];

/// Numbers that no table has: the largest below the x32 bit, and negative ones.
const BEYOND: [u32; 5] = [0x3fff_ffff, 0x8000_0000, 0x8000_0027, 0xffff_fffe, u32::MAX];

async fn every_number(profile: &Profile) {
    let stand = Stand::start().await;
    let mut judge = Judge::new(&stand, profile);
    let calls: Vec<Call> = ARGUMENTS
        .into_iter()
        .flat_map(|args| (0..1_024).chain(BEYOND).map(move |number| Call { number, args }))
        .collect();
    judge.judge(&calls).await;
    let counts = judge.conclude(calls.len());
    // The census sees every kind: it compares with something.
    for kind in [Kind::Reached, Kind::Waited, Kind::Ended, Kind::Crashed, Kind::Refused, Kind::Notified] {
        assert!(counts.contains_key(&kind), "no {kind:?} among {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_answered_as_the_table_of_strict_says() {
    every_number(&Profile::Strict).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_answered_as_the_table_of_default_says() {
    every_number(&Profile::Default).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_answered_as_the_table_of_build_says() {
    every_number(&Profile::Build).await;
}
