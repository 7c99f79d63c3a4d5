//! `kiln bench-target`: a part of a service that `kiln bench` measures, in a process of its own. Not for people.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kiln_jail::plan::{CustomProfile, Writes};
use kiln_proto::model::ProfileName;
use kiln_server::Server;
use kiln_server::config::{Config as ServerConfig, Listen};
use kiln_worker::Worker;
use kiln_worker::config::{Config as WorkerConfig, EngineConfig, ServerAddress};

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::print_json;
use crate::own_service::{Ready, until_left_alone};
use crate::services;
use crate::signals::Signals;

const SOCKET: &str = "kiln.sock";
/// A profile that is as `default`, yet an operator's: each of its sandboxes has a network namespace of its own.
pub(crate) const OWN_NETWORK: &str = "bench-own-network";
const OWN_NETWORK_POLICY: &str = r#"{"about": "As default.", "inherits": "default", "rules": []}"#;

const EXAMPLES: &str = "\
Example:
  kiln bench                                     starts them, measures them, and ends them";

/// Be a part of the service that is measured: says where it listens, and ends when its stdin does
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchTargetArgs {
    /// What to be
    part: Part,
    /// The server's socket, for a worker
    #[arg(long, value_name = "PATH", required_if_eq("part", "worker"))]
    of: Option<PathBuf>,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Server and worker, as `kiln up`
    Up,
    /// As `kiln server`
    Server,
    /// As `kiln worker`
    Worker,
}

pub(crate) async fn run(args: BenchTargetArgs, context: &Context) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let directory = tempfile::Builder::new()
        .prefix("kiln-")
        .tempdir()
        .map_err(|error| Failure::caused("cannot make a temporary directory", &error))?;
    let socket = args.of.clone().unwrap_or_else(|| directory.path().join(SOCKET));
    let place = Place { socket, directory: directory.path() };
    let ended = match args.part {
        Part::Up => serve(context, &place, async || work(context, &place, &mut signals).await).await,
        Part::Server => serve(context, &place, async || stand(&place, &mut signals).await).await,
        Part::Worker => work(context, &place, &mut signals).await,
    };
    let closed =
        directory.close().map_err(|error| Failure::caused("cannot remove the temporary directory", &error));
    ended.and(closed)?;
    Ok(exit::SUCCESS)
}

struct Place<'a> {
    socket: PathBuf,
    directory: &'a Path,
}

async fn serve(
    context: &Context,
    place: &Place<'_>,
    meanwhile: impl AsyncFnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let config = ServerConfig {
        listen: vec![Listen::Unix(place.socket.clone())],
        data_dir: Some(place.directory.join("server")),
        ..context.settings.server.clone()
    };
    let own =
        OWN_NETWORK.parse::<ProfileName>().map_err(|error| Failure::caused("a profile's name", &error))?;
    let names = context.settings.profiles.iter().map(|profile| profile.name.clone());
    let config = config.with_profiles(names.chain([own]).collect());
    let server = Server::start(config).await.map_err(|error| services::server_failure(&error))?;
    let ended = meanwhile().await;
    server.stop().await;
    ended
}

/// Without its look for languages, which a worker makes once and which would be measured with everything else.
async fn work(context: &Context, place: &Place<'_>, signals: &mut Signals) -> Result<(), Failure> {
    let settings = context.settings.worker.clone();
    let own = CustomProfile {
        name: OWN_NETWORK.to_owned(),
        writes: Writes::Work,
        policy: OWN_NETWORK_POLICY.to_owned(),
    };
    let profiles = settings.engine.profiles.iter().cloned().chain([own]).collect();
    let config = WorkerConfig {
        server: ServerAddress::Unix(place.socket.clone()),
        probe_languages: false,
        engine: EngineConfig { data_dir: place.directory.join("worker"), profiles, ..settings.engine },
        ..settings
    };
    let worker = Worker::start(config).await.map_err(|error| services::worker_failure(&error))?;
    let ended = stand(place, signals).await;
    worker.stop().await;
    ended
}

async fn stand(place: &Place<'_>, signals: &mut Signals) -> Result<(), Failure> {
    print_json(&Ready { socket: place.socket.clone(), directory: place.directory.to_owned() })?;
    until_left_alone(signals).await;
    Ok(())
}
