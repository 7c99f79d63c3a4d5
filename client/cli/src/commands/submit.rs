//! `kiln submit`: durable jobs, read later by `get`, `wait` and `watch`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use kiln_client::Client;
use kiln_proto::v1::{self, JobSpec, SubmitRequest};
use serde_json::{Value, json};

use super::run::explain_end;
use crate::contents::{Contents, Stdin};
use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::files_out::bring_back;
use crate::flags::program::ProgramFlags;
use crate::json::{
    job::{Job as JobJson, ReceivedOutput, Spec},
    spec::JobSpec as SpecJson,
};
use crate::output::{Format, note, print, print_json};
use crate::present::usage::usage_table;
use crate::program::Program;

const EXAMPLES: &str = "\
Examples:
  kiln submit prog.cpp --stdin input.txt         prints the job's id at once
  kiln submit prog.cpp --wait                    waits; exits as `kiln run` would
  kiln submit a.py b.py c.py                     one batch: all are accepted, or none
  kiln submit --key build-42 prog.py             the same key and job: submitted once
  kiln submit --spec job.json                    several steps, pipes: the form that `kiln get --json` prints as `spec`
  kiln submit --cpu 5s -- sort --help            a bare command";

/// Submit jobs durably: once this answers, they will end, whatever crashes
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, override_usage = "kiln submit [OPTIONS] FILE...\n       kiln submit [OPTIONS] --spec FILE\n       kiln submit [OPTIONS] -- ARGV...")]
pub(crate) struct SubmitArgs {
    /// Submit once, however often this is repeated; with several files, `-1`, `-2` ... is added
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Wait for the end, and exit as `kiln run` would
    #[arg(long)]
    wait: bool,
    /// A job as JSON; `-` reads it from stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sources", "argv"])]
    spec: Option<PathBuf>,
    /// An argument for the program; repeat for more
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    arguments: Vec<OsString>,
    /// Program files; each becomes a job
    #[arg(value_name = "FILE", conflicts_with = "argv")]
    sources: Vec<PathBuf>,
    /// A command as it is, with its arguments
    #[arg(last = true, value_name = "ARGV")]
    argv: Vec<OsString>,
    // Last: the headings of its limits hold for all that follows.
    #[command(flatten)]
    program: ProgramFlags,
}

pub(crate) async fn run(args: SubmitArgs, context: &Context) -> Result<u8, Failure> {
    let orders = orders(&args, context)?;
    let client = context.client().await?;
    let capabilities = client.capabilities().await?;
    let mut specs = Vec::new();
    for order in orders {
        let spec = match order {
            Order::Spec(spec) => spec,
            Order::Program(program) => {
                let contents =
                    Contents::Server { client: &client, max_blob_bytes: capabilities.max_blob_bytes };
                let stdin = args.program.stdin.clone().map_or(Stdin::Empty, Stdin::File);
                program.job(&args.program, &stdin, contents, capabilities.maximum_limits.as_ref()).await?
            }
        };
        specs.push(spec);
    }
    let specs = client.fit_batch(specs).await?;
    let submitted = submit(&client, specs, args.key.as_deref()).await?;
    if !args.wait {
        show_ids(&submitted, context)?;
        return Ok(exit::SUCCESS);
    }
    wait_for_all(&client, &submitted, &args, context).await
}

/// What becomes a job.
enum Order {
    Spec(JobSpec),
    Program(Program),
}

fn orders(args: &SubmitArgs, context: &Context) -> Result<Vec<Order>, Failure> {
    if let Some(path) = &args.spec {
        return Ok(vec![Order::Spec(read_spec(path)?)]);
    }
    if !args.argv.is_empty() {
        return Ok(vec![Order::Program(Program::bare(args.argv.clone(), &args.program)?)]);
    }
    if args.sources.is_empty() {
        return Err(Failure::usage("nothing to submit")
            .next("give program files, or --spec FILE, or a command after `--`"));
    }
    let language = args.program.language.as_deref();
    let sources = args.sources.iter();
    sources
        .map(|file| {
            Program::of_file(file.clone(), args.arguments.clone(), language, &context.settings.languages)
                .map(Order::Program)
        })
        .collect()
}

fn read_spec(path: &Path) -> Result<JobSpec, Failure> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = text.map_err(|error| wrong(error.to_string()))?;
    let spec: SpecJson = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    JobSpec::try_from(spec).map_err(|error| wrong(error.to_string()))
}

async fn submit(
    client: &Client,
    mut specs: Vec<JobSpec>,
    key: Option<&str>,
) -> Result<Vec<v1::SubmitResponse>, Failure> {
    if specs.len() == 1 {
        let spec = specs.remove(0);
        return Ok(vec![client.submit(spec, key.unwrap_or_default().to_owned()).await?]);
    }
    let jobs = specs.into_iter().zip(1..).map(|(spec, number)| SubmitRequest {
        spec: Some(spec),
        idempotency_key: key.map(|key| format!("{key}-{number}")).unwrap_or_default(),
    });
    Ok(client.submit_batch(jobs.collect()).await?)
}

fn show_ids(submitted: &[v1::SubmitResponse], context: &Context) -> Result<(), Failure> {
    if context.format == Format::Json {
        let ids = submitted.iter();
        let ids = ids.map(|job| json!({"job_id": job.job_id, "already_submitted": job.already_submitted}));
        return print_one_or_all(ids.collect());
    }
    submitted.iter().try_for_each(|job| print(&format!("{}\n", job.job_id)))
}

/// One job is one object; a batch is `{"jobs": [...]}`, as on the wire.
fn print_one_or_all(mut values: Vec<Value>) -> Result<(), Failure> {
    if values.len() == 1 { print_json(&values.remove(0)) } else { print_json(&json!({"jobs": values})) }
}

/// Waits in the order of submission; the first job that did not succeed decides the exit status.
async fn wait_for_all(
    client: &Client,
    submitted: &[v1::SubmitResponse],
    args: &SubmitArgs,
    context: &Context,
) -> Result<u8, Failure> {
    let mut status = exit::SUCCESS;
    let mut values = Vec::new();
    for accepted in submitted {
        let job = client.wait(&accepted.job_id).await?;
        bring_back(client, &job, &args.program.outs).await?;
        if status == exit::SUCCESS {
            status = exit::of_job(&job);
        }
        match context.format {
            Format::Json => values.push(json!(JobJson::new(&job, Spec::Left, &ReceivedOutput::new()))),
            Format::People => {
                note(&format!("job {}", job.id));
                super::get::print_streams(client, &job).await?;
                explain_end(&job);
                note(usage_table(&job).trim_end());
            }
        }
    }
    if context.format == Format::Json {
        print_one_or_all(values)?;
    }
    Ok(status)
}
