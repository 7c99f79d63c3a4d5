//! A job spec as a client sends it: nothing panics, and what is accepted is stable on its way to the wire and back.
#![no_main]

use kiln_proto::{model, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(wire) = v1::JobSpec::decode(bytes) else { return };
    match model::JobSpec::try_from(wire) {
        Ok(accepted) => {
            let again = model::JobSpec::try_from(accepted.to_wire());
            assert_eq!(again, Ok(accepted));
        }
        Err(refused) => assert!(!refused.violations.is_empty()),
    }
});
