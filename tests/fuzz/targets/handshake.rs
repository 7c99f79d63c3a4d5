//! What a process of the sandbox says to the jail: init is taken for hostile, so anything may come.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kiln_jail::fuzzing::handshake(bytes));
