//! `kiln cancel`: ends jobs that are not done.

use std::time::Duration;

use clap::Args;
use kiln_client::Client;
use kiln_proto::v1::{Job, JobState};

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::json::{
    job::{Job as JobJson, ReceivedOutput, Spec},
    word,
};
use crate::output::{Format, print, print_json};

/// A kill lands within moments; a worker that was lost takes its lease's time.
const PATIENCE: Duration = Duration::from_secs(15);

const EXAMPLES: &str = "\
Examples:
  kiln cancel ID
  kiln list --state queued --json | jq -r '.jobs[].id' | xargs kiln cancel";

/// Cancel jobs, and wait until they have ended; those that are done stay as they are
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CancelArgs {
    /// Ids of the jobs
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

pub(crate) async fn run(args: CancelArgs, context: &Context) -> Result<u8, Failure> {
    let client = context.client().await?;
    for id in &args.ids {
        let job = ended(&client, client.cancel(id).await?).await?;
        match context.format {
            Format::Json => print_json(&JobJson::new(&job, Spec::Left, &ReceivedOutput::new()))?,
            Format::People => {
                let state = word(job.state().as_str_name(), "JOB_STATE_");
                let verdict = word(job.verdict().as_str_name(), "JOB_VERDICT_");
                let now = if state == "done" { verdict } else { state };
                print(&format!("{} {now}\n", job.id))?;
            }
        }
    }
    Ok(exit::SUCCESS)
}

/// The job once it has ended, which a cancelled one soon has; as it is where that takes longer.
async fn ended(client: &Client, job: Job) -> Result<Job, Failure> {
    if job.state() == JobState::Done {
        return Ok(job);
    }
    match tokio::time::timeout(PATIENCE, client.wait(&job.id)).await {
        Ok(ended) => Ok(ended?),
        Err(_) => Ok(job),
    }
}
