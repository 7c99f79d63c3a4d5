//! Names that somebody may have meant.

/// At most this many are offered.
const OFFERED: usize = 3;

/// The known words nearest to `word`, best first; none when all are far away.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let bound = (word.chars().count() / 3).max(1);
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            // A shared beginning outranks every typing error; two letters are shared by chance.
            let begins =
                lower.starts_with(&word) && word.len() > 1 || word.starts_with(&lower) && lower.len() > 2;
            (if begins { 0 } else { distance(&word, &lower) }, candidate)
        })
        .filter(|(score, _)| *score <= bound)
        .collect();
    scored.sort_by_key(|(score, candidate)| (*score, candidate.len()));
    scored.truncate(OFFERED);
    scored.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Levenshtein: insertions, deletions and replacements of characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein_s() {
        for (left, right, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)] {
            assert_eq!(distance(left, right), expected);
        }
    }

    #[test]
    fn typing_errors_find_their_word_and_nonsense_finds_none() {
        let known = ["python", "perl", "javascript", "java", "rust", "ruby", "c"];
        assert_eq!(nearest("pyton", known), ["python"]);
        assert_eq!(nearest("Rsut", known), [""; 0]);
        assert_eq!(nearest("ruts", known), [""; 0]);
        assert_eq!(nearest("rusty", known), ["rust"]);
        assert_eq!(nearest("javascrpt", known)[0], "java");
        assert!(nearest("javascrpt", known).contains(&"javascript"));
        assert_eq!(nearest("klingon", known), [""; 0]);
    }
}
