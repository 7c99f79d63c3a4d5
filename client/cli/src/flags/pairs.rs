//! Flags of two parts: `K=V`, `HOST:SANDBOX`. Paths stay bytes: they need not be UTF-8.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use kiln_proto::language::WORK;

/// `--env K=V`, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvPair {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// `--label K=V`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelPair {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// `--file HOST[:SANDBOX]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePair {
    pub(crate) host: PathBuf,
    /// Absolute inside the sandbox.
    pub(crate) sandbox: Vec<u8>,
}

/// `--out SANDBOX[:HOST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutPair {
    /// Absolute inside the sandbox.
    pub(crate) sandbox: Vec<u8>,
    pub(crate) host: PathBuf,
}

/// A parser of flags whose values need not be UTF-8.
pub(crate) fn os_parser<T: Clone + Send + Sync + 'static>(
    parse: fn(&OsStr) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |text| parse(&text).map_err(PairError))
}

/// What is wrong with a flag of two parts.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct PairError(String);

pub(crate) fn env_pair(text: &OsStr) -> Result<EnvPair, String> {
    let (name, value) = split(text, b'=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty; write NAME=VALUE".to_owned());
    }
    Ok(EnvPair { name: name.to_vec(), value: value.to_vec() })
}

pub(crate) fn label_pair(text: &str) -> Result<LabelPair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(LabelPair { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(crate) fn file_pair(text: &OsStr) -> Result<FilePair, String> {
    let (host, sandbox) = match split_last(text, b':') {
        Some((_, [])) => return Err("nothing after the colon; write HOST[:SANDBOX]".to_owned()),
        Some((host, sandbox)) => (host, sandbox.to_vec()),
        None => (text.as_bytes(), file_name(text)?),
    };
    if host.is_empty() {
        return Err("no file of this machine is named; write HOST[:SANDBOX]".to_owned());
    }
    Ok(FilePair { host: path(host), sandbox: in_work(&sandbox) })
}

pub(crate) fn out_pair(text: &OsStr) -> Result<OutPair, String> {
    let (sandbox, host) = match split(text, b':') {
        Some((_, [])) => return Err("nothing after the colon; write SANDBOX[:HOST]".to_owned()),
        Some((sandbox, host)) => (sandbox, host.to_vec()),
        None => (text.as_bytes(), file_name(text)?),
    };
    if sandbox.is_empty() {
        return Err("no file of the sandbox is named; write SANDBOX[:HOST]".to_owned());
    }
    Ok(OutPair { sandbox: in_work(sandbox), host: path(&host) })
}

/// The last part of a path: where a file lands when nothing else is said. Never leads elsewhere.
fn file_name(text: &OsStr) -> Result<Vec<u8>, String> {
    Path::new(text)
        .file_name()
        .map(|name| name.as_bytes().to_vec())
        .ok_or_else(|| "this path names no file".to_owned())
}

fn in_work(sandbox: &[u8]) -> Vec<u8> {
    if sandbox.starts_with(b"/") { sandbox.to_vec() } else { [WORK.as_bytes(), b"/", sandbox].concat() }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

fn split(text: &OsStr, at: u8) -> Option<(&[u8], &[u8])> {
    let bytes = text.as_bytes();
    let found = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..found], &bytes[found + 1..]))
}

fn split_last(text: &OsStr, at: u8) -> Option<(&[u8], &[u8])> {
    let bytes = text.as_bytes();
    let found = bytes.iter().rposition(|byte| *byte == at)?;
    Some((&bytes[..found], &bytes[found + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<(String, String), String> {
        let pair = file_pair(OsStr::new(text))?;
        Ok((pair.host.display().to_string(), String::from_utf8_lossy(&pair.sandbox).into_owned()))
    }

    fn out(text: &str) -> Result<(String, String), String> {
        let pair = out_pair(OsStr::new(text))?;
        Ok((String::from_utf8_lossy(&pair.sandbox).into_owned(), pair.host.display().to_string()))
    }

    fn pair(left: &str, right: &str) -> Result<(String, String), String> {
        Ok((left.to_owned(), right.to_owned()))
    }

    #[test]
    fn files_go_below_work_unless_said_otherwise() {
        assert_eq!(file("data.txt"), pair("data.txt", "/work/data.txt"));
        assert_eq!(file("../up/data.txt"), pair("../up/data.txt", "/work/data.txt"));
        assert_eq!(file("data.txt:in/x"), pair("data.txt", "/work/in/x"));
        assert_eq!(file("a:b:/tmp/x"), pair("a:b", "/tmp/x"));
        for bad in ["", ":", "x:", ":x", "..", "/"] {
            assert!(file(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wanted_files_land_in_the_current_directory_unless_said_otherwise() {
        assert_eq!(out("result.txt"), pair("/work/result.txt", "result.txt"));
        assert_eq!(out("/work/deep/result.txt"), pair("/work/deep/result.txt", "result.txt"));
        assert_eq!(out("/tmp/r:out/here"), pair("/tmp/r", "out/here"));
        for bad in ["", ":", "x:", ":x", "/work/.."] {
            assert!(out(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn env_values_may_be_empty_and_hold_equal_signs() {
        let pair = env_pair(OsStr::new("A=b=c")).expect("well written");
        assert_eq!((pair.name.as_slice(), pair.value.as_slice()), (&b"A"[..], &b"b=c"[..]));
        assert!(env_pair(OsStr::new("A=")).is_ok());
        assert!(env_pair(OsStr::new("=b")).is_err());
        assert!(env_pair(OsStr::new("A")).is_err());
    }
}
