//! A command's result as a worker reports it: nothing panics, its sentence can always be made, and it is stable.
#![no_main]

use kiln_proto::{model, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(wire) = v1::CommandResult::decode(bytes) else { return };
    let Ok(accepted) = model::CommandResult::try_from(wire) else { return };
    assert!(!accepted.ending.sentence().is_empty());
    let again = model::CommandResult::try_from(v1::CommandResult::from(&accepted));
    assert_eq!(again.as_ref(), Ok(&accepted));
});
