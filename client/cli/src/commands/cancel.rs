//! `kiln cancel`: ends jobs that are not done.

use clap::Args;

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::json::{
    job::{Job as JobJson, ReceivedOutput, Spec},
    word,
};
use crate::output::{Format, print, print_json};

const EXAMPLES: &str = "\
Examples:
  kiln cancel ID
  kiln list --state queued --json | jq -r '.jobs[].id' | xargs kiln cancel";

/// Cancel jobs; those that are done stay as they are
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
        let job = client.cancel(id).await?;
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
