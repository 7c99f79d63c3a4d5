//! The whole server: started from a [`Config`], stopped gracefully, and safe to kill at any moment.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_proto::DESCRIPTOR_SET;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::api::{self, Context};
use crate::blobs::{BlobError, BlobLimits, Blobs};
use crate::config::{Config, Listen};
use crate::connections::Connections;
use crate::housekeeping;
use crate::images::Images;
use crate::jobs::admission::Admission;
use crate::jobs::live::LiveJob;
use crate::jobs::relays::Relays;
use crate::jobs::{Dispatcher, Owner, OwnerParts, recovery};
use crate::listen::{Bound, ListenError, SocketFile, checked_peers};
use crate::queue::Settings;
use crate::store::{DoneRow, Record, Sqlite, Store, StoreError, StoredJob};

/// A step whose attempt broke on one worker waits this long for another one.
const ELSEWHERE: Duration = Duration::from_secs(5);
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// A dead peer is noticed within the sum of these.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a graceful stop waits for calls to end.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long a start waits for the server before it to let go of the data.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A running server. Dropping it ends it at once, as a crash would.
#[derive(Debug)]
pub struct Server {
    listening: Vec<Listen>,
    tasks: JoinSet<()>,
    tracker: TaskTracker,
    stop: CancellationToken,
    health: HealthReporter,
    _sockets: Vec<SocketFile>,
    _data: DataDir,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error("make the data directory {path}")]
    MakeDataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock of the data directory.
    #[error("lock the data directory {path}")]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server works there.
    #[error("another server uses the data directory {path}")]
    DataDirInUse {
        /// Which.
        path: PathBuf,
    },
    /// The database.
    #[error("start the store")]
    Store(#[source] StoreError),
    /// The blobs.
    #[error("start the blob store")]
    Blobs(#[source] BlobError),
    /// An address.
    #[error("start listening")]
    Listen(#[source] ListenError),
    /// The descriptor set that the program was built with.
    #[error("start the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The runtime is going down.
    #[error("a task of the start did not end")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Where the data lies; ours alone for as long as this lives.
#[derive(Debug)]
struct DataDir {
    path: PathBuf,
    _lock: File,
    /// Deleted when dropped.
    _temporary: Option<TempDir>,
}

impl Server {
    /// Opens the data, takes up every job that had not ended, and listens.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let data = DataDir::open(config.data_dir.as_deref()).await?;
        let (store, epoch, blobs) = open_stores(&config, &data.path).await?;
        let mut bound = Vec::new();
        for address in &config.listen {
            bound.push(Bound::new(address).await.map_err(StartError::Listen)?);
        }
        let stop = CancellationToken::new();
        let images = Images::load(store.clone()).await.map_err(StartError::Store)?;
        let admission = Admission::new(config.queue_max_jobs, config.queue_max_bytes);
        let relays = Relays::default();
        let mut owner = Owner::new(owner_parts(&config, epoch, &store, &relays, &stop));
        recover(&mut owner, epoch, &*store, &blobs, &admission).await?;
        let (dispatcher, commands) = Dispatcher::new();
        let tracker = TaskTracker::new();
        let context = Arc::new(Context {
            config,
            epoch,
            dispatcher,
            admission,
            store,
            blobs,
            images,
            relays,
            tasks: tracker.clone(),
            stop: stop.clone(),
        });
        let mut tasks = JoinSet::new();
        // Without its owner the server is none: whatever ends the owner, a panic too, ends all.
        let with_owner = stop.clone().drop_guard();
        tasks.spawn(async move {
            owner.run(commands).await;
            drop(with_owner);
        });
        tasks.spawn(housekeeping::run(context.clone()));
        let (health, routes) = services(context).await?;
        let (listening, sockets) = serve(bound, &routes, &stop, &mut tasks);
        report_health(&health, ServingStatus::Serving).await;
        for address in &listening {
            tracing::info!(%address, "server listens");
        }
        Ok(Self { listening, tasks, tracker, stop, health, _sockets: sockets, _data: data })
    }

    /// Where it listens, with real ports.
    pub fn listening(&self) -> &[Listen] {
        &self.listening
    }

    /// Waits until the server has ended by itself, which is a failure: it should then be stopped and started again.
    pub async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Ends gracefully: what is accepted stays stored, streams end, running attempts are left to their workers.
    pub async fn stop(mut self) {
        report_health(&self.health, ServingStatus::NotServing).await;
        self.stop.cancel();
        self.tracker.close();
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            self.tracker.wait().await;
        };
        if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
            tracing::warn!("calls were still open at the end of the server's patience");
        }
        self.tasks.shutdown().await;
        tracing::info!("server stopped");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl DataDir {
    async fn open(path: Option<&Path>) -> Result<Self, StartError> {
        let (path, temporary) = match path {
            Some(path) => (path.to_owned(), None),
            None => {
                let directory = tempfile::Builder::new().prefix("kiln-server-").tempdir();
                let directory = directory
                    .map_err(|source| StartError::MakeDataDir { path: std::env::temp_dir(), source })?;
                (directory.path().to_owned(), Some(directory))
            }
        };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StartError::MakeDataDir { path: path.clone(), source })?;
        let lock = lock(&path).await?;
        Ok(Self { path, _lock: lock, _temporary: temporary })
    }
}

/// One server per data directory. A server that was just stopped may take a moment to let go.
async fn lock(path: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::Lock { path: path.to_owned(), source };
    let file = File::options().create(true).append(true).open(path.join("lock")).map_err(failed)?;
    let give_up = tokio::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StartError::DataDirInUse { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
}

async fn open_stores(config: &Config, path: &Path) -> Result<(Arc<dyn Store>, u64, Arc<Blobs>), StartError> {
    let limits =
        BlobLimits { max_blob_bytes: config.blob_max_bytes, max_total_bytes: config.blob_total_bytes };
    let path = path.to_owned();
    let open = move || {
        let store = Sqlite::open(&path.join("kiln.db")).map_err(StartError::Store)?;
        let blobs = Blobs::open(&path.join("blobs"), limits).map_err(StartError::Blobs)?;
        let epoch = store.epoch();
        Ok((Arc::new(store) as Arc<dyn Store>, epoch, Arc::new(blobs)))
    };
    tokio::task::spawn_blocking(open).await.map_err(StartError::Interrupted)?
}

fn owner_parts(
    config: &Config,
    epoch: u64,
    store: &Arc<dyn Store>,
    relays: &Relays,
    stop: &CancellationToken,
) -> OwnerParts {
    OwnerParts {
        settings: Settings {
            lease: config.lease,
            max_attempts: config.max_attempts,
            elsewhere: ELSEWHERE.min(config.lease),
        },
        max_file_bytes: config.max_file_bytes,
        epoch,
        store: store.clone(),
        relays: relays.clone(),
        stop: stop.clone(),
    }
}

/// Takes up every accepted job that had not ended.
async fn recover(
    owner: &mut Owner,
    epoch: u64,
    store: &dyn Store,
    blobs: &Arc<Blobs>,
    admission: &Admission,
) -> Result<(), StartError> {
    for stored in store.unfinished().await.map_err(StartError::Store)? {
        let admitted = admission.readmit(stored.spec.len());
        match recovery::revive(&stored, epoch, admitted, blobs.pin([])) {
            Ok(job) => take_up(owner, job),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an accepted job cannot go on and is ended"
                );
                store.record(ended_unread(&stored, epoch)).await.map_err(StartError::Store)?;
            }
        }
    }
    Ok(())
}

fn take_up(owner: &mut Owner, mut job: LiveJob) {
    let named = recovery::blobs_named(&job.spec);
    job.pins.add(named);
    owner.recover(job);
}

/// A job that this server cannot read or may not run any more, because the policy has changed, still ends.
fn ended_unread(stored: &StoredJob, epoch: u64) -> Record {
    let sequence = stored.last_sequence + 1;
    Record {
        job: stored.key,
        epoch,
        last_sequence: sequence,
        steps: Vec::new(),
        cancelled: stored.cancelled,
        done: Some(DoneRow {
            verdict: kiln_proto::v1::JobVerdict::Infrastructure.into(),
            finished_unix_us: crate::clock::unix_us(),
            sequence,
        }),
    }
}

async fn services(context: Arc<Context>) -> Result<(HealthReporter, Routes), StartError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    report_health(&health, ServingStatus::NotServing).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(StartError::Reflection)?;
    let routes = api::routes(context).add_service(health_service).add_service(reflection);
    Ok((health, routes))
}

/// Says of the server as a whole, and of each service by its name, how it is.
async fn report_health(health: &HealthReporter, status: ServingStatus) {
    for service in ["", "kiln.v1.Jobs", "kiln.v1.Blobs", "kiln.v1.Images", "kiln.v1.Fleet"] {
        health.set_service_status(service, status).await;
    }
}

/// One accept loop per address, all with the same services.
fn serve(
    bound: Vec<(Bound, Listen)>,
    routes: &Routes,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> (Vec<Listen>, Vec<SocketFile>) {
    let mut listening = Vec::new();
    let mut sockets = Vec::new();
    let connections = Connections::new();
    for (bound, address) in bound {
        listening.push(address);
        let router = http2().add_routes(routes.clone());
        let stopped = stop.clone().cancelled_owned();
        match bound {
            Bound::Unix(listener, file) => {
                sockets.push(file);
                let incoming = Box::pin(connections.clone().guard(checked_peers(listener)));
                tasks.spawn(
                    async move { ended(router.serve_with_incoming_shutdown(incoming, stopped).await) },
                );
            }
            Bound::Loopback(listener) => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let incoming = Box::pin(connections.clone().guard(incoming));
                tasks.spawn(
                    async move { ended(router.serve_with_incoming_shutdown(incoming, stopped).await) },
                );
            }
        }
    }
    (listening, sockets)
}

fn ended(outcome: Result<(), tonic::transport::Error>) {
    if let Err(error) = outcome {
        tracing::error!(error = &error as &dyn std::error::Error, "an address is not served any more");
    }
}

fn http2() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(kiln_proto::MAX_STREAMS)
        .max_frame_size(kiln_proto::FRAME_BYTES)
        .initial_stream_window_size(kiln_proto::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(kiln_proto::CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}
