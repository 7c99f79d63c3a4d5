//! A plan as the jail receives it: checked and explained without a panic; what is accepted keeps its bounds.
#![no_main]

use kiln_jail::plan::{MAX_FILES_IN, MAX_FILES_OUT, MAX_PARTS, Plan};
use kiln_jail::standing::Standing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(plan) = postcard::from_bytes::<Plan>(bytes) else { return };
    let explanation = plan.explain(Standing::HostRoot);
    assert!(!explanation.to_string().is_empty() && !explanation.to_json().is_empty());
    if plan.check().is_ok() {
        assert!(!plan.argv.is_empty() && plan.argv.iter().all(|argument| !argument.contains(&0)));
        assert!(plan.files_in.len() <= MAX_FILES_IN && plan.files_out.len() <= MAX_FILES_OUT);
        assert!(!plan.rootfs.parts.is_empty() && plan.rootfs.parts.len() <= MAX_PARTS);
    }
});
