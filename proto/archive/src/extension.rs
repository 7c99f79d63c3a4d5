//! Extension headers: GNU long names and pax records, which say more about the one entry that follows them.
//!
//! A name from here obeys the same rules as any other. What two readers could understand differently is refused: a
//! name given twice, a size other than the header's, names in a global header, sparse files, other character sets.

use crate::refusal::{Refusal, shown};

/// What extension headers say about the next entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) mtime: Option<u64>,
    is_present: bool,
}

impl Extensions {
    /// Whether an extension header waits for its entry.
    pub(crate) fn is_present(&self) -> bool {
        self.is_present
    }

    /// GNU `L` (a long name) or `K` (a long link).
    pub(crate) fn add_gnu(&mut self, kind: u8, data: &[u8]) -> Result<(), Refusal> {
        let name = data.strip_suffix(b"\0").unwrap_or(data).to_vec();
        self.is_present = true;
        let slot = if kind == b'L' { &mut self.path } else { &mut self.link };
        set(slot, name.clone()).map_err(|why| Refusal::Extension { entry: shown(&name), why })
    }

    /// pax `x` records.
    pub(crate) fn add_pax(&mut self, entry: &[u8], data: &[u8]) -> Result<(), Refusal> {
        self.is_present = true;
        for_each_record(data, |key, value| self.add_record(key, value))
            .map_err(|why| Refusal::Extension { entry: shown(entry), why })
    }

    fn add_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => set(&mut self.path, value.to_vec()),
            b"linkpath" => set(&mut self.link, value.to_vec()),
            b"size" => set(&mut self.size, decimal(value).ok_or("pax size is no number")?),
            // Fractions of a second are left out.
            b"mtime" => {
                let seconds = value.split(|byte| *byte == b'.').next().unwrap_or_default();
                set(&mut self.mtime, decimal(seconds).unwrap_or(0))
            }
            _ => check_other(key, value),
        }
    }
}

/// A pax `g` header applies to all entries after it; it may hold nothing that changes what they are.
pub(crate) fn check_global(entry: &[u8], data: &[u8]) -> Result<(), Refusal> {
    let check = |key: &[u8], value: &[u8]| match key {
        b"path" | b"linkpath" | b"size" => Err("a global pax header may not name or size entries"),
        _ => check_other(key, value),
    };
    for_each_record(data, check).map_err(|why| Refusal::Extension { entry: shown(entry), why })
}

/// Owners, other times, comments and extended attributes are ignored.
fn check_other(key: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if key.starts_with(b"GNU.sparse.") {
        return Err("sparse files are not allowed");
    }
    let is_utf8 = matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8");
    if matches!(key, b"charset" | b"hdrcharset") && !is_utf8 {
        return Err("names in other character sets than UTF-8 are not allowed");
    }
    Ok(())
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match slot.replace(value) {
        Some(_) => Err("two extension headers say the same thing"),
        None => Ok(()),
    }
}

/// Each record is `<its whole length> <key>=<value>\n`.
fn for_each_record(
    mut data: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    const BROKEN: &str = "a pax record is broken";
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ').ok_or(BROKEN)?;
        let length = decimal(&data[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(BROKEN)?;
        let record =
            data.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or(BROKEN)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
        each(&record[..equals], &record[equals + 1..])?;
        data = &data[length..];
    }
    Ok(())
}

fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pax(data: &[u8]) -> Result<Extensions, String> {
        let mut extensions = Extensions::default();
        extensions.add_pax(b"e", data).map(|()| extensions).map_err(|error| error.to_string())
    }

    #[test]
    fn records_are_read_by_their_length_so_values_may_hold_newlines() {
        let read = pax(b"18 path=a\nb=c\nd e\n20 mtime=1234567.89\n").unwrap();
        assert_eq!(read.path.as_deref(), Some(b"a\nb=c\nd e".as_slice()));
        assert_eq!(read.mtime, Some(1_234_567));
        assert!(read.is_present());
    }

    #[test]
    fn what_readers_could_understand_differently_is_refused() {
        for (data, wanted) in [
            (b"9 path=a\n9 path=b\n".as_slice(), "say the same thing"),
            (b"11 size=1x\n", "no number"),
            (b"99 path=a\n", "broken"),
            (b"3 path=a\n", "broken"),
            (b"0 path=a\n", "broken"),
            (b"path=a\n", "broken"),
            (b"8 path=a\n", "broken"),
            (b"8 patha\n", "broken"),
            (b"-9 path=a\n", "broken"),
            (b"22 GNU.sparse.major=1\n", "sparse"),
            (b"20 hdrcharset=CP437\n", "character sets"),
            (b"18446744073709551616 path=a\n", "broken"),
        ] {
            let seen = pax(data).unwrap_err();
            assert!(seen.contains(wanted), "{}: {seen}", String::from_utf8_lossy(data));
        }
        assert!(check_global(b"g", b"9 path=a\n").is_err());
        assert!(check_global(b"g", b"14 comment=ab\n").is_ok());
    }
}
