//! The language table: which commands compile and run a program of each language.
//!
//! Owns `languages.toml` (embedded), what an operator adds to it, and the making of a job from one source file. It
//! must never look at the host: which languages a machine has is found by running each one's `version` in its sandbox.

mod file;
mod job;
mod naming;
mod template;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use file::{LanguageFile, LimitsFile, PhaseFile, TableFile};
pub use job::Source;

/// Where the program is put and started in the sandbox.
pub const WORK: &str = "/work";

/// Where a language's tools are looked up inside the sandbox, unless its entry says otherwise.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/rust/bin:/usr/local/go/bin";

const BUILTIN: &str = include_str!("languages.toml");

/// All languages, built in or added by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    languages: Vec<Language>,
}

/// How programs of one language are compiled and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// Short, lower-case, unique: `cpp`.
    pub name: String,
    /// For people: `C++`.
    pub title: String,
    /// Other names it is found by.
    pub aliases: Vec<String>,
    /// File name endings without the dot, as written.
    pub extensions: Vec<String>,
    /// `host`, or the name of an imported image.
    pub image: String,
    /// How the source file is called in the sandbox.
    pub source_name: SourceName,
    /// Path in the sandbox of what the compile step makes.
    pub binary: String,
    /// Programs that must be in the image, as looked up in `PATH`.
    pub tools: Vec<String>,
    /// Says the version on its first line, and exits 0 exactly where the language can be used.
    pub version: Vec<String>,
    /// What the version command reads on stdin.
    pub version_input: String,
    /// Absent for languages that need no compiling.
    pub compile: Option<Phase>,
    pub run: Phase,
}

/// One step of a language: compile or run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Program and arguments; each may hold the fields listed in `languages.toml`.
    pub argv: Vec<String>,
    /// Confinement profile.
    pub profile: String,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// What applies where the client says nothing.
    pub limits: crate::v1::Limits,
}

/// How the source file is called in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceName {
    /// Always this.
    Fixed(String),
    /// As the client calls it when that is a plain name with one of the language's endings, else this.
    KeepOr(String),
    /// After the public class of the text, as `javac` demands; this when there is none and the client's name will not do.
    JavaClass(String),
}

/// Why a language table was refused.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("language table: {0}")]
    Parse(#[from] toml::de::Error),
    #[error("language {language:?}: {field}: {why}")]
    Entry { language: String, field: String, why: String },
    #[error("language {language:?}: {what} {word:?} already belongs to {owner:?}")]
    Taken { language: String, what: &'static str, word: String, owner: String },
}

impl Table {
    /// The table that every Kiln has.
    pub fn builtin() -> Table {
        Table { languages: Vec::new() }.extend(BUILTIN).expect("the embedded table is parsed by a test")
    }

    /// Adds the `[[language]]` entries of a TOML text. An entry with the name of an earlier one replaces it.
    pub fn extend(self, toml_text: &str) -> Result<Table, TableError> {
        self.extend_with(toml::from_str::<TableFile>(toml_text)?.language)
    }

    /// Adds entries already parsed, e.g. those of the configuration file.
    pub fn extend_with(mut self, entries: Vec<LanguageFile>) -> Result<Table, TableError> {
        for entry in entries {
            let language = entry.resolve()?;
            self.languages.retain(|other| other.name != language.name);
            self.check_unique(&language)?;
            self.languages.push(language);
        }
        self.languages.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(self)
    }

    /// By name or alias, whatever the case.
    pub fn by_name(&self, name: &str) -> Option<&Language> {
        self.languages.iter().find(|language| language.words().any(|word| word.eq_ignore_ascii_case(name)))
    }

    /// By the ending of a file's name; the case counts (`.C` is C++, `.c` is C).
    pub fn by_extension(&self, file: &Path) -> Option<&Language> {
        let ending = file.extension()?.as_bytes();
        self.languages.iter().find(|language| language.extensions.iter().any(|own| own.as_bytes() == ending))
    }

    /// All languages by name.
    pub fn iter(&self) -> impl Iterator<Item = &Language> {
        self.languages.iter()
    }

    fn check_unique(&self, new: &Language) -> Result<(), TableError> {
        let taken = |what, word: &str, owner: &Language| TableError::Taken {
            language: new.name.clone(),
            what,
            word: word.to_owned(),
            owner: owner.name.clone(),
        };
        for other in &self.languages {
            if let Some(word) =
                new.words().find(|word| other.words().any(|own| own.eq_ignore_ascii_case(word)))
            {
                return Err(taken("name or alias", word, other));
            }
            if let Some(ending) = new.extensions.iter().find(|ending| other.extensions.contains(ending)) {
                return Err(taken("extension", ending, other));
            }
        }
        Ok(())
    }
}

impl Language {
    fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_table_parses_and_is_found_by_name_alias_and_ending() {
        let table = Table::builtin();
        for (file, name) in
            [("a/b.cpp", "cpp"), ("x.c", "c"), ("x.C", "cpp"), ("Main.java", "java"), ("t.rs", "rust")]
        {
            assert_eq!(
                table.by_extension(Path::new(file)).map(|language| language.name.as_str()),
                Some(name)
            );
        }
        assert_eq!(table.by_name("C++").map(|language| language.name.as_str()), Some("cpp"));
        assert!(table.by_name("klingon").is_none());
        assert!(table.by_extension(Path::new("Makefile")).is_none());
        assert!(table.iter().count() >= 30);
        assert!(table.iter().is_sorted_by_key(|language| &language.name));
    }

    #[test]
    fn an_entry_replaces_the_one_of_its_name_and_takes_no_other_ones_words() {
        let entry = |name: &str, alias: &str, ending: &str| {
            format!(
                "[[language]]\nname = \"{name}\"\naliases = [\"{alias}\"]\nextensions = [\"{ending}\"]\nsource = \"main.x\"\n\
                 tools = [\"x\"]\nversion = [\"x\", \"--version\"]\nrun = {{ argv = [\"x\", \"{{source}}\"] }}\n"
            )
        };
        let table = Table::builtin().extend(&entry("python", "py", "py")).unwrap();
        assert_eq!(table.by_name("py").unwrap().run.argv, ["x", "{source}"]);
        let refused = |text: String| Table::builtin().extend(&text).unwrap_err().to_string();
        assert_eq!(
            refused(entry("mine", "Python", "mine")),
            "language \"mine\": name or alias \"Python\" already belongs to \"python\""
        );
        assert_eq!(
            refused(entry("mine", "my", "rs")),
            "language \"mine\": extension \"rs\" already belongs to \"rust\""
        );
    }
}
