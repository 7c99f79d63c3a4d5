//! Tries: runs a job that floods its output, and never reads what the service sends of it.
//! Seen: every service that buffers for its slowest reader.
//! Must: the job ends by its limit as if somebody read; others are served meanwhile.

use kiln_client::Client;
use kiln_proto::v1;

use super::asking::{self, jobs_over, told};
use crate::attack::Held;
use crate::attack::programs::{command_of_the_program, job_of};
use crate::attack::target::Target;

const WATCHERS: usize = 8;

pub(super) async fn run(target: &Target) -> Held {
    let mut flood = command_of_the_program(&target.program, "C11-flood");
    flood.limits = Some(v1::Limits { output_bytes: Some(4 << 20), wall_ms: Some(10_000), ..v1::Limits::default() });
    let mut unread = Vec::new();
    for _ in 0..WATCHERS {
        // What is not read blocks the connection that it comes on: an honest client has another.
        let watcher = Client::connect(&target.address).await.map_err(|error| error.to_string())?;
        let request = v1::RunRequest { spec: Some(job_of(flood.clone())) };
        unread.push(jobs_over(&watcher).run(request).await.map_err(|status| told(&status))?.into_inner());
        asking::still_serves(target).await?;
    }
    asking::run(target, asking::job(target, |_| {})).await.map_err(|status| told(&status))?;
    // What was not read is still whole: the job's end comes, and says the limit.
    for mut events in unread {
        let mut last = None;
        while let Some(event) = events.message().await.map_err(|status| told(&status))? {
            last = event.event;
        }
        let Some(v1::job_event::Event::Done(done)) = last else { return Err("a slow watcher was not told the end".to_owned()) };
        let verdict = done.job.unwrap_or_default().verdict();
        if verdict != v1::JobVerdict::Limit {
            return Err(format!("the flood ended as {}", verdict.as_str_name()));
        }
    }
    Ok(())
}
