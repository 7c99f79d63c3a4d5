//! The worker's engine without a server: for benches, tests and `kiln run --explain`.
//!
//! The same code as behind a lease, jails and all; only blobs come from the local cache alone.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_jail::plan::{CustomProfile, Plan, Rootfs};
use kiln_proto::{model, v1};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blobs::BlobError;
use crate::clock::unix_us;
use crate::config::EngineConfig;
use crate::engine::{Engine, EngineError};
use crate::images::ImageStoreError;
use crate::order::{CommandOrder, OrderError, StepOrder, Terms};
use crate::step::{self, StepControl, Until};

/// Runs steps in this process.
#[derive(Debug)]
pub struct Runner {
    engine: Arc<Engine>,
    cleanups: TaskTracker,
}

/// Why a command has no plan here.
#[derive(Debug, thiserror::Error)]
pub enum PlanOfError {
    #[error("order the command")]
    Order(#[source] OrderError),
    #[error("get the image")]
    Root(#[source] ImageStoreError),
}

/// A step of which nothing is left.
#[derive(Debug)]
pub struct Destroyed {
    pub results: Vec<v1::CommandResult>,
    /// Until the results were there.
    pub ran: Duration,
    /// From then on until nothing was left.
    pub destroyed: Duration,
}

/// What the jail is told for a command in this root, by a worker that has these profiles beside the built-in ones.
pub fn plan(
    command: &model::Command,
    rootfs: Rootfs,
    profiles: &Arc<[CustomProfile]>,
) -> Result<Plan, OrderError> {
    let terms = Terms { profiles: Arc::clone(profiles), ..Terms::default() };
    Ok(Plan { rootfs, ..CommandOrder::new(0, command, &terms)?.plan })
}

impl Runner {
    /// Starts the jails and runs a trial command through each.
    pub async fn start(config: &EngineConfig) -> Result<Self, EngineError> {
        Ok(Self { engine: Engine::start(config, None).await?, cleanups: TaskTracker::new() })
    }

    /// Runs a step to its end; results in the order of its commands.
    pub async fn run(&self, step: &model::Step) -> Result<Vec<v1::CommandResult>, OrderError> {
        self.run_until(step, CancellationToken::new()).await
    }

    /// As [`Runner::run`], and waits until nothing is left of its sandboxes.
    pub async fn run_and_destroy(&self, step: &model::Step) -> Result<Destroyed, OrderError> {
        let order = StepOrder::new(step, &self.terms(), unix_us())?;
        let engine = Arc::clone(&self.engine);
        let whole = self.cleanups.spawn(async move {
            let began = Instant::now();
            let end = step::run(&engine, &order, &engine.live(&order), &StepControl::default()).await;
            let ran = began.elapsed();
            end.cleanup.finish_until(Until::NothingIsLeft).await;
            Destroyed { results: end.results, ran, destroyed: began.elapsed() - ran }
        });
        Ok(whole.await.expect("a step never fails"))
    }

    /// As [`Runner::run`], and cancels the step when the token says so.
    pub async fn run_until(
        &self,
        step: &model::Step,
        cancel: CancellationToken,
    ) -> Result<Vec<v1::CommandResult>, OrderError> {
        let order = StepOrder::new(step, &self.terms(), unix_us())?;
        let control = StepControl { cancel, ..StepControl::default() };
        let engine = Arc::clone(&self.engine);
        let (send, receive) = tokio::sync::oneshot::channel();
        // In a task of its own: a caller that goes away must not take a jail with it.
        self.cleanups.spawn(async move {
            let end = step::run(&engine, &order, &engine.live(&order), &control).await;
            let _caller_gone = send.send(end.results);
            end.cleanup.finish().await;
        });
        Ok(receive.await.expect("the task above ends with a result"))
    }

    /// Puts bytes into the blob cache, for steps that take a blob.
    pub async fn store_blob(
        &self,
        read: impl std::io::Read + Send + 'static,
    ) -> Result<model::Digest, BlobError> {
        let blobs = Arc::clone(&self.engine.blobs);
        let stored = tokio::task::spawn_blocking(move || blobs.store(read)).await;
        stored.map_err(|_| BlobError::Stopped)?.map(|(digest, _)| digest)
    }

    /// Opens a blob that a step took or left.
    pub async fn open_blob(&self, digest: &model::Digest) -> Result<File, BlobError> {
        self.engine.blobs.get(digest).await
    }

    /// What the jail will be told for a command.
    pub async fn plan_of(&self, command: &model::Command) -> Result<Plan, PlanOfError> {
        let order = CommandOrder::new(0, command, &self.terms()).map_err(PlanOfError::Order)?;
        let root = self.engine.roots.get(order.image, &self.engine.blobs).await.map_err(PlanOfError::Root)?;
        Ok(Plan { rootfs: root.rootfs, ..order.plan })
    }

    /// What is known of the host image.
    pub fn host_image(&self) -> v1::ImageInfo {
        self.engine.roots.host_info()
    }

    fn terms(&self) -> Terms {
        Terms { profiles: Arc::clone(&self.engine.profiles), ..Terms::default() }
    }

    /// Waits for what still cleans up, ends every jail and removes the cgroups.
    pub async fn stop(self) {
        self.cleanups.close();
        self.cleanups.wait().await;
        self.engine.stop().await;
    }
}
