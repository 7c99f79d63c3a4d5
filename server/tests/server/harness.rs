//! A server, its clients, and workers that do what a test says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use kiln_proto::v1::blobs_client::BlobsClient;
use kiln_proto::v1::fleet_client::FleetClient;
use kiln_proto::v1::images_client::ImagesClient;
use kiln_proto::v1::job_event::Event;
use kiln_proto::v1::jobs_client::JobsClient;
use kiln_proto::v1::server_message::Message as ToWorker;
use kiln_proto::v1::worker_message::Message as FromWorker;
use kiln_proto::{MAX_MESSAGE_BYTES, v1};
use kiln_server::{Config, Listen, Server};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint, Uri};

/// Long enough for a loaded machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Kiln {
    pub(crate) server: Option<Server>,
    pub(crate) directory: TempDir,
    pub(crate) config: Config,
}

impl Kiln {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::embedded(directory.path().join("kiln.sock"));
        config.data_dir = Some(directory.path().join("data"));
        change(&mut config);
        let server = Server::start(config.clone()).await.unwrap();
        Self { server: Some(server), directory, config }
    }

    /// Ends the server without a word, as a crash would, and starts another on the same data.
    pub(crate) async fn crash(&mut self) {
        drop(self.server.take());
        let name = format!("kiln-{}.sock", rand::random::<u32>());
        self.config.listen = vec![Listen::Unix(self.directory.path().join(name))];
        self.server = Some(Server::start(self.config.clone()).await.unwrap());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        match &self.server.as_ref().unwrap().listening()[0] {
            Listen::Unix(path) => path.clone(),
            Listen::Loopback(_) => panic!("the first address is a socket"),
        }
    }

    pub(crate) async fn jobs(&self) -> JobsClient<Channel> {
        JobsClient::new(connect(&self.socket()).await)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX)
    }

    pub(crate) async fn blobs(&self) -> BlobsClient<Channel> {
        BlobsClient::new(connect(&self.socket()).await)
    }

    pub(crate) async fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(connect(&self.socket()).await)
    }

    pub(crate) async fn worker(&self, name: &str, slots: u32) -> Worker {
        let mut worker = self.silent_worker(name, slots, vec![]).await;
        worker.credits(slots).await;
        worker
    }

    /// A worker that has not asked for leases yet.
    pub(crate) async fn silent_worker(&self, name: &str, slots: u32, running: Vec<v1::AttemptRef>) -> Worker {
        let fleet = FleetClient::new(connect(&self.socket()).await);
        Worker::register(fleet, name, slots, running).await
    }
}

pub(crate) async fn connect(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://kiln.invalid").connect_with_connector(connector).await.unwrap()
}

pub(crate) struct Worker {
    pub(crate) fleet: FleetClient<Channel>,
    to_server: mpsc::Sender<v1::WorkerMessage>,
    from_server: Streaming<v1::ServerMessage>,
    /// What came while something else was waited for.
    backlog: Vec<ToWorker>,
}

impl Worker {
    async fn register(
        mut fleet: FleetClient<Channel>,
        name: &str,
        slots: u32,
        running: Vec<v1::AttemptRef>,
    ) -> Self {
        let (to_server, messages) = mpsc::channel(100);
        let register = v1::RegisterWorker {
            name: name.into(),
            slots,
            version: "0.0.0-test".into(),
            facts: [("kernel".to_owned(), "test".to_owned())].into(),
            host_image: Some(v1::ImageInfo {
                name: "host".into(),
                digest: "host".into(),
                ..Default::default()
            }),
            running,
            profiles: vec![],
        };
        to_server.send(message(FromWorker::Register(register))).await.unwrap();
        let from_server = fleet.work(ReceiverStream::new(messages)).await.unwrap().into_inner();
        let mut worker = Self { fleet, to_server, from_server, backlog: vec![] };
        let first = worker.next().await;
        assert!(matches!(first, ToWorker::Registered(_)), "{first:?}");
        worker
    }

    pub(crate) async fn next(&mut self) -> ToWorker {
        let next = timeout(PATIENCE, self.from_server.message()).await.expect("the server says something");
        next.unwrap().expect("the stream goes on").message.unwrap()
    }

    pub(crate) async fn lease(&mut self) -> v1::Lease {
        self.take(|message| match message {
            ToWorker::Lease(lease) => Ok(lease),
            other => Err(other),
        })
        .await
    }

    pub(crate) async fn ack(&mut self) -> v1::ReportAck {
        self.take(|message| match message {
            ToWorker::Ack(ack) => Ok(ack),
            other => Err(other),
        })
        .await
    }

    pub(crate) async fn cancelled(&mut self) -> v1::CancelAttempt {
        self.take(|message| match message {
            ToWorker::Cancel(cancel) => Ok(cancel),
            other => Err(other),
        })
        .await
    }

    pub(crate) async fn relay(&mut self) -> v1::StartRelay {
        self.take(|message| match message {
            ToWorker::Relay(relay) => Ok(relay),
            other => Err(other),
        })
        .await
    }

    /// The first message of a kind; others are kept for later.
    async fn take<T>(&mut self, wanted: impl Fn(ToWorker) -> Result<T, ToWorker>) -> T {
        let mut backlog = std::mem::take(&mut self.backlog).into_iter();
        while let Some(message) = backlog.next() {
            match wanted(message) {
                Ok(found) => {
                    self.backlog.extend(backlog);
                    return found;
                }
                Err(other) => self.backlog.push(other),
            }
        }
        loop {
            match wanted(self.next().await) {
                Ok(found) => return found,
                Err(other) => self.backlog.push(other),
            }
        }
    }

    pub(crate) async fn say(&mut self, what: FromWorker) {
        self.to_server.send(message(what)).await.unwrap();
    }

    pub(crate) async fn credits(&mut self, free_slots: u32) {
        self.say(FromWorker::Credits(v1::Credits { free_slots })).await;
    }

    pub(crate) async fn started(&mut self, lease: &v1::Lease) {
        self.say(FromWorker::Started(v1::AttemptStarted { attempt: lease.attempt.clone() })).await;
    }

    pub(crate) async fn beat(&mut self, attempts: &[&v1::Lease]) {
        let attempts = attempts
            .iter()
            .map(|lease| v1::AttemptProgress { attempt: lease.attempt.clone(), commands: vec![] })
            .collect();
        self.say(FromWorker::Heartbeat(v1::Heartbeat { attempts })).await;
    }

    /// Reports the same result for every command.
    pub(crate) async fn report(&mut self, lease: &v1::Lease, result: v1::CommandResult) {
        let commands = lease.step.as_ref().unwrap().commands.iter();
        let commands = commands
            .map(|command| v1::CommandResult { name: command.name.clone(), ..result.clone() })
            .collect();
        self.say(FromWorker::Report(v1::StepReport { attempt: lease.attempt.clone(), commands })).await;
    }

    /// Takes the next lease, reports it as exited, and waits for the acknowledgement.
    pub(crate) async fn work(&mut self, result: v1::CommandResult) -> v1::Lease {
        let lease = self.lease().await;
        self.started(&lease).await;
        self.report(&lease, result).await;
        let ack = self.ack().await;
        assert!(ack.accepted, "{ack:?}");
        lease
    }

    /// Sends live output through a relay, one chunk per item; finishes the relay when `complete`.
    pub(crate) async fn relay_output(
        &self,
        relay_id: &str,
        chunks: Vec<v1::RelayChunk>,
    ) -> Result<(), tonic::Status> {
        use v1::relay_output_request::Part;
        let id = Part::RelayId(relay_id.to_owned());
        let parts = std::iter::once(id).chain(chunks.into_iter().map(Part::Chunk));
        let parts: Vec<_> = parts.map(|part| v1::RelayOutputRequest { part: Some(part) }).collect();
        self.fleet.clone().relay_output(tokio_stream::iter(parts)).await.map(drop)
    }
}

fn message(message: FromWorker) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}

pub(crate) fn chunk(stream: v1::Stream, offset: u64, data: impl Into<bytes::Bytes>) -> v1::RelayChunk {
    v1::RelayChunk { stream: stream.into(), offset, data: data.into() }
}

/// A step of one command that needs others.
pub(crate) fn step(name: &str, needs: &[&str]) -> v1::Step {
    let command = v1::Command { argv: vec!["/bin/true".into()], ..Default::default() };
    let needs = needs.iter().map(|need| (*need).to_owned()).collect();
    v1::Step { name: name.into(), needs, commands: vec![command], pipes: vec![] }
}

pub(crate) fn spec(steps: Vec<v1::Step>) -> v1::JobSpec {
    v1::JobSpec { steps, ..Default::default() }
}

pub(crate) fn simple() -> v1::JobSpec {
    spec(vec![step("main", &[])])
}

pub(crate) fn labelled(name: &str, value: &str) -> v1::JobSpec {
    v1::JobSpec { labels: [(name.to_owned(), value.to_owned())].into(), ..simple() }
}

pub(crate) fn exited(code: i32, stdout: &str) -> v1::CommandResult {
    let mut outcome = v1::Outcome { code: Some(code), ..Default::default() };
    outcome.set_kind(v1::OutcomeKind::Exited);
    result(outcome, stdout)
}

pub(crate) fn cancelled() -> v1::CommandResult {
    let mut outcome = v1::Outcome::default();
    outcome.set_kind(v1::OutcomeKind::Cancelled);
    result(outcome, "")
}

pub(crate) fn broken() -> v1::CommandResult {
    let mut outcome = v1::Outcome {
        infrastructure_step: "mount".into(),
        infrastructure_errno: Some(5),
        infrastructure_detail: "of the root".into(),
        ..Default::default()
    };
    outcome.set_kind(v1::OutcomeKind::Infrastructure);
    result(outcome, "")
}

fn result(outcome: v1::Outcome, stdout: &str) -> v1::CommandResult {
    let output = v1::Output {
        data: stdout.to_owned().into_bytes().into(),
        size_bytes: stdout.len() as u64,
        ..Default::default()
    };
    v1::CommandResult { outcome: Some(outcome), stdout: Some(output), ..Default::default() }
}

/// Runs a job.
pub(crate) async fn run(jobs: &mut JobsClient<Channel>, spec: v1::JobSpec) -> Streaming<v1::JobEvent> {
    jobs.run(v1::RunRequest { spec: Some(spec) }).await.unwrap().into_inner()
}

pub(crate) async fn submit(jobs: &mut JobsClient<Channel>, spec: v1::JobSpec) -> String {
    let request = v1::SubmitRequest { spec: Some(spec), ..Default::default() };
    jobs.submit(request).await.unwrap().into_inner().job_id
}

pub(crate) async fn get(jobs: &mut JobsClient<Channel>, job_id: &str) -> v1::Job {
    jobs.get(v1::GetRequest { job_id: job_id.into() }).await.unwrap().into_inner()
}

pub(crate) async fn wait(jobs: &mut JobsClient<Channel>, job_id: &str) -> v1::Job {
    let answer = timeout(PATIENCE, jobs.wait(v1::WaitRequest { job_id: job_id.into() })).await;
    answer.expect("the job ends").unwrap().into_inner()
}

pub(crate) async fn watch(
    jobs: &mut JobsClient<Channel>,
    job_id: &str,
    after: u64,
    output: bool,
) -> Streaming<v1::JobEvent> {
    let request = v1::WatchRequest { job_id: job_id.into(), after_sequence: after, output };
    jobs.watch(request).await.unwrap().into_inner()
}

pub(crate) async fn next(events: &mut Streaming<v1::JobEvent>) -> v1::JobEvent {
    timeout(PATIENCE, events.message()).await.expect("an event comes").unwrap().expect("the stream goes on")
}

/// All events up to the end of the stream.
pub(crate) async fn rest(events: &mut Streaming<v1::JobEvent>) -> Vec<v1::JobEvent> {
    let mut all = Vec::new();
    while let Some(event) = timeout(PATIENCE, events.message()).await.expect("the stream ends").unwrap() {
        all.push(event);
    }
    all
}

/// Events as words, to be compared.
pub(crate) fn words(events: &[v1::JobEvent]) -> Vec<String> {
    events.iter().map(word).collect()
}

pub(crate) fn word(event: &v1::JobEvent) -> String {
    match event.event.as_ref().unwrap() {
        Event::Accepted(_) => "accepted".into(),
        Event::StepStarted(started) => format!("started {}", started.step),
        Event::Output(output) => {
            let stream = if output.stream() == v1::Stream::Stdout { "stdout" } else { "stderr" };
            let text = match output.data.len() {
                0..=20 => String::from_utf8_lossy(&output.data).into_owned(),
                many => format!("{many} bytes"),
            };
            format!("{stream} {}@{} {text}", output.command, output.offset)
        }
        Event::Progress(_) => "progress".into(),
        Event::CommandFinished(finished) => {
            format!("finished {}.{}", finished.step, finished.result.as_ref().unwrap().name)
        }
        Event::StepFinished(finished) => format!("{} {}", finished.state().as_str_name(), finished.step),
        Event::Done(done) => done.job.as_ref().unwrap().verdict().as_str_name().into(),
    }
}
