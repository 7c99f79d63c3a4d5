//! Hostile archives, made by hand: each is refused for its own reason, and none writes outside its directory.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod archive;

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use archive::{Tar, pax_record};
use kiln_archive::{Refusal, Rules, Summary, inspect, unpack};
use proptest::prelude::*;

/// A directory to unpack into, beside canaries that must stay as they are.
struct Place {
    outer: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("into")).unwrap();
        fs::create_dir(outer.path().join("canary")).unwrap();
        fs::write(outer.path().join("canary/file"), "alive").unwrap();
        Place { outer }
    }

    fn target(&self) -> std::path::PathBuf {
        self.outer.path().join("into")
    }

    fn unpack(&self, tar: &[u8], rules: &Rules) -> Result<Summary, Refusal> {
        unpack(tar, fs::File::open(self.target()).unwrap().as_fd(), rules)
    }

    fn assert_untouched(&self) {
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.outer.path()), ["canary", "into"]);
        assert_eq!(names(&self.outer.path().join("canary")), ["file"]);
        let canary = self.outer.path().join("canary/file");
        assert_eq!(fs::read_to_string(&canary).unwrap(), "alive");
        assert_eq!(fs::metadata(&canary).unwrap().nlink(), 1);
    }
}

/// Both ways of reading refuse, for the same reason; its text is returned.
fn refused(tar: Vec<u8>) -> String {
    refused_by(tar, &Rules { max_bytes: 1 << 20, max_entries: 100, ..Rules::default() })
}

fn refused_by(tar: Vec<u8>, rules: &Rules) -> String {
    let place = Place::new();
    let unpacked = place.unpack(&tar, rules).map_err(|error| error.to_string());
    place.assert_untouched();
    let inspected = inspect(tar.as_slice(), rules).map_err(|error| error.to_string());
    assert_eq!(unpacked, inspected);
    unpacked.unwrap_err()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, wanted) in [
        ("../canary/file", "holds \"..\""),
        ("a/../../canary/file", "holds \"..\""),
        ("a/b/..", "holds \"..\""),
        ("/etc/passwd", "is absolute"),
        ("//etc/passwd", "is absolute"),
        ("", "is empty"),
        (".", "is empty"),
        ("a/", "is empty"),
    ] {
        let seen = refused(Tar::new().file(name, b"x").end());
        assert!(seen.contains(wanted), "{name:?}: {seen}");
    }
    let long = "d/".repeat(2100);
    for tar in [
        Tar::new().gnu(b'L', long.as_bytes()).file("x", b"x").end(),
        Tar::new().pax(&pax_record("path", &"a".repeat(300))).file("x", b"x").end(),
    ] {
        assert!(refused(tar).contains("allowed are 4095, and 255 in each part"));
    }
    for tar in [
        Tar::new().gnu(b'L', b"a\0/../../canary/file\0").file("x", b"x").end(),
        Tar::new().pax(&pax_record("path", "a\0b")).file("x", b"x").end(),
    ] {
        assert!(refused(tar).contains("NUL"));
    }
    assert!(refused(Tar::new().file("a\0/../b", b"x").end()).contains("bytes after a NUL"));
}

#[test]
fn names_in_extension_headers_obey_the_same_rules() {
    for tar in [
        Tar::new().pax(&pax_record("path", "../canary/file")).file("innocent", b"x").end(),
        Tar::new().gnu(b'L', b"../canary/file\0").file("innocent", b"x").end(),
        Tar::new().pax(&pax_record("linkpath", "../../canary")).symlink("innocent", "inside").end(),
    ] {
        let seen = refused(tar);
        assert!(seen.contains("\"..\"") || seen.contains("leads out"), "{seen}");
    }
    for (tar, wanted) in [
        (Tar::new().global(&pax_record("path", "x")).file("a", b"x").end(), "global pax header"),
        (Tar::new().pax(&pax_record("size", "99")).file("a", b"x").end(), "two sizes"),
        (Tar::new().pax(&pax_record("path", "b")).gnu(b'L', b"c\0").file("a", b"x").end(), "same thing"),
        (Tar::new().pax(&pax_record("GNU.sparse.major", "1")).file("a", b"x").end(), "sparse"),
        (Tar::new().pax(b"zzz").file("a", b"x").end(), "broken"),
        (Tar::new().pax(&pax_record("mtime", "1")).end(), "without an entry"),
        (Tar::new().gnu(b'L', &vec![b'a'; 2 << 20]).file("a", b"x").end(), "larger than 1 MiB"),
    ] {
        let seen = refused(tar);
        assert!(seen.contains(wanted), "{wanted}: {seen}");
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    for (tar, wanted) in [
        (Tar::new().symlink("out", "../canary").end(), "leads out"),
        (Tar::new().symlink("a/b/out", "../../../canary").end(), "leads out"),
        (Tar::new().symlink("out", "/../canary").end(), "leads out"),
        (Tar::new().directory("d").symlink("in", "d").file("in/file", b"x").end(), "\"in\", which is a link"),
        (Tar::new().symlink("in", "/etc").directory("in/x").end(), "\"in\", which is a link"),
        (Tar::new().symlink("in", "d").hard_link("x", "in/file").end(), "no file that came before"),
        (Tar::new().symlink("f", "g").file("f", b"x").end(), "there twice"),
        (Tar::new().hard_link("x", "../canary/file").end(), "\"..\""),
        (Tar::new().hard_link("x", "/etc/passwd").end(), "is absolute"),
        (Tar::new().hard_link("x", "not/there").end(), "no file that came before"),
        (Tar::new().directory("d").hard_link("x", "d").end(), "no file that came before"),
        // The link climbs no higher than its place, but by another link the place is elsewhere.
        (
            Tar::new()
                .symlink("a/b/c/up", "../../x")
                .directory("a/x")
                .symlink("d/e", "/a/b/c/up/../../..")
                .end(),
            "leads out",
        ),
        // A hard link to a link takes its text to another depth.
        (Tar::new().symlink("a/b/l", "../../x").hard_link("l", "a/b/l").end(), "leads out"),
    ] {
        let seen = refused(tar);
        assert!(seen.contains(wanted), "{wanted}: {seen}");
    }
}

#[test]
fn devices_sockets_and_oddities_are_refused_by_name() {
    for (kind, wanted) in [
        (b'3', "character device"),
        (b'4', "block device"),
        (b'6', "FIFO"),
        (b'7', "contiguous file"),
        (b's', "socket"),
        (b'S', "sparse file"),
        (b'D', "dump directory"),
        (b'M', "multi-volume"),
        (b'V', "volume label"),
        (b'?', "unknown kind"),
    ] {
        let seen = refused(Tar::new().entry(kind, "x", "", b"").end());
        assert!(seen.contains(wanted), "{seen}");
    }
    for kind in [b'1', b'2', b'5'] {
        assert!(
            refused(Tar::new().file("f", b"").entry(kind, "x", "f", b"data").end())
                .contains("only a file may")
        );
    }
}

#[test]
fn a_name_is_one_thing_only() {
    for (tar, wanted) in [
        (Tar::new().file("f", b"1").file("f", b"2").end(), "\"f\": is there twice"),
        (Tar::new().file("f", b"1").file("./f", b"2").end(), "\"f\": is there twice"),
        (Tar::new().file("d/f", b"1").file("d//f", b"2").end(), "\"d/f\": is there twice"),
        (Tar::new().directory("d").file("d", b"1").end(), "there twice"),
        (Tar::new().file("d", b"1").directory("d").end(), "there twice"),
        (Tar::new().file("d", b"1").file("d/f", b"2").end(), "\"d\", which is a file"),
        (Tar::new().file("f", b"1").hard_link("f", "f").end(), "there twice"),
    ] {
        let seen = refused(tar);
        assert!(seen.contains(wanted), "{wanted}: {seen}");
    }
}

#[test]
fn what_the_sandbox_mounts_over_must_be_a_directory() {
    for place in ["dev", "proc", "sys", "tmp", "work"] {
        for tar in [
            Tar::new().symlink(place, "/usr").end(),
            Tar::new().symlink(&format!("./{place}"), "usr").end(),
            Tar::new().file(place, b"").end(),
            Tar::new().file("f", b"").hard_link(place, "f").end(),
        ] {
            assert!(refused(tar).contains("must be a directory, because the sandbox mounts over it"));
        }
    }
}

#[test]
fn bombs_are_stopped_by_what_is_read_whatever_headers_say() {
    let rules = Rules { max_bytes: 100_000, max_entries: 50, max_path_bytes: 100 };
    let many = (0..60).fold(Tar::new(), |tar, number| tar.file(&format!("f{number}"), b"")).end();
    assert!(refused_by(many, &rules).contains("more than 50 entries"));
    let deep = Tar::new().file("d/".repeat(49).trim_end_matches('/'), b"");
    let deep = deep.file("e/e/e/f", b"").end();
    assert!(refused_by(deep, &rules).contains("more than 50 entries"), "parents count too");
    let again = (0..60).fold(Tar::new(), |tar, _| tar.directory("d")).end();
    assert!(refused_by(again, &rules).contains("more than 50 entries"));
    let large = Tar::new().file("a", &[0; 60_000]).file("b", &[0; 60_000]).end();
    assert!(refused_by(large, &rules).contains("more than 100000 bytes"));
    let lie = Tar::new().claiming("a", u64::MAX >> 1).end();
    assert!(refused_by(lie, &rules).contains("more than 100000 bytes"));
    let headers = (0..300).fold(Tar::new(), |tar, _| tar.global(b"")).end();
    assert!(refused_by(headers, &rules).contains("more than 50 entries"));

    let zeros = Tar::new().file("zeros", &vec![0; 80 << 20]).end();
    let rules = Rules::default();
    assert!(refused_by(gzip(&zeros), &rules).contains("more than 100 times"));
    assert!(
        refused_by(zstd::encode_all(zeros.as_slice(), 3).unwrap(), &rules).contains("more than 100 times")
    );
    let padding = [Tar::new().file("f", b"x").end(), vec![0; 8 << 20]].concat();
    assert!(refused_by(gzip(&padding), &rules).contains("data after its end"));
}

#[test]
fn broken_and_foreign_files_are_refused() {
    let good = Tar::new().file("f", &[b'x'; 2000]).end();
    let without_end = Tar::new().file("f", b"x").unfinished();
    let mut wrong_sum = good.clone();
    wrong_sum[0] = b'g';
    for (tar, wanted) in [
        (Vec::new(), "is empty; allowed are"),
        (b"BZh91AY&SY".to_vec(), "is bzip2"),
        (b"\xfd7zXZ\0....".to_vec(), "is xz"),
        (b"PK\x03\x04....".to_vec(), "is zip"),
        (b"hello".to_vec(), "is no tar"),
        (vec![b'x'; 4096], "checksum is wrong"),
        (wrong_sum, "checksum is wrong"),
        (good[..1000].to_vec(), "ends early"),
        (without_end, "ends early"),
        ([good.clone(), b"junk".to_vec()].concat(), "data after its end"),
        ([good.clone(), good.clone()].concat(), "data after its end"),
        ([gzip(&good), b"junk".to_vec()].concat(), "cannot be read"),
        (gzip(&good)[..60].to_vec(), "cannot be read"),
        ([zstd::encode_all(good.as_slice(), 3).unwrap(), b"junk".to_vec()].concat(), "cannot be read"),
    ] {
        let seen = refused(tar);
        assert!(seen.contains(wanted), "{wanted}: {seen}");
    }
}

#[test]
fn a_root_file_system_is_unpacked_as_it_is_but_for_what_is_dangerous() {
    let (front, back) = ("a".repeat(100), "b".repeat(100));
    let tar = Tar::new()
        .directory("./")
        .directory("./usr/bin/")
        .mode(0o6755)
        .file("./usr/bin/su", b"su")
        .mode(0o644)
        .file("usr/lib/os-release", b"ID=test\n")
        .symlink("etc/os-release", "../usr/lib/os-release")
        .symlink("usr/bin/cc", "/etc/alternatives/cc")
        .symlink("loop", "loop")
        .hard_link("usr/bin/sudo", "./usr/bin/su")
        .gnu(b'L', format!("usr/{front}/{back}\0").as_bytes())
        .file("cut", b"long")
        .pax(&[pax_record("path", "usr/naïve"), pax_record("SCHILY.xattr.security.capability", "x")].concat())
        .file("cut", b"pax")
        .mode(0o1777)
        .directory("tmp")
        .mode(0o500)
        .directory("usr")
        .end();
    let half = tar.len() / 2;
    let two_members = [gzip(&tar[..half]), gzip(&tar[half..])].concat();
    for packed in [tar.clone(), gzip(&tar), two_members, zstd::encode_all(tar.as_slice(), 3).unwrap()] {
        let place = Place::new();
        let summary = place.unpack(&packed, &Rules::default()).unwrap();
        assert_eq!(summary, inspect(packed.as_slice(), &Rules::default()).unwrap());
        assert_eq!(summary.unpacked_bytes, 2 + 8 + 4 + 3);
        let root = place.target();
        let metadata = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
        assert_eq!(fs::read(root.join("usr/bin/su")).unwrap(), b"su");
        assert_eq!(metadata("usr/bin/su").permissions().mode() & 0o7777, 0o755);
        assert_eq!(metadata("usr/bin/su").ino(), metadata("usr/bin/sudo").ino());
        assert_eq!(metadata("usr/bin/su").mtime(), 1_000_000_000);
        assert_eq!(fs::read_link(root.join("usr/bin/cc")).unwrap(), Path::new("/etc/alternatives/cc"));
        assert_eq!(fs::read(root.join("etc/os-release")).unwrap(), b"ID=test\n");
        assert_eq!(fs::read(root.join(format!("usr/{front}/{back}"))).unwrap(), b"long");
        assert_eq!(fs::read(root.join("usr/naïve")).unwrap(), b"pax");
        assert_eq!(metadata("tmp").permissions().mode() & 0o7777, 0o1777);
        assert_eq!(metadata("usr").permissions().mode() & 0o7777, 0o500);
        assert_eq!(metadata("usr").mtime(), 1_000_000_000);
        assert!(["dev", "proc", "sys", "work"].iter().all(|point| metadata(point).is_dir()));
        place.assert_untouched();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever entries there are, nothing happens outside, and what unpacks is what was counted.
    #[test]
    fn random_archives_never_escape(entries in proptest::collection::vec(archive::entry(), 0..12)) {
        let tar = entries.iter().fold(Tar::new(), |tar, entry| entry.add_to(tar)).end();
        let place = Place::new();
        let rules = Rules { max_bytes: 10_000, max_entries: 30, max_path_bytes: 200 };
        let unpacked = place.unpack(&tar, &rules).map_err(|error| error.to_string());
        place.assert_untouched();
        prop_assert_eq!(unpacked, inspect(tar.as_slice(), &rules).map_err(|error| error.to_string()));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(inspect(bytes.as_slice(), &Rules::default()).is_err());
    }

    /// A good archive with some bytes changed is read or refused, and stays where it belongs.
    #[test]
    fn damaged_archives_never_escape(changes in proptest::collection::vec((0..6000_usize, any::<u8>()), 1..8)) {
        let mut tar = Tar::new()
            .directory("d")
            .pax(&pax_record("path", "d/long"))
            .file("x", b"content")
            .symlink("d/l", "long")
            .hard_link("h", "d/long")
            .end();
        for (at, byte) in changes {
            let at = at % tar.len();
            tar[at] = byte;
            archive::mend_checksum(&mut tar, at);
        }
        let place = Place::new();
        // Refused or not: only its place matters.
        drop(place.unpack(&tar, &Rules::default()));
        place.assert_untouched();
    }
}
