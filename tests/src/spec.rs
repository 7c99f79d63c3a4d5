//! Builders of wire job specs: the shortest way for a suite to say what it wants to run.

use bytes::Bytes;
use kiln_proto::v1::{
    Command, Content, EnvVar, FileIn, FileOut, JobSpec, Limits, Pipe, Step, StepOutput, Stream, content,
    step_output,
};

/// 1 MiB.
pub const MIB: u64 = 1024 * 1024;

/// Builds one command.
#[derive(Clone, Debug, Default)]
pub struct Cmd(pub Command);

/// A command with this argv and a `PATH`.
pub fn cmd<A: AsRef<[u8]>>(argv: impl IntoIterator<Item = A>) -> Cmd {
    let argv = argv.into_iter().map(|word| Bytes::copy_from_slice(word.as_ref())).collect();
    Cmd(Command { argv, ..Command::default() }).env("PATH", "/usr/local/bin:/usr/bin:/bin")
}

/// A shell script.
pub fn sh(script: &str) -> Cmd {
    cmd(["/bin/sh", "-c", script])
}

/// A Python program. It is started without `site`, so that it starts quickly.
pub fn python(program: &str) -> Cmd {
    cmd(["/usr/bin/python3", "-I", "-S", "-c", program])
}

impl Cmd {
    pub fn name(mut self, name: &str) -> Self {
        self.0.name = name.to_owned();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env.push(EnvVar {
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
        });
        self
    }

    pub fn cwd(mut self, cwd: &str) -> Self {
        self.0.cwd = Bytes::copy_from_slice(cwd.as_bytes());
        self
    }

    pub fn image(mut self, image: &str) -> Self {
        self.0.image = image.to_owned();
        self
    }

    pub fn profile(mut self, profile: &str) -> Self {
        self.0.profile = profile.to_owned();
        self
    }

    pub fn stdin(mut self, content: Content) -> Self {
        self.0.stdin = Some(content);
        self
    }

    pub fn file(mut self, path: &str, content: Content) -> Self {
        self.0.files_in.push(file_in(path, content, false));
        self
    }

    pub fn program(mut self, path: &str, content: Content) -> Self {
        self.0.files_in.push(file_in(path, content, true));
        self
    }

    /// Wants a file back; a missing one fails the step.
    pub fn wants(mut self, path: &str) -> Self {
        self.0.files_out.push(file_out(path, false));
        self
    }

    /// Takes a file back when it is there.
    pub fn takes(mut self, path: &str) -> Self {
        self.0.files_out.push(file_out(path, true));
        self
    }

    /// Changes the limits that differ from the policy's defaults.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(self.0.limits.get_or_insert_default());
        self
    }

    /// A step of this command alone.
    pub fn step(self, name: &str) -> Step {
        step(name, [self])
    }

    /// A job of this command alone.
    pub fn job(self) -> JobSpec {
        job([self.step("main")])
    }
}

pub fn inline(bytes: impl AsRef<[u8]>) -> Content {
    Content { source: Some(content::Source::Inline(Bytes::copy_from_slice(bytes.as_ref()))) }
}

pub fn blob(digest: &str) -> Content {
    Content { source: Some(content::Source::Blob(digest.to_owned())) }
}

/// A file that the only command of an earlier step left.
pub fn file_of(step: &str, path: &str) -> Content {
    let what = step_output::What::File(Bytes::copy_from_slice(path.as_bytes()));
    output_of(step, "", what)
}

/// What the only command of an earlier step wrote to stdout.
pub fn stdout_of(step: &str) -> Content {
    output_of(step, "", step_output::What::Stream(Stream::Stdout.into()))
}

pub fn output_of(step: &str, command: &str, what: step_output::What) -> Content {
    let output = StepOutput { step: step.to_owned(), command: command.to_owned(), what: Some(what) };
    Content { source: Some(content::Source::OutputOf(output)) }
}

pub fn step(name: &str, commands: impl IntoIterator<Item = Cmd>) -> Step {
    Step {
        name: name.to_owned(),
        commands: commands.into_iter().map(|command| command.0).collect(),
        ..Step::default()
    }
}

/// A step that runs after others.
pub fn after(needs: &[&str], mut step: Step) -> Step {
    step.needs = needs.iter().map(|&need| need.to_owned()).collect();
    step
}

/// A step whose commands are joined by pipes, each from one command's stdout to another's stdin.
pub fn piped(mut step: Step, pipes: &[(&str, &str)]) -> Step {
    step.pipes = pipes.iter().map(|&(from, to)| Pipe { from: from.to_owned(), to: to.to_owned() }).collect();
    step
}

pub fn job(steps: impl IntoIterator<Item = Step>) -> JobSpec {
    JobSpec { steps: steps.into_iter().collect(), ..JobSpec::default() }
}

pub fn labelled(mut job: JobSpec, name: &str, value: &str) -> JobSpec {
    job.labels.insert(name.to_owned(), value.to_owned());
    job
}

/// A job of two steps: compiles C, then runs the program with `run` applied to its command.
pub fn c_job(source: &str, run: impl FnOnce(Cmd) -> Cmd) -> JobSpec {
    job([compile_c("compile", source), after(&["compile"], run(compiled("compile")).step("run"))])
}

/// A step that compiles C to `/work/program`.
pub fn compile_c(name: &str, source: &str) -> Step {
    cmd(["gcc", "-O1", "-w", "-pthread", "-o", "/work/program", "/work/program.c"])
        .file("/work/program.c", inline(source))
        .profile("build")
        .wants("/work/program")
        .step(name)
}

/// The command that runs what [`compile_c`] made.
pub fn compiled(step: &str) -> Cmd {
    cmd(["/work/program"]).program("/work/program", file_of(step, "/work/program"))
}

fn file_in(path: &str, content: Content, executable: bool) -> FileIn {
    FileIn { path: Bytes::copy_from_slice(path.as_bytes()), content: Some(content), executable }
}

fn file_out(path: &str, optional: bool) -> FileOut {
    FileOut { path: Bytes::copy_from_slice(path.as_bytes()), optional, max_bytes: None }
}
