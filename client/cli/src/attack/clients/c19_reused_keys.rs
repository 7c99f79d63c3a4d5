//! Tries: submits another job under the idempotency key of a first.
//! Seen: every retry that is answered with somebody else's job.
//! Must: the same job is the same, another is refused, and both are one job.

use kiln_proto::status::Reason;
use kiln_proto::v1;
use uuid::Uuid;

use super::asking::{job, jobs, refused_as, told};
use crate::attack::Held;
use crate::attack::target::Target;

pub(super) async fn run(target: &Target) -> Held {
    let key = format!("kiln-attack-{}", Uuid::now_v7());
    let submit = |spec| v1::SubmitRequest { spec: Some(spec), idempotency_key: key.clone() };
    let first = jobs(target).submit(submit(job(target, |_| {}))).await.map_err(|status| told(&status))?.into_inner();
    let again = jobs(target).submit(submit(job(target, |_| {}))).await.map_err(|status| told(&status))?.into_inner();
    if again.job_id != first.job_id || !again.already_submitted {
        return Err("the same job under the same key was taken twice".to_owned());
    }
    let other = job(target, |command| command.argv.push("other".into()));
    refused_as("another job under the key", jobs(target).submit(submit(other)).await, Reason::IdempotencyKeyReused)?;
    let done = jobs(target).wait(v1::WaitRequest { job_id: first.job_id }).await.map_err(|status| told(&status))?;
    match done.into_inner().verdict() {
        v1::JobVerdict::Succeeded => Ok(()),
        verdict => Err(format!("the first job ended as {}", verdict.as_str_name())),
    }
}
