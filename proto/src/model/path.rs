//! Paths inside a sandbox: bytes, absolute, and one spelling per place.
//!
//! A checked path says nothing about what is there: a job may have put links anywhere, so the host never opens one without
//! `openat2(RESOLVE_BENEATH)`.

use std::fmt;

use prost::bytes::Bytes;

use super::violation::quoted;

/// Longest path: PATH_MAX counts the final NUL (`path_resolution(7)`).
pub const MAX_PATH_BYTES: usize = 4_095;
/// Longest component: NAME_MAX.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// Why bytes are no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PathError {
    #[error("is {path}; must be absolute")]
    NotAbsolute { path: String },
    #[error("holds a NUL byte")]
    Nul,
    #[error("has {bytes} bytes; at most {MAX_PATH_BYTES} are allowed")]
    TooLong { bytes: usize },
    #[error("has a component of {bytes} bytes; at most {MAX_COMPONENT_BYTES} are allowed")]
    ComponentTooLong { bytes: usize },
    #[error("is {path}; no component may be empty, \".\" or \"..\"")]
    Component { path: String },
    #[error("is {path}; must be a file below /work or /tmp")]
    NotBelowWritable { path: String },
}

/// An absolute path: no empty components, no `.` or `..`, no trailing slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxPath(Bytes);

/// A [`SandboxPath`] below `/work` or `/tmp`, where files come in and go out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(SandboxPath);

impl SandboxPath {
    /// Checks a path.
    pub fn new(path: impl Into<Bytes>) -> Result<Self, PathError> {
        let path = path.into();
        if path.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong { bytes: path.len() });
        }
        if path.contains(&0) {
            return Err(PathError::Nul);
        }
        let shown = || quoted(&path);
        let Some(relative) = path.strip_prefix(b"/") else {
            return Err(PathError::NotAbsolute { path: shown() });
        };
        if relative.is_empty() {
            return Ok(SandboxPath(path));
        }
        for component in relative.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." | b".." => return Err(PathError::Component { path: shown() }),
                long if long.len() > MAX_COMPONENT_BYTES => {
                    return Err(PathError::ComponentTooLong { bytes: long.len() });
                }
                _ => {}
            }
        }
        Ok(SandboxPath(path))
    }

    /// Where commands start unless told otherwise: `/work`.
    pub const fn work() -> Self {
        SandboxPath(Bytes::from_static(b"/work"))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &SandboxPath) -> bool {
        match self.0.strip_prefix(other.as_bytes()) {
            Some(rest) => rest.is_empty() || rest[0] == b'/' || other.as_bytes() == b"/",
            None => false,
        }
    }

    /// The paths above this one, without `/`: `/a` and `/a/b` for `/a/b/c`.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let slashes = self.0.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        slashes.map(|(index, _)| &self.0[..index])
    }
}

impl FilePath {
    /// Checks a path.
    pub fn new(path: impl Into<Bytes>) -> Result<Self, PathError> {
        let path = SandboxPath::new(path)?;
        if path.0.starts_with(b"/work/") || path.0.starts_with(b"/tmp/") {
            return Ok(FilePath(path));
        }
        Err(PathError::NotBelowWritable { path: quoted(&path.0) })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.0.to_bytes()
    }

    /// As any path.
    pub const fn as_path(&self) -> &SandboxPath {
        &self.0
    }
}

/// For people: printable, and cut when long.
impl fmt::Display for SandboxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0).escape_debug().to_string())
    }
}

impl fmt::Debug for SandboxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> Result<SandboxPath, PathError> {
        SandboxPath::new(bytes.to_vec())
    }

    #[test]
    fn one_spelling_per_place() {
        for good in [&b"/"[..], b"/work", b"/work/a.b", b"/tmp/...", b"/\xff/x", b"/a b"] {
            assert!(path(good).is_ok(), "{good:?}");
        }
        for bad in [
            &b""[..],
            b"work",
            b"./a",
            b"/work/",
            b"//work",
            b"/work//a",
            b"/work/.",
            b"/work/../etc",
            b"/..",
            b"/a\0b",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path(&[b"/", &[b'x'; 255][..]].concat()).is_ok());
        assert!(matches!(
            path(&[b"/", &[b'x'; 256][..]].concat()),
            Err(PathError::ComponentTooLong { bytes: 256 })
        ));
        assert!(matches!(path(&b"/x".repeat(2_500)), Err(PathError::TooLong { bytes: 5_000 })));
    }

    #[test]
    fn files_lie_below_work_or_tmp() {
        for good in [&b"/work/a"[..], b"/tmp/a/b"] {
            assert!(FilePath::new(good.to_vec()).is_ok(), "{good:?}");
        }
        for bad in [&b"/work"[..], b"/tmp", b"/workshop/a", b"/etc/passwd", b"/", b"/work/../etc/passwd"] {
            assert!(FilePath::new(bad.to_vec()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn within_and_above() {
        let deep = path(b"/a/b/c").expect("good");
        assert_eq!(deep.ancestors().collect::<Vec<_>>(), [&b"/a"[..], b"/a/b"]);
        assert!(deep.is_within(&path(b"/a/b").expect("good")));
        assert!(deep.is_within(&deep));
        assert!(deep.is_within(&path(b"/").expect("good")));
        assert!(!deep.is_within(&path(b"/a/bb").expect("good")));
        assert!(!path(b"/a/bb").expect("good").is_within(&path(b"/a/b").expect("good")));
    }
}
