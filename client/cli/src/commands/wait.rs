//! `kiln wait`: blocks until a job is done.

use clap::Args;

use super::get::describe;
use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::json::job::{Job as JobJson, ReceivedOutput, Spec};
use crate::output::{Format, print, print_json};

const EXAMPLES: &str = "\
Examples:
  kiln wait ID                                   exits as `kiln run` would
  kiln wait ID --json && echo it succeeded";

/// Wait until a job is done, show it, and exit as `kiln run` would
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WaitArgs {
    /// Id of the job
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) async fn run(args: WaitArgs, context: &Context) -> Result<u8, Failure> {
    let job = context.client().await?.wait(&args.id).await?;
    match context.format {
        Format::Json => print_json(&JobJson::new(&job, Spec::Left, &ReceivedOutput::new()))?,
        Format::People => print(&describe(&job))?,
    }
    Ok(exit::of_job(&job))
}
