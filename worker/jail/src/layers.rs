//! Layers of the sandbox that an operator may allow to be missing, by name. Everything else is always required.

use crate::base::IdMapping;
use crate::report::Failure;
use crate::wire::FilterUse;

/// Names accepted in [`crate::wire::Setup::allow_missing`].
pub const NAMES: [&str; 3] = ["landlock", "seccomp", "idmap"];

/// What may be missing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) landlock: bool,
    pub(crate) seccomp: bool,
    idmap: bool,
    pub(crate) filters: FilterUse,
}

impl Missing {
    pub(crate) fn of(names: &[String], filters: FilterUse) -> Result<Self, Failure> {
        let mut missing = Self { filters, ..Self::default() };
        for name in names {
            match name.as_str() {
                "landlock" => missing.landlock = true,
                "seccomp" => missing.seccomp = true,
                "idmap" => missing.idmap = true,
                _ => {
                    let detail =
                        format!("{name} is no layer that may be missing; those are {}", NAMES.join(", "));
                    return Err(Failure::new("allow_missing", 0, detail));
                }
            }
        }
        Ok(missing)
    }

    pub(crate) fn id_mapping(self) -> IdMapping {
        if self.idmap { IdMapping::WherePossible } else { IdMapping::Required }
    }
}
