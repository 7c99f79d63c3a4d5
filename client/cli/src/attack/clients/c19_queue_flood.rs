//! Tries: fills the queue until nothing more fits, and goes on.
//! Seen: every queue in memory; the catalogue's own row.
//! Must: what does not fit is refused as QUEUE_FULL with a time to wait; afterwards the service serves as before.

use futures_util::future::join_all;
use kiln_proto::status::{Reason, facts_of};
use kiln_proto::v1;
use tonic::{Status, Streaming};

use super::asking::{self, jobs, told, waiting};
use crate::attack::Held;
use crate::attack::programs::job_of;
use crate::attack::target::{Target, Whose};

/// More than the queue of a service that is there to be attacked.
const JOBS: usize = 400;
/// A job occupies its slot for so long, unless its client goes away.
const BUSY_MS: u64 = 60_000;

pub(super) async fn run(target: &Target) -> Held {
    if target.whose == Whose::Theirs {
        // Its queue is others' to use: what is tried there is one batch that no queue may take.
        return a_batch_beyond_all_bounds(target).await;
    }
    let spec = job_of(waiting(target, BUSY_MS));
    let ask = || async { jobs(target).run(v1::RunRequest { spec: Some(spec.clone()) }).await.map(tonic::Response::into_inner) };
    let answers: Vec<Result<Streaming<v1::JobEvent>, Status>> = join_all((0..JOBS).map(|_| ask())).await;
    let refused: Vec<&Status> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    let Some(first) = refused.first() else { return Err(format!("{JOBS} jobs were taken and none was refused")) };
    for status in &refused {
        if kiln_proto::status::reason_of(status) != Some(Reason::QueueFull) {
            return Err(format!("a job was refused otherwise than as QUEUE_FULL: {}", told(status)));
        }
    }
    let hint = facts_of(first).get("retry_after_ms").and_then(|hint| hint.parse::<u64>().ok());
    // The clients go away, and with them their jobs.
    drop(answers);
    match hint {
        Some(1..) => asking::still_serves(target).await,
        _ => Err("the refusal does not say when to try again".to_owned()),
    }
}

async fn a_batch_beyond_all_bounds(target: &Target) -> Held {
    let one = v1::SubmitRequest { spec: Some(job_of(waiting(target, 0))), idempotency_key: String::new() };
    let jobs_of_the_batch = vec![one; 1_001];
    let answer = jobs(target).submit_batch(v1::SubmitBatchRequest { jobs: jobs_of_the_batch }).await;
    asking::refused("a batch of 1,001 jobs", answer)
}
