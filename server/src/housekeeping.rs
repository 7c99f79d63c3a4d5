//! What has to be done now and then: forgetting old jobs, collecting unused blobs.

use std::sync::Arc;
use std::time::Duration;

use crate::api::Context;
use crate::blobs::sweep;
use crate::clock::unix_us;
use crate::store::Sweep;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(60);
/// Jobs forgotten in one transaction, so that no writer waits long.
const BATCH: usize = 500;

/// Works until the server stops.
pub(crate) async fn run(context: Arc<Context>) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            _ = rounds.tick() => round(&context).await,
        }
    }
}

/// One round. A failure is told and left to the next round.
async fn round(context: &Context) {
    match forget_jobs(context).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "old jobs forgotten"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "old jobs could not be forgotten")
        }
    }
    match sweep(&context.blobs, &*context.store, context.config.blob_retention).await {
        Ok(removed) if removed.files == 0 => {}
        Ok(removed) => tracing::info!(files = removed.files, bytes = removed.bytes, "unused blobs removed"),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "blobs could not be swept"),
    }
}

async fn forget_jobs(context: &Context) -> Result<usize, crate::store::StoreError> {
    let age_us = u64::try_from(context.config.retention.as_micros()).unwrap_or(u64::MAX);
    let keep = context.config.retention_jobs;
    let mut forgotten = 0;
    loop {
        let ended_before_unix_us = unix_us().saturating_sub(age_us);
        let jobs = context.store.sweep(Sweep { ended_before_unix_us, keep, batch: BATCH }).await?;
        forgotten += jobs;
        if jobs < BATCH {
            return Ok(forgotten);
        }
    }
}
