//! Calls whose arguments decide: ioctl numbers, socket families, clone and unshare flags, prctl options, fcntl commands,
//! personalities, kinds of nodes, and the core limit; each also with garbage in the high halves of its arguments, which the
//! kernel ignores and which must let nothing slip past (CVE-2019-7303).

use kiln_jail::plan::Profile;
use kiln_jail::seccomp::{Convention, call_name};

use crate::judging::{Judge, Kind};
use crate::program::{Call, Stand};

const GARBAGE: u64 = 0xffff_ffff_0000_0000;

/// Of asm-generic/ioctls.h and others: those that were used in exploits or leave the sandbox, and everyday ones.
const IOCTLS: [u32; 38] = [
    0x5401, 0x5402, 0x5403, 0x540e, 0x5410, 0x5412, 0x5413, 0x5414, 0x541b, 0x541c, 0x541d, 0x5420, 0x5421,
    0x5422, 0x5423, 0x5424, 0x542d, 0x5430, 0x5437,
    0x5441, // terminals: TCGETS .. TIOCSTI TIOCLINUX TIOCSETD TIOCCONS TIOCGPTPEER
    0x5450, 0x5451, 0x5452, 0x8901, 0x8912, 0x8927, 0x8933, // descriptors and network interfaces
    0x4b3a, 0x4b72, 0x5606, // consoles: KDSETMODE KDFONTOP VT_ACTIVATE
    0x400454ca, 0xae01, 0x4c82, // TUNSETIFF KVM_CREATE_VM LOOP_CTL_GET_FREE
    0xc0045877, 0x40049409, 0x80086601, 0x40086602, // FIFREEZE FICLONE FS_IOC_GETFLAGS FS_IOC_SETFLAGS
    0xb701,     // NS_GET_USERNS
];

fn number(name: &str) -> u32 {
    (0..512).find(|&number| call_name(Convention::Native, number) == name).unwrap_or_else(|| panic!("{name}"))
}

/// A call with one deciding argument, plain and with garbage above it.
fn deciding(name: &str, at: usize, values: impl IntoIterator<Item = u64>, rest: [u64; 6]) -> Vec<Call> {
    let number = number(name);
    let call = move |value: u64| {
        let mut args = rest;
        args[at] = value;
        Call { number, args }
    };
    values.into_iter().flat_map(|value| [call(value), call(value | GARBAGE)]).collect()
}

/// Each flag alone, none, and all.
fn flags() -> impl Iterator<Item = u64> {
    (0..32).map(|bit| 1 << bit).chain([0, 0xffff_ffff])
}

fn all() -> Vec<Call> {
    let none = [0; 6];
    let mut calls = deciding("ioctl", 1, IOCTLS.map(u64::from), none);
    for kind in [1, 2, 3, 5] {
        calls.extend(deciding("socket", 0, 0..64, [0, kind, 0, 0, 0, 0]));
        calls.extend(deciding("socketpair", 0, 0..64, [0, kind, 0, 0, 0, 0]));
    }
    calls.extend(deciding("clone", 0, flags(), none));
    // With a signal at the end, as fork has it; SIGCHLD is 17.
    calls.extend(deciding("clone", 0, flags().map(|flag| flag | 17), none));
    calls.extend(deciding("unshare", 0, flags(), none));
    let large = [0x41555856, 0x5349_4d55, 0x53564d41, 0x59616d61, 0xffff_ffff];
    calls.extend(deciding("prctl", 0, (0..128).chain(large), none));
    calls.extend(deciding("fcntl", 1, (0..17).chain(1_024..1_042), none));
    calls.extend(deciding("personality", 0, flags().chain([0x0008, 0x0040_0000, 0x0004_0000]), none));
    // S_IFMT of each kind of node, with the device 1:1 (/dev/mem).
    calls.extend(deciding("mknod", 1, (0..16).map(|kind| kind << 12 | 0o666), [0, 0, 0x101, 0, 0, 0]));
    calls.extend(deciding("mknodat", 2, (0..16).map(|kind| kind << 12 | 0o666), [0, 0, 0, 0x101, 0, 0]));
    calls.extend(deciding("setrlimit", 0, 0..17, none));
    for new_limit in [0, 1, 1 << 32, u64::MAX] {
        calls.extend(deciding("prlimit64", 1, 0..17, [0, 0, new_limit, 0, 0, 0]));
    }
    calls.extend(deciding("mmap", 2, 0..8, [0, 4096, 0, 0x22, u64::MAX, 0]));
    calls.extend(deciding("mprotect", 2, 0..8, none));
    calls
}

async fn arguments_decide(profile: &Profile) {
    let stand = Stand::start().await;
    let mut judge = Judge::new(&stand, profile);
    let calls = all();
    judge.judge(&calls).await;
    let counts = judge.conclude(calls.len());
    for kind in [Kind::Reached, Kind::Refused, Kind::Pretended, Kind::Notified] {
        assert!(counts.contains_key(&kind), "no {kind:?} among {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_decide_as_the_table_of_strict_says() {
    arguments_decide(&Profile::Strict).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_decide_as_the_table_of_default_says() {
    arguments_decide(&Profile::Default).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_decide_as_the_table_of_build_says() {
    arguments_decide(&Profile::Build).await;
}
