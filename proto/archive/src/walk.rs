//! One pass over an archive: every entry is checked against the rules and the entries before it, then given to a sink.
//! `inspect` and `unpack` differ in the sink alone, so what one accepts the other does.

use std::io::Read;

use crate::extension::{self, Extensions};
use crate::header::{BLOCK_BYTES, Header};
use crate::refusal::{Refusal, shown};
use crate::stream::Stream;
use crate::tree::{self, Kind, Tree};
use crate::{Rules, Summary};

/// Largest extension header: pax headers carry extended attributes, names are far smaller.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;
/// Zeros after the end: tar pads to records, of at most 1 MiB in any use.
const MAX_PADDING_BYTES: u64 = 2 << 20;

/// Takes checked entries. Paths are relative, without `.`, `..` and doubled slashes.
pub(crate) trait Sink {
    fn directory(&mut self, path: &[u8], meta: Meta) -> Result<(), Refusal>;
    /// A directory that came before came again.
    fn directory_again(&mut self, path: &[u8], meta: Meta) -> Result<(), Refusal>;
    fn file(&mut self, path: &[u8], meta: Meta, content: &mut Content<'_, '_>) -> Result<(), Refusal>;
    fn symlink(&mut self, path: &[u8], target: &[u8], meta: Meta) -> Result<(), Refusal>;
    fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), Refusal>;
    fn finish(&mut self) -> Result<(), Refusal>;
}

/// The sink of `inspect`.
pub(crate) struct Ignore;

/// Of a file, directory or link. Owners are root's, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Permission bits as in the archive, setuid and setgid among them.
    pub(crate) mode: u32,
    pub(crate) mtime: u64,
}

/// The bytes of one file.
pub(crate) struct Content<'walk, 'read> {
    stream: &'walk mut Stream<'read>,
    left: u64,
}

struct Walk<'rules, 'read> {
    stream: Stream<'read>,
    rules: &'rules Rules,
    tree: Tree,
    summary: Summary,
    /// Bytes of extension headers.
    extension_bytes: u64,
    headers: u64,
}

/// Reads a whole archive.
pub(crate) fn walk(read: impl Read, rules: &Rules, sink: &mut impl Sink) -> Result<Summary, Refusal> {
    let mut walk = Walk {
        stream: Stream::open(read)?,
        rules,
        tree: Tree::new(),
        summary: Summary::default(),
        extension_bytes: 0,
        headers: 0,
    };
    while let Some((header, extensions)) = walk.next_entry()? {
        walk.entry(header, extensions, sink)?;
    }
    walk.expect_end()?;
    walk.tree.check_links()?;
    sink.finish()?;
    Ok(walk.summary)
}

impl<'read> Walk<'_, 'read> {
    /// The next header of an entry, with what extension headers say about it; none at the end.
    fn next_entry(&mut self) -> Result<Option<(Header, Extensions)>, Refusal> {
        let mut extensions = Extensions::default();
        while let Some(header) = self.next_header()? {
            match header.kind {
                b'L' | b'K' => {
                    let data = self.extension(&header)?;
                    extensions.add_gnu(header.kind, &data)?;
                }
                b'x' => {
                    let data = self.extension(&header)?;
                    extensions.add_pax(&header.name, &data)?;
                }
                b'g' => {
                    let data = self.extension(&header)?;
                    extension::check_global(&header.name, &data)?;
                }
                _ => return Ok(Some((header, extensions))),
            }
        }
        match extensions.is_present() {
            true => Err(Refusal::Header { index: self.headers, why: "an extension header without an entry" }),
            false => Ok(None),
        }
    }

    fn next_header(&mut self) -> Result<Option<Header>, Refusal> {
        let mut block = [0; BLOCK_BYTES];
        if self.stream.fill(&mut block)? < BLOCK_BYTES {
            return Err(match self.headers {
                0 => Refusal::Format { found: "no tar" },
                _ => Refusal::Truncated,
            });
        }
        if block == [0; BLOCK_BYTES] {
            return Ok(None);
        }
        self.headers += 1;
        // Each entry may have a few extension headers before it, and no more than that.
        if self.headers > self.rules.max_entries.saturating_mul(4) {
            return Err(Refusal::TooManyEntries { allowed: self.rules.max_entries });
        }
        Header::parse(&block, self.headers).map(Some)
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, Refusal> {
        if header.size > MAX_EXTENSION_BYTES {
            let why = "an extension header is larger than 1 MiB";
            return Err(Refusal::Extension { entry: shown(&header.name), why });
        }
        self.extension_bytes += header.size;
        self.check_bytes(0)?;
        let mut data = Vec::new();
        let mut content = Content { stream: &mut self.stream, left: header.size };
        while let Some(chunk) = content.next()? {
            data.extend_from_slice(chunk);
        }
        self.skip_padding(header.size)?;
        Ok(data)
    }

    fn entry(&mut self, header: Header, extensions: Extensions, sink: &mut impl Sink) -> Result<(), Refusal> {
        let name = extensions.path.unwrap_or(header.name);
        let path = tree::check_name(&name, self.rules)?;
        let meta = Meta { mode: header.mode, mtime: extensions.mtime.unwrap_or(header.mtime) };
        if extensions.size.is_some_and(|size| size != header.size) {
            let why = "two sizes are given, and they differ";
            return Err(Refusal::Extension { entry: shown(&path), why });
        }
        if path.is_empty() && header.kind != b'5' {
            return Err(Refusal::EmptyName { entry: shown(&name) });
        }
        if !matches!(header.kind, b'0' | 0) && header.size != 0 && refused_kind(header.kind).is_none() {
            return Err(Refusal::SizeOfNoFile { entry: shown(&path) });
        }
        let link = extensions.link.unwrap_or(header.link);
        match header.kind {
            b'0' | 0 if name.ends_with(b"/") => Err(Refusal::EmptyName { entry: shown(&name) }),
            b'0' | 0 => self.file(&path, meta, header.size, sink),
            b'5' => self.directory(&path, meta, sink),
            b'2' => self.symlink(&path, link, meta, sink),
            b'1' => self.hard_link(&path, &link, sink),
            kind => {
                let kind = refused_kind(kind).unwrap_or("thing of unknown kind");
                Err(Refusal::Kind { entry: shown(&path), kind })
            }
        }
    }

    fn directory(&mut self, path: &[u8], meta: Meta, sink: &mut impl Sink) -> Result<(), Refusal> {
        match self.place(path, Kind::Directory, sink)? {
            true => sink.directory(path, meta),
            false => sink.directory_again(path, meta),
        }
    }

    fn file(&mut self, path: &[u8], meta: Meta, size: u64, sink: &mut impl Sink) -> Result<(), Refusal> {
        self.check_bytes(size)?;
        self.place(path, Kind::File, sink)?;
        let mut content = Content { stream: &mut self.stream, left: size };
        sink.file(path, meta, &mut content)?;
        while content.next()?.is_some() {}
        self.summary.unpacked_bytes += size;
        self.skip_padding(size)
    }

    fn symlink(
        &mut self,
        path: &[u8],
        target: Vec<u8>,
        meta: Meta,
        sink: &mut impl Sink,
    ) -> Result<(), Refusal> {
        tree::check_target(path, &target)?;
        self.place(path, Kind::Symlink(target.clone()), sink)?;
        sink.symlink(path, &target, meta)
    }

    fn hard_link(&mut self, path: &[u8], link: &[u8], sink: &mut impl Sink) -> Result<(), Refusal> {
        let target = tree::check_name(link, self.rules)?;
        let kind = self.tree.hard_link_kind(path, &target)?;
        if let Kind::Symlink(text) = &kind {
            tree::check_target(path, text)?;
        }
        self.place(path, kind, sink)?;
        sink.hard_link(path, &target)
    }

    /// Says whether the entry is new. Parents that the archive leaves out are made first.
    fn place(&mut self, path: &[u8], kind: Kind, sink: &mut impl Sink) -> Result<bool, Refusal> {
        let placed = self.tree.place(path, kind)?;
        self.summary.entries += 1 + placed.implied.len() as u64;
        if self.summary.entries > self.rules.max_entries {
            return Err(Refusal::TooManyEntries { allowed: self.rules.max_entries });
        }
        for parent in placed.implied {
            sink.directory(&parent, Meta { mode: 0o755, mtime: 0 })?;
        }
        Ok(placed.is_new)
    }

    /// Refuses early what a header announces; what is read later is never more than was announced.
    fn check_bytes(&self, more: u64) -> Result<(), Refusal> {
        let total = self.summary.unpacked_bytes.saturating_add(self.extension_bytes).saturating_add(more);
        match total > self.rules.max_bytes {
            true => Err(Refusal::TooManyBytes { allowed: self.rules.max_bytes }),
            false => Ok(()),
        }
    }

    fn skip_padding(&mut self, size: u64) -> Result<(), Refusal> {
        let padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        let mut content = Content { stream: &mut self.stream, left: padding };
        while content.next()?.is_some() {}
        Ok(())
    }

    /// After the first block of zeros there may be only more of them.
    fn expect_end(&mut self) -> Result<(), Refusal> {
        let mut padding = 0;
        loop {
            let chunk = self.stream.chunk(u64::MAX)?;
            padding += chunk.len() as u64;
            if chunk.iter().any(|byte| *byte != 0) || padding > MAX_PADDING_BYTES {
                return Err(Refusal::TrailingData);
            }
            if chunk.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Content<'_, '_> {
    /// The next bytes; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Refusal> {
        if self.left == 0 {
            return Ok(None);
        }
        let chunk = self.stream.chunk(self.left)?;
        if chunk.is_empty() {
            return Err(Refusal::Truncated);
        }
        self.left -= chunk.len() as u64;
        Ok(Some(chunk))
    }
}

impl Sink for Ignore {
    fn directory(&mut self, _path: &[u8], _meta: Meta) -> Result<(), Refusal> {
        Ok(())
    }

    fn directory_again(&mut self, _path: &[u8], _meta: Meta) -> Result<(), Refusal> {
        Ok(())
    }

    fn file(&mut self, _path: &[u8], _meta: Meta, _content: &mut Content<'_, '_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn symlink(&mut self, _path: &[u8], _target: &[u8], _meta: Meta) -> Result<(), Refusal> {
        Ok(())
    }

    fn hard_link(&mut self, _path: &[u8], _target: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        Ok(())
    }
}

fn refused_kind(kind: u8) -> Option<&'static str> {
    match kind {
        b'3' => Some("character device"),
        b'4' => Some("block device"),
        b'6' => Some("FIFO"),
        b'7' => Some("contiguous file"),
        b'S' => Some("sparse file"),
        b'D' => Some("GNU dump directory"),
        b'M' => Some("GNU multi-volume part"),
        b'N' => Some("GNU old long name"),
        b'V' => Some("GNU volume label"),
        b's' => Some("socket"),
        b'0' | b'1' | b'2' | b'5' | 0 => None,
        _ => Some("thing of unknown kind"),
    }
}
