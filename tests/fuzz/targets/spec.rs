//! A job spec as a client sends it: nothing panics, and what is accepted is stable on its way to the wire and back.
#![no_main]

use kiln_proto::{model, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(wire) = v1::JobSpec::decode(bytes) else { return };
    let policy = model::LimitPolicy::default();
    match model::JobSpec::check(wire, &policy) {
        Ok(accepted) => {
            let again = model::JobSpec::check(accepted.to_wire(), &policy);
            assert_eq!(again, Ok(accepted));
        }
        Err(refused) => assert!(!refused.violations.is_empty()),
    }
});
