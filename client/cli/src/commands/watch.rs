//! `kiln watch`: a job's events, from the beginning, then as they happen.

use std::collections::HashSet;

use clap::Args;
use kiln_client::Client;
use kiln_proto::v1::{CommandFinished, JobEvent, WatchRequest, job_event::Event};

use super::get::print_streams_of;
use super::run::explain_end;
use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::json;
use crate::json::word;
use crate::output::{Format, note, print_json};
use crate::present::live::{Live, Route};
use crate::present::outcome::in_short;
use crate::present::usage::usage_table;

const EXAMPLES: &str = "\
Examples:
  kiln watch ID                                  events on stderr, the program's output as it is
  kiln watch ID --json                           one event per line
  kiln watch ID --json --after 7                 only what came after event 7";

/// Follow a job: what happened so far, then what happens, until it is done
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Id of the job
    #[arg(value_name = "ID")]
    id: String,
    /// Only events with a greater sequence number
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    after: u64,
    /// Leave the program's output out
    #[arg(long)]
    no_output: bool,
}

pub(crate) async fn run(args: WatchArgs, context: &Context) -> Result<u8, Failure> {
    let client = context.client().await?;
    let wants_output = !args.no_output;
    let request = WatchRequest { job_id: args.id, after_sequence: args.after, output: wants_output };
    let mut events = client.watch(request).await?;
    let mut live = Live::new(context.format, Route::CompilerToStderr(exit::COMPILE_STEP));
    let mut seen_live = HashSet::new();
    while let Some(event) = events.next_event().await? {
        if context.format == Format::Json {
            print_json(&json::event::event(&event))?;
            continue;
        }
        match &event.event {
            Some(Event::Output(chunk)) => {
                seen_live.insert((chunk.step.clone(), chunk.command.clone()));
            }
            _ => live.flush().await?,
        }
        if let Some(Event::CommandFinished(finished)) = &event.event
            && wants_output
        {
            output_of_finished(&client, finished, &seen_live).await?;
        }
        tell(event, &mut live).await?;
    }
    Ok(exit::SUCCESS)
}

/// The output of a command that had ended before we watched: it comes with its result, not as chunks.
async fn output_of_finished(
    client: &Client,
    finished: &CommandFinished,
    seen_live: &HashSet<(String, String)>,
) -> Result<(), Failure> {
    let Some(result) = &finished.result else { return Ok(()) };
    if seen_live.contains(&(finished.step.clone(), result.name.clone())) {
        return Ok(());
    }
    print_streams_of(client, result, finished.step == exit::COMPILE_STEP).await
}

async fn tell(event: JobEvent, live: &mut Live) -> Result<(), Failure> {
    match event.event {
        Some(Event::Output(chunk)) => return live.output(&chunk).await,
        Some(Event::Progress(progress)) => live.progress(&progress),
        Some(Event::Accepted(_)) => live.remark("accepted"),
        Some(Event::StepStarted(started)) => {
            live.remark(&format!("step {}: started on {}", started.step, started.worker));
            live.step_started(&started.step);
        }
        Some(Event::CommandFinished(finished)) => {
            let result = finished.result.unwrap_or_default();
            live.remark(&format!(
                "step {}: {} {}",
                finished.step,
                result.name,
                in_short(result.outcome.as_ref())
            ));
        }
        Some(Event::StepFinished(finished)) => {
            let state = word(finished.state().as_str_name(), "STEP_STATE_");
            live.remark(&format!("step {}: {state}", finished.step));
        }
        Some(Event::Done(done)) => {
            live.end_spinner();
            let job = done.job.unwrap_or_default();
            explain_end(&job);
            note(usage_table(&job).trim_end());
        }
        None => {}
    }
    Ok(())
}
