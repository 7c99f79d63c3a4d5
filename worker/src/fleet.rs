//! The agent: takes leases from the server, runs them, heartbeats, reports until acknowledged.
//!
//! One task owns all of it. Attempts go on while the server is away and their reports wait; a lease is never run twice
//! and a report is never given up before the server has said what became of it. It decides nothing about jobs.

mod attempts;
mod link;
mod relay;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kiln_proto::v1::server_message::Message as FromServer;
use kiln_proto::v1::worker_message::Message as FromWorker;
use kiln_proto::{model, v1};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use self::link::LinkError;

use self::attempts::{Attempt, Attempts, Key};
use self::link::{Link, LinkEvent};
use self::relay::{Opening, Relay, Relays};
use crate::clock::unix_us;
use crate::connection::Server;
use crate::engine::Engine;
use crate::order::{StepOrder, Terms};
use crate::step::{self, StepControl};

/// Until the server says its own interval.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Cancelled attempts end within this, or the worker stops without their reports.
const CANCELLED_END: Duration = Duration::from_secs(10);
/// How long a stopping worker waits for the acknowledgements of its last reports.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// What the agent is told about itself.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) facts: BTreeMap<String, String>,
}

/// What others ask of the agent.
#[derive(Debug)]
pub(crate) enum AgentRequest {
    Facts(v1::WorkerFacts),
    /// No more leases; end once what runs has ended, cancelling it after so long.
    Drain(Duration),
}

/// Where the agent is.
#[derive(Clone, Debug, Default)]
pub(crate) enum AgentState {
    #[default]
    Connecting,
    Registered,
    /// The server understood and said no.
    Refused(Arc<LinkError>),
}

/// The agent; [`Agent::run`] is its task.
pub(crate) struct Agent {
    engine: Arc<Engine>,
    server: Server,
    identity: Identity,
    link: Link,
    attempts: Attempts,
    /// Slots not free: running, or cleaning up.
    occupied: watch::Sender<usize>,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    requests: mpsc::Receiver<AgentRequest>,
    state: watch::Sender<AgentState>,
    heartbeat: Interval,
    facts: Option<v1::WorkerFacts>,
    drain: Drain,
    tasks: TaskTracker,
    relays: Relays,
}

/// From an attempt's task.
#[derive(Debug)]
enum Event {
    Started(Key),
    Ended(Key, v1::StepReport),
    /// Its slot is free again.
    Freed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    No,
    Waiting { cancel_at: Instant },
    Cancelled { acknowledged_by: Instant, give_up_at: Instant },
}

/// How the agent is reached.
pub(crate) struct AgentHandle {
    pub(crate) requests: mpsc::Sender<AgentRequest>,
    pub(crate) state: watch::Receiver<AgentState>,
    /// Slots not free.
    pub(crate) occupied: watch::Receiver<usize>,
}

impl Agent {
    pub(crate) fn new(engine: Arc<Engine>, server: Server, identity: Identity) -> (Self, AgentHandle) {
        let (ask, requests) = mpsc::channel(16);
        let (state, occupied) = (watch::Sender::default(), watch::Sender::default());
        let handle = AgentHandle { requests: ask, state: state.subscribe(), occupied: occupied.subscribe() };
        let slots = engine.slots.count();
        let agent = Self {
            engine,
            link: Link::new(server.clone()),
            relays: Relays::new(&server, slots),
            server,
            identity,
            attempts: Attempts::default(),
            occupied,
            // Three events per attempt; more attempts than slots are the server's mistake and only wait.
            events: mpsc::channel(slots * 3 + 16),
            requests,
            state,
            heartbeat: heartbeat_every(FIRST_HEARTBEAT),
            facts: None,
            drain: Drain::No,
            tasks: TaskTracker::new(),
        };
        (agent, handle)
    }

    /// Works until drained or refused. Afterwards no attempt's task is left.
    pub(crate) async fn run(mut self) {
        while !self.is_done() {
            let drain_deadline = self.drain_deadline();
            tokio::select! {
                event = self.link.next() => self.on_link(event),
                Some(event) = self.events.1.recv() => self.on_event(event),
                Some(request) = self.requests.recv() => self.on_request(request),
                _ = self.heartbeat.tick(), if self.link.is_up() => {
                    self.link.send(FromWorker::Heartbeat(self.attempts.heartbeat()));
                }
                () = sleep_until(drain_deadline) => self.on_drain_deadline(),
            }
        }
        for (_, attempt) in self.attempts.unreported() {
            attempt.control.abandon.cancel();
            attempt.control.cancel.cancel();
        }
        self.tasks.close();
        // Their events have no reader any more; closing lets them pass.
        self.events.1.close();
        self.tasks.wait().await;
        self.relays.finish().await;
    }

    fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Due => {
                let register = self.register();
                self.link.open(register);
            }
            LinkEvent::Up(registered) => self.on_registered(registered),
            LinkEvent::Message(message) => self.on_message(*message),
            LinkEvent::Down(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(server = self.server.address(), %error, source, "no stream to the server");
                if error.is_final() && matches!(*self.state.borrow(), AgentState::Connecting) {
                    self.state.send_replace(AgentState::Refused(Arc::new(error)));
                }
            }
        }
    }

    fn on_message(&mut self, message: FromServer) {
        match message {
            FromServer::Registered(registered) => self.on_registered(registered),
            FromServer::Lease(lease) => self.on_lease(lease),
            FromServer::Cancel(cancel) => self.on_cancel(&cancel),
            FromServer::Relay(relay) => self.on_relay(relay, Opening::AtOnce),
            FromServer::Ack(ack) => {
                let Some(reference) = &ack.attempt else { return };
                if !ack.accepted {
                    tracing::warn!(
                        job.id = reference.job_id,
                        attempt = reference.attempt,
                        "a report came too late"
                    );
                }
                self.attempts.forget(&Key::of(reference));
            }
        }
    }

    /// Everything that the server may have missed is said again.
    fn on_registered(&mut self, registered: v1::Registered) {
        tracing::info!(server = self.server.address(), "registered");
        let interval = Duration::from_millis(u64::from(registered.heartbeat_interval_ms.max(10)));
        self.heartbeat = heartbeat_every(interval);
        self.state.send_replace(AgentState::Registered);
        let started: Vec<_> = self
            .attempts
            .unreported()
            .filter(|(_, attempt)| *attempt.live.started().borrow())
            .map(|(key, _)| key.to_wire())
            .collect();
        for attempt in started {
            self.link.send(FromWorker::Started(v1::AttemptStarted { attempt: Some(attempt) }));
        }
        let reports: Vec<_> = self.attempts.reports().cloned().collect();
        for report in reports {
            self.link.send(FromWorker::Report(report));
        }
        if let Some(facts) = self.facts.clone() {
            self.link.send(FromWorker::Facts(facts));
        }
        self.send_credits();
    }

    fn on_lease(&mut self, mut lease: v1::Lease) {
        let received_unix_us = unix_us();
        let (Some(reference), Some(step)) = (lease.attempt.take(), lease.step.take()) else {
            tracing::error!("a lease without attempt or step");
            return;
        };
        let key = Key::of(&reference);
        if self.drain != Drain::No || self.attempts.get(&key).is_some() {
            tracing::info!(job.id = reference.job_id, attempt = reference.attempt, "a lease is not taken");
            return;
        }
        let names: Vec<String> = step.commands.iter().map(|command| command.name.clone()).collect();
        match order(step, &lease, &self.engine, received_unix_us) {
            Ok(order) => self.begin(key, &reference, order),
            Err(why) => {
                tracing::error!(
                    job.id = reference.job_id,
                    attempt = reference.attempt,
                    why,
                    "a lease that cannot be run"
                );
                self.link.send(FromWorker::Report(unrunnable(reference, &names, &why)));
                self.send_credits();
                return;
            }
        }
        for relay in lease.relays {
            self.on_relay(relay, Opening::WhenWorthwhile);
        }
    }

    fn begin(&mut self, key: Key, reference: &v1::AttemptRef, order: StepOrder) {
        let live = self.engine.live(&order);
        let control = StepControl::default();
        let attempt = Attempt { live: Arc::clone(&live), control: control.clone(), report: None };
        self.attempts.insert(key.clone(), attempt);
        // The server has counted this lease off the credits itself.
        self.occupied.send_modify(|occupied| *occupied += 1);
        let span = tracing::info_span!(
            "job",
            job.id = reference.job_id,
            attempt = reference.attempt,
            step = reference.step,
            worker.id = self.identity.name
        );
        let task = AttemptTask {
            engine: Arc::clone(&self.engine),
            key,
            order,
            live,
            control,
            events: self.events.0.clone(),
        };
        self.tasks.spawn(task.run_guarded().instrument(span));
    }

    fn on_cancel(&mut self, cancel: &v1::CancelAttempt) {
        let Some(key) = cancel.attempt.as_ref().map(Key::of) else { return };
        let Some(attempt) = self.attempts.get(&key) else { return };
        if cancel.fenced {
            attempt.control.abandon.cancel();
        }
        attempt.control.cancel.cancel();
        if cancel.fenced {
            self.attempts.forget(&key);
        }
    }

    fn on_relay(&mut self, relay: v1::StartRelay, opening: Opening) {
        let Some(attempt) = relay.attempt.as_ref().and_then(|attempt| self.attempts.get(&Key::of(attempt)))
        else {
            return;
        };
        let command = usize::try_from(relay.command).unwrap_or(usize::MAX);
        let relay = Relay { relay_id: relay.relay_id, step: Arc::clone(&attempt.live), command, opening };
        self.relays.start(relay);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Started(key) => {
                let attempt = Some(key.to_wire());
                self.link.send(FromWorker::Started(v1::AttemptStarted { attempt }));
            }
            Event::Ended(key, report) => {
                if self.attempts.report(&key, &report) {
                    self.link.send(FromWorker::Report(report));
                }
            }
            Event::Freed => {
                self.occupied.send_modify(|occupied| *occupied -= 1);
                self.send_credits();
            }
        }
    }

    fn on_request(&mut self, request: AgentRequest) {
        match request {
            AgentRequest::Facts(facts) => {
                self.facts = Some(facts.clone());
                self.link.send(FromWorker::Facts(facts));
            }
            AgentRequest::Drain(patience) => {
                self.drain = Drain::Waiting { cancel_at: Instant::now() + patience };
                self.send_credits();
            }
        }
    }

    fn drain_deadline(&self) -> Option<Instant> {
        match self.drain {
            Drain::No => None,
            Drain::Waiting { cancel_at } => Some(cancel_at),
            Drain::Cancelled { acknowledged_by, give_up_at } => {
                Some(if Instant::now() < acknowledged_by { acknowledged_by } else { give_up_at })
            }
        }
    }

    fn on_drain_deadline(&mut self) {
        if let Drain::Waiting { .. } = self.drain {
            for (_, attempt) in self.attempts.unreported() {
                attempt.control.cancel.cancel();
            }
            let now = Instant::now();
            self.drain =
                Drain::Cancelled { acknowledged_by: now + ACKNOWLEDGED, give_up_at: now + CANCELLED_END };
        }
    }

    fn is_done(&self) -> bool {
        let idle = *self.occupied.borrow() == 0;
        match self.drain {
            Drain::No => matches!(*self.state.borrow(), AgentState::Refused(_)),
            Drain::Waiting { .. } => idle && self.attempts.is_empty(),
            Drain::Cancelled { acknowledged_by, give_up_at } => {
                let now = Instant::now();
                // Without a server nobody acknowledges.
                let told = self.attempts.is_empty() || !self.link.is_up() || now >= acknowledged_by;
                now >= give_up_at || (idle && told)
            }
        }
    }

    fn send_credits(&mut self) {
        let free = self.engine.slots.count().saturating_sub(*self.occupied.borrow());
        let free = if self.drain == Drain::No { free } else { 0 };
        let free_slots = u32::try_from(free).expect("slots are at most 1,024");
        self.link.send(FromWorker::Credits(v1::Credits { free_slots }));
    }

    fn register(&self) -> v1::RegisterWorker {
        v1::RegisterWorker {
            name: self.identity.name.clone(),
            slots: u32::try_from(self.engine.slots.count()).expect("slots are at most 1,024"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            facts: self.identity.facts.clone(),
            host_image: Some(self.engine.roots.host_info()),
            running: self.attempts.references(),
            profiles: self.engine.profiles.iter().map(|profile| profile.name.clone()).collect(),
        }
    }
}

/// An agent that is dropped in the middle gives its attempts up; their tasks clean up and end by themselves.
impl Drop for Agent {
    fn drop(&mut self) {
        for (_, attempt) in self.attempts.unreported() {
            attempt.control.abandon.cancel();
            attempt.control.cancel.cancel();
        }
    }
}

/// Runs one attempt and tells the agent.
struct AttemptTask {
    engine: Arc<Engine>,
    key: Key,
    order: StepOrder,
    live: Arc<crate::live::StepLive>,
    control: StepControl,
    events: mpsc::Sender<Event>,
}

impl AttemptTask {
    /// Even a panic of ours ends the attempt: else its heartbeats would go on for ever.
    async fn run_guarded(self) {
        let (key, names, events) = (self.key.clone(), self.command_names(), self.events.clone());
        // Nothing of the attempt is used after a panic, so it may be left as broken as it is.
        if AssertUnwindSafe(self.run()).catch_unwind().await.is_err() {
            tracing::error!("the task of an attempt panicked");
            let report = unrunnable(key.to_wire(), &names, "the worker's task failed");
            let _agent_gone = events.send(Event::Ended(key, report)).await;
            let _agent_gone = events.send(Event::Freed).await;
        }
    }

    fn command_names(&self) -> Vec<String> {
        self.order.commands.iter().map(|command| command.name.clone()).collect()
    }

    async fn run(self) {
        tracing::info!("step leased");
        let end = {
            let run = step::run(&self.engine, &self.order, &self.live, &self.control);
            tokio::pin!(run);
            tokio::select! {
                end = &mut run => end,
                () = self.tell_started() => run.await,
            }
        };
        let report = v1::StepReport { attempt: Some(self.key.to_wire()), commands: end.results };
        let report = if report.encoded_len() < kiln_proto::MAX_MESSAGE_BYTES {
            report
        } else {
            unrunnable(self.key.to_wire(), &self.command_names(), "the results do not fit into a message")
        };
        tracing::info!("step ended");
        self.tell(Event::Ended(self.key.clone(), report)).await;
        end.cleanup.finish().await;
        self.tell(Event::Freed).await;
    }

    /// Tells when the commands were started, unless they end within a blink: the report says it too.
    async fn tell_started(&self) {
        let started = self.live.started().wait_for(|started| *started).await.is_ok();
        if started && relay::is_any_worthwhile(&self.live.commands).await {
            self.tell(Event::Started(self.key.clone())).await;
        }
    }

    async fn tell(&self, event: Event) {
        // Only a stopped agent does not listen, and then nobody wants to know.
        let _agent_gone = self.events.send(event).await;
    }
}

fn order(
    step: v1::Step,
    lease: &v1::Lease,
    engine: &Engine,
    received_unix_us: u64,
) -> Result<StepOrder, String> {
    let step = model::Step::check_lease(step, &engine.limits).map_err(|error| error.to_string())?;
    let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let terms = Terms {
        read_only: lease.read_only.iter().map(|input| (index(input.command), index(input.file))).collect(),
        durable: lease.durable,
        max_file_bytes: lease.max_file_bytes,
        profiles: Arc::clone(&engine.profiles),
    };
    StepOrder::new(&step, &terms, received_unix_us).map_err(|error| error.to_string())
}

/// The report of a step that could not be run at all: Kiln's failure, never the job's.
fn unrunnable(attempt: v1::AttemptRef, commands: &[String], why: &str) -> v1::StepReport {
    let outcome = v1::Outcome::from(&model::Ending::infrastructure("lease", None, why));
    let commands = commands.iter().map(|name| v1::CommandResult {
        // A lone command without a name is called so.
        name: if name.is_empty() { "main".to_owned() } else { name.clone() },
        outcome: Some(outcome.clone()),
        ..v1::CommandResult::default()
    });
    v1::StepReport { attempt: Some(attempt), commands: commands.collect() }
}

fn heartbeat_every(interval: Duration) -> Interval {
    let mut heartbeat = tokio::time::interval(interval);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
