//! The archive's bytes, unpacked as they are read and counted on both sides of the decompressor.
//!
//! Header sizes are never trusted: what counts is what was read. Memory stays small whatever the input says (zstd
//! windows are bounded).

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::Refusal;

/// Unpacked bytes per packed byte. Root file systems reach 3 to 10; gzip can reach 1,032 and zstd far more.
const MAX_RATIO: u64 = 100;
/// Below this many unpacked bytes the ratio is not looked at: decompressors read ahead, and small archives are harmless.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// log2 of the largest zstd window: 128 MiB, what the `zstd` tool allows by default.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;
const CHUNK_BYTES: usize = 64 << 10;

/// Unpacked bytes of an archive.
pub(crate) struct Stream<'read> {
    unpacked: Box<dyn Read + 'read>,
    packing: Packing,
    packed_bytes: Rc<Cell<u64>>,
    unpacked_bytes: u64,
    chunk: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

struct Counted<R> {
    read: R,
    bytes: Rc<Cell<u64>>,
}

impl<'read> Stream<'read> {
    pub(crate) fn open(read: impl Read + 'read) -> Result<Stream<'read>, Refusal> {
        let packed_bytes = Rc::new(Cell::new(0));
        let mut counted = Counted { read, bytes: Rc::clone(&packed_bytes) };
        let mut magic = [0; 6];
        let length = read_full(&mut counted, &mut magic)?;
        let packing = packing(&magic[..length])?;
        let whole = Cursor::new(magic).take(length as u64).chain(counted);
        let unpacked: Box<dyn Read + 'read> = match packing {
            Packing::Plain => Box::new(BufReader::with_capacity(CHUNK_BYTES, whole)),
            Packing::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(whole))),
            Packing::Zstd => {
                let refuse = |source| Refusal::Read { source };
                let mut decoder = zstd::stream::read::Decoder::new(whole).map_err(refuse)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(refuse)?;
                Box::new(BufReader::new(decoder))
            }
        };
        Ok(Stream { unpacked, packing, packed_bytes, unpacked_bytes: 0, chunk: vec![0; CHUNK_BYTES] })
    }

    /// Fills `block`, or as much of it as there is.
    pub(crate) fn fill(&mut self, block: &mut [u8]) -> Result<usize, Refusal> {
        let length = read_full(&mut self.unpacked, block)?;
        self.count(length)?;
        Ok(length)
    }

    /// The next bytes, at most `most`; empty at the end.
    pub(crate) fn chunk(&mut self, most: u64) -> Result<&[u8], Refusal> {
        let most = usize::try_from(most).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let length = read_full(&mut self.unpacked, &mut self.chunk[..most])?;
        self.count(length)?;
        Ok(&self.chunk[..length])
    }

    fn count(&mut self, length: usize) -> Result<(), Refusal> {
        self.unpacked_bytes += length as u64;
        let allowed = self.packed_bytes.get().saturating_mul(MAX_RATIO).max(RATIO_FREE_BYTES);
        match self.packing != Packing::Plain && self.unpacked_bytes > allowed {
            true => Err(Refusal::Ratio { allowed: MAX_RATIO }),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.read.read(into)?;
        self.bytes.set(self.bytes.get() + length as u64);
        Ok(length)
    }
}

fn packing(magic: &[u8]) -> Result<Packing, Refusal> {
    match magic {
        [0x1f, 0x8b, ..] => Ok(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Packing::Zstd),
        [b'B', b'Z', b'h', ..] => Err(Refusal::Format { found: "bzip2" }),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Err(Refusal::Format { found: "xz" }),
        [b'P', b'K', 3, 4, ..] => Err(Refusal::Format { found: "zip" }),
        [] => Err(Refusal::Format { found: "empty" }),
        _ => Ok(Packing::Plain),
    }
}

fn read_full(read: &mut impl Read, into: &mut [u8]) -> Result<usize, Refusal> {
    let mut length = 0;
    while length < into.len() {
        match read.read(&mut into[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Refusal::Read { source }),
        }
    }
    Ok(length)
}
