//! All cases, by row and name.

use std::sync::LazyLock;

use crate::case::Case;

/// Name, ending and content of each file, listed by build.rs.
const FILES: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/cases.rs"));

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let read = |&(name, ending, source): &(&'static str, &str, &'static str)| {
        Case::read(name, ending, source).expect("a test reads every embedded case")
    };
    let mut cases: Vec<Case> = FILES.iter().map(read).collect();
    cases.sort_by_key(|case| (case.row, case.name));
    cases
});

/// Every case.
#[must_use]
pub fn all() -> &'static [Case] {
    &CASES
}

/// The case of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::case::Language;

    #[test]
    fn every_case_file_is_a_case() {
        let wrong: Vec<String> = FILES
            .iter()
            .filter_map(|&(name, ending, source)| {
                let error = Case::read(name, ending, source).err()?;
                Some(format!(
                    "{name}.{ending}: {error}: {:?}",
                    std::error::Error::source(&error).map(ToString::to_string)
                ))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn names_are_unique_and_begin_in_every_family() {
        let names: BTreeSet<&str> = all().iter().map(|case| case.name).collect();
        assert_eq!(names.len(), all().len());
        for family in ['A', 'B', 'C', 'D'] {
            assert!(all().iter().any(|case| case.row.family() == family), "{family}");
        }
    }

    #[test]
    fn some_cases_run_when_a_worker_starts() {
        let start: Vec<&Case> = all().iter().filter(|case| case.at_start).collect();
        assert!(
            (5..=40).contains(&start.len()),
            "{} cases: too few prove little, too many cost",
            start.len()
        );
        assert!(start.iter().all(|case| case.language == Language::C));
    }
}
