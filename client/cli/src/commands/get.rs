//! `kiln get`: a job as it stands.

use clap::{Args, ValueEnum};
use kiln_client::Client;
use kiln_proto::v1::{CommandResult, Job, JobState, Output};

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::files_out::bring_back;
use crate::flags::pairs::{OutPair, os_parser, out_pair};
use crate::json::{
    job::{Job as JobJson, ReceivedOutput, Spec},
    word,
};
use crate::output::{Format, flush, forward, print, print_json};
use crate::present::time::local;
use crate::present::usage::usage_table;

const EXAMPLES: &str = "\
Examples:
  kiln get ID                                    state, outcome and usage
  kiln get ID --stream stdout > output.txt       all of what the program wrote
  kiln get ID --out result.png                   a file that the job was asked to leave
  kiln get ID --json                             everything, its spec included";

/// Show a job: state, outcome, usage, output, files
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// Id of the job
    #[arg(value_name = "ID")]
    id: String,
    /// Write this stream of the deciding command, whole and nothing else, to stdout
    #[arg(long, value_enum)]
    stream: Option<StreamName>,
    /// Bring a file back that the job left
    #[arg(short, long = "out", value_name = "SANDBOX[:HOST]", value_parser = os_parser(out_pair))]
    outs: Vec<OutPair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StreamName {
    Stdout,
    Stderr,
}

pub(crate) async fn run(args: GetArgs, context: &Context) -> Result<u8, Failure> {
    let client = context.client().await?;
    let job = client.job(&args.id).await?;
    bring_back(&client, &job, &args.outs).await?;
    if let Some(stream) = args.stream {
        let Some((_, result)) = exit::deciding(&job) else {
            return Err(Failure::negative("no command of this job has ended yet")
                .next(format!("`kiln wait {}` waits for its end", job.id)));
        };
        let output = match stream {
            StreamName::Stdout => &result.stdout,
            StreamName::Stderr => &result.stderr,
        };
        write_output(&client, output.as_ref(), Sink::Stdout).await?;
        return Ok(exit::SUCCESS);
    }
    match context.format {
        Format::Json => print_json(&JobJson::new(&job, Spec::Shown, &ReceivedOutput::new()))?,
        Format::People => print(&describe(&job))?,
    }
    Ok(exit::SUCCESS)
}

/// A job for people.
pub(crate) fn describe(job: &Job) -> String {
    let mut text =
        format!("job        {}\nstate      {}\n", job.id, word(job.state().as_str_name(), "JOB_STATE_"));
    if job.state() == JobState::Done {
        text.push_str(&format!("verdict    {}\n", word(job.verdict().as_str_name(), "JOB_VERDICT_")));
    }
    text.push_str(&format!("submitted  {}\n", local(job.submitted_unix_us)));
    text.push_str(&format!("finished   {}\n", local(job.finished_unix_us)));
    for step in &job.steps {
        let state = word(step.state().as_str_name(), "STEP_STATE_");
        let on = if step.worker.is_empty() { String::new() } else { format!(" on {}", step.worker) };
        text.push_str(&format!("step       {}: {state}{on}\n", step.name));
        for result in &step.commands {
            if let Some(outcome) = &result.outcome {
                text.push_str(&format!("           {}: {}\n", result.name, outcome.sentence));
            }
        }
    }
    if job.steps.iter().any(|step| !step.commands.is_empty()) {
        text.push_str(&usage_table(job));
    }
    text
}

/// What every command wrote, to our own streams: a compiler's on stderr, as `kiln run` does.
pub(crate) async fn print_streams(client: &Client, job: &Job) -> Result<(), Failure> {
    for step in &job.steps {
        let compiler = job.steps.len() > 1 && step.name == exit::COMPILE_STEP;
        for result in &step.commands {
            print_streams_of(client, result, compiler).await?;
        }
    }
    Ok(())
}

/// What one command wrote; both streams on stderr for a compiler.
pub(crate) async fn print_streams_of(
    client: &Client,
    result: &CommandResult,
    compiler: bool,
) -> Result<(), Failure> {
    let out = if compiler { Sink::Stderr } else { Sink::Stdout };
    write_output(client, result.stdout.as_ref(), out).await?;
    write_output(client, result.stderr.as_ref(), Sink::Stderr).await
}

#[derive(Clone, Copy)]
enum Sink {
    Stdout,
    Stderr,
}

async fn write_output(client: &Client, output: Option<&Output>, sink: Sink) -> Result<(), Failure> {
    let Some(output) = output else { return Ok(()) };
    match sink {
        Sink::Stdout => write_whole(client, output, &mut tokio::io::stdout(), "stdout").await,
        Sink::Stderr => write_whole(client, output, &mut tokio::io::stderr(), "stderr").await,
    }
}

async fn write_whole(
    client: &Client,
    output: &Output,
    sink: &mut (impl tokio::io::AsyncWrite + Unpin),
    name: &str,
) -> Result<(), Failure> {
    if output.blob.is_empty() {
        forward(sink, name, &output.data).await?;
        return flush(sink, name).await;
    }
    match client.blob_to(&output.blob, sink).await {
        Err(kiln_client::ClientError::WriteContent { source, .. })
            if source.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Err(Failure::closed_pipe())
        }
        other => Ok(other.map(|_| ())?),
    }
}
