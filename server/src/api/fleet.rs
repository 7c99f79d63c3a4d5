//! `Fleet`: the workers' side. One stream for leases, heartbeats and reports; one call for each relay of live output.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use kiln_proto::OUTPUT_CHUNK_BYTES;
use kiln_proto::model::{ProfileName, WorkerName};
use kiln_proto::status::Reason;
use kiln_proto::v1;
use kiln_proto::v1::fleet_server::Fleet;
use kiln_proto::v1::relay_output_request::Part;
use kiln_proto::v1::server_message::Message as ToWorker;
use kiln_proto::v1::worker_message::Message as FromWorker;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use super::errors::{field, order};
use crate::jobs::relays::Relayed;
use crate::jobs::{Command, Dispatcher, Registration};
use crate::queue::WorkerKey;

/// Messages that wait for one worker; more and it is given up.
const OUTBOX: usize = 4_096;
/// A worker that connects says who it is within this.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Slots of one worker, at most.
const MAX_SLOTS: u32 = 4_096;
/// Custom profiles of one worker, at most.
const MAX_PROFILES: usize = 256;

type ServerMessages = Pin<Box<dyn Stream<Item = Result<v1::ServerMessage, Status>> + Send>>;

#[tonic::async_trait]
impl Fleet for Api {
    type WorkStream = ServerMessages;

    async fn work(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<ServerMessages>, Status> {
        let context = &self.0;
        let mut messages = request.into_inner();
        let register = introduced(&mut messages).await?;
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        let registered = v1::Registered {
            heartbeat_interval_ms: millis(context.config.heartbeat),
            lease_ms: millis(context.config.lease),
        };
        let worker = context.dispatcher.new_worker_key();
        let registration = Box::new(Registration { register, outbox });
        context.dispatcher.send(Command::Join { worker, registration }).await?;
        let (dispatcher, stop) = (context.dispatcher.clone(), context.stop.clone());
        context.tasks.spawn(async move {
            tokio::select! {
                () = listen(worker, messages, &dispatcher) => {}
                () = stop.cancelled() => {}
            }
            dispatcher.send_detached(Command::Left { worker });
        });
        // Said first, whatever the owner has put into the outbox by now.
        let first = stream::iter([ToWorker::Registered(registered)]);
        let messages = first.chain(ReceiverStream::new(inbox));
        let messages = messages.map(|message| Ok(v1::ServerMessage { message: Some(message) }));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn relay_output(
        &self,
        request: Request<Streaming<v1::RelayOutputRequest>>,
    ) -> Result<Response<v1::RelayOutputResponse>, Status> {
        let mut parts = request.into_inner();
        let Some(Part::RelayId(id)) = parts.message().await?.and_then(|message| message.part) else {
            return Err(order("the first message of a relay must be its id"));
        };
        let Some(watcher) = self.0.relays.open(&id) else {
            return Err(Reason::NotRegistered.status("nobody waits for this relay"));
        };
        loop {
            let message = tokio::select! {
                // A watcher that is gone frees the worker's connection, also when the command writes nothing.
                () = watcher.closed() => return Ok(Response::new(v1::RelayOutputResponse {})),
                message = parts.message() => message?,
            };
            let Some(message) = message else { break };
            let Some(Part::Chunk(chunk)) = message.part else {
                return Err(order("after the relay's id come chunks only"));
            };
            if chunk.data.len() > OUTPUT_CHUNK_BYTES {
                return Err(field("chunk.data", format!("has more than {OUTPUT_CHUNK_BYTES} bytes")));
            }
            // Waits for as long as the watcher does not read: the worker's flow control does the rest.
            if watcher.send(Relayed::Chunk(chunk)).await.is_err() {
                return Ok(Response::new(v1::RelayOutputResponse {}));
            }
        }
        // A watcher that is gone does not need to know the end.
        let _ = watcher.send(Relayed::Complete).await;
        Ok(Response::new(v1::RelayOutputResponse {}))
    }
}

async fn introduced(messages: &mut Streaming<v1::WorkerMessage>) -> Result<v1::RegisterWorker, Status> {
    let first = timeout(INTRODUCTION, messages.message()).await;
    let first = first.map_err(|_| order("a worker must register within 10 seconds"))??;
    let Some(FromWorker::Register(register)) = first.and_then(|message| message.message) else {
        return Err(order("the first message of a worker must be `register`"));
    };
    WorkerName::new(register.name.as_str()).map_err(|error| field("register.name", error))?;
    if !(1..=MAX_SLOTS).contains(&register.slots) {
        let why = format!("is {}; 1 to {MAX_SLOTS} are allowed", register.slots);
        return Err(field("register.slots", why));
    }
    if register.profiles.len() > MAX_PROFILES {
        let why = format!("has {} entries; at most {MAX_PROFILES} are allowed", register.profiles.len());
        return Err(field("register.profiles", why));
    }
    for (index, name) in register.profiles.iter().enumerate() {
        ProfileName::new(name.as_str())
            .map_err(|error| field(&format!("register.profiles[{index}]"), error))?;
    }
    Ok(register)
}

/// Passes on what the worker says until its stream ends.
async fn listen(worker: WorkerKey, mut messages: Streaming<v1::WorkerMessage>, dispatcher: &Dispatcher) {
    while let Ok(Some(message)) = messages.message().await {
        let Some(message) = message.message else { continue };
        if dispatcher.send(Command::Told { worker, message }).await.is_err() {
            return;
        }
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
