//! Tries: cancels jobs a hundred times at once, while they start and when they are done.
//! Seen: every cancellation that was tested once.
//! Must: each answer is the job, each job ends once, and nothing of it stays.

use futures_util::future::join_all;
use kiln_proto::v1;

use super::asking::{jobs, told, waiting};
use crate::attack::Held;
use crate::attack::programs::job_of;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    for _ in 0..6 {
        let spec = Some(job_of(waiting(target, 60_000)));
        let request = v1::SubmitRequest { spec, idempotency_key: String::new() };
        let job_id = jobs(target).submit(request).await.map_err(|status| told(&status))?.into_inner().job_id;
        let cancel = || async { jobs(target).cancel(v1::CancelRequest { job_id: job_id.clone() }).await };
        for answer in join_all((0..100).map(|_| cancel())).await {
            answer.map_err(|status| format!("cancelling failed: {}", told(&status)))?;
        }
        let done = jobs(target).wait(v1::WaitRequest { job_id }).await.map_err(|status| told(&status))?.into_inner();
        if done.verdict() != v1::JobVerdict::Cancelled {
            return Err(format!("a cancelled job ended as {}", done.verdict().as_str_name()));
        }
    }
    Ok(())
}
