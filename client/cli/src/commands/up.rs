//! `kiln up`: server and worker on this machine.

use clap::Args;
use kiln_client::Address;
use kiln_server::Server;
use kiln_server::config::Listen;
use kiln_worker::Worker;
use kiln_worker::config::ServerAddress;
use serde_json::json;

use super::server::{ServerPlace, listening, start};
use super::worker::WorkerSize;
use crate::context::Context;
use crate::embedded::require_root;
use crate::failure::Failure;
use crate::services::{self, announce, until_asked_or_failed};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  kiln up                                        on /run/kiln/kiln.sock, data in /var/lib/kiln
  kiln up --listen unix:/tmp/k.sock --data-dir /tmp/kiln --slots 2
  kiln run --server unix:/tmp/k.sock prog.py

SIGTERM or Ctrl-C ends it once running steps have finished; a second one ends it at once.";

/// Run server and worker on this machine
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) place: ServerPlace,
    #[command(flatten)]
    pub(crate) size: WorkerSize,
}

pub(crate) async fn run(context: &Context) -> Result<u8, Failure> {
    require_root("kiln up")?;
    let signals = Signals::listen()?;
    let server = start(context).await?;
    let worker = match start_worker(context, &server).await {
        Ok(worker) => worker,
        Err(failure) => {
            server.stop().await;
            return Err(failure);
        }
    };
    let (listening, slots) = (listening(&server), context.settings.worker.engine.slots);
    announce(
        context,
        "up",
        &format!("listening on {}, {}", listening.join(", "), services::slots(slots)),
        json!({"listening": listening, "worker": context.settings.worker.name, "slots": slots}),
    )?;
    let failed = async {
        tokio::select! {
            failure = services::worker_failed(&worker) => failure,
            failure = services::server_failed(&server) => failure,
        }
    };
    let ended = until_asked_or_failed(signals, failed).await;
    worker.stop().await;
    server.stop().await;
    ended
}

async fn start_worker(context: &Context, server: &Server) -> Result<Worker, Failure> {
    let nowhere = || Failure::kiln("the server listens nowhere");
    let address = match server.listening().first().ok_or_else(nowhere)? {
        Listen::Unix(path) => Address::Unix(path.clone()),
        Listen::Loopback(address) => Address::Http(address.to_string()),
    };
    let server = ServerAddress::parse(&address.to_string())
        .map_err(|error| Failure::caused("cannot reach ourselves", &error))?;
    let config = kiln_worker::config::Config { server, ..context.settings.worker.clone() };
    Worker::start(config).await.map_err(|error| services::worker_failure(&error))
}
