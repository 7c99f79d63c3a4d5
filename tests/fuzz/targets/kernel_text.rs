//! Control files of cgroups and tables of /proc, names in which jobs and other tenants may have chosen.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| kiln_jail::fuzzing::kernel_text(text));
