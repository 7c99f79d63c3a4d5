//! `kiln list`: jobs, newest first.

use clap::{Args, ValueEnum};
use kiln_proto::v1::{Job, JobState, JobVerdict, ListRequest};
use serde_json::json;

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::flags::pairs::{LabelPair, label_pair};
use crate::json::{job::Listed, word};
use crate::output::{Format, note, print, print_json};
use crate::present::tables::{Lean, table};
use crate::present::time::local;

/// Largest page that the API gives.
const PAGE_MAXIMUM: u32 = 1_000;

const EXAMPLES: &str = "\
Examples:
  kiln list                                      the newest 100 jobs
  kiln list --state running
  kiln list --verdict failed --label course=42 --limit 10
  kiln list --json | jq -r '.jobs[].id'";

/// List jobs, newest first
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Only jobs in this state
    #[arg(long, value_enum)]
    state: Option<StateName>,
    /// Only jobs that ended so
    #[arg(long, value_enum)]
    verdict: Option<VerdictName>,
    /// Only jobs that carry this label; repeat for more
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label_pair)]
    labels: Vec<LabelPair>,
    /// At most this many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on where an earlier list ended: its `next_page_token`
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page_token: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateName {
    Queued,
    Running,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VerdictName {
    Succeeded,
    Failed,
    Limit,
    Cancelled,
    Infrastructure,
}

pub(crate) async fn run(args: ListArgs, context: &Context) -> Result<u8, Failure> {
    let client = context.client().await?;
    let mut left = args.limit;
    let mut request = request(&args);
    let mut jobs = Vec::new();
    let next = loop {
        request.page_size = left.min(PAGE_MAXIMUM);
        let page = client.list(request.clone()).await?;
        left = left.saturating_sub(u32::try_from(page.jobs.len()).unwrap_or(u32::MAX));
        jobs.extend(page.jobs);
        if page.next_page_token.is_empty() || left == 0 {
            break page.next_page_token;
        }
        request.page_token = page.next_page_token;
    };
    show(&jobs, &next, context)?;
    Ok(exit::SUCCESS)
}

fn request(args: &ListArgs) -> ListRequest {
    let state = match args.state {
        None => JobState::Unspecified,
        Some(StateName::Queued) => JobState::Queued,
        Some(StateName::Running) => JobState::Running,
        Some(StateName::Done) => JobState::Done,
    };
    let verdict = match args.verdict {
        None => JobVerdict::Unspecified,
        Some(VerdictName::Succeeded) => JobVerdict::Succeeded,
        Some(VerdictName::Failed) => JobVerdict::Failed,
        Some(VerdictName::Limit) => JobVerdict::Limit,
        Some(VerdictName::Cancelled) => JobVerdict::Cancelled,
        Some(VerdictName::Infrastructure) => JobVerdict::Infrastructure,
    };
    let labels = args.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
    let page_token = args.page_token.clone();
    ListRequest { state: state.into(), verdict: verdict.into(), labels, page_token, page_size: 0 }
}

fn show(jobs: &[Job], next: &str, context: &Context) -> Result<(), Failure> {
    if context.format == Format::Json {
        let jobs: Vec<_> = jobs.iter().map(Listed::from).collect();
        return print_json(&json!({"jobs": jobs, "next_page_token": next}));
    }
    if jobs.is_empty() {
        note("no jobs");
        return Ok(());
    }
    let rows = jobs.iter().map(|job| {
        vec![job.id.clone(), ended(job), local(job.submitted_unix_us), local(job.finished_unix_us)]
    });
    print(&table(&["job", "state", "submitted", "finished"], &[Lean::Left; 4], rows))?;
    if !next.is_empty() {
        note(&format!("there are more: --page-token {next} goes on"));
    }
    Ok(())
}

/// State, and the verdict once there is one.
fn ended(job: &Job) -> String {
    match job.state() {
        JobState::Done => word(job.verdict().as_str_name(), "JOB_VERDICT_"),
        state => word(state.as_str_name(), "JOB_STATE_"),
    }
}
