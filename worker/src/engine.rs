//! Everything that runs steps on this machine: jails, roots, blobs, spool. Knows nothing of leases or streams.
//!
//! Standing means proven: the engine starts only after a real command went through every jail, and the short attack was held.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use kiln_jail::host::{self, Finding, Status};
use kiln_jail::layer_of;
use kiln_jail::plan::CustomProfile;
use kiln_proto::{model, v1};
use tonic::transport::Channel;

use crate::blobs::{BlobError, Blobs};
use crate::clock::unix_us;
use crate::config::EngineConfig;
use crate::group_owner;
use crate::images::Host;
use crate::jail_program::{JailProgram, JailProgramError};
use crate::live::StepLive;
use crate::order::{StepOrder, Terms};
use crate::recorder::Recorder;
use crate::roots::{Roots, RootsError};
use crate::slots::{Slots, own_group};
use crate::start_attack::{self, GotThrough};
use crate::step::{self, StepControl};

/// Runs steps.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) slots: Arc<Slots>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) roots: Roots,
    pub(crate) limits: model::LimitPolicy,
    pub(crate) profiles: Arc<[CustomProfile]>,
    pub(crate) recorder: Option<Recorder>,
    spool_directory: PathBuf,
}

/// Why steps cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("make the directory {}", path.display())]
    MakeDirectory { path: PathBuf, source: io::Error },
    #[error("prepare the jail's program")]
    JailProgram(#[source] JailProgramError),
    #[error("lock the file that says who owns this worker's cgroups")]
    OwnGroups(#[source] io::Error),
    #[error("open the blob cache")]
    Blobs(#[source] BlobError),
    #[error("prepare the images")]
    Roots(#[source] RootsError),
    #[error("a task was stopped")]
    Stopped(#[source] tokio::task::JoinError),
    /// A layer of the sandbox is missing, or something that it needs.
    #[error("this host cannot make the sandbox: {}{step}: {detail}{}{}", of_layer(step), with_errno(*errno), with_fixes(step, missing))]
    Layer {
        step: String,
        errno: i32,
        detail: String,
        /// What a look at the host found missing, each with its fix.
        missing: Vec<Finding>,
    },
    /// The sandbox stands, yet a command that does nothing did not succeed in it.
    #[error("a trial run of /bin/true {sentence}")]
    Canary { sentence: String },
    /// It stands, and does not hold.
    #[error(
        "the sandbox does not hold on this host, so nothing untrusted may run here: {}; \
         `kiln doctor` says which layer is wrong, and its fix",
        listed(attacks)
    )]
    Attacked { attacks: Vec<GotThrough> },
}

impl Engine {
    /// Makes everything ready, runs a trial command through every slot's jail, and attacks what stands.
    pub(crate) async fn start(
        config: &EngineConfig,
        server: Option<Channel>,
    ) -> Result<Arc<Self>, EngineError> {
        let prepared = {
            let config = config.clone();
            tokio::task::spawn_blocking(move || Prepared::make(&config, server))
                .await
                .map_err(EngineError::Stopped)??
        };
        let engine = Arc::new(Self {
            slots: Slots::new(prepared.program, config),
            blobs: prepared.blobs,
            roots: prepared.roots,
            limits: config.limits,
            profiles: Arc::clone(&config.profiles),
            recorder: config.recorder.clone(),
            spool_directory: prepared.spool_directory,
        });
        group_owner::sweep_dead().await;
        let proven = match engine.try_every_slot().await {
            Ok(()) => engine.withstand_the_short_attack(&config.given_up()).await,
            Err(error) => Err(error),
        };
        match proven {
            Ok(()) => {
                // Nobody wants to know what the trial commands did.
                engine.recorder.iter().for_each(|recorder| drop(recorder.take()));
                Ok(engine)
            }
            Err(error) => {
                engine.stop().await;
                Err(explained(error).await)
            }
        }
    }

    /// A step's live state, before it is run.
    pub(crate) fn live(&self, order: &StepOrder) -> Arc<StepLive> {
        StepLive::new(order, &self.spool_directory)
    }

    /// Ends all jails and removes the worker's cgroups. Call when no step runs.
    pub(crate) async fn stop(&self) {
        self.slots.stop().await;
    }

    async fn try_every_slot(&self) -> Result<(), EngineError> {
        let trials = join_all((0..self.slots.count()).map(|_| self.try_once())).await;
        let (results, cleanups): (Vec<_>, Vec<_>) = trials.into_iter().unzip();
        join_all(cleanups.into_iter().map(step::Cleanup::finish)).await;
        results.into_iter().collect()
    }

    async fn withstand_the_short_attack(&self, given_up: &[String]) -> Result<(), EngineError> {
        let attacks = start_attack::attack(self, given_up).await;
        if attacks.is_empty() { Ok(()) } else { Err(EngineError::Attacked { attacks }) }
    }

    /// The clean-up is left to the caller, so that trials at the same time take a slot each.
    async fn try_once(&self) -> (Result<(), EngineError>, step::Cleanup) {
        let order = StepOrder::new(&canary(), &Terms::default(), unix_us())
            .expect("the canary needs nothing resolved");
        let end = step::run(self, &order, &self.live(&order), &StepControl::default()).await;
        let outcome = end.results.into_iter().next().and_then(|result| result.outcome).unwrap_or_default();
        let result = match outcome.kind() {
            v1::OutcomeKind::Exited if outcome.code == Some(0) => Ok(()),
            v1::OutcomeKind::Infrastructure => Err(EngineError::Layer {
                step: outcome.infrastructure_step,
                errno: outcome.infrastructure_errno.unwrap_or(0),
                detail: outcome.infrastructure_detail,
                missing: Vec::new(),
            }),
            _ => Err(EngineError::Canary { sentence: outcome.sentence }),
        };
        (result, end.cleanup)
    }
}

/// What is made on a blocking thread.
struct Prepared {
    program: JailProgram,
    blobs: Arc<Blobs>,
    roots: Roots,
    spool_directory: PathBuf,
}

impl Prepared {
    fn make(config: &EngineConfig, server: Option<Channel>) -> Result<Self, EngineError> {
        let spool_directory = config.data_dir.join("spool");
        make_directory(&spool_directory)?;
        group_owner::claim(&own_group()).map_err(EngineError::OwnGroups)?;
        let program = JailProgram::seal(&config.jail_program).map_err(EngineError::JailProgram)?;
        let blobs = Blobs::open(&config.data_dir.join("blobs"), config.blob_cache_bytes, server)
            .map_err(EngineError::Blobs)?;
        let blobs = Arc::new(blobs);
        let host = Host::this_machine(config.extra_read_only.clone());
        let roots = Roots::open(&config.data_dir.join("images"), config.image_cache_bytes, &host)
            .map_err(EngineError::Roots)?;
        Ok(Self { program, blobs, roots, spool_directory })
    }
}

/// Looks at the host for the cause. Only now: a host that can make the sandbox has proven it by making one.
async fn explained(error: EngineError) -> EngineError {
    let EngineError::Layer { step, errno, detail, .. } = error else { return error };
    let probed = tokio::task::spawn_blocking(host::probe).await.unwrap_or_default();
    let missing = probed.into_iter().filter(|finding| finding.status == Status::Missing).collect();
    EngineError::Layer { step, errno, detail, missing }
}

fn with_errno(errno: i32) -> String {
    if errno == 0 { String::new() } else { format!(" ({})", io::Error::from_raw_os_error(errno)) }
}

fn of_layer(step: &str) -> String {
    layer_of(step).map_or(String::new(), |layer| format!("layer {}: ", layer.name))
}

fn with_fixes(step: &str, missing: &[Finding]) -> String {
    if missing.is_empty() {
        let fix = layer_of(step).map_or(String::new(), |layer| format!("; fix: {}", layer.fix));
        return format!("{fix}; `kiln doctor` shows what this host has");
    }
    missing
        .iter()
        .map(|Finding { layer, what, seen, fix, .. }| format!("; {layer}: {what}: {seen}; fix: {fix}"))
        .collect()
}

fn listed(attacks: &[GotThrough]) -> String {
    attacks.iter().map(GotThrough::to_string).collect::<Vec<_>>().join("; ")
}

fn canary() -> model::Step {
    let limits = v1::Limits::from(&model::LimitPolicy::default().default);
    let command =
        v1::Command { argv: vec!["/bin/true".into()], limits: Some(limits), ..v1::Command::default() };
    let step = v1::Step { name: "canary".into(), commands: vec![command], ..v1::Step::default() };
    model::Step::check_lease(step, &model::LimitPolicy::default()).expect("a constant step that a test runs")
}

fn make_directory(path: &Path) -> Result<(), EngineError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| EngineError::MakeDirectory { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_layer_is_told_with_its_fix() {
        let finding = Finding {
            layer: "cgroups".into(),
            what: "memory controller".into(),
            status: Status::Missing,
            seen: "not mounted".into(),
            why_it_matters: "limits".into(),
            fix: "mount it".into(),
        };
        let error = |missing| EngineError::Layer {
            step: "cgroup".into(),
            errno: 2,
            detail: "open it".into(),
            missing,
        };
        assert_eq!(
            error(vec![finding]).to_string(),
            "this host cannot make the sandbox: cgroup: open it (No such file or directory (os error 2)); \
             cgroups: memory controller: not mounted; fix: mount it"
        );
        assert!(error(Vec::new()).to_string().ends_with("; `kiln doctor` shows what this host has"));
        let layer = EngineError::Layer {
            step: "no_new_privs".into(),
            errno: 0,
            detail: "it is not set".into(),
            missing: Vec::new(),
        };
        let text = layer.to_string();
        assert!(text.contains("layer no_new_privs: no_new_privs: it is not set; fix: "), "{text}");
    }
}
