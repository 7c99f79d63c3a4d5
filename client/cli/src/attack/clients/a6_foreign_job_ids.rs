//! Tries: asks for jobs that it did not submit, by ids that look right.
//! Seen: every service whose ids can be counted up.
//! Must: an unknown id is not found, and cancelling it changes nothing.

use kiln_proto::status::Reason;
use kiln_proto::v1;
use uuid::Uuid;

use super::asking::{jobs, refused_as};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    for _ in 0..50 {
        let job_id = Uuid::now_v7().to_string();
        let get = jobs(target).get(v1::GetRequest { job_id: job_id.clone() }).await;
        refused_as("a made-up id", get, Reason::UnknownJob)?;
        let cancel = jobs(target).cancel(v1::CancelRequest { job_id }).await;
        refused_as("cancelling a made-up id", cancel, Reason::UnknownJob)?;
    }
    Ok(())
}
