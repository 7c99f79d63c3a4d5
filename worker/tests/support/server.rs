//! The server's side of the wire, driven by the test: what a worker says is handed to the test, word by word.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kiln_proto::v1;
use kiln_proto::v1::blobs_server::{Blobs, BlobsServer};
use kiln_proto::v1::fleet_server::{Fleet, FleetServer};
use kiln_proto::v1::relay_output_request::Part as RelayPart;
use kiln_proto::v1::server_message::Message as FromServer;
use kiln_proto::v1::worker_message::Message as FromWorker;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a socket of its own; every stream of a worker comes out of `streams`.
pub(crate) struct TestServer {
    pub(crate) address: String,
    streams: mpsc::Receiver<Dialogue>,
    pub(crate) shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

/// What survives a stream.
#[derive(Default)]
pub(crate) struct Shared {
    /// Stdout of each relay, and whether it came to its end. The watchers of those named "gone..." are.
    pub(crate) relays: Mutex<HashMap<String, (Vec<u8>, bool)>>,
    pub(crate) blobs: Mutex<HashMap<String, Vec<u8>>>,
    /// Uploads that broke off, by digest.
    partial: Mutex<HashMap<String, Vec<u8>>>,
    /// How many transfers still break off in the middle.
    pub(crate) breaks: Mutex<u32>,
    /// Refuse every stream so.
    pub(crate) refusal: Mutex<Option<Status>>,
}

/// One stream with one worker.
pub(crate) struct Dialogue {
    say: mpsc::Sender<Result<v1::ServerMessage, Status>>,
    hear: Streaming<v1::WorkerMessage>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).expect("bind");
        let (open, streams) = mpsc::channel(8);
        let shared = Arc::new(Shared::default());
        let service = Service { open, shared: Arc::clone(&shared) };
        let serve = tonic::transport::Server::builder()
            .add_service(FleetServer::new(service.clone()))
            .add_service(BlobsServer::new(service))
            .serve_with_incoming(UnixListenerStream::new(listener));
        let task = tokio::spawn(async move { serve.await.expect("serve") });
        Self { address: format!("unix:{}", path.display()), streams, shared, task, _directory: directory }
    }

    /// The next stream, registered: the worker's words and the dialogue.
    pub(crate) async fn register(&mut self) -> (v1::RegisterWorker, Dialogue) {
        let mut dialogue =
            tokio::time::timeout(PATIENCE, self.streams.recv()).await.expect("a stream in time").unwrap();
        let FromWorker::Register(register) = dialogue.hear_any().await else {
            panic!("register comes first")
        };
        dialogue
            .say(FromServer::Registered(v1::Registered { heartbeat_interval_ms: 50, lease_ms: 1000 }))
            .await;
        (register, dialogue)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dialogue {
    pub(crate) async fn say(&self, message: FromServer) {
        self.say.send(Ok(v1::ServerMessage { message: Some(message) })).await.expect("the worker listens");
    }

    pub(crate) async fn hear_any(&mut self) -> FromWorker {
        let message = tokio::time::timeout(PATIENCE, self.hear.message()).await.expect("a message in time");
        message.expect("the stream stands").expect("the stream goes on").message.expect("a known message")
    }

    /// The next message that `pick` wants; others are skipped.
    pub(crate) async fn hear<T>(&mut self, mut pick: impl FnMut(FromWorker) -> Option<T>) -> T {
        loop {
            let message = self.hear_any().await;
            if let Some(picked) = pick(message) {
                return picked;
            }
        }
    }

    pub(crate) async fn hear_report(&mut self) -> v1::StepReport {
        self.hear(|message| if let FromWorker::Report(report) = message { Some(report) } else { None }).await
    }

    pub(crate) async fn hear_credits(&mut self, wanted: u32) {
        self.hear(|message| match message {
            FromWorker::Credits(credits) if credits.free_slots == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn acknowledge(&self, report: &v1::StepReport) {
        let ack = v1::ReportAck { attempt: report.attempt.clone(), accepted: true };
        self.say(FromServer::Ack(ack)).await;
    }

    /// Nothing more comes: the worker closed its half.
    pub(crate) async fn hear_end(mut self) {
        while let Ok(Some(_)) =
            tokio::time::timeout(PATIENCE, self.hear.message()).await.expect("an end in time")
        {}
    }
}

#[derive(Clone)]
struct Service {
    open: mpsc::Sender<Dialogue>,
    shared: Arc<Shared>,
}

#[tonic::async_trait]
impl Fleet for Service {
    type WorkStream = ReceiverStream<Result<v1::ServerMessage, Status>>;

    async fn work(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        if let Some(refusal) = self.shared.refusal.lock().unwrap().clone() {
            return Err(refusal);
        }
        let (say, said) = mpsc::channel(64);
        self.open.send(Dialogue { say, hear: request.into_inner() }).await.expect("the test listens");
        Ok(Response::new(ReceiverStream::new(said)))
    }

    async fn relay_output(
        &self,
        request: Request<Streaming<v1::RelayOutputRequest>>,
    ) -> Result<Response<v1::RelayOutputResponse>, Status> {
        let mut parts = request.into_inner();
        let Some(RelayPart::RelayId(id)) = parts.message().await?.and_then(|first| first.part) else {
            return Err(Status::invalid_argument("relay_id comes first"));
        };
        self.shared.relays.lock().unwrap().entry(id.clone()).or_default();
        if id.starts_with("gone") {
            return Ok(Response::new(v1::RelayOutputResponse {}));
        }
        while let Some(next) = parts.message().await? {
            let Some(RelayPart::Chunk(chunk)) = next.part else { continue };
            let mut relays = self.shared.relays.lock().unwrap();
            let (bytes, _) = relays.get_mut(&id).unwrap();
            if chunk.stream() == v1::Stream::Stdout {
                assert_eq!(chunk.offset, bytes.len() as u64);
                bytes.extend_from_slice(&chunk.data);
            }
        }
        self.shared.relays.lock().unwrap().get_mut(&id).unwrap().1 = true;
        Ok(Response::new(v1::RelayOutputResponse {}))
    }
}

impl Service {
    fn breaks_now(&self) -> bool {
        let mut breaks = self.shared.breaks.lock().unwrap();
        let now = *breaks > 0;
        *breaks = breaks.saturating_sub(1);
        now
    }
}

#[tonic::async_trait]
impl Blobs for Service {
    type GetStream = Pin<Box<dyn Stream<Item = Result<v1::GetBlobResponse, Status>> + Send>>;

    async fn get(&self, request: Request<v1::GetBlobRequest>) -> Result<Response<Self::GetStream>, Status> {
        let request = request.into_inner();
        let blobs = self.shared.blobs.lock().unwrap();
        let content = blobs.get(&request.digest).ok_or_else(|| Status::not_found("no such blob"))?;
        let rest = &content[usize::try_from(request.offset).unwrap()..];
        let mut chunks: Vec<_> = rest
            .chunks(100_000)
            .map(|chunk| Ok(v1::GetBlobResponse { chunk: Bytes::copy_from_slice(chunk) }))
            .collect();
        if self.breaks_now() {
            chunks.truncate(1);
            chunks.push(Err(Status::unavailable("broke off")));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn stat(
        &self,
        request: Request<v1::StatBlobRequest>,
    ) -> Result<Response<v1::StatBlobResponse>, Status> {
        let digest = request.into_inner().digest;
        let stored = self.shared.blobs.lock().unwrap().get(&digest).map(Vec::len);
        let partial = self.shared.partial.lock().unwrap().get(&digest).map_or(0, Vec::len);
        let size_bytes = stored.unwrap_or(partial) as u64;
        Ok(Response::new(v1::StatBlobResponse { stored: stored.is_some(), size_bytes }))
    }

    async fn put(
        &self,
        request: Request<Streaming<v1::PutBlobRequest>>,
    ) -> Result<Response<v1::PutBlobResponse>, Status> {
        use v1::put_blob_request::Part;
        let mut parts = request.into_inner();
        let Some(Ok(v1::PutBlobRequest { part: Some(Part::Header(header)) })) = parts.next().await else {
            return Err(Status::invalid_argument("header comes first"));
        };
        let mut content = self.shared.partial.lock().unwrap().remove(&header.digest).unwrap_or_default();
        content.truncate(usize::try_from(header.offset).unwrap());
        assert_eq!(content.len() as u64, header.offset);
        let breaks = self.breaks_now();
        while let Some(Ok(v1::PutBlobRequest { part: Some(Part::Chunk(chunk)) })) = parts.next().await {
            content.extend_from_slice(&chunk);
            if breaks {
                self.shared.partial.lock().unwrap().insert(header.digest, content);
                return Err(Status::unavailable("broke off"));
            }
        }
        let found = format!("blake3:{}", blake3::hash(&content));
        if found != header.digest || content.len() as u64 != header.size_bytes {
            return Err(Status::invalid_argument("digest mismatch"));
        }
        let size_bytes = content.len() as u64;
        self.shared.blobs.lock().unwrap().insert(found.clone(), content);
        Ok(Response::new(v1::PutBlobResponse { digest: found, size_bytes, already_stored: false }))
    }
}
