//! `[profiles.NAME]`: the operator's own confinement profiles, read and checked as a whole when the configuration is.
//!
//! Server and worker share the section, as they share `[limits]`: the server takes the names, the worker what they mean.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use kiln_jail::plan::CustomProfile;
use kiln_jail::seccomp::{MAX_POLICY_BYTES, check};
use kiln_proto::model::{Profile, ProfileName};

use super::file::ProfileFile;

/// Most profiles of one configuration: each jail keeps all of them.
const MAX_PROFILES: usize = 32;

/// A profile that holds, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnProfile {
    pub(crate) name: ProfileName,
    pub(crate) file: PathBuf,
    pub(crate) custom: CustomProfile,
}

/// Reads and checks every profile. Paths that are not absolute begin at `directory`, where the configuration is.
pub(super) fn resolve(
    sections: BTreeMap<String, ProfileFile>,
    directory: &Path,
) -> Result<Vec<OwnProfile>, String> {
    if sections.len() > MAX_PROFILES {
        return Err(format!("profiles: {} of them; at most {MAX_PROFILES} are allowed", sections.len()));
    }
    sections.into_iter().map(|(name, section)| one(&name, section, directory)).collect()
}

fn one(name: &str, section: ProfileFile, directory: &Path) -> Result<OwnProfile, String> {
    let name = match name.parse::<Profile>() {
        Ok(Profile::Custom(name)) => name,
        Ok(built_in) => {
            return Err(format!("profiles.{built_in}: is a built-in profile; choose another name"));
        }
        Err(_) => return Err(format!("profiles.{name:?}: a name is 1 to 63 of [a-z0-9_-]")),
    };
    let wrong = |why: String| format!("profiles.{name}.file: {why}");
    let file = directory.join(section.file);
    let policy = read(&file).map_err(|why| wrong(format!("cannot read {}: {why}", file.display())))?;
    check(&file.display().to_string(), &policy).map_err(|error| wrong(error.to_string()))?;
    let writes = section.writes.unwrap_or_default();
    let custom = CustomProfile { name: name.to_string(), writes, policy };
    Ok(OwnProfile { name, file, custom })
}

/// One byte more than allowed is read at most, for the check to refuse.
fn read(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_POLICY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use kiln_jail::plan::Writes;

    use super::*;

    const GOOD: &str = r#"{"about": "a", "inherits": "strict", "rules": []}"#;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).expect("it can be written");
        }
        directory
    }

    fn resolved(toml: &str, directory: &Path) -> Result<Vec<OwnProfile>, String> {
        resolve(toml::from_str(toml).map_err(|error| error.to_string())?, directory)
    }

    #[test]
    fn paths_begin_where_the_configuration_is_and_writing_is_confined_by_default() {
        let directory = directory(&[("a.json", GOOD)]);
        let toml = "[b]\nfile = \"a.json\"\nwrites = \"root\"\n[a]\nfile = \"a.json\"\n";
        let profiles = resolved(toml, directory.path()).expect("both hold");
        let told: Vec<_> =
            profiles.iter().map(|profile| (profile.name.as_str(), profile.custom.writes)).collect();
        assert_eq!(told, [("a", Writes::Work), ("b", Writes::Root)]);
        assert_eq!(profiles[0].file, directory.path().join("a.json"));
        assert_eq!(profiles[0].custom.policy, GOOD);
    }

    #[test]
    fn what_does_not_hold_names_the_profile_the_file_and_the_rule() {
        let mount = r#"{"about": "a", "inherits": "strict", "rules": [{"calls": ["mount"], "answer": "allow", "reason": "r"}]}"#;
        let long = " ".repeat(MAX_POLICY_BYTES + 1);
        let directory = directory(&[("a.json", GOOD), ("mount.json", mount), ("long.json", &long)]);
        let table = [
            ("[strict]\nfile = \"a.json\"", "profiles.strict: is a built-in profile"),
            ("[\"No Name\"]\nfile = \"a.json\"", "profiles.\"No Name\": a name is 1 to 63 of"),
            ("[a]\n", "missing field `file`"),
            ("[a]\nfile = \"a.json\"\nwrite = \"root\"", "unknown field `write`"),
            ("[a]\nfile = \"a.json\"\nwrites = \"all\"", "expected `work` or `root`"),
            ("[a]\nfile = \"absent.json\"", "profiles.a.file: cannot read"),
            ("[a]\nfile = \".\"", "it is not a file"),
            ("[a]\nfile = \"long.json\"", "long.json: has 65537 bytes; at most 65536"),
            (
                "[a]\nfile = \"mount.json\"",
                "mount.json: rule 1: allows \"mount\", which no profile may allow",
            ),
        ];
        for (toml, named) in table {
            let error = resolved(toml, directory.path()).expect_err(toml);
            assert!(error.contains(named), "{toml}: {error}");
        }
        let many: String = (0..33).map(|number| format!("[p{number}]\nfile = \"a.json\"\n")).collect();
        assert!(resolved(&many, directory.path()).expect_err("too many").contains("33 of them; at most 32"));
    }
}
