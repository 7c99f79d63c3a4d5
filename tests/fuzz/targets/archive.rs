//! An image archive as a client uploads it: inspecting and unpacking agree, and nothing appears beside the directory.
#![no_main]

use std::os::fd::AsFd;
use std::path::Path;

use kiln_archive::{Rules, inspect, unpack};
use libfuzzer_sys::fuzz_target;

const RULES: Rules = Rules { max_bytes: 1 << 20, max_entries: 64, max_path_bytes: 256 };

fuzz_target!(|bytes: &[u8]| {
    let place = tempfile::tempdir().expect("a directory");
    let into = place.path().join("into");
    std::fs::create_dir(&into).expect("a new directory");
    let directory = std::fs::File::open(&into).expect("it is there");
    let unpacked = unpack(bytes, directory.as_fd(), &RULES);
    match (inspect(bytes, &RULES), unpacked) {
        (Ok(inspected), Ok(unpacked)) => assert_eq!(inspected, unpacked),
        (Ok(_), Err(refused)) => panic!("inspected, but not unpacked: {refused}"),
        (Err(_), Err(_)) => {}
        (Err(refused), Ok(_)) => panic!("unpacked, but refused by inspection: {refused}"),
    }
    assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 1);
    make_removable(&into);
});

/// Directories of an archive may have any mode; whoever fuzzes may not be root.
fn make_removable(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _unchanged = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&entry.path());
        }
    }
}
