//! Images: imported from archives, used by name and digest, hostile archives refused.

use std::fs;

use kiln_proto::v1::{
    ImportImageHeader, ImportImageRequest, ListImagesRequest, RemoveImageRequest, import_image_request,
};
use kiln_tests::api::{Api, assert_names_field, digest, reason};
use kiln_tests::archive::{Entry, directory, file, gzip, minimal_image, special, tar, zstd};
use kiln_tests::cli::kiln;
use kiln_tests::service::{Options, Place, Service, Up};
use kiln_tests::spec::cmd;
use kiln_tests::verdict::{Ended, assert_ended, assert_wrote};
use tar::EntryType;
use tonic::Code;

const PROGRAMS: &[&str] = &["/bin/dash", "/bin/cat", "/bin/ls"];

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_in_an_imported_image_and_sees_nothing_of_the_host() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let archive = tar(&minimal_image(PROGRAMS));
    let info = api.import("mini", &archive).await.expect("imported");
    assert_eq!((info.name.as_str(), &info.digest), ("mini", &digest(&archive)));
    assert!(
        info.entries > 10 && info.unpacked_bytes > 0 && info.size_bytes == archive.len() as u64,
        "{info:?}"
    );
    let script = "cat /etc/who-am-i; ls /bin; ls /usr; echo written > /work/x; cat /work/x";
    let command = cmd(["/bin/dash", "-c", script]).image("mini").limits(|l| l.memory_bytes = Some(64 << 20));
    let result = api.run_one(command.clone().job()).await;
    assert_wrote(&result, "an imported image\ncat\ndash\nls\nwritten\n");
    let result = api.run_one(command.image(&info.digest).job()).await;
    assert_wrote(&result, "an imported image\ncat\ndash\nls\nwritten\n");
    let gone = api.run_one(cmd(["/usr/bin/python3"]).image("mini").job()).await;
    assert_ended(&gone, Ended::Exited(127));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_gzip_and_zstd_are_all_images_and_changes_in_one_run_are_not_in_the_next() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let plain = tar(&minimal_image(PROGRAMS));
    for (name, archive) in [("plain", plain.clone()), ("gz", gzip(&plain)), ("zst", zstd(&plain))] {
        api.import(name, &archive).await.unwrap_or_else(|status| panic!("{name}: {status:?}"));
        let change = cmd(["/bin/dash", "-c", "echo changed > /etc/who-am-i; cat /etc/who-am-i"]);
        let result = api.run_one(change.image(name).profile("build").job()).await;
        assert_wrote(&result, "changed\n");
        let result = api.run_one(cmd(["/bin/cat", "/etc/who-am-i"]).image(name).job()).await;
        assert_wrote(&result, "an imported image\n");
        let change = cmd(["/bin/dash", "-c", "echo changed > /etc/who-am-i"]).image(name);
        assert_ended(&api.run_one(change.job()).await, Ended::Exited(2));
    }
    let mut listed = api.images.clone().list(ListImagesRequest {}).await.expect("list").into_inner().images;
    listed.retain(|image| image.name != "host");
    let names: Vec<&str> = listed.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["gz", "plain", "zst"], "by name");
    api.images.clone().remove(RemoveImageRequest { image: "gz".to_owned() }).await.expect("removed");
    let gone = api.try_run(cmd(["/bin/cat", "/etc/who-am-i"]).image("gz").job()).await.expect_err("removed");
    assert_eq!(reason(&gone), "UNKNOWN_IMAGE", "{gone:?}");
    let twice =
        api.images.clone().remove(RemoveImageRequest { image: "gz".to_owned() }).await.expect_err("gone");
    assert_eq!((twice.code(), reason(&twice).as_str()), (Code::NotFound, "UNKNOWN_IMAGE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_archives_are_refused_and_nothing_of_them_is_kept() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let escapes = place.path("escaped");
    for (what, entries) in hostile_archives() {
        let refused =
            api.import("evil", &tar(&entries)).await.err().unwrap_or_else(|| panic!("{what} was imported"));
        assert_eq!(reason(&refused), "ARCHIVE_REFUSED", "{what}: {refused:?}");
        assert!(!refused.message().is_empty(), "{what}");
    }
    for (what, bytes) in
        [("garbage", vec![0x42; 10_000]), ("a cut archive", tar(&minimal_image(PROGRAMS))[..5_000].to_vec())]
    {
        let refused = api.import("evil", &bytes).await.err().unwrap_or_else(|| panic!("{what} was imported"));
        assert_eq!(reason(&refused), "ARCHIVE_REFUSED", "{what}: {refused:?}");
    }
    let listed = api.images.clone().list(ListImagesRequest {}).await.expect("list").into_inner();
    assert!(listed.images.iter().all(|image| image.name != "evil"), "{listed:?}");
    assert!(!escapes.exists());
}

fn hostile_archives() -> Vec<(&'static str, Vec<Entry>)> {
    vec![
        ("..", vec![file("../escaped", "x")]),
        (".. in the middle", vec![directory("a"), file("a/../../escaped", "x")]),
        ("absolute", vec![file("/tmp/kiln-escaped", "x")]),
        (
            "link outward",
            vec![special("out", EntryType::Symlink, "../../../../etc"), file("out/passwd", "x")],
        ),
        (
            "link outward, absolute target walked through",
            vec![special("dir", EntryType::Symlink, "/etc"), file("dir/passwd", "x")],
        ),
        ("hard link outward", vec![special("hard", EntryType::Link, "../../etc/passwd")]),
        ("hard link to nothing", vec![special("hard", EntryType::Link, "no/such/entry")]),
        ("character device", vec![special("null", EntryType::Char, "")]),
        ("block device", vec![special("disk", EntryType::Block, "")]),
        ("fifo", vec![special("fifo", EntryType::Fifo, "")]),
        ("duplicate names", vec![file("twice", "a"), file("twice", "b")]),
        ("B5: /proc as a link", vec![special("proc", EntryType::Symlink, "etc"), directory("etc")]),
        ("B5: /dev as a link", vec![special("dev", EntryType::Symlink, "tmp"), directory("tmp")]),
        ("B5: /tmp as a file", vec![file("tmp", "x")]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_before_it_fills_the_disk() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    // A header that says 1 TiB, then little: and zeroes that unpack to far more than they are.
    let mut header = tar::Header::new_gnu();
    header.set_path("bomb").expect("short");
    header.set_size(1 << 40);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    let refused = api.import("bomb", header.as_bytes()).await.expect_err("1 TiB");
    assert_eq!(reason(&refused), "ARCHIVE_REFUSED", "{refused:?}");
    let mut bomb = header.as_bytes().to_vec();
    bomb.extend(vec![0; 64 << 20]);
    let refused = api.import("bomb", &zstd(&bomb)).await.expect_err("1 TiB, compressed");
    assert_eq!(reason(&refused), "ARCHIVE_REFUSED", "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_digests_of_imports_are_checked() {
    let place = Place::new();
    let _server = Service::server(&place, &Options::default());
    let api = Api::connect(&place.address()).await;
    let archive = tar(&[directory("bin"), file("bin/tool", "x")]);
    for name in ["", "host", "../x", "Upper", &"n".repeat(64)] {
        assert_names_field(&api.import(name, &archive).await.expect_err("a bad name"), "name");
    }
    let header = ImportImageHeader { name: "good".to_owned(), digest: digest(b"another") };
    let parts = [
        import_image_request::Part::Header(header),
        import_image_request::Part::Chunk(bytes::Bytes::from(archive)),
    ];
    let parts: Vec<_> = parts.into_iter().map(|part| ImportImageRequest { part: Some(part) }).collect();
    let refused = api.images.clone().import(tokio_stream::iter(parts)).await.expect_err("another digest");
    assert_eq!(reason(&refused), "DIGEST_MISMATCH", "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_imports_a_directory_and_archives() {
    let up = Up::start(&Options::default());
    let plain = tar(&minimal_image(PROGRAMS));
    let root = up.place.path("root");
    fs::create_dir(&root).expect("a new directory");
    tar::Archive::new(plain.as_slice()).unpack(&root).expect("our own archive");
    let sources = [
        ("dir", root),
        ("tar", up.place.write("image.tar", &plain)),
        ("gz", up.place.write("image.tar.gz", gzip(&plain))),
        ("zst", up.place.write("image.tar.zst", zstd(&plain))),
    ];
    for (name, source) in sources {
        let source = source.to_str().expect("ASCII").to_owned();
        kiln(["image", "import", name, &source]).server(&up.address()).said().exits(0);
        let said = kiln(["run", "--image", name, "--", "/bin/cat", "/etc/who-am-i"])
            .server(&up.address())
            .said()
            .exits(0);
        assert_eq!(said.text(), "an imported image\n", "{said}");
    }
    let listed = kiln(["image", "list", "--json"]).server(&up.address()).said().exits(0);
    let text = listed.text();
    assert!(["dir", "tar", "gz", "zst"].iter().all(|name| text.contains(&format!("\"{name}\""))), "{text}");
    kiln(["image", "remove", "gz"]).server(&up.address()).said().exits(0);
    let gone = kiln(["run", "--image", "gz", "--", "/bin/cat"]).server(&up.address()).said();
    assert!(gone.code != 0 && gone.stderr.contains("gz"), "{gone}");
}
