//! A case of the user's own, from a file in the format of Kiln's.

use std::path::Path;

use kiln_attacks::{Case, Language};

use super::{Attack, Kind};
use crate::failure::{Failure, with_sources};

/// Reads `ROW-slug.py` or `ROW-slug.sh`.
pub(crate) fn read(path: &Path) -> Result<Attack, Failure> {
    let unusable = |why: &str| {
        Failure::usage(format!("{} is no attack: {why}", path.display()))
            .next("its name is ROW-slug.py or ROW-slug.sh; its first four lines are Tries, Seen, Must and Case, as in Kiln's own")
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let part = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
    let name = part(path.file_stem()).ok_or_else(|| unusable("its name is no text"))?;
    let ending = part(path.extension()).unwrap_or_default();
    // One file, for as long as the process lives: like those that are built in.
    let case =
        Case::read(name.leak(), &ending, text.leak()).map_err(|error| unusable(&with_sources(&error)))?;
    if case.language == Language::C {
        return Err(unusable("cases in C are compiled when Kiln is built"));
    }
    let case: &'static Case = Box::leak(Box::new(case));
    Ok(Attack {
        name: case.name.to_owned(),
        row: case.row,
        about: case.about.clone(),
        kind: Kind::Program(case),
    })
}
