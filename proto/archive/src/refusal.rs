//! Why an archive is refused. Each reason names the entry, made printable, and what is allowed.

use std::io;

/// Longest part of an entry's name that a message shows.
const SHOWN_CHARACTERS: usize = 200;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("archive: cannot be read")]
    Read { source: io::Error },
    #[error("archive: is {found}; allowed are plain tar, gzip and zstd")]
    Format { found: &'static str },
    #[error("archive: ends early; it must end with a block of zeros")]
    Truncated,
    #[error("archive: has data after its end; only zero padding is allowed")]
    TrailingData,
    #[error("archive: entry {index}: {why}")]
    Header { index: u64, why: &'static str },
    #[error("archive: more than {allowed} entries")]
    TooManyEntries { allowed: u64 },
    #[error("archive: more than {allowed} bytes unpacked")]
    TooManyBytes { allowed: u64 },
    #[error("archive: unpacks to more than {allowed} times its size")]
    Ratio { allowed: u64 },

    #[error("archive entry \"{entry}\": the name is absolute; names must be relative")]
    AbsoluteName { entry: String },
    #[error("archive entry \"{entry}\": the name holds \"..\"; names must go down only")]
    ParentInName { entry: String },
    #[error("archive entry \"{entry}\": the name holds a NUL byte")]
    NulInName { entry: String },
    #[error(
        "archive entry \"{entry}\": the name has {bytes} bytes; allowed are {allowed}, and 255 in each part"
    )]
    NameTooLong { entry: String, bytes: usize, allowed: usize },
    #[error("archive entry \"{entry}\": the name is empty, or that of a directory on something else")]
    EmptyName { entry: String },

    #[error("archive entry \"{entry}\": is a {kind}; allowed are files, directories and links")]
    Kind { entry: String, kind: &'static str },
    #[error("archive entry \"{entry}\": {why}")]
    Extension { entry: String, why: &'static str },
    #[error("archive entry \"{entry}\": only a file may have a size")]
    SizeOfNoFile { entry: String },

    #[error("archive entry \"{entry}\": is there twice; only directories may be")]
    Duplicate { entry: String },
    #[error("archive entry \"{entry}\": lies below \"{file}\", which is a file")]
    BelowFile { entry: String, file: String },
    #[error("archive entry \"{entry}\": lies below \"{link}\", which is a link")]
    ThroughLink { entry: String, link: String },
    #[error("archive entry \"{entry}\": must be a directory, because the sandbox mounts over it")]
    MountPoint { entry: String },
    #[error("archive entry \"{entry}\": the link to \"{target}\" leads out of the image")]
    LinkOutward { entry: String, target: String },
    #[error("archive entry \"{entry}\": hard link to \"{target}\", which is no file that came before")]
    HardLinkTarget { entry: String, target: String },

    #[error("archive entry \"{entry}\": {doing}")]
    Write { entry: String, doing: &'static str, source: io::Error },
}

/// A name for people: printable, and not too long.
pub(crate) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut shown: String = text.escape_debug().take(SHOWN_CHARACTERS).collect();
    if shown.len() < text.len() && shown.chars().count() == SHOWN_CHARACTERS {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_printable_and_short() {
        assert_eq!(shown(b"usr/bin/x"), "usr/bin/x");
        assert_eq!(shown(b"a\x1b[2J\nb\xff"), "a\\u{1b}[2J\\nb\u{fffd}");
        assert_eq!(shown(&[b'a'; 5000]).chars().count(), SHOWN_CHARACTERS + 1);
    }
}
