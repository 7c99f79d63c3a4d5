//! `kiln worker`: takes steps from a server and runs them.

use std::path::PathBuf;

use clap::Args;
use kiln_worker::Worker;
use serde_json::json;

use crate::context::Context;
use crate::embedded::require_root;
use crate::failure::Failure;
use crate::services::{self, announce, until_asked_or_failed};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  kiln worker                                    for the server on /run/kiln/kiln.sock
  kiln worker --server unix:/tmp/k.sock --slots 4 --name north

SIGTERM or Ctrl-C ends it once running steps have finished; a second one ends it at once.";

/// Run a worker: takes steps from a server and runs them in sandboxes
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) size: WorkerSize,
    /// Directory for everything that is kept; the worker's own is worker/ below it
    #[arg(long, value_name = "DIRECTORY", env = "KILN_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Name and size of a worker.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WorkerSize {
    /// Name, unique among the server's workers
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Steps that run at the same time
    #[arg(long, value_name = "COUNT", env = "KILN_SLOTS", hide_env_values = true)]
    pub(crate) slots: Option<usize>,
}

pub(crate) async fn run(context: &Context) -> Result<u8, Failure> {
    require_root("kiln worker")?;
    let signals = Signals::listen()?;
    let config = context.settings.worker.clone();
    let (name, slots) = (config.name.clone(), config.engine.slots);
    let worker = Worker::start(config).await.map_err(|error| services::worker_failure(&error))?;
    announce(
        context,
        "worker",
        &format!("{name}, {}", services::slots(slots)),
        json!({"worker": name, "slots": slots}),
    )?;
    let ended = until_asked_or_failed(signals, services::worker_failed(&worker)).await;
    worker.stop().await;
    ended
}
