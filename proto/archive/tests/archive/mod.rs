//! Writes tar archives that no honest tool would write.

use proptest::prelude::*;

const BLOCK: usize = 512;

/// An archive being written.
pub(crate) struct Tar {
    bytes: Vec<u8>,
    mode: u32,
}

impl Tar {
    pub(crate) fn new() -> Tar {
        Tar { bytes: Vec::new(), mode: 0o644 }
    }

    /// Of the entries that follow.
    pub(crate) fn mode(mut self, mode: u32) -> Tar {
        self.mode = mode;
        self
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Tar {
        self.entry(b'0', name, "", data)
    }

    pub(crate) fn directory(self, name: &str) -> Tar {
        self.entry(b'5', name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(b'2', name, target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(b'1', name, target, b"")
    }

    pub(crate) fn gnu(self, kind: u8, data: &[u8]) -> Tar {
        self.entry(kind, "././@LongLink", "", data)
    }

    pub(crate) fn pax(self, records: &[u8]) -> Tar {
        self.entry(b'x', "PaxHeaders/x", "", records)
    }

    pub(crate) fn global(self, records: &[u8]) -> Tar {
        self.entry(b'g', "GlobalHead", "", records)
    }

    pub(crate) fn entry(mut self, kind: u8, name: &str, link: &str, data: &[u8]) -> Tar {
        self.header(kind, name, link, data.len() as u64);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// A file whose header tells of data that is not there.
    pub(crate) fn claiming(mut self, name: &str, size: u64) -> Tar {
        self.header(b'0', name, "", size);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    fn header(&mut self, kind: u8, name: &str, link: &str, size: u64) {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
        put(0, &name.as_bytes()[..name.len().min(100)]);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, b"0001750\0");
        put(116, b"0001750\0");
        match size >> 33 {
            0 => put(124, format!("{size:011o}\0").as_bytes()),
            _ => put(124, &[&[0x80, 0, 0, 0], size.to_be_bytes().as_slice()].concat()),
        }
        put(136, format!("{:011o}\0", 1_000_000_000).as_bytes());
        put(156, &[kind]);
        put(157, &link.as_bytes()[..link.len().min(100)]);
        put(257, b"ustar  \0");
        set_checksum(&mut block);
        self.bytes.extend_from_slice(&block);
    }
}

/// One pax record, its length counted as pax wants it.
pub(crate) fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
    format!("{length}{rest}").into_bytes()
}

/// Makes the header block around `at` valid again, so that damage reaches what lies behind the checksum.
pub(crate) fn mend_checksum(tar: &mut [u8], at: usize) {
    let start = at / BLOCK * BLOCK;
    if tar[start + 257..].starts_with(b"ustar") {
        set_checksum((&mut tar[start..start + BLOCK]).try_into().unwrap());
    }
}

fn set_checksum(block: &mut [u8; BLOCK]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An entry of a random archive, of few names so that they meet.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    kind: u8,
    name: String,
    target: String,
    data: Vec<u8>,
    pax_name: Option<String>,
}

impl Entry {
    pub(crate) fn add_to(&self, tar: Tar) -> Tar {
        let tar = match &self.pax_name {
            Some(name) => tar.pax(&pax_record("path", name)),
            None => tar,
        };
        let data: &[u8] = if matches!(self.kind, b'0' | 0) { &self.data } else { b"" };
        tar.entry(self.kind, &self.name, &self.target, data)
    }
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => Just("a".to_owned()),
        6 => Just("b".to_owned()),
        2 => Just("into".to_owned()),
        2 => Just("canary".to_owned()),
        1 => Just("file".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just("tmp".to_owned()),
    ];
    (prop_oneof![9 => Just(""), 1 => Just("/")], proptest::collection::vec(part, 1..5))
        .prop_map(|(start, parts)| format!("{start}{}", parts.join("/")))
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let kind =
        prop_oneof![6 => Just(b'0'), 5 => Just(b'2'), 4 => Just(b'5'), 3 => Just(b'1'), 1 => any::<u8>()];
    let data = proptest::collection::vec(any::<u8>(), 0..600);
    (kind, path(), path(), data, proptest::option::weighted(0.2, path()))
        .prop_map(|(kind, name, target, data, pax_name)| Entry { kind, name, target, data, pax_name })
}
