//! The worker's engine in this process, without a server, for as long as a command needs it.

use kiln_jail::wire::FilterUse;
use kiln_worker::config::{EngineConfig, WorkerFile};
use kiln_worker::library::Runner;
use tempfile::TempDir;

use crate::context::Context;
use crate::failure::{Failure, with_sources};
use crate::services::engine_failure;
use crate::signals::Signals;

/// An engine on a directory of its own; [`PrivateRunner::stop`] takes everything down again.
pub(crate) struct PrivateRunner {
    pub(crate) runner: Runner,
    directory: TempDir,
}

impl PrivateRunner {
    /// Starts it; the configuration may be changed.
    pub(crate) async fn start(
        context: &Context,
        slots: usize,
        change: impl FnOnce(EngineConfig) -> EngineConfig,
    ) -> Result<PrivateRunner, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("kiln-")
            .tempdir()
            .map_err(|error| Failure::caused("cannot make a temporary directory", &error))?;
        let file = WorkerFile {
            data_dir: Some(directory.path().join("worker")),
            slots: Some(slots),
            ..context.settings.worker_file.clone()
        };
        let resolved = EngineConfig::resolve(&file).map_err(|error| Failure::usage(with_sources(&error)))?;
        let config = change(EngineConfig {
            limits: context.settings.limits,
            profiles: context.settings.own_profiles(),
            ..resolved
        });
        let runner = Runner::start(&config).await.map_err(|error| engine_failure(&error))?;
        Ok(PrivateRunner { runner, directory })
    }

    /// Ends the engine and removes what it kept.
    pub(crate) async fn stop(self) {
        self.runner.stop().await;
        if let Err(error) = self.directory.close() {
            tracing::warn!(%error, "the temporary directory could not be removed");
        }
    }
}

/// Starts an engine, lets `work` use it, and takes everything down again: also when a signal asks for the end.
pub(crate) async fn with_runner<T>(
    context: &Context,
    slots: usize,
    work: impl AsyncFnOnce(&Runner) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_filters(context, slots, FilterUse::Required, work).await
}

/// The same; without filters it runs programs of this crate's own choice only, to measure what filters cost.
pub(crate) async fn with_filters<T>(
    context: &Context,
    slots: usize,
    filters: FilterUse,
    work: impl AsyncFnOnce(&Runner) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    let engine = PrivateRunner::start(context, slots, |config| EngineConfig { filters, ..config }).await?;
    let ended = tokio::select! {
        ended = work(&engine.runner) => ended,
        status = signals.next_exit() => Err(Failure::interrupted(status)),
    };
    if ended.is_err() {
        signals.end_at_once_on_the_next();
    }
    engine.stop().await;
    ended
}
