//! The API as a foreign client sees it: plain generated stubs, no library of ours between.

use std::time::Duration;

use kiln_proto::v1::blobs_client::BlobsClient;
use kiln_proto::v1::images_client::ImagesClient;
use kiln_proto::v1::jobs_client::JobsClient;
use kiln_proto::v1::{
    CommandResult, GetBlobRequest, GetRequest, ImageInfo, ImportImageHeader, ImportImageRequest, Job,
    JobEvent, JobSpec, PutBlobHeader, PutBlobRequest, PutBlobResponse, RunRequest, Stream, SubmitRequest,
    WaitRequest, import_image_request, job_event, put_blob_request,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What every client and server of Kiln may send in one message.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// No single job of a suite takes longer, whatever the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection with one stub per service.
#[derive(Clone)]
pub struct Api {
    pub channel: Channel,
    pub jobs: JobsClient<Channel>,
    pub blobs: BlobsClient<Channel>,
    pub images: ImagesClient<Channel>,
}

/// Everything a finished `Run` or `Watch` told.
#[derive(Clone, Debug)]
pub struct Told {
    pub events: Vec<JobEvent>,
    pub job: Job,
}

impl Api {
    /// Connects to `unix:PATH` or `http://HOST:PORT`.
    pub async fn connect(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address that Kiln takes");
        let channel =
            endpoint.connect().await.unwrap_or_else(|error| panic!("connect to {address}: {error:?}"));
        Self {
            jobs: JobsClient::new(channel.clone())
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(4 * MESSAGE_BYTES),
            blobs: BlobsClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES),
            images: ImagesClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES),
            channel,
        }
    }

    /// Runs a job to its end.
    pub async fn run(&self, spec: JobSpec) -> Told {
        self.try_run(spec).await.unwrap_or_else(|status| panic!("Run failed: {}", describe(&status)))
    }

    pub async fn try_run(&self, spec: JobSpec) -> Result<Told, Status> {
        let all = async {
            let events = self.jobs.clone().run(RunRequest { spec: Some(spec) }).await?.into_inner();
            collect(events).await
        };
        tokio::time::timeout(PATIENCE, all).await.expect("a job of a suite ends within two minutes")
    }

    /// Runs a job of one command and gives that command's result.
    pub async fn run_one(&self, spec: JobSpec) -> CommandResult {
        let job = self.run(spec).await.job;
        job.steps
            .last()
            .and_then(|step| step.commands.last())
            .cloned()
            .unwrap_or_else(|| panic!("no result: {job:#?}"))
    }

    pub async fn submit(&self, spec: JobSpec) -> String {
        let request = SubmitRequest { spec: Some(spec), idempotency_key: String::new() };
        let answer = self.jobs.clone().submit(request).await;
        answer.unwrap_or_else(|status| panic!("Submit failed: {}", describe(&status))).into_inner().job_id
    }

    pub async fn get(&self, job_id: &str) -> Job {
        let answer = self.jobs.clone().get(GetRequest { job_id: job_id.to_owned() }).await;
        answer.unwrap_or_else(|status| panic!("Get failed: {}", describe(&status))).into_inner()
    }

    pub async fn wait(&self, job_id: &str) -> Job {
        let mut request = tonic::Request::new(WaitRequest { job_id: job_id.to_owned() });
        request.set_timeout(PATIENCE);
        let answer = self.jobs.clone().wait(request).await;
        answer.unwrap_or_else(|status| panic!("Wait failed: {}", describe(&status))).into_inner()
    }

    /// Stores bytes as a blob, in one go.
    pub async fn put_blob(&self, content: &[u8]) -> Result<PutBlobResponse, Status> {
        self.put_blob_as(&digest(content), content).await
    }

    pub async fn put_blob_as(&self, digest: &str, content: &[u8]) -> Result<PutBlobResponse, Status> {
        let header = PutBlobHeader { digest: digest.to_owned(), size_bytes: content.len() as u64, offset: 0 };
        let mut parts = vec![PutBlobRequest { part: Some(put_blob_request::Part::Header(header)) }];
        parts.extend(content.chunks(1 << 20).map(|chunk| PutBlobRequest {
            part: Some(put_blob_request::Part::Chunk(bytes::Bytes::copy_from_slice(chunk))),
        }));
        let answer = self.blobs.clone().put(tokio_stream::iter(parts)).await?;
        Ok(answer.into_inner())
    }

    pub async fn get_blob(&self, digest: &str, offset: u64) -> Result<Vec<u8>, Status> {
        let request = GetBlobRequest { digest: digest.to_owned(), offset };
        let mut parts = self.blobs.clone().get(request).await?.into_inner();
        let mut content = Vec::new();
        while let Some(part) = parts.message().await? {
            content.extend_from_slice(&part.chunk);
        }
        Ok(content)
    }

    pub async fn import(&self, name: &str, archive: &[u8]) -> Result<ImageInfo, Status> {
        let header = ImportImageHeader { name: name.to_owned(), digest: String::new() };
        let mut parts = vec![ImportImageRequest { part: Some(import_image_request::Part::Header(header)) }];
        parts.extend(archive.chunks(1 << 20).map(|chunk| ImportImageRequest {
            part: Some(import_image_request::Part::Chunk(bytes::Bytes::copy_from_slice(chunk))),
        }));
        let answer = self.images.clone().import(tokio_stream::iter(parts)).await?;
        Ok(answer.into_inner())
    }
}

/// Reads a stream of events to its end, which must be `done`.
pub async fn collect(mut events: tonic::Streaming<JobEvent>) -> Result<Told, Status> {
    let mut told = Vec::new();
    while let Some(event) = events.message().await? {
        told.push(event);
    }
    let job = match told.last().and_then(|event| event.event.as_ref()) {
        Some(job_event::Event::Done(done)) => done.job.clone().expect("done carries the job"),
        other => panic!("the stream ended without done: {other:?}"),
    };
    Ok(Told { events: told, job })
}

impl Told {
    /// The output of one command as it came live, checked to be without gaps.
    pub fn live(&self, step: &str, stream: Stream) -> Vec<u8> {
        let mut output = Vec::new();
        for event in &self.events {
            let Some(job_event::Event::Output(chunk)) = &event.event else { continue };
            if chunk.step == step && chunk.stream() == stream {
                assert_eq!(chunk.offset, output.len() as u64, "output chunks are without gaps");
                output.extend_from_slice(&chunk.data);
            }
        }
        output
    }
}

/// The name of bytes.
pub fn digest(content: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(content).to_hex())
}

/// The stable reason in an error's details.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The fields that an error complains of.
pub fn violated_fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// An error with all its details, for assertions.
pub fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    format!(
        "{:?}: {} {:?} {:?}",
        status.code(),
        status.message(),
        details.error_info(),
        details.bad_request()
    )
}

/// Asserts that an error is bad input that names a field.
pub fn assert_names_field(status: &Status, field: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{}", describe(status));
    let fields = violated_fields(status);
    assert!(fields.iter().any(|violated| violated.contains(field)), "{field} in {}", describe(status));
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.domain.as_str()), Some("kiln"), "{}", describe(status));
}
