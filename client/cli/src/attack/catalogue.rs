//! Every attack there is, in the order of the rows, and choosing among them by what was typed.

use kiln_attacks::{About, Row, absent_features};

use super::{Attack, Kind, archives, clients};
use crate::failure::Failure;
use crate::nearest::nearest;

/// All attacks.
pub(crate) fn all() -> Vec<Attack> {
    let programs = kiln_attacks::all().iter().map(|case| Attack {
        name: case.name.to_owned(),
        row: case.row,
        about: case.about.clone(),
        kind: Kind::Program(case),
    });
    let clients = clients::ALL.iter().chain(archives::ALL).map(|(name, text, run)| Attack {
        name: (*name).to_owned(),
        row: row_of(name),
        about: About::read(text).expect("a test reads every hostile client"),
        kind: Kind::Client(*run),
    });
    let absent = absent_features().map(|absent| Attack {
        name: format!("{}-{}", absent.row, absent.feature.replace(' ', "-")),
        row: absent.row,
        about: About {
            tries: absent.tries.to_owned(),
            seen: "the catalogue of incidents".to_owned(),
            must: "come with the feature".to_owned(),
        },
        kind: Kind::Absent(absent),
    });
    let mut all: Vec<Attack> = programs.chain(clients).chain(absent).collect();
    all.sort_by(|left, right| (left.row, &left.name).cmp(&(right.row, &right.name)));
    all
}

/// Those that any of the words means: a row, a family, a name or the beginning of one. No word means all.
pub(crate) fn chosen(all: Vec<Attack>, words: &[String]) -> Result<Vec<Attack>, Failure> {
    for word in words {
        if !all.iter().any(|attack| is_meant(attack, word)) {
            return Err(unknown(&all, word));
        }
    }
    // The whole name of one is no beginning of others.
    let whole: Vec<bool> = words.iter().map(|word| all.iter().any(|attack| attack.name == *word)).collect();
    let meant = |attack: &Attack| {
        let one = |(word, whole): (&String, &bool)| {
            if *whole { attack.name == *word } else { is_meant(attack, word) }
        };
        words.is_empty() || words.iter().zip(&whole).any(one)
    };
    Ok(all.into_iter().filter(meant).collect())
}

fn is_meant(attack: &Attack, word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    if let Ok(row) = upper.parse::<Row>() {
        return attack.row == row;
    }
    if word.len() == 1 {
        return upper.starts_with(attack.row.family());
    }
    attack.name.to_ascii_lowercase().starts_with(&word.to_ascii_lowercase())
}

fn unknown(all: &[Attack], word: &str) -> Failure {
    let near = nearest(word, all.iter().map(|attack| attack.name.as_str()));
    let next = match near.is_empty() {
        true => "`kiln attack --list` shows them all".to_owned(),
        false => format!("did you mean {}?", near.join(", or ")),
    };
    Failure::usage(format!("no attack is meant by `{word}`")).next(next)
}

fn row_of(name: &str) -> Row {
    let row = name.split('-').next().unwrap_or_default();
    row.parse().expect("a test reads every hostile client")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        chosen(all(), &words).expect("all are meant").into_iter().map(|attack| attack.name).collect()
    }

    #[test]
    fn every_attack_has_a_name_of_its_own_that_begins_with_its_row() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|attack| attack.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|attack| attack.name.starts_with(&format!("{}-", attack.row))));
        let clients = clients::ALL.len() + archives::ALL.len();
        assert!(clients >= 25, "{clients} hostile clients and archives");
    }

    #[test]
    fn words_mean_rows_families_and_names() {
        assert!(names(&["B1"]).iter().all(|name| name.starts_with("B1-")));
        assert!(names(&["b"]).len() > names(&["B8"]).len());
        assert_eq!(names(&["B8-unshare"]), ["B8-unshare"]);
        assert!(names(&["b8-c"]).contains(&"B8-clone3".to_owned()));
        assert_eq!(names(&["B8", "A16"]).len(), names(&["B8"]).len() + names(&["A16"]).len());
        assert_eq!(names(&[]).len(), all().len());
    }

    #[test]
    fn a_word_that_means_nothing_names_its_neighbours() {
        let refused = |word: &str| chosen(all(), &[word.to_owned()]).expect_err("nothing").to_string();
        assert!(refused("B8-unshar3").contains("B8-unshare"));
        assert!(refused("Z9").contains("--list"));
    }
}
