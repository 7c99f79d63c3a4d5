//! A jail on a kernel that lies: `landlock_restrict_self` answers success and does nothing.
//!
//! The jail cannot know: every call it makes succeeds. Only an attack finds that the layer is not there. The lie is a seccomp filter
//! laid over the real jail, so that nothing in the jail itself has to know of tests.

use std::process::ExitCode;

use seccompiler::{BpfProgram, sock_filter};

/// The same number on every architecture.
const LANDLOCK_RESTRICT_SELF: u32 = 446;
/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K` of linux/bpf_common.h.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `SECCOMP_RET_ERRNO` with errno 0: the call is skipped and answers 0.
const SUCCESS: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;

fn main() -> ExitCode {
    let lie: BpfProgram = vec![
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: LANDLOCK_RESTRICT_SELF },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: SUCCESS },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ALLOW },
    ];
    if let Err(error) = seccompiler::apply_filter(&lie) {
        eprintln!("kiln-lying-jail: {error}");
        return ExitCode::FAILURE;
    }
    kiln_jail::run_jail()
}
