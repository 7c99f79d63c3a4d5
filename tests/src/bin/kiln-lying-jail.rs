//! A jail on a kernel that lies: `landlock_restrict_self` answers success and does nothing, and the one thing is denied
//! that the jail tries to see whether Landlock stands (making a device).
//!
//! The jail cannot know: all answers are as they should be. Only an attack finds that the layer is not there. The lie is a seccomp filter
//! laid over the real jail, so that nothing in the jail itself has to know of tests.

use std::process::ExitCode;

use seccompiler::{BpfProgram, sock_filter};

/// The same number on every architecture.
const LANDLOCK_RESTRICT_SELF: u32 = 446;
/// `mknodat` of x86-64 and of aarch64; the lower halves of its third and fourth argument in `struct seccomp_data`; the
/// mode of a character device that its owner may read.
const MKNODAT: u32 = if cfg!(target_arch = "x86_64") { 259 } else { 33 };
const MODE: u32 = 16 + 2 * 8;
const DEVICE: u32 = 16 + 3 * 8;
const PROBE_MODE: u32 = 0o20_400;
/// 1:3, as mknod(2) takes it.
const PROBE_DEVICE: u32 = 0x103;
/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K` of linux/bpf_common.h.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `SECCOMP_RET_ERRNO` with errno 0: the call is skipped and answers 0.
const SUCCESS: u32 = 0x0005_0000;
/// The same with EACCES.
const DENIED: u32 = 0x0005_000d;
const ALLOW: u32 = 0x7fff_0000;

fn main() -> ExitCode {
    let jump = |jt, jf, k| sock_filter { code: JUMP_IF_EQUAL, jt, jf, k };
    let lie: BpfProgram = vec![
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        jump(6, 0, LANDLOCK_RESTRICT_SELF),
        jump(0, 4, MKNODAT),
        sock_filter { code: LOAD, jt: 0, jf: 0, k: DEVICE },
        jump(0, 2, PROBE_DEVICE),
        sock_filter { code: LOAD, jt: 0, jf: 0, k: MODE },
        jump(2, 0, PROBE_MODE),
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ALLOW },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: SUCCESS },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: DENIED },
    ];
    if let Err(error) = seccompiler::apply_filter(&lie) {
        eprintln!("kiln-lying-jail: {error}");
        return ExitCode::FAILURE;
    }
    kiln_jail::run_jail()
}
