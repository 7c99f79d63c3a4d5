//! The policy file of a custom profile: a precise error that names the file, or a filter.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = kiln_jail::seccomp::check("fuzzed.json", text) {
        assert!(error.to_string().contains("fuzzed.json"));
    }
});
