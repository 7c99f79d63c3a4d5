//! Rows of the catalogue, or parts of them, whose feature Kiln does not have yet: what would bring them, and that the feature
//! is refused today. Data: `absent.txt`.

use crate::row::Row;

const TEXT: &str = include_str!("../absent.txt");

/// A feature that is not there, so that nothing of it can be attacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    pub row: Row,
    /// e.g. `webhooks`.
    pub feature: &'static str,
    /// What an attack on it would try.
    pub tries: &'static str,
    /// How asking for it is answered today.
    pub today: &'static str,
}

/// All of them, in the order of the file.
pub fn absent_features() -> impl Iterator<Item = Absent> {
    TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(read)
}

fn read(line: &'static str) -> Absent {
    let mut fields = line.split('|').map(str::trim);
    let mut field = || fields.next().filter(|field| !field.is_empty()).expect("a test reads every line");
    let row = field().parse().expect("a test reads every line");
    Absent { row, feature: field(), tries: field(), today: field() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let all: Vec<Absent> = absent_features().collect();
        assert!(all.iter().any(|absent| absent.row.to_string() == "A16"), "{all:?}");
        assert!(TEXT.lines().all(|line| line.starts_with('#') || line.split('|').count() == 4));
    }
}
