//! Tries: starts jobs and goes away at once, again and again.
//! Seen: every service whose jobs outlive the call that they belong to.
//! Must: the jobs end with their calls; nothing of them stays.

use kiln_proto::v1;

use super::asking::{self, jobs, told, waiting};
use crate::attack::Held;
use crate::attack::programs::job_of;
use crate::attack::target::Target;

const ROUNDS: usize = 40;

pub(super) async fn run(target: &Target) -> Held {
    for round in 0..ROUNDS {
        let request = v1::RunRequest { spec: Some(job_of(waiting(target, 60_000))) };
        let mut events = jobs(target).run(request).await.map_err(|status| told(&status))?.into_inner();
        // Every other one is left only once it runs, or waits.
        if round % 2 == 0 {
            events.message().await.map_err(|status| told(&status))?;
        }
    }
    asking::run(target, asking::job(target, |_| {})).await.map_err(|status| told(&status))?;
    Ok(())
}
