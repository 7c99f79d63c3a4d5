//! The language table as written in TOML, and its checking.
//!
//! Unknown keys are refused. What passes here cannot fail later: templates name only known fields, limits are positive.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::template::{self, Where};
use super::{Language, PATH, Phase, SourceName, TableError, WORK};
use crate::model::Profile;
use crate::v1;

/// A file of `[[language]]` entries.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFile {
    #[serde(default)]
    pub language: Vec<LanguageFile>,
}

/// One `[[language]]` entry.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageFile {
    pub name: String,
    pub title: Option<String>,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub extensions: Vec<String>,
    pub image: Option<String>,
    /// File name of the source in the sandbox.
    pub source: String,
    #[serde(default)]
    pub naming: Naming,
    /// Path of what the compile step makes; `/work/program` when unset.
    pub binary: Option<String>,
    pub tools: Vec<String>,
    pub version: Vec<String>,
    /// What the version command reads on stdin.
    #[serde(default)]
    pub version_input: String,
    /// For both phases, beside PATH, HOME and LANG.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub compile: Option<PhaseFile>,
    pub run: PhaseFile,
}

/// How the name of the source file is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// The client's name when it is plain and its ending is the language's.
    #[default]
    Keep,
    /// Always `source`.
    Fixed,
    /// After the public class of a Java text.
    JavaClass,
}

/// `[language.compile]` or `[language.run]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseFile {
    pub argv: Vec<String>,
    /// `build` for compiling and `default` for running when unset.
    pub profile: Option<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub limits: LimitsFile,
}

/// Limits that apply where the client says nothing. Unset means the policy's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    pub cpu_ms: Option<u64>,
    pub wall_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub pids: Option<u64>,
    pub output_bytes: Option<u64>,
    pub file_size_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub inodes: Option<u64>,
    pub open_files: Option<u64>,
    pub stack_bytes: Option<u64>,
    pub cpu_rate_millis: Option<u64>,
}

impl LanguageFile {
    /// Checks the entry and fills in what it leaves out.
    pub fn resolve(self) -> Result<Language, TableError> {
        self.check_words().map_err(|(field, why)| self.refusal(field, why))?;
        let binary = self.binary.clone().unwrap_or_else(|| format!("{WORK}/program"));
        let phase = |place, phase: &PhaseFile| {
            self.resolve_phase(place, phase).map_err(|(field, why)| self.refusal(field, why))
        };
        let compile = self.compile.as_ref().map(|compile| phase(Where::Compile, compile)).transpose()?;
        let run = phase(Where::Run, &self.run)?;
        Ok(Language {
            title: self.title.clone().unwrap_or_else(|| self.name.clone()),
            image: self.image.clone().unwrap_or_else(|| "host".to_owned()),
            source_name: self.source_name(),
            name: self.name,
            aliases: self.aliases,
            extensions: self.extensions,
            binary,
            tools: self.tools,
            version: self.version,
            version_input: self.version_input,
            compile,
            run,
        })
    }

    fn source_name(&self) -> SourceName {
        match self.naming {
            Naming::Keep => SourceName::KeepOr(self.source.clone()),
            Naming::Fixed => SourceName::Fixed(self.source.clone()),
            Naming::JavaClass => SourceName::JavaClass(self.source.clone()),
        }
    }

    fn refusal(&self, field: String, why: String) -> TableError {
        TableError::Entry { language: self.name.clone(), field, why }
    }

    fn check_words(&self) -> Result<(), (String, String)> {
        let refuse = |field: &str, why: &str| Err((field.to_owned(), why.to_owned()));
        if !is_word(&self.name, 63) {
            return refuse("name", "must be 1 to 63 of a-z, 0-9, '_', '+', '#' and '-'");
        }
        if self.source.is_empty() || self.source.contains(['/', '\0']) || self.source.starts_with('.') {
            return refuse("source", "must be a file name without '/', not beginning with '.'");
        }
        if self.extensions.iter().any(|ending| ending.is_empty() || ending.contains(['.', '/'])) {
            return refuse("extensions", "are written without dots, and are not empty");
        }
        if let Some(binary) = &self.binary
            && (!binary.starts_with("/work/")
                || binary.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")))
        {
            return refuse("binary", "must be a path below /work without '.' or '..'");
        }
        if self.tools.is_empty() || self.tools.iter().any(String::is_empty) {
            return refuse("tools", "must name at least one program");
        }
        if self.version.is_empty() {
            return refuse("version", "must be a command");
        }
        Ok(())
    }

    fn resolve_phase(&self, place: Where, file: &PhaseFile) -> Result<Phase, (String, String)> {
        let table = place.table();
        let at = |field: &str| format!("{table}.{field}");
        if file.argv.is_empty() {
            return Err((at("argv"), "must name a program".to_owned()));
        }
        for (index, word) in file.argv.iter().enumerate() {
            template::check(word, place).map_err(|why| (format!("{table}.argv[{index}]"), why))?;
        }
        let uses_memory =
            file.argv.iter().any(|word| word.contains("{memory_mib}") || word.contains("{heap_mib}"));
        if uses_memory && file.limits.memory_bytes.is_none() {
            let why = "must be set, because argv is computed from it".to_owned();
            return Err((at("limits.memory_bytes"), why));
        }
        let profile = file.profile.clone().unwrap_or_else(|| place.profile().to_owned());
        // Whether a custom one exists is the server's to say: the language may be for another machine's.
        profile.parse::<Profile>().map_err(|error| (at("profile"), error.to_string()))?;
        let limits = file.limits.resolve().map_err(|field| (at(&field), "must be 1 or more".to_owned()))?;
        Ok(Phase {
            argv: file.argv.clone(),
            profile,
            env: self.environment(file).map_err(|why| (at("env"), why))?,
            limits,
        })
    }

    fn environment(&self, phase: &PhaseFile) -> Result<Vec<(String, String)>, String> {
        let mut env = BTreeMap::from([("PATH", PATH), ("HOME", "/tmp"), ("LANG", "C.UTF-8")]);
        env.extend(self.env.iter().chain(&phase.env).map(|(name, value)| (name.as_str(), value.as_str())));
        match env
            .iter()
            .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
        {
            Some((name, _)) => Err(format!("{name:?} is empty or holds '=' or NUL")),
            None => Ok(env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
        }
    }
}

impl LimitsFile {
    fn resolve(self) -> Result<v1::Limits, String> {
        let limits = v1::Limits {
            cpu_ms: self.cpu_ms,
            wall_ms: self.wall_ms,
            memory_bytes: self.memory_bytes,
            pids: self.pids,
            output_bytes: self.output_bytes,
            file_size_bytes: self.file_size_bytes,
            disk_bytes: self.disk_bytes,
            inodes: self.inodes,
            open_files: self.open_files,
            stack_bytes: self.stack_bytes,
            cpu_rate_millis: self.cpu_rate_millis,
        };
        let named = super::job::named(&limits);
        match named.iter().find(|(_, value)| *value == Some(0)) {
            Some((name, _)) => Err(format!("limits.{name}")),
            None => Ok(limits),
        }
    }
}

fn is_word(word: &str, longest: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+#-".contains(&byte);
    (1..=longest).contains(&word.len()) && word.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::super::Table;

    /// A good entry with one line added or replaced.
    fn refusal(line: &str) -> String {
        let good = [
            "name = \"mine\"",
            "source = \"main.mine\"",
            "tools = [\"mine\"]",
            "version = [\"mine\", \"--version\"]",
            "run = { argv = [\"mine\", \"{source}\"] }",
        ];
        let key = line.split(" = ").next().unwrap();
        let mut lines: Vec<&str> =
            good.into_iter().filter(|own| !own.starts_with(&format!("{key} ="))).collect();
        lines.push(line);
        match Table::builtin().extend(&format!("[[language]]\n{}\n", lines.join("\n"))) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_mistake_of_an_entry_names_its_field_and_what_is_allowed() {
        assert_eq!(refusal("title = \"Mine\""), "");
        for (line, wanted) in [
            ("name = \"My Language\"", "name: must be 1 to 63"),
            ("source = \"../main\"", "source: must be a file name"),
            ("extensions = [\".x\"]", "extensions: are written without dots"),
            ("binary = \"/etc/passwd\"", "binary: must be a path below /work"),
            ("binary = \"/work/../x\"", "binary: must be a path below /work"),
            ("tools = []", "tools: must name at least one"),
            ("version = []", "version: must be a command"),
            ("run = { argv = [] }", "run.argv: must name a program"),
            ("run = { argv = [\"x\", \"{sauce}\"] }", "run.argv[1]: unknown field {sauce}"),
            ("run = { argv = [\"x\", \"{source\"] }", "run.argv[1]: '{' without '}'"),
            ("run = { argv = [\"x\", \"-m{heap_mib}\"] }", "run.limits.memory_bytes: must be set"),
            (
                "run = { argv = [\"x\"], profile = \"Root\" }",
                "run.profile: is \"Root\"; must be \"strict\", \"default\", \"build\", or a profile",
            ),
            ("run = { argv = [\"x\"], limits = { pids = 0 } }", "run.limits.pids: must be 1 or more"),
            ("run = { argv = [\"x\"], limits = { sheep = 1 } }", "unknown field `sheep`"),
            ("run = { argv = [\"x\"], env = { \"A=B\" = \"1\" } }", "run.env: \"A=B\" is empty or holds '='"),
            ("compile = { argv = [\"{args}\"] }", "compile.argv[0]: {args} is for the run phase"),
            ("colour = \"red\"", "unknown field `colour`"),
        ] {
            let seen = refusal(line);
            assert!(seen.contains(wanted), "{line}: {seen}");
        }
    }
}
