//! High arguments of a program: what is to be run, all decided, and the job made from it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kiln_proto::language::{self, Language, Source, Table};
use kiln_proto::v1;

use crate::contents::{Contents, Stdin};
use crate::failure::Failure;
use crate::flags::program::ProgramFlags;
use crate::nearest::nearest;

/// What a bare command, which no language gives an environment, finds in its own.
const BARE_ENV: [(&str, &str); 3] = [("PATH", language::PATH), ("HOME", "/tmp"), ("LANG", "C.UTF-8")];

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// A program text in a language.
    File { path: PathBuf, language: Box<Language>, args: Vec<OsString> },
    /// A command as it is.
    Bare { argv: Vec<OsString> },
}

impl Program {
    /// A program text; its language by name, else by the file's ending.
    pub(crate) fn of_file(
        path: PathBuf,
        args: Vec<OsString>,
        name: Option<&str>,
        table: &Table,
    ) -> Result<Program, Failure> {
        if let Err(error) = std::fs::File::open(&path) {
            return Err(Failure::usage(format!("cannot read {}: {error}", path.display()))
                .next("to run a command of the image, write it after `--`: kiln run -- ls /"));
        }
        let language = match name {
            Some(name) => by_name(name, table)?,
            None => by_ending(&path, table)?,
        };
        Ok(Program::File { path, language: Box::new(language.clone()), args })
    }

    pub(crate) fn bare(argv: Vec<OsString>, flags: &ProgramFlags) -> Result<Program, Failure> {
        if flags.language.is_some() {
            return Err(Failure::usage("--language is for program files; after `--` comes a bare command"));
        }
        if argv.first().is_none_or(|program| program.is_empty()) {
            return Err(Failure::usage("the command is empty").next("e.g. kiln run -- ls /"));
        }
        Ok(Program::Bare { argv })
    }

    /// What it is called, without its arguments.
    pub(crate) fn name(&self) -> String {
        match self {
            Program::File { path, .. } => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Program::Bare { argv } => {
                argv.first().map(|word| word.to_string_lossy()).unwrap_or_default().into_owned()
            }
        }
    }

    /// The job that runs it, with contents already where the server finds them.
    pub(crate) async fn job(
        &self,
        flags: &ProgramFlags,
        stdin: &Stdin,
        contents: Contents<'_>,
        maximum: Option<&v1::Limits>,
    ) -> Result<v1::JobSpec, Failure> {
        let mut files = Vec::new();
        for pair in &flags.files {
            files.push(contents.file_in(pair).await?);
        }
        let mut spec = match self {
            Program::File { path, language, args } => {
                let source = Source {
                    file_name: path.as_os_str().as_bytes().to_vec(),
                    content: contents.of_file(path).await?,
                };
                let language = match maximum {
                    Some(maximum) => language.as_ref().clone().bounded(maximum),
                    None => language.as_ref().clone(),
                };
                let args = args.iter().map(|word| word.as_bytes().to_vec()).collect();
                let stdin = contents.of_stdin(stdin).await?;
                let (run, compile) = (flags.limits.to_wire(), flags.compile_limits.to_wire());
                language.job(source, files, args, stdin, run, compile)
            }
            Program::Bare { argv } => bare_job(argv, files, contents.of_stdin(stdin).await?, flags),
        };
        apply(flags, &mut spec);
        Ok(spec)
    }
}

fn by_name<'a>(name: &str, table: &'a Table) -> Result<&'a Language, Failure> {
    table.by_name(name).ok_or_else(|| {
        let words = || {
            table.iter().flat_map(|language| {
                std::iter::once(language.name.as_str()).chain(language.aliases.iter().map(String::as_str))
            })
        };
        let near = nearest(name, words());
        let next = if near.is_empty() {
            let names: Vec<_> = table.iter().map(|language| language.name.as_str()).collect();
            format!("there are: {}", names.join(", "))
        } else {
            format!("did you mean {}?", near.join(", or "))
        };
        Failure::usage(format!("unknown language `{name}`")).next(next)
    })
}

fn by_ending<'a>(path: &Path, table: &'a Table) -> Result<&'a Language, Failure> {
    table.by_extension(path).ok_or_else(|| {
        let what = match path.extension() {
            Some(ending) => format!("the ending `.{}` belongs to no language", ending.display()),
            None => format!("{} has no ending that tells its language", path.display()),
        };
        Failure::usage(what).next("name it with --language; `kiln languages` lists them with their endings")
    })
}

fn bare_job(
    argv: &[OsString],
    files_in: Vec<v1::FileIn>,
    stdin: Option<v1::Content>,
    flags: &ProgramFlags,
) -> v1::JobSpec {
    let env = BARE_ENV.into_iter().map(|(name, value)| v1::EnvVar { name: name.into(), value: value.into() });
    let command = v1::Command {
        argv: argv.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect(),
        env: env.collect(),
        stdin,
        files_in,
        limits: Some(flags.limits.to_wire()),
        ..v1::Command::default()
    };
    let step = v1::Step { name: "run".to_owned(), commands: vec![command], ..v1::Step::default() };
    v1::JobSpec { steps: vec![step], ..v1::JobSpec::default() }
}

/// What the flags say beyond program, inputs and limits.
fn apply(flags: &ProgramFlags, spec: &mut v1::JobSpec) {
    spec.labels = flags.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
    spec.priority = flags.priority.map_or(v1::Priority::Unspecified, v1::Priority::from).into();
    if let Some(image) = &flags.image {
        let commands = spec.steps.iter_mut().flat_map(|step| &mut step.commands);
        commands.for_each(|command| command.image.clone_from(image));
    }
    // The last step is the program itself; a compile step before it keeps its own environment and profile.
    let Some(run) = spec.steps.last_mut().and_then(|step| step.commands.last_mut()) else { return };
    for pair in &flags.env {
        run.env.retain(|present| present.name != pair.name);
        let (name, value) = (Bytes::from(pair.name.clone()), Bytes::from(pair.value.clone()));
        run.env.push(v1::EnvVar { name, value });
    }
    if let Some(profile) = &flags.profile {
        run.profile = profile.to_string();
    }
    if let Some(cwd) = &flags.cwd {
        run.cwd = Bytes::from(cwd.clone().into_os_string().into_vec());
    }
    let wanted = flags.outs.iter();
    run.files_out.extend(
        wanted.map(|pair| v1::FileOut { path: pair.sandbox.clone().into(), ..v1::FileOut::default() }),
    );
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        flags: ProgramFlags,
    }

    fn flags(words: &str) -> ProgramFlags {
        Only::try_parse_from(std::iter::once("kiln").chain(words.split_whitespace()))
            .expect("well written")
            .flags
    }

    async fn job(program: &Program, words: &str) -> v1::JobSpec {
        program.job(&flags(words), &Stdin::Empty, Contents::Described, None).await.expect("all can be read")
    }

    #[tokio::test]
    async fn a_bare_command_gets_a_small_environment_and_what_the_flags_say() {
        let program = Program::bare(vec!["echo".into(), "hi".into()], &flags("")).expect("a command");
        let spec =
            job(&program, "--env A=1 --env HOME=/work --profile strict --cwd /tmp --out r --pids 3").await;
        let command = &spec.steps[0].commands[0];
        let env: Vec<_> = command.env.iter().map(|pair| (pair.name.as_ref(), pair.value.as_ref())).collect();
        let path = language::PATH.as_bytes();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"PATH", path), (b"LANG", b"C.UTF-8"), (b"A", b"1"), (b"HOME", b"/work")];
        assert_eq!(env, expected);
        assert_eq!((command.profile.as_str(), command.cwd.as_ref()), ("strict", &b"/tmp"[..]));
        assert_eq!(command.files_out[0].path.as_ref(), b"/work/r");
        assert_eq!(command.limits.and_then(|limits| limits.pids), Some(3));
    }

    #[tokio::test]
    async fn flags_for_the_program_leave_the_compile_step_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.cpp");
        std::fs::write(&path, "int main() {}").expect("it can be written");
        let program =
            Program::of_file(path, vec!["x".into()], None, &Table::builtin()).expect("C++ is known");
        let spec = job(&program, "--env A=1 --image deb --cpu 2s --compile-cpu 9s --label k=v").await;
        let [compile, run] = &spec.steps[..] else { panic!("C++ has two steps") };
        let cpu = |step: &v1::Step| step.commands[0].limits.and_then(|limits| limits.cpu_ms);
        assert_eq!((cpu(compile), cpu(run)), (Some(9_000), Some(2_000)));
        assert!(spec.steps.iter().all(|step| step.commands[0].image == "deb"));
        let has_a = |step: &v1::Step| step.commands[0].env.iter().any(|pair| pair.name.as_ref() == b"A");
        assert!(has_a(run) && !has_a(compile));
        assert_eq!(run.commands[0].argv.last().map(Bytes::as_ref), Some(&b"x"[..]));
        assert_eq!(spec.labels["k"], "v");
    }

    #[test]
    fn unknown_languages_name_their_neighbours_and_unknown_endings_the_flag() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, "x").expect("it can be written");
            path
        };
        let table = Table::builtin();
        let refused = |path: PathBuf, name: Option<&str>| {
            let failure = Program::of_file(path, Vec::new(), name, &table).expect_err("refused");
            assert_eq!(failure.exit, crate::exit::USAGE);
            failure.to_string()
        };
        assert!(refused(file("a.py"), Some("pyhton")).contains("did you mean python"));
        assert!(refused(file("a.py"), Some("klingon")).contains("there are: "));
        assert!(refused(file("a.unheard"), None).contains("`.unheard` belongs to no language"));
        assert!(refused(file("Makefile"), None).contains("--language"));
        assert!(refused(directory.path().join("absent.py"), None).contains("No such file"));
    }

    #[test]
    fn an_empty_command_and_a_language_for_a_bare_command_are_wrong_usage() {
        assert!(Program::bare(Vec::new(), &flags("")).is_err());
        assert!(Program::bare(vec![OsString::new()], &flags("")).is_err());
        assert!(Program::bare(vec!["ls".into()], &flags("--language c")).is_err());
    }

    #[tokio::test]
    async fn missing_inputs_and_directories_are_wrong_usage() {
        let program = Program::bare(vec!["ls".into()], &flags("")).expect("a command");
        for words in ["--file /nowhere/at/all", "--file /tmp:d"] {
            let failure = program
                .job(&flags(words), &Stdin::Empty, Contents::Described, None)
                .await
                .expect_err("it is no file");
            assert_eq!(failure.exit, crate::exit::USAGE);
        }
        let absent = Stdin::File("/nowhere/at/all".into());
        assert!(program.job(&flags(""), &absent, Contents::Described, None).await.is_err());
    }
}
