//! Server and worker inside this process, talking gRPC over a private socket in a temporary directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_client::{Address, Client};
use kiln_jail::rootless;
use kiln_jail::standing::Standing;
use kiln_server::{Server, config::Config as ServerConfig};
use kiln_worker::recorder::Recorder;
use kiln_worker::{Worker, config::Config as WorkerConfig, config::WorkerFile};
use tempfile::TempDir;

use crate::config::Settings;
use crate::failure::Failure;
use crate::services;

const SOCKET: &str = "kiln.sock";
/// Progress comes with heartbeats, and somebody is watching.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// Runs until it is stopped; [`Embedded::stop`] leaves nothing behind.
pub(crate) struct Embedded {
    pub(crate) client: Client,
    worker: Worker,
    server: Server,
    directory: TempDir,
}

impl Embedded {
    /// Starts both and connects. With a recorder every command is recorded, and the server's configuration may be changed.
    pub(crate) async fn start_with(
        settings: &Settings,
        slots: usize,
        recorder: Option<Recorder>,
        change: impl FnOnce(ServerConfig) -> ServerConfig,
    ) -> Result<Embedded, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("kiln-")
            .tempdir()
            .map_err(|error| Failure::caused("cannot make a temporary directory", &error))?;
        let socket = directory.path().join(SOCKET);
        let address = Address::Unix(socket.clone());
        let config = ServerConfig::embedded(socket)
            .with_limits(settings.limits)
            .with_profiles(settings.profile_names());
        let config = change(ServerConfig { heartbeat: HEARTBEAT, ..config });
        let server = Server::start(config)
            .await
            .map_err(|error| Failure::caused("cannot start the server", &error))?;
        let file = WorkerFile {
            server: Some(address.to_string()),
            data_dir: Some(directory.path().join("worker")),
            slots: Some(slots),
            probe_languages: Some(false),
            ..settings.worker_file.clone()
        };
        match start_worker(file, settings, recorder, &address).await {
            Ok((worker, client)) => Ok(Embedded { client, worker, server, directory }),
            Err(failure) => {
                server.stop().await;
                Err(failure)
            }
        }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// Where both keep what they keep.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ends both and removes what they kept.
    pub(crate) async fn stop(self) {
        let Embedded { client, worker, server, directory } = self;
        drop(client);
        worker.stop().await;
        server.stop().await;
        if let Err(error) = directory.close() {
            tracing::warn!(%error, "the temporary directory could not be removed");
        }
    }
}

async fn start_worker(
    file: WorkerFile,
    settings: &Settings,
    recorder: Option<Recorder>,
    address: &Address,
) -> Result<(Worker, Client), Failure> {
    let mut config = WorkerConfig::resolve(file).map_err(|error| Failure::usage(error.to_string()))?;
    config.engine.limits = settings.limits;
    config.engine.profiles = settings.own_profiles();
    config.engine.recorder = recorder;
    let worker = Worker::start(config).await.map_err(|error| services::worker_failure(&error))?;
    match Client::connect(address).await {
        Ok(client) => Ok((worker, client)),
        Err(error) => {
            worker.stop().await;
            Err(error.into())
        }
    }
}

/// Making sandboxes takes root. For an ordinary user this does not return: the same process begins anew as root of a user
/// namespace, with the same arguments. So call it before anything is read, made or said.
pub(crate) fn require_root(what: &str) -> Result<(), Failure> {
    let standing = Standing::of_this_process()
        .map_err(|error| Failure::caused("cannot find out whose root this is", &error))?;
    match standing {
        Standing::HostRoot | Standing::NamespaceRoot { .. } => Ok(()),
        Standing::User { .. } => Err(Failure::caused(what, &rootless::start_over())),
    }
}
