//! `kiln run`: one program, while its caller waits.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use kiln_client::{Client, ClientError};
use kiln_proto::v1::{Job, JobSpec, job_event::Event};
use kiln_worker::recorder::Recorder;

use crate::contents::{Contents, Stdin};
use crate::context::Context;
use crate::embedded::{Embedded, require_root};
use crate::exit;
use crate::explain;
use crate::failure::Failure;
use crate::files_out::bring_back;
use crate::flags::program::ProgramFlags;
use crate::json;
use crate::learn::{self, Lesson};
use crate::output::{Format, note, print_json};
use crate::present::live::{Live, Route};
use crate::present::outcome::needs_sentence;
use crate::present::usage::{timing_table, usage_table};
use crate::program::Program;
use crate::signals::Signals;

/// How long a cancelled job may take to be gone before we say so.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  kiln run prog.cpp < input.txt                  compile, run, show output and usage
  kiln run --memory 64M --wall 2s prog.py 1 2    with limits, and two arguments for the program
  kiln run --file data.csv --out result.png plot.py
  kiln run --json prog.py                        one JSON object
  kiln run --explain prog.cpp                    what the jail would do
  kiln run --learn=prog.json prog.py             record its system calls and write a profile that allows just those
  kiln run -- ls -la /                           a bare command

Flags of kiln come before FILE; what comes after it is for the program.

Exit status: the program's own; 128+n when signal n ended it; 124 when a limit or the filter stopped it;
125 when Kiln failed; 126 when compiling failed; 130 on Ctrl-C; 2 for wrong usage; 1 when the program exited 0
without leaving a file that --out wants.";

/// Run a program in a throwaway sandbox: a source file (compiled when its language is), or a bare command after `--`
///
/// Without --server, server and worker are started inside this process: nothing to set up.
/// stdin is passed through, to its end, when it is not a terminal; `--stdin /dev/null` gives the program none.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, override_usage = "kiln run [OPTIONS] FILE [ARGS]...\n       kiln run [OPTIONS] -- ARGV...")]
pub(crate) struct RunArgs {
    /// Print what the jail would do, and do not run anything
    #[arg(long)]
    explain: bool,
    /// Record the program's system calls, below its profile, and write the smallest profile that it runs under to FILE, to be
    /// reviewed. Slower; only without a server
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = learn::DEFAULT_FILE, conflicts_with = "explain")]
    learn: Option<PathBuf>,
    /// Where an engine of our own puts what it records
    #[arg(skip)]
    recorder: Recorder,
    /// Print how long each phase took
    #[arg(long)]
    timing: bool,
    /// No usage table
    #[arg(short, long)]
    quiet: bool,
    /// Program file and arguments for the program; or, after `--`, a command as it is
    #[arg(value_name = "FILE", trailing_var_arg = true)]
    words: Vec<OsString>,
    #[arg(skip)]
    form: Form,
    // Last: the headings of its limits hold for all that follows.
    #[command(flatten)]
    program: ProgramFlags,
}

/// What the words are. clap gives the same words for `run FILE` and `run -- ARGV`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    File,
    Bare,
}

impl RunArgs {
    /// Finds out, from all words of the command line, whether ours came after `--`. They are its end, so it is enough to look before them.
    pub(crate) fn look_before(&mut self, command_line: &[OsString]) {
        let before = command_line.len().checked_sub(self.words.len() + 1);
        if !self.words.is_empty() && before.is_some_and(|at| command_line[at] == "--") {
            self.form = Form::Bare;
        }
    }
}

pub(crate) async fn run(args: RunArgs, context: &Context) -> Result<u8, Failure> {
    let program = program(&args, context)?;
    if args.explain || context.settings.client_server.is_none() {
        require_root("kiln run without a server")?;
    }
    let stdin = stdin(&args.program);
    if args.explain {
        let spec = program.job(&args.program, &stdin, Contents::Described, None).await?;
        return explain::explain(spec, context).await;
    }
    if let Some(file) = &args.learn {
        learn::check_file(file)?;
        refuse_server(context)?;
    }
    let mut signals = Signals::listen()?;
    let Some(_) = &context.settings.client_server else {
        let recorder = args.learn.as_ref().map(|_| args.recorder.clone());
        let embedded = Embedded::start_with(&context.settings, 1, recorder, |config| config).await?;
        let ended = until_signal(&args, &program, &stdin, context, &embedded.client, &mut signals).await;
        signals.end_at_once_on_the_next();
        embedded.stop().await;
        return ended;
    };
    let client = context.client().await?;
    until_signal(&args, &program, &stdin, context, &client, &mut signals).await
}

/// A server's workers record for nobody: what a tenant's program does is not for another's eyes.
fn refuse_server(context: &Context) -> Result<(), Failure> {
    match &context.settings.client_server {
        None => Ok(()),
        Some(server) => Err(Failure::usage(format!(
            "--learn records a program that this command runs itself, so it cannot use the server {server}"
        ))
        .next("leave out --server, KILN_SERVER and `server` in [client] of the configuration")),
    }
}

/// FILE and its arguments, or the bare command.
fn program(args: &RunArgs, context: &Context) -> Result<Program, Failure> {
    match (args.form, args.words.split_first()) {
        (_, None) => Err(Failure::usage("nothing to run").next(
            "give a program file, e.g. `kiln run prog.py`, or a command after `--`, e.g. `kiln run -- ls /`",
        )),
        (Form::Bare, Some(_)) => Program::bare(args.words.clone(), &args.program),
        (Form::File, Some((file, rest))) => {
            let language = args.program.language.as_deref();
            Program::of_file(PathBuf::from(file), rest.to_vec(), language, &context.settings.languages)
        }
    }
}

pub(crate) fn stdin(flags: &ProgramFlags) -> Stdin {
    match &flags.stdin {
        Some(path) => Stdin::File(path.clone()),
        None if std::io::stdin().is_terminal() => Stdin::Empty,
        None => Stdin::Ours,
    }
}

/// Runs the job to its end; on a signal, cancels it and waits until it is gone.
async fn until_signal(
    args: &RunArgs,
    program: &Program,
    stdin: &Stdin,
    context: &Context,
    client: &Client,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let job_id = OnceCell::new();
    let ended = tokio::select! {
        ended = to_the_end(args, program, stdin, context, client, &job_id) => ended,
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    };
    // Whatever stopped us early, a signal or a closed stdout: the job is not wanted any more.
    if let (Err(_), Some(job_id)) = (&ended, job_id.get()) {
        match tokio::time::timeout(CANCEL_PATIENCE, cancel(client, job_id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cancelling failed"),
            Err(_) => note("kiln: the server does not confirm that the job is cancelled"),
        }
    }
    ended
}

async fn cancel(client: &Client, job_id: &str) -> Result<(), ClientError> {
    client.cancel(job_id).await?;
    client.wait(job_id).await.map(|_| ())
}

async fn to_the_end(
    args: &RunArgs,
    program: &Program,
    stdin: &Stdin,
    context: &Context,
    client: &Client,
    job_id: &OnceCell<String>,
) -> Result<u8, Failure> {
    let capabilities = client.capabilities().await?;
    let contents = Contents::Server { client, max_blob_bytes: capabilities.max_blob_bytes };
    let spec = program.job(&args.program, stdin, contents, capabilities.maximum_limits.as_ref()).await?;
    let spec = client.fit(spec).await?;
    let mut live = Live::new(context.format, route(&spec));
    let job = follow(client, spec, &mut live, job_id).await?;
    live.end_spinner();
    bring_back(client, &job, &args.program.outs).await?;
    let lesson = match &args.learn {
        Some(file) => lesson(args, program, file, &job)?,
        None => None,
    };
    show(args, context, &job, &live, lesson.as_ref())?;
    Ok(exit::of_job(&job))
}

fn route(spec: &JobSpec) -> Route {
    if spec.steps.len() > 1 && spec.steps[0].name == exit::COMPILE_STEP {
        Route::CompilerToStderr(exit::COMPILE_STEP)
    } else {
        Route::Straight
    }
}

async fn follow(
    client: &Client,
    spec: JobSpec,
    live: &mut Live,
    job_id: &OnceCell<String>,
) -> Result<Job, Failure> {
    let mut events = client.run(spec).await?;
    while let Some(event) = events.next_event().await? {
        if !event.job_id.is_empty() {
            job_id.get_or_init(|| event.job_id.clone());
        }
        if !matches!(event.event, Some(Event::Output(_))) {
            live.flush().await?;
        }
        match event.event {
            Some(Event::StepStarted(started)) => live.step_started(&started.step),
            Some(Event::Output(chunk)) => live.output(&chunk).await?,
            Some(Event::Progress(progress)) => live.progress(&progress),
            Some(Event::Done(done)) => {
                return done
                    .job
                    .ok_or_else(|| ClientError::Incomplete { call: "Run", field: "done.job" }.into());
            }
            Some(Event::Accepted(_) | Event::CommandFinished(_) | Event::StepFinished(_)) | None => {}
        }
    }
    Err(Failure::kiln("the server ended the run without a result").next("look into the server's log"))
}

/// What was recorded of the program itself, which is the last of its steps; nothing when it did not come to run.
fn lesson(args: &RunArgs, program: &Program, file: &Path, job: &Job) -> Result<Option<Lesson>, Failure> {
    let mut recordings = args.recorder.take();
    if recordings.len() < job.steps.len() {
        note("kiln: the program did not run, so nothing was learnt");
        return Ok(None);
    }
    let recording = recordings.pop();
    recording.map(|recording| Lesson::write(recording, file, &program.name(), job)).transpose()
}

fn show(
    args: &RunArgs,
    context: &Context,
    job: &Job,
    live: &Live,
    lesson: Option<&Lesson>,
) -> Result<(), Failure> {
    if context.format == Format::Json {
        let shown = json::job::Job::new(job, json::job::Spec::Left, &live.received);
        let learned = lesson.map(Lesson::to_json);
        return print_json(&json::job::Learnt { job: shown, learned });
    }
    explain_end(job);
    lesson.iter().for_each(|lesson| note(&lesson.to_text()));
    if !args.quiet {
        note(usage_table(job).trim_end());
    }
    if args.timing {
        note(timing_table(job).trim_end());
    }
    Ok(())
}

/// Says how the job ended where the exit status alone does not.
pub(crate) fn explain_end(job: &Job) {
    let Some((step, result)) = exit::deciding(job) else { return };
    if exit::compile_failed(job) {
        note("kiln: compiling failed");
    }
    if let Some(outcome) = result.outcome.as_ref().filter(|outcome| needs_sentence(outcome)) {
        note(&format!("kiln: {step}: {}", outcome.sentence));
        if outcome.kind() == kiln_proto::v1::OutcomeKind::Infrastructure {
            note("  `kiln doctor` shows what this host has and lacks, with a fix for each");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: RunArgs,
    }

    fn parse(words: &[&str]) -> Result<(Form, Vec<String>), String> {
        let line: Vec<OsString> = ["kiln", "run"].iter().chain(words).map(OsString::from).collect();
        let mut only = Only::try_parse_from(&line[1..]).map_err(|error| error.to_string())?;
        only.args.look_before(&line);
        let words = only.args.words.into_iter().map(|word| word.display().to_string());
        Ok((only.args.form, words.collect()))
    }

    #[test]
    fn what_follows_the_file_is_the_programs_own_and_a_bare_command_follows_two_dashes() {
        let table: [(&[&str], Form, &[&str]); 7] = [
            (&["a.py"], Form::File, &["a.py"]),
            (&["--cpu", "1s", "a.py", "--cpu", "-x", "a b"], Form::File, &["a.py", "--cpu", "-x", "a b"]),
            (&["a.py", "--", "x"], Form::File, &["a.py", "--", "x"]),
            (&["help"], Form::File, &["help"]),
            (&["--", "ls", "-la", "/"], Form::Bare, &["ls", "-la", "/"]),
            (&["--wall=1s", "--", "sh", "--", "echo"], Form::Bare, &["sh", "--", "echo"]),
            (&["--"], Form::File, &[]),
        ];
        for (words, form, expected) in table {
            let expected = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(parse(words), Ok((form, expected)), "{words:?}");
        }
        assert!(parse(&["--bogus", "a.py"]).expect_err("no such flag").contains("--bogus"));
    }
}
