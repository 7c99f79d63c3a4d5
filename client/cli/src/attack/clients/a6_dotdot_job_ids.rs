//! Tries: asks for jobs by paths instead of ids, to read or to cancel what is no job.
//! Seen: go-judge 5c5e788: `..` in stored-file ids.
//! Must: every call refuses what is no id of a job.

use kiln_proto::v1;

use super::asking::{self, jobs, refused};
use crate::attack::Held;
use crate::attack::target::Target;

const IDS: [&str; 8] = ["..", "../../etc/passwd", "/etc/shadow", "", "%2e%2e", "a\0b", "0", "00000000-0000-0000-0000-000000000000/.."];

pub(super) async fn run(target: &Target) -> Held {
    for id in IDS.map(str::to_owned).into_iter().chain([".".repeat(100_000)]) {
        let what = format!("the id {}", id.chars().take(40).collect::<String>().escape_default());
        let job_id = || id.clone();
        refused(&what, jobs(target).get(v1::GetRequest { job_id: job_id() }).await)?;
        refused(&what, jobs(target).cancel(v1::CancelRequest { job_id: job_id() }).await)?;
        refused(&what, jobs(target).wait(v1::WaitRequest { job_id: job_id() }).await)?;
        let watch = v1::WatchRequest { job_id: job_id(), ..v1::WatchRequest::default() };
        refused(&what, jobs(target).watch(watch).await)?;
    }
    asking::still_serves(target).await
}
