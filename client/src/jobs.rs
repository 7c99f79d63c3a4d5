//! The calls of `Jobs`.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use kiln_proto::v1;
use tonic::Streaming;

use crate::retry::idempotent;
use crate::{Client, ClientError};

/// The events of one job. Dropping it ends the call; for `Run` that cancels the job.
#[derive(Debug)]
pub struct Events {
    call: &'static str,
    stream: Streaming<v1::JobEvent>,
}

impl Events {
    /// The next event; `None` after the last one.
    pub async fn next_event(&mut self) -> Result<Option<v1::JobEvent>, ClientError> {
        self.stream.message().await.map_err(ClientError::call(self.call))
    }
}

impl Stream for Events {
    type Item = Result<v1::JobEvent, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let call = self.call;
        Pin::new(&mut self.stream)
            .poll_next(context)
            .map(|item| item.map(|event| event.map_err(ClientError::call(call))))
    }
}

impl Client {
    /// Runs a job while the caller listens. Never retried: a program may have begun.
    pub async fn run(&self, spec: v1::JobSpec) -> Result<Events, ClientError> {
        let request = v1::RunRequest { spec: Some(spec) };
        let answer = self.jobs().run(request).await.map_err(ClientError::call("Run"))?;
        Ok(Events { call: "Run", stream: answer.into_inner() })
    }

    /// Submits a job durably. An empty `idempotency_key` is replaced by a random one, so that the retries of this call can never make two jobs.
    pub async fn submit(
        &self,
        spec: v1::JobSpec,
        idempotency_key: String,
    ) -> Result<v1::SubmitResponse, ClientError> {
        let request = v1::SubmitRequest { spec: Some(spec), idempotency_key: or_random(idempotency_key) };
        idempotent(|| async { self.jobs().submit(request.clone()).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("Submit"))
    }

    /// Submits several jobs, all or none. Empty keys are replaced as in [`Client::submit`].
    pub async fn submit_batch(
        &self,
        jobs: Vec<v1::SubmitRequest>,
    ) -> Result<Vec<v1::SubmitResponse>, ClientError> {
        let keyed = |job: v1::SubmitRequest| v1::SubmitRequest {
            idempotency_key: or_random(job.idempotency_key),
            ..job
        };
        let request = v1::SubmitBatchRequest { jobs: jobs.into_iter().map(keyed).collect() };
        idempotent(|| async { self.jobs().submit_batch(request.clone()).await })
            .await
            .map(|answer| answer.into_inner().jobs)
            .map_err(ClientError::call("SubmitBatch"))
    }

    /// A job as it stands now.
    pub async fn job(&self, job_id: &str) -> Result<v1::Job, ClientError> {
        let request = v1::GetRequest { job_id: job_id.to_owned() };
        idempotent(|| async { self.jobs().get(request.clone()).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("Get"))
    }

    /// Waits until the job is done.
    pub async fn wait(&self, job_id: &str) -> Result<v1::Job, ClientError> {
        let request = v1::WaitRequest { job_id: job_id.to_owned() };
        idempotent(|| async { self.jobs().wait(request.clone()).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("Wait"))
    }

    /// Replays and follows a job's events.
    pub async fn watch(&self, request: v1::WatchRequest) -> Result<Events, ClientError> {
        let answer = idempotent(|| async { self.jobs().watch(request.clone()).await })
            .await
            .map_err(ClientError::call("Watch"))?;
        Ok(Events { call: "Watch", stream: answer.into_inner() })
    }

    /// One page of jobs, newest first.
    pub async fn list(&self, request: v1::ListRequest) -> Result<v1::ListResponse, ClientError> {
        idempotent(|| async { self.jobs().list(request.clone()).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("List"))
    }

    /// Cancels a job; one that is done stays as it is.
    pub async fn cancel(&self, job_id: &str) -> Result<v1::Job, ClientError> {
        let request = v1::CancelRequest { job_id: job_id.to_owned() };
        idempotent(|| async { self.jobs().cancel(request.clone()).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("Cancel"))
    }

    /// What this server and its workers can do.
    pub async fn capabilities(&self) -> Result<v1::Capabilities, ClientError> {
        idempotent(|| async { self.jobs().get_capabilities(v1::GetCapabilitiesRequest {}).await })
            .await
            .map(tonic::Response::into_inner)
            .map_err(ClientError::call("GetCapabilities"))
    }
}

fn or_random(key: String) -> String {
    if key.is_empty() { format!("client-{:032x}", rand::random::<u128>()) } else { key }
}
