//! Image archives for tests: good ones from a directory of the host, hostile ones entry by entry.

use std::io::Write;
use std::path::Path;

use tar::{Builder, EntryType, Header};

/// One entry of an archive, written as it is, whatever nonsense it is.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub kind: EntryType,
    pub link: String,
    pub content: Vec<u8>,
    pub mode: u32,
}

pub fn directory(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind: EntryType::Directory,
        link: String::new(),
        content: Vec::new(),
        mode: 0o755,
    }
}

pub fn file(name: &str, content: impl Into<Vec<u8>>) -> Entry {
    let content = content.into();
    Entry { name: name.to_owned(), kind: EntryType::Regular, link: String::new(), content, mode: 0o755 }
}

pub fn special(name: &str, kind: EntryType, link: &str) -> Entry {
    Entry { name: name.to_owned(), kind, link: link.to_owned(), content: Vec::new(), mode: 0o644 }
}

/// A plain tar of these entries. Names and links go into the header as bytes: no check of the `tar` crate is in the way.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_ustar();
        put(&mut header.as_old_mut().name, &entry.name);
        put(&mut header.as_old_mut().linkname, &entry.link);
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(entry.content.len() as u64);
        if matches!(entry.kind, EntryType::Block | EntryType::Char) {
            header.set_device_major(1).expect("ustar");
            header.set_device_minor(3).expect("ustar");
        }
        header.set_cksum();
        builder.append(&header, entry.content.as_slice()).expect("into memory");
    }
    builder.into_inner().expect("into memory")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("into memory")
}

/// The entries of a minimal image: these programs of the host with every library they need, and the directories that a
/// sandbox mounts on.
pub fn minimal_image(programs: &[&str]) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        ["bin", "lib", "lib64", "lib/x86_64-linux-gnu", "etc", "proc", "dev", "tmp", "work", "usr"]
            .map(directory)
            .to_vec();
    let mut libraries: Vec<String> = programs.iter().flat_map(|program| libraries_of(program)).collect();
    libraries.sort();
    libraries.dedup();
    for program in programs {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).expect("ASCII");
        entries.push(file(&format!("bin/{name}"), host_file(program)));
    }
    for library in libraries {
        entries.push(file(library.trim_start_matches('/'), host_file(&library)));
    }
    // Anyone may write it as far as its mode goes: what forbids it is Landlock, where the profile says so.
    entries.push(Entry { mode: 0o666, ..file("etc/who-am-i", "an imported image\n") });
    entries
}

fn host_file(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the dynamic linker says it would load.
fn libraries_of(program: &str) -> Vec<String> {
    let said = std::process::Command::new("ldd").arg(program).output().expect("ldd is part of libc-bin");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with("/lib")).map(str::to_owned).collect()
}

fn put(field: &mut [u8], text: &str) {
    assert!(text.len() <= field.len(), "{text} is too long for a ustar header");
    field[..text.len()].copy_from_slice(text.as_bytes());
}
