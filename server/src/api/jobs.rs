//! `Jobs`: run, submit, read, watch, cancel.
//!
//! `Run` and `Submit` are accepted whether or not a worker is connected: a job waits in the queue until one comes, a `Run` for as long as its
//! caller and its deadline do. With neither a deadline nor a worker a `Run` waits for ever, as the caller asked.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use kiln_proto::model::{JobId, Profile};
use kiln_proto::status::Reason;
use kiln_proto::v1::job_event::Event;
use kiln_proto::v1::jobs_server::Jobs;
use kiln_proto::{MAX_INLINE_BYTES, MAX_MESSAGE_BYTES, v1};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::Api;
use super::accepting::{Checked, Identity, idempotency_key};
use super::errors::{field, not_joined, store_failed, unreadable};
use crate::jobs::fitting::fitting;
use crate::jobs::live::key_of;
use crate::jobs::watching::{Bond, Watching};
use crate::jobs::{Command, Wanted, recovery, shutting_down};
use crate::queue::JobKey;

/// Jobs in one batch.
const MAX_BATCH: usize = 1_000;
type Events = Pin<Box<dyn Stream<Item = Result<v1::JobEvent, Status>> + Send>>;

#[tonic::async_trait]
impl Jobs for Api {
    type RunStream = Events;
    type WatchStream = Events;

    async fn run(&self, request: Request<v1::RunRequest>) -> Result<Response<Events>, Status> {
        let context = &self.0;
        let (metadata, _, request) = request.into_parts();
        let deadline = deadline(&metadata);
        let checked = context.check(request.spec, "", Identity::Unkeyed).await?.traced(&metadata);
        let admitted = context.admit([&checked])?.pop().unwrap_or_default();
        let id = JobId::now();
        let wanted = Wanted { after_sequence: 0, output: true };
        let (watching, seat) = self.watching(id, Bond::Tied, deadline, wanted);
        context.enqueue_fleeting(id, checked, admitted, seat).await?;
        Ok(Response::new(Box::pin(watching.into_stream())))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let key = idempotency_key(request.idempotency_key, "")?;
        let checked = self.0.check(request.spec, "", Identity::of(&key)).await?.traced(&metadata);
        let mut responses = self.store_and_enqueue(vec![(checked, key)]).await?;
        Ok(Response::new(responses.pop().ok_or_else(shutting_down)?))
    }

    async fn submit_batch(
        &self,
        request: Request<v1::SubmitBatchRequest>,
    ) -> Result<Response<v1::SubmitBatchResponse>, Status> {
        let requests = request.into_inner().jobs;
        if !(1..=MAX_BATCH).contains(&requests.len()) {
            return Err(field("jobs", format!("has {} jobs; 1 to {MAX_BATCH} are allowed", requests.len())));
        }
        let mut jobs = Vec::with_capacity(requests.len());
        for (index, request) in requests.into_iter().enumerate() {
            let key = idempotency_key(request.idempotency_key, &format!("jobs[{index}]."))?;
            let at = format!("jobs[{index}].spec.");
            jobs.push((self.0.check(request.spec, &at, Identity::of(&key)).await?, key));
        }
        let jobs = self.store_and_enqueue(jobs).await?;
        Ok(Response::new(v1::SubmitBatchResponse { jobs }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::Job>, Status> {
        let job = job_key(&request.into_inner().job_id)?;
        let live = self.0.dispatcher.ask(|reply| Command::Get { job, reply }).await?;
        self.live_or_stored(job, live).await
    }

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Result<Response<v1::Job>, Status> {
        let job = job_key(&request.into_inner().job_id)?;
        let live = self.0.dispatcher.ask(|reply| Command::Wait { job, reply }).await?;
        self.live_or_stored(job, live).await
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Events>, Status> {
        let request = request.into_inner();
        let id = job_id(&request.job_id)?;
        let job = key_of(id);
        let wanted = Wanted { after_sequence: request.after_sequence, output: request.output };
        let (watching, seat) = self.watching(id, Bond::Loose, None, wanted);
        if self.0.dispatcher.ask(|reply| Command::Watch { job, seat, reply }).await? {
            return Ok(Response::new(Box::pin(watching.into_stream())));
        }
        let events = self.past_events(job).await?;
        let events = events.into_iter().filter(move |event| event.sequence > request.after_sequence);
        Ok(Response::new(Box::pin(stream::iter(events.map(Ok)))))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        self.0.list(request.into_inner()).await.map(Response::new)
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::Job>, Status> {
        let job = job_key(&request.into_inner().job_id)?;
        let live = self.0.dispatcher.ask(|reply| Command::Cancel { job, reply }).await?;
        self.live_or_stored(job, live).await
    }

    async fn get_capabilities(
        &self,
        _request: Request<v1::GetCapabilitiesRequest>,
    ) -> Result<Response<v1::Capabilities>, Status> {
        let context = &self.0;
        let fleet = context.dispatcher.ask(|reply| Command::Fleet { reply }).await?;
        let mut images = fleet.host_images;
        images.extend(context.images.list());
        let built_in = Profile::BUILT_IN.map(|profile| profile.to_string());
        let custom = context.config.profiles.iter().map(ToString::to_string);
        let profiles = built_in.into_iter().chain(custom);
        Ok(Response::new(v1::Capabilities {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workers: fleet.workers,
            languages: fleet.languages,
            images,
            default_limits: Some((&context.config.limits.default).into()),
            maximum_limits: Some((&context.config.limits.maximum).into()),
            max_message_bytes: MAX_MESSAGE_BYTES as u64,
            max_inline_bytes: MAX_INLINE_BYTES as u64,
            max_blob_bytes: context.blobs.max_blob_bytes(),
            retention_seconds: context.config.retention.as_secs(),
            profiles: profiles.collect(),
        }))
    }
}

impl Api {
    fn watching(
        &self,
        id: JobId,
        bond: Bond,
        deadline: Option<Instant>,
        wanted: Wanted,
    ) -> (Watching, crate::jobs::Seat) {
        let (dispatcher, blobs) = (self.0.dispatcher.clone(), self.0.blobs.clone());
        Watching::new(dispatcher, blobs, id, bond, deadline, wanted)
    }

    /// In a task of its own: a client that goes away must not leave a stored job unqueued.
    async fn store_and_enqueue(
        &self,
        jobs: Vec<(Checked, Option<String>)>,
    ) -> Result<Vec<v1::SubmitResponse>, Status> {
        let admitted = self.0.admit(jobs.iter().map(|(checked, _)| checked))?;
        let context = self.0.clone();
        let task = self.0.tasks.spawn(async move { context.store_and_enqueue(jobs, admitted).await });
        task.await.map_err(not_joined)?
    }

    async fn live_or_stored(&self, job: JobKey, live: Option<v1::Job>) -> Result<Response<v1::Job>, Status> {
        let found = match live {
            Some(job) => job,
            None => {
                let stored = self.0.store.job(job).await.map_err(store_failed)?;
                recovery::view(&stored.ok_or_else(unknown_job)?).map_err(unreadable)?
            }
        };
        Ok(Response::new(fitting(found)))
    }

    /// The events of a job that is not live any more.
    async fn past_events(&self, job: JobKey) -> Result<Vec<v1::JobEvent>, Status> {
        if let Some(stored) = self.0.store.job(job).await.map_err(store_failed)? {
            return recovery::events(&stored).map_err(unreadable);
        }
        let recent = self.0.dispatcher.ask(|reply| Command::Get { job, reply }).await?;
        let recent = recent.ok_or_else(unknown_job)?;
        Ok(vec![v1::JobEvent {
            // A fleeting job's log is gone; its end comes after everything.
            sequence: u64::MAX,
            job_id: recent.id.clone(),
            unix_us: recent.finished_unix_us,
            event: Some(Event::Done(v1::Done { job: Some(recent) })),
        }])
    }
}

fn job_id(text: &str) -> Result<JobId, Status> {
    text.parse().map_err(|error| field("job_id", error))
}

fn job_key(text: &str) -> Result<JobKey, Status> {
    job_id(text).map(key_of)
}

fn unknown_job() -> Status {
    Reason::UnknownJob.status("there is no such job, or it is not retained any more")
}

/// When the call's `grpc-timeout` ends; tonic enforces it for answers, not for streams.
fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    timeout_of(text).and_then(|timeout| Instant::now().checked_add(timeout))
}

/// At most 8 digits and a unit: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn timeout_of(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(timeout_of("100m"), Some(Duration::from_millis(100)));
        assert_eq!(timeout_of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for odd in ["", "m", "100", "100x", "123456789S", "é", "-1S"] {
            assert_eq!(timeout_of(odd), None, "{odd:?}");
        }
    }
}
