//! A whole worker: engine, agent, language probe; started when it can really run steps, stopped without leaving anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::connection::Server;
use crate::engine::{Engine, EngineError};
use crate::facts;
use crate::fleet::{Agent, AgentHandle, AgentRequest, AgentState, Identity, LinkError};
use crate::languages::Probe;

/// A server that is just starting is waited for this long.
const FIRST_REGISTRATION: Duration = Duration::from_secs(30);

/// A worker that is registered and runs steps. Dropping it without [`Worker::stop`] gives its steps up.
#[derive(Debug)]
pub struct Worker {
    engine: Arc<Engine>,
    drain: Duration,
    requests: mpsc::Sender<AgentRequest>,
    state: watch::Receiver<AgentState>,
    agent: AbortOnDropHandle<()>,
    probe: Option<(CancellationToken, AbortOnDropHandle<()>)>,
}

/// Why a worker did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the worker's engine")]
    Engine(#[source] EngineError),
    #[error("the server's address")]
    Address(#[source] tonic::transport::Error),
    #[error("the server at {address} did not register this worker within {} s", FIRST_REGISTRATION.as_secs())]
    NotRegistered { address: String },
    #[error("the server at {address} refused this worker: {reason}")]
    Refused { address: String, reason: Arc<LinkError> },
}

/// Why a worker that was ready cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFailure {
    /// No jail can be started any more.
    #[error("no jail can be started: {why}")]
    Jails { why: String },
    #[error("the worker's agent ended")]
    Agent,
}

impl Worker {
    /// Starts jails, proves them, and registers. Afterwards the worker is ready.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let server = Server::at(&config.server).map_err(StartError::Address)?;
        let engine = Engine::start(&config.engine, Some(server.connect_when_used()))
            .await
            .map_err(StartError::Engine)?;
        let identity = Identity { name: config.name.clone(), facts: facts::of_this_host() };
        let (agent, handle) = Agent::new(Arc::clone(&engine), server.clone(), identity);
        let AgentHandle { requests, state, occupied } = handle;
        let mut worker = Self {
            engine: Arc::clone(&engine),
            drain: config.drain,
            requests: requests.clone(),
            state,
            agent: AbortOnDropHandle::new(tokio::spawn(agent.run())),
            probe: None,
        };
        if let Err(error) = worker.registered(server.address()).await {
            worker.drain = Duration::ZERO;
            worker.stop().await;
            return Err(error);
        }
        if config.probe_languages {
            let stop = CancellationToken::new();
            let probe = Probe {
                engine,
                languages: config.languages,
                directory: config.engine.data_dir,
                occupied,
                requests,
            };
            worker.probe = Some((stop.clone(), AbortOnDropHandle::new(tokio::spawn(probe.run(stop)))));
        }
        Ok(worker)
    }

    /// Takes no more leases, lets what runs end (cancelling it after the drain time), and leaves nothing behind.
    pub async fn stop(self) {
        if let Some((stop, probe)) = self.probe {
            stop.cancel();
            log_panic("the language probe", probe.await);
        }
        // An agent that ended by itself needs no telling.
        let _agent_gone = self.requests.send(AgentRequest::Drain(self.drain)).await;
        log_panic("the agent", self.agent.await);
        self.engine.stop().await;
    }

    /// Resolves when the worker cannot go on; for as long as it can, never.
    pub fn failed(&self) -> impl Future<Output = WorkerFailure> + Send + use<> {
        let mut broken = self.engine.slots.broken();
        let requests = self.requests.clone();
        async move {
            tokio::select! {
                why = broken.wait_for(Option::is_some) => {
                    let why = why.ok().and_then(|why| why.clone()).unwrap_or_default();
                    WorkerFailure::Jails { why }
                }
                () = requests.closed() => WorkerFailure::Agent,
            }
        }
    }

    async fn registered(&mut self, address: &str) -> Result<(), StartError> {
        let settled = self.state.wait_for(|state| !matches!(state, AgentState::Connecting));
        let address = address.to_owned();
        match tokio::time::timeout(FIRST_REGISTRATION, settled).await {
            Ok(Ok(state)) => match &*state {
                AgentState::Refused(reason) => {
                    Err(StartError::Refused { address, reason: Arc::clone(reason) })
                }
                AgentState::Connecting | AgentState::Registered => Ok(()),
            },
            Ok(Err(_)) | Err(_) => Err(StartError::NotRegistered { address }),
        }
    }
}

fn log_panic(what: &str, joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        tracing::error!(what, %error, "a task of the worker failed");
    }
}
