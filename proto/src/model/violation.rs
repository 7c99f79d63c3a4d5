//! What is wrong with a message: every violation with the field's path and what would be allowed.
//!
//! Owns collecting and bounding them. Hostile input must not make an answer large: the number of violations and every quoted
//! piece of input are cut.

use std::fmt;

/// At most so many violations are kept; one more says how many were not.
const MAX_LISTED: usize = 32;

/// Input quoted in a violation is cut to so many characters.
const MAX_QUOTED_CHARS: usize = 48;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Violation {
    /// Path of the field in its message, e.g. `steps[0].commands[1].argv`.
    pub field: String,
    /// What was wrong and what is allowed.
    pub why: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Violation { field: field.into(), why: why.into() }
    }
}

/// A message that was refused, with all that is wrong with it (never empty).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// In the order in which they were found.
    pub violations: Vec<Violation>,
}

impl Invalid {
    /// Refuses for one reason.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Invalid { violations: vec![Violation::new(field, why)] }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

/// Collects violations while a message is checked.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    listed: Vec<Violation>,
    unlisted: usize,
}

impl Collector {
    /// `field` is written out only here, so that what is in order costs no text.
    pub(crate) fn add(&mut self, field: impl fmt::Display, why: impl Into<String>) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(Violation::new(field.to_string(), why));
        } else {
            self.unlisted += 1;
        }
    }

    /// The value, or its error as a violation of `field`.
    pub(crate) fn keep<T, E: fmt::Display>(
        &mut self,
        field: impl fmt::Display,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(field, error.to_string())).ok()
    }

    pub(crate) fn extend(&mut self, violations: Vec<Violation>) {
        for violation in violations {
            self.add(violation.field, violation.why);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// `Err` when anything was added.
    pub(crate) fn finish(mut self) -> Result<(), Invalid> {
        if self.listed.is_empty() {
            return Ok(());
        }
        if self.unlisted > 0 {
            let why = format!("and {} more violations, not listed", self.unlisted);
            self.listed.push(Violation::new("...", why));
        }
        Err(Invalid { violations: self.listed })
    }
}

/// Input, made printable and cut, for a violation's text.
pub(crate) fn quoted(input: &[u8]) -> String {
    let head = &input[..input.len().min(MAX_QUOTED_CHARS * 4)];
    let text = String::from_utf8_lossy(head);
    let mut shown: String = text.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().count() > MAX_QUOTED_CHARS || head.len() < input.len() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_violations_is_cut_and_counted() {
        let mut collector = Collector::default();
        (0..1_000).for_each(|index| collector.add(format!("argv[{index}]"), "is bad"));
        let invalid = collector.finish().expect_err("there are violations");
        assert_eq!(invalid.violations.len(), MAX_LISTED + 1);
        assert_eq!(invalid.violations[MAX_LISTED].why, "and 968 more violations, not listed");
    }

    #[test]
    fn quoting_escapes_and_cuts() {
        assert_eq!(quoted(b"a\0b\n"), "\"a\\0b\\n\"");
        let long = quoted(&[b'x'; 5_000]);
        assert_eq!(long.chars().count(), MAX_QUOTED_CHARS + 3);
        assert!(long.ends_with("…\""));
    }

    #[test]
    fn display_joins_all() {
        let invalid = Invalid { violations: vec![Violation::new("a", "x"), Violation::new("b", "y")] };
        assert_eq!(invalid.to_string(), "a: x; b: y");
    }
}
