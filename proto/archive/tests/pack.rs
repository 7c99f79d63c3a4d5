//! What `pack` writes, `unpack` makes again.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use kiln_archive::{Rules, Skipped, inspect, pack, unpack};

#[test]
fn a_directory_comes_back_as_it_was_and_the_same_bytes_come_twice() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    fs::create_dir_all(from.path().join(&long).parent().unwrap()).unwrap();
    for (name, content) in [("z", "last"), ("a", "first"), (long.as_str(), "long"), ("größe", "bytes")] {
        fs::write(from.path().join(name), content).unwrap();
    }
    fs::set_permissions(from.path().join("a"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::hard_link(from.path().join("a"), from.path().join("b")).unwrap();
    symlink("a", from.path().join("link")).unwrap();
    fs::create_dir(from.path().join("empty")).unwrap();
    let _socket = UnixListener::bind(from.path().join("socket")).unwrap();

    let mut archive = Vec::new();
    let packed = pack(from.path(), &mut archive).unwrap();
    assert_eq!(packed.skipped, [Skipped { path: PathBuf::from("socket"), kind: "socket" }]);
    let mut again = Vec::new();
    pack(from.path(), &mut again).unwrap();
    assert_eq!(archive, again);

    let summary = inspect(archive.as_slice(), &Rules::default()).unwrap();
    assert_eq!((summary.entries, summary.unpacked_bytes), (packed.entries, packed.bytes));
    let root = fs::File::open(into.path()).unwrap();
    unpack(archive.as_slice(), root.as_fd(), &Rules::default()).unwrap();
    for (name, content) in
        [("z", "last"), ("b", "first"), ("link", "first"), (long.as_str(), "long"), ("größe", "bytes")]
    {
        assert_eq!(fs::read_to_string(into.path().join(name)).unwrap(), content, "{name}");
    }
    let made = |name: &str| fs::metadata(into.path().join(name)).unwrap();
    assert_eq!(made("a").ino(), made("b").ino());
    assert_eq!(made("a").permissions().mode() & 0o7777, 0o751);
    assert_eq!(made("z").mtime(), fs::metadata(from.path().join("z")).unwrap().mtime());
    assert!(made("empty").is_dir());
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = pack(std::path::Path::new("/nonexistent/directory"), Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent/directory: cannot be read");
}
