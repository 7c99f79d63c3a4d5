//! Reads the first four lines of a case file: `Tries:`, `Seen:`, `Must:` for people, `Case:` for the machine.
//!
//! Nothing is guessed: an unknown key, a value that does not hold, a line that is missing is an error that names itself.

use std::str::FromStr;

use kiln_proto::v1::FileState;

use crate::case::{Argument, Case, Interpreter, Language, Layer, Piece, Placeholder, Runs, Take};
use crate::expectation::{Expectation, signal_number};
use crate::limits::{self, LimitError};
use crate::row::{Row, RowError};

/// Shorter says nothing.
const LEAST_TEXT: usize = 10;
const FORBIDDEN_PREFIXES: [&str; 2] = ["i386", "x32"];

/// What a case is about, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What it tries.
    pub tries: String,
    /// Where it was seen.
    pub seen: String,
    /// What must happen.
    pub must: String,
}

/// Why a file is no case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("line {line} must begin with {word:?} and say at least {LEAST_TEXT} characters")]
    Text { line: usize, word: &'static str },
    #[error("line 4 must begin with \"Case:\"")]
    NoCaseLine,
    #[error("the ending {ending:?} is none of c, py, sh")]
    Ending { ending: String },
    #[error("the name {name:?} is not ROW-slug of lower-case letters, digits and dashes")]
    Name { name: String },
    #[error("row=")]
    Row(#[source] RowError),
    #[error("the name {name:?} does not begin with its row, {row}-")]
    RowOfName { name: String, row: Row },
    #[error("{key}= is required")]
    Required { key: &'static str },
    #[error("{key} is said twice")]
    Twice { key: String },
    #[error(
        "{key:?} is no key; there are row, expect, args, limits, profile, takes, needs, layer, twice, beside, start"
    )]
    UnknownKey { key: String },
    #[error("{key}={value:?}: {why}")]
    Value { key: &'static str, value: String, why: &'static str },
    #[error("limits=")]
    Limits(#[source] LimitError),
    #[error("start: {why}")]
    Start { why: &'static str },
    #[error("twice and beside exclude each other")]
    TwiceAndBeside,
}

impl About {
    /// Reads the three lines of a case or of a module's documentation, whatever their comment sign.
    pub fn read(text: &str) -> Result<About, HeaderError> {
        let mut lines = text.lines().map(uncommented);
        let mut next = |line, word: &'static str| {
            let text = lines.next().and_then(|line| line.strip_prefix(word)).map(str::trim);
            text.filter(|text| text.len() >= LEAST_TEXT)
                .map(str::to_owned)
                .ok_or(HeaderError::Text { line, word })
        };
        Ok(About { tries: next(1, "Tries:")?, seen: next(2, "Seen:")?, must: next(3, "Must:")? })
    }
}

/// Reads a whole case.
pub(crate) fn read(name: &'static str, ending: &str, source: &'static str) -> Result<Case, HeaderError> {
    let about = About::read(source)?;
    let line = source.lines().nth(3).map(uncommented);
    let line = line.and_then(|line| line.strip_prefix("Case:")).ok_or(HeaderError::NoCaseLine)?;
    let language = language(ending)?;
    let words = Words::split(line)?;
    let row: Row = words.required("row")?.parse().map_err(HeaderError::Row)?;
    check_name(name, row)?;
    let expect = list(words.required("expect")?, '|', expectation)?;
    let case = Case {
        name,
        language,
        source,
        about,
        row,
        args: words.value("args").map_or(Ok(Vec::new()), |args| list(args, ',', argument))?,
        limits: words
            .value("limits")
            .map_or(Ok(limits::small()), limits::read)
            .map_err(HeaderError::Limits)?,
        profile: words.value("profile").map_or(Ok("default"), profile)?,
        takes: words.value("takes").map_or(Ok(Vec::new()), |takes| list(takes, ',', take))?,
        needs: words.value("needs").map_or(Ok(Vec::new()), |needs| list(needs, ',', program))?,
        layers: layers(&words, &expect)?,
        expect,
        runs: runs(&words)?,
        at_start: words.flag("start"),
    };
    check_start(&case)?;
    Ok(case)
}

/// The blank-separated words behind `Case:`.
struct Words<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Words<'a> {
    const VALUES: [&'static str; 8] =
        ["row", "expect", "args", "limits", "profile", "takes", "needs", "layer"];
    const FLAGS: [&'static str; 3] = ["twice", "beside", "start"];

    fn split(line: &'a str) -> Result<Words<'a>, HeaderError> {
        let mut words: Vec<(&str, Option<&str>)> = Vec::new();
        for word in line.split_whitespace() {
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
            let known = if value.is_some() { &Self::VALUES[..] } else { &Self::FLAGS[..] };
            if !known.contains(&key) {
                return Err(HeaderError::UnknownKey { key: word.to_owned() });
            }
            if words.iter().any(|(present, _)| *present == key) {
                return Err(HeaderError::Twice { key: key.to_owned() });
            }
            words.push((key, value));
        }
        Ok(Words(words))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(present, _)| *present == key).and_then(|(_, value)| *value)
    }

    fn required(&self, key: &'static str) -> Result<&'a str, HeaderError> {
        self.value(key).ok_or(HeaderError::Required { key })
    }

    fn flag(&self, key: &str) -> bool {
        self.0.iter().any(|(present, _)| *present == key)
    }
}

/// A line without its comment sign: `//`, `//!`, `#`.
fn uncommented(line: &str) -> &str {
    line.trim_start().trim_start_matches(['/', '#', '!']).trim()
}

fn language(ending: &str) -> Result<Language, HeaderError> {
    match ending {
        "c" => Ok(Language::C),
        "py" => Ok(Language::Interpreted(Interpreter::Python)),
        "sh" => Ok(Language::Interpreted(Interpreter::Shell)),
        _ => Err(HeaderError::Ending { ending: ending.to_owned() }),
    }
}

fn check_name(name: &str, row: Row) -> Result<(), HeaderError> {
    let slug = name.split_once('-').map_or("", |(_, slug)| slug);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if slug.is_empty() || !slug.chars().all(plain) {
        return Err(HeaderError::Name { name: name.to_owned() });
    }
    if !name.starts_with(&format!("{row}-")) {
        return Err(HeaderError::RowOfName { name: name.to_owned(), row });
    }
    Ok(())
}

fn list<T>(
    text: &str,
    separator: char,
    one: fn(&str) -> Result<T, HeaderError>,
) -> Result<Vec<T>, HeaderError> {
    text.split(separator).map(one).collect()
}

fn expectation(text: &str) -> Result<Expectation, HeaderError> {
    let wrong = |why| HeaderError::Value { key: "expect", value: text.to_owned(), why };
    let (kind, detail) = text.split_once(':').map_or((text, None), |(kind, detail)| (kind, Some(detail)));
    match (kind, detail) {
        ("held", None) => Ok(Expectation::Held),
        ("exit", Some(code)) => {
            let code = u8::from_str(code).map_err(|_| wrong("an exit status is 0 to 255"))?;
            Ok(Expectation::Exit(i32::from(code)))
        }
        ("signal", Some(name)) => signal_number(name)
            .map(Expectation::Signal)
            .ok_or_else(|| wrong("no signal of that name, e.g. SIGSEGV")),
        ("limit", Some(name)) => {
            let stops = |limit: &kiln_proto::model::LimitName| {
                limit.as_str() == name && limit.effect() == kiln_proto::model::LimitEffect::Stops
            };
            let limit = kiln_proto::model::LimitName::ALL.into_iter().find(stops);
            limit
                .map(Expectation::Limit)
                .ok_or_else(|| wrong("no limit that stops: cpu, wall, memory, pids, output, file_size"))
        }
        ("forbidden", Some(calls)) => {
            let calls: Vec<String> = calls.split(',').map(str::to_owned).collect();
            let right = calls.iter().all(|call| is_call(call));
            if right {
                Ok(Expectation::Forbidden(calls))
            } else {
                Err(wrong("not names of calls, e.g. unshare or i386:getpid"))
            }
        }
        _ => Err(wrong("none of held, exit:N, signal:NAME, limit:NAME, forbidden:NAME")),
    }
}

fn is_call(name: &str) -> bool {
    let bare = match name.split_once(':') {
        Some((prefix, bare)) if FORBIDDEN_PREFIXES.contains(&prefix) => bare,
        Some(_) => return false,
        None => name,
    };
    !bare.is_empty() && bare.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn argument(text: &str) -> Result<Argument, HeaderError> {
    let wrong = |why| HeaderError::Value { key: "args", value: text.to_owned(), why };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').ok_or_else(|| wrong("a brace is open"))? + open;
        let name = &rest[open + 1..close];
        let placeholder = Placeholder::ALL.into_iter().find(|placeholder| placeholder.as_str() == name);
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        pieces.push(Piece::Placeholder(placeholder.ok_or_else(|| wrong("no such placeholder"))?));
        rest = &rest[close + 1..];
    }
    if rest.contains('}') {
        return Err(wrong("a brace is closed that was not open"));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    if pieces.is_empty() {
        return Err(wrong("a word is empty"));
    }
    Ok(Argument(pieces))
}

fn profile(text: &str) -> Result<&'static str, HeaderError> {
    let known = ["strict", "default", "build"].into_iter().find(|name| *name == text);
    known.ok_or_else(|| HeaderError::Value {
        key: "profile",
        value: text.to_owned(),
        why: "none of strict, default, build",
    })
}

fn take(text: &str) -> Result<Take, HeaderError> {
    let wrong = |why| HeaderError::Value { key: "takes", value: text.to_owned(), why };
    let (path, state) = text.rsplit_once(':').ok_or_else(|| wrong("not PATH:STATE"))?;
    if !path.starts_with('/') {
        return Err(wrong("the path is not absolute"));
    }
    let state = match state {
        "found" => Some(FileState::Found),
        "missing" => Some(FileState::Missing),
        "not_regular" => Some(FileState::NotRegular),
        "too_large" => Some(FileState::TooLarge),
        "any" => None,
        _ => return Err(wrong("the state is none of found, missing, not_regular, too_large, any")),
    };
    Ok(Take { path: path.to_owned(), state })
}

fn program(text: &str) -> Result<String, HeaderError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
    if text.is_empty() || !text.chars().all(plain) {
        let why = "not the bare name of a program";
        return Err(HeaderError::Value { key: "needs", value: text.to_owned(), why });
    }
    Ok(text.to_owned())
}

/// What `layer=` says; a forbidden call is one that seccomp catches.
fn layers(words: &Words<'_>, expect: &[Expectation]) -> Result<Vec<Layer>, HeaderError> {
    let one = |text: &str| {
        let layer = Layer::ALL.into_iter().find(|layer| layer.as_str() == text);
        layer.ok_or_else(|| HeaderError::Value {
            key: "layer",
            value: text.to_owned(),
            why: "none of landlock, seccomp, idmap",
        })
    };
    let said = words.value("layer").map_or(Ok(Vec::new()), |text| list(text, ',', one))?;
    let implied = expect.iter().all(|end| matches!(end, Expectation::Forbidden(_)));
    let implied = (implied && !said.contains(&Layer::Seccomp)).then_some(Layer::Seccomp);
    Ok(said.into_iter().chain(implied).collect())
}

fn runs(words: &Words<'_>) -> Result<Runs, HeaderError> {
    match (words.flag("twice"), words.flag("beside")) {
        (true, true) => Err(HeaderError::TwiceAndBeside),
        (true, false) => Ok(Runs::Twice),
        (false, true) => Ok(Runs::Beside),
        (false, false) => Ok(Runs::Once),
    }
}

/// What runs when a worker starts needs nothing of the image and nothing of the host, and runs once.
fn check_start(case: &Case) -> Result<(), HeaderError> {
    let wrong = |why| Err(HeaderError::Start { why });
    let told = case.args.iter().flat_map(|argument| &argument.0);
    match () {
        () if !case.at_start => Ok(()),
        () if case.language != Language::C => wrong("only a case in C runs in any image"),
        () if case.runs != Runs::Once => wrong("it must run once"),
        () if !case.needs.is_empty() => wrong("it must need no program of the image"),
        () if told.into_iter().any(|piece| matches!(piece, Piece::Placeholder(_))) => {
            wrong("there are no canaries yet when a worker starts")
        }
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests;
