//! Rows of the attack catalogue: `A1` to `A16` incidents in judges and sandboxes, `B1` to `B11` container runtimes and the
//! kernel, `C1` to `C20` resources, `D` cheating, `E` compiling.

use std::fmt;
use std::str::FromStr;

/// Families and their last row. Cheating and compiling are lists without numbers of their own: cases number them.
const FAMILIES: [(char, u8); 5] = [('A', 16), ('B', 11), ('C', 20), ('D', 99), ('E', 99)];

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    family: char,
    number: u8,
}

/// Text that names no row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no row: A1 to A16, B1 to B11, C1 to C20, D1 to D99, E1 to E99")]
pub struct RowError {
    /// What was written.
    pub text: String,
}

impl Row {
    /// `A` to `E`.
    #[must_use]
    pub fn family(self) -> char {
        self.family
    }

    /// Every row of the families that are counted: A, B and C.
    pub fn counted() -> impl Iterator<Item = Row> {
        let counted = FAMILIES.into_iter().filter(|&(_, last)| last < 99);
        counted.flat_map(|(family, last)| (1..=last).map(move |number| Row { family, number }))
    }
}

impl FromStr for Row {
    type Err = RowError;

    fn from_str(text: &str) -> Result<Row, RowError> {
        let error = || RowError { text: text.to_owned() };
        let family = text.chars().next().ok_or_else(error)?;
        let digits = &text[family.len_utf8()..];
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| plain).ok_or_else(error)?;
        let known = FAMILIES.iter().any(|&(name, last)| name == family && (1..=last).contains(&number));
        if known { Ok(Row { family, number }) } else { Err(error()) }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.family, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_catalogue() {
        for text in ["A1", "A16", "B11", "C20", "D1", "E99"] {
            assert_eq!(text.parse::<Row>().unwrap().to_string(), text);
        }
        for text in
            ["", "A", "A0", "A01", "A17", "B12", "C21", "D100", "F1", "a1", "A1x", "A+1", "é1", "A256"]
        {
            assert!(text.parse::<Row>().is_err(), "{text}");
        }
        assert_eq!(Row::counted().count(), 16 + 11 + 20);
    }

    #[test]
    fn rows_sort_by_number_not_by_text() {
        let row = |text: &str| text.parse::<Row>().unwrap();
        assert!(row("A2") < row("A10") && row("A16") < row("B1"));
    }
}
