//! A job from one source file: a step `compile` where the language has one, and a step `run`.
//!
//! What the compile step makes is a read-only input of the run step; sources are not, so a compiled program sees only
//! itself and the client's own files.

use prost::bytes::Bytes;

use super::naming::{self, Named};
use super::template::{self, Values, Where};
use super::{Language, Phase, WORK};
use crate::v1;

/// Memory that templates are computed from when neither client nor language says: the default of the default policy.
const UNSTATED_MEMORY_BYTES: u64 = 512 << 20;

/// One program text.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// As the client calls it; a path is cut to its last part.
    pub file_name: Vec<u8>,
    pub content: v1::Content,
}

impl Language {
    /// The job that compiles and runs `source`. `extra` files are given to both steps, `args` to the program. Limits
    /// that the client leaves unset are the language's; what those leave unset is the policy's.
    pub fn job(
        &self,
        source: Source,
        extra: Vec<v1::FileIn>,
        args: Vec<Vec<u8>>,
        stdin: impl Into<Option<v1::Content>>,
        run_limits: v1::Limits,
        compile_limits: v1::Limits,
    ) -> v1::JobSpec {
        let named = self.name_of(&source);
        let file = v1::FileIn {
            path: work_path(&named.file).into(),
            content: Some(source.content),
            executable: false,
        };
        let given: Vec<v1::FileIn> = std::iter::once(file).chain(extra.iter().cloned()).collect();
        let compile = self.compile.as_ref().map(|phase| {
            let command = self.command(Where::Compile, phase, &named, &[], given.clone(), compile_limits);
            step("compile", &[], self.with_output(command))
        });
        let files_in = match compile {
            Some(_) => std::iter::once(self.compiled()).chain(extra).collect(),
            None => given,
        };
        let mut run = self.command(Where::Run, &self.run, &named, &args, files_in, run_limits);
        run.stdin = stdin.into().filter(|content| content.source.is_some());
        let needs: &[&str] = if compile.is_some() { &["compile"] } else { &[] };
        let steps = compile.into_iter().chain([step("run", needs, run)]).collect();
        v1::JobSpec { steps, ..v1::JobSpec::default() }
    }

    /// The same language with no default above the policy's maximum, so that a job of it is never refused for limits
    /// that the client did not ask for.
    pub fn bounded(mut self, maximum: &v1::Limits) -> Language {
        for phase in self.compile.iter_mut().chain([&mut self.run]) {
            phase.limits = lower(&phase.limits, maximum);
        }
        self
    }

    /// A command that prints the version, for finding out whether an image has this language.
    pub fn version_command(&self) -> v1::Command {
        v1::Command {
            argv: self.version.iter().map(|word| Bytes::from(word.clone())).collect(),
            env: env_vars(&self.run),
            image: self.image.clone(),
            stdin: (!self.version_input.is_empty()).then(|| v1::Content {
                source: Some(v1::content::Source::Inline(self.version_input.clone().into())),
            }),
            profile: "default".to_owned(),
            limits: Some(self.run.limits),
            ..v1::Command::default()
        }
    }

    fn name_of(&self, source: &Source) -> Named {
        let text = match &source.content.source {
            Some(v1::content::Source::Inline(text)) => Some(text.as_ref()),
            _ => None,
        };
        naming::name(self, &source.file_name, text)
    }

    fn command(
        &self,
        place: Where,
        phase: &Phase,
        named: &Named,
        args: &[Vec<u8>],
        files_in: Vec<v1::FileIn>,
        asked: v1::Limits,
    ) -> v1::Command {
        let limits = or(&asked, &phase.limits);
        let values = Values {
            source: work_path(&named.file),
            binary: self.binary.clone().into_bytes(),
            stem: naming::stem(&named.file).to_vec(),
            main_class: named.main_class.clone(),
            memory_bytes: limits.memory_bytes.unwrap_or(UNSTATED_MEMORY_BYTES),
        };
        v1::Command {
            argv: template::fill(&phase.argv, place, &values, args).into_iter().map(Bytes::from).collect(),
            env: env_vars(phase),
            image: self.image.clone(),
            files_in,
            limits: Some(limits),
            profile: phase.profile.clone(),
            ..v1::Command::default()
        }
    }

    fn with_output(&self, command: v1::Command) -> v1::Command {
        let binary = v1::FileOut { path: self.binary.clone().into(), ..v1::FileOut::default() };
        v1::Command { files_out: vec![binary], ..command }
    }

    fn compiled(&self) -> v1::FileIn {
        let binary = v1::StepOutput {
            step: "compile".to_owned(),
            what: Some(v1::step_output::What::File(self.binary.clone().into())),
            ..v1::StepOutput::default()
        };
        v1::FileIn {
            path: self.binary.clone().into(),
            content: Some(v1::Content { source: Some(v1::content::Source::OutputOf(binary)) }),
            executable: true,
        }
    }
}

/// Every limit by its name on the wire.
pub(super) fn named(limits: &v1::Limits) -> [(&'static str, Option<u64>); 11] {
    [
        ("cpu_ms", limits.cpu_ms),
        ("wall_ms", limits.wall_ms),
        ("memory_bytes", limits.memory_bytes),
        ("pids", limits.pids),
        ("output_bytes", limits.output_bytes),
        ("file_size_bytes", limits.file_size_bytes),
        ("disk_bytes", limits.disk_bytes),
        ("inodes", limits.inodes),
        ("open_files", limits.open_files),
        ("stack_bytes", limits.stack_bytes),
        ("cpu_rate_millis", limits.cpu_rate_millis),
    ]
}

fn or(asked: &v1::Limits, language: &v1::Limits) -> v1::Limits {
    combine(asked, language, |asked, language| asked.or(language))
}

fn lower(limits: &v1::Limits, maximum: &v1::Limits) -> v1::Limits {
    combine(limits, maximum, |limit, maximum| {
        limit.map(|limit| maximum.map_or(limit, |maximum| limit.min(maximum)))
    })
}

fn combine(
    left: &v1::Limits,
    right: &v1::Limits,
    choose: impl Fn(Option<u64>, Option<u64>) -> Option<u64>,
) -> v1::Limits {
    v1::Limits {
        cpu_ms: choose(left.cpu_ms, right.cpu_ms),
        wall_ms: choose(left.wall_ms, right.wall_ms),
        memory_bytes: choose(left.memory_bytes, right.memory_bytes),
        pids: choose(left.pids, right.pids),
        output_bytes: choose(left.output_bytes, right.output_bytes),
        file_size_bytes: choose(left.file_size_bytes, right.file_size_bytes),
        disk_bytes: choose(left.disk_bytes, right.disk_bytes),
        inodes: choose(left.inodes, right.inodes),
        open_files: choose(left.open_files, right.open_files),
        stack_bytes: choose(left.stack_bytes, right.stack_bytes),
        cpu_rate_millis: choose(left.cpu_rate_millis, right.cpu_rate_millis),
    }
}

fn env_vars(phase: &Phase) -> Vec<v1::EnvVar> {
    let var = |(name, value): &(String, String)| v1::EnvVar {
        name: name.clone().into(),
        value: value.clone().into(),
    };
    phase.env.iter().map(var).collect()
}

fn work_path(name: &[u8]) -> Vec<u8> {
    [WORK.as_bytes(), b"/", name].concat()
}

fn step(name: &str, needs: &[&str], command: v1::Command) -> v1::Step {
    v1::Step {
        name: name.to_owned(),
        needs: needs.iter().map(ToString::to_string).collect(),
        commands: vec![command],
        ..v1::Step::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Table;
    use super::*;
    use crate::model::{JobSpec, LimitPolicy};

    fn inline(text: &str) -> v1::Content {
        v1::Content { source: Some(v1::content::Source::Inline(Bytes::from(text.to_owned()))) }
    }

    fn job_of(language: &str, file: &str, text: &str, run_limits: v1::Limits) -> v1::JobSpec {
        let table = Table::builtin();
        let source = Source { file_name: file.into(), content: inline(text) };
        let extra =
            vec![v1::FileIn { path: "/work/data.txt".into(), content: Some(inline("d")), executable: false }];
        let args = vec![b"one".to_vec()];
        table.by_name(language).unwrap().job(
            source,
            extra,
            args,
            inline("in"),
            run_limits,
            v1::Limits::default(),
        )
    }

    fn argv(step: &v1::Step) -> Vec<String> {
        step.commands[0].argv.iter().map(|word| String::from_utf8(word.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_compiled_language_is_two_steps_and_the_program_alone_reaches_the_second() {
        let job = job_of("cpp", "dir/sort.cpp", "int main(){}", v1::Limits::default());
        let [compile, run] = job.steps.as_slice() else { panic!("{} steps", job.steps.len()) };
        assert_eq!((compile.name.as_str(), run.name.as_str()), ("compile", "run"));
        assert_eq!(run.needs, ["compile"]);
        assert_eq!(argv(compile)[0], "g++");
        assert!(argv(compile).contains(&"/work/sort.cpp".to_owned()));
        assert_eq!(argv(run), ["/work/program", "one"]);
        assert_eq!(compile.commands[0].files_out[0].path, "/work/program");
        assert_eq!(
            (compile.commands[0].profile.as_str(), run.commands[0].profile.as_str()),
            ("build", "default")
        );
        assert_eq!(compile.commands[0].stdin, None);
        assert_eq!(run.commands[0].stdin, Some(inline("in")));
        let files: Vec<&[u8]> = run.commands[0].files_in.iter().map(|file| file.path.as_ref()).collect();
        assert_eq!(files, [b"/work/program".as_slice(), b"/work/data.txt"]);
        assert!(run.commands[0].files_in[0].executable);
    }

    #[test]
    fn an_interpreted_language_is_one_step() {
        let job = job_of("python", "words.py", "print(1)", v1::Limits::default());
        assert_eq!(job.steps.len(), 1);
        assert_eq!(argv(&job.steps[0]), ["python3", "/work/words.py", "one"]);
        assert!(job.steps[0].needs.is_empty());
    }

    #[test]
    fn the_clients_limits_win_and_javas_heap_follows_them() {
        let asked = v1::Limits { memory_bytes: Some(256 << 20), ..v1::Limits::default() };
        let job =
            job_of("java", "x.java", "public class Solve { public static void main(String[] a) {} }", asked);
        assert!(job.steps[0].commands[0].files_in[0].path == "/work/Solve.java");
        assert!(argv(&job.steps[1]).contains(&"-Xmx160m".to_owned()));
        let limits = job.steps[1].commands[0].limits.unwrap();
        assert_eq!(limits.memory_bytes, Some(256 << 20));
        assert!(limits.pids.is_some(), "the language's default stays where the client says nothing");
    }

    #[test]
    fn a_languages_defaults_never_exceed_a_policy() {
        let maximum =
            v1::Limits { memory_bytes: Some(64 << 20), pids: Some(1_000_000), ..v1::Limits::default() };
        for language in Table::builtin().iter() {
            let bounded = language.clone().bounded(&maximum);
            assert!(bounded.run.limits.memory_bytes.is_none_or(|bytes| bytes <= 64 << 20));
            assert_eq!(bounded.run.limits.pids, language.run.limits.pids);
        }
    }

    #[test]
    fn every_languages_job_and_version_command_pass_the_models_checks() {
        let policy = LimitPolicy::default();
        for language in Table::builtin().iter() {
            let job = job_of(&language.name, "", "", v1::Limits::default());
            JobSpec::check(job, &policy).unwrap_or_else(|invalid| panic!("{}: {invalid}", language.name));
            let version = v1::JobSpec {
                steps: vec![step("version", &[], language.version_command())],
                ..v1::JobSpec::default()
            };
            JobSpec::check(version, &policy).unwrap_or_else(|invalid| panic!("{}: {invalid}", language.name));
        }
    }

    #[test]
    fn a_shell_in_the_table_never_reads_text_of_the_job() {
        for language in Table::builtin().iter() {
            for phase in language.compile.iter().chain([&language.run]) {
                if let Some(script) = phase.argv.iter().position(|word| word == "-c") {
                    assert!(
                        !phase.argv[script + 1].contains('{'),
                        "{}: fields belong after the script",
                        language.name
                    );
                }
            }
        }
    }
}
