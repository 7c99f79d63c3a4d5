//! Files of /proc about a process, which chose its own name, and records of the kernel's log.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kiln_jail::fuzzing::process_text(bytes));
