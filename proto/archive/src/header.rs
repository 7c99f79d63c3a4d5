//! One 512-byte header block: the fields that Kiln reads, or why it cannot (tar(5), POSIX pax(1)).

use crate::refusal::Refusal;

pub(crate) const BLOCK_BYTES: usize = 512;

/// What a header block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    /// Seconds since the Unix epoch; times before it are the epoch.
    pub(crate) mtime: u64,
}

impl Header {
    /// Reads block number `index` of the archive's headers.
    pub(crate) fn parse(block: &[u8; BLOCK_BYTES], index: u64) -> Result<Header, Refusal> {
        let refuse = |why| Refusal::Header { index, why };
        if number(&block[148..156]) != Some(checksum(block)) {
            return Err(refuse("no tar header: the checksum is wrong"));
        }
        let name = text(&block[..100]).ok_or(refuse("the name has bytes after a NUL"))?;
        let link = text(&block[157..257]).ok_or(refuse("the link's name has bytes after a NUL"))?;
        let size = number(&block[124..136]).ok_or(refuse("the size is no number"))?;
        let mode = number(&block[100..108]).ok_or(refuse("the mode is no number"))?;
        // GNU tar's magic is "ustar  \0": there the prefix field holds other things.
        let prefix = match block[257..263] == *b"ustar\0" {
            true => text(&block[345..500]).ok_or(refuse("the name's prefix has bytes after a NUL"))?,
            false => &[],
        };
        let name = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        Ok(Header {
            kind: block[156],
            name,
            link: link.to_vec(),
            size,
            mode: (mode & 0o7777) as u32,
            mtime: number(&block[136..148]).unwrap_or(0),
        })
    }
}

/// The sum of all bytes, the checksum's own field read as spaces.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..])
}

/// A text field up to its first NUL; after that there may be only NULs, since readers differ on what follows.
fn text(field: &[u8]) -> Option<&[u8]> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field[end..].iter().all(|byte| *byte == 0).then_some(&field[..end])
}

/// Octal digits between optional spaces and NULs, or GNU's base-256 where the first bit is set. Negative is none.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        let high_is_zero = high.iter().enumerate().all(|(at, byte)| *byte == if at == 0 { 0x80 } else { 0 });
        let low: [u8; 8] = low.try_into().ok()?;
        return (high_is_zero && field.len() > 8).then(|| u64::from_be_bytes(low));
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        for (field, wanted) in [
            (b"0000644\0\0\0\0\0".as_slice(), Some(0o644)),
            (b"   644 \0\0\0\0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", Some(0)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"0000648\0\0\0\0\0", None),
            (b"-000001\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(2 << 32)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), wanted, "{field:?}");
        }
    }

    #[test]
    fn a_block_of_noise_is_no_header() {
        assert!(matches!(Header::parse(&[b'x'; BLOCK_BYTES], 7), Err(Refusal::Header { index: 7, .. })));
    }
}
