//! `kiln server`: API, queue and store, without a worker.

use std::path::PathBuf;

use clap::Args;
use kiln_server::Server;
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::services::{announce, server_failed, server_failure, until_asked_or_failed};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  kiln server                                    on /run/kiln/kiln.sock
  kiln server --listen unix:/tmp/k.sock --listen tcp:127.0.0.1:7460 --data-dir /tmp/kiln

SIGTERM or Ctrl-C ends it; accepted jobs are still there when it starts again.";

/// Run the server: API, queue, store. Workers come to it with `kiln worker`
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) place: ServerPlace,
}

/// Where a server listens and keeps its data.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServerPlace {
    /// Address to listen on: unix:PATH or tcp:127.0.0.1:PORT; repeat for more
    #[arg(long, value_name = "ADDRESS", env = "KILN_LISTEN", hide_env_values = true, value_delimiter = ',')]
    pub(crate) listen: Vec<String>,
    /// Directory for everything that is kept
    #[arg(long, value_name = "DIRECTORY", env = "KILN_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context) -> Result<u8, Failure> {
    let signals = Signals::listen()?;
    let server = start(context).await?;
    let listening = listening(&server);
    announce(
        context,
        "server",
        &format!("listening on {}", listening.join(", ")),
        json!({"listening": listening}),
    )?;
    let ended = until_asked_or_failed(signals, server_failed(&server)).await;
    server.stop().await;
    ended
}

pub(crate) async fn start(context: &Context) -> Result<Server, Failure> {
    Server::start(context.settings.server.clone()).await.map_err(|error| server_failure(&error))
}

pub(crate) fn listening(server: &Server) -> Vec<String> {
    server.listening().iter().map(ToString::to_string).collect()
}
