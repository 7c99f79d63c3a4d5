//! The stream between worker and server, as states: waiting -> opening -> up, and back to waiting when it breaks.
//!
//! Owns connecting, the backoff and nothing else: what is said over the stream is the agent's matter.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use kiln_proto::v1;
use kiln_proto::v1::fleet_client::FleetClient;
use kiln_proto::v1::server_message::Message as FromServer;
use kiln_proto::v1::worker_message::Message as FromWorker;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::backoff::Backoff;
use crate::connection::Server;

/// From the first packet to the server's `registered`.
const OPEN: Duration = Duration::from_secs(10);
/// Messages on their way out. More than this unsent means that the server does not read.
const OUTGOING: usize = 1024;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The stream, whatever its state.
pub(super) struct Link {
    server: Server,
    backoff: Backoff,
    state: State,
}

enum State {
    Waiting { until: Instant },
    Opening(Pin<Box<dyn Future<Output = Result<Opened, LinkError>> + Send>>),
    Up { send: mpsc::Sender<v1::WorkerMessage>, receive: Box<Streaming<v1::ServerMessage>> },
}

struct Opened {
    send: mpsc::Sender<v1::WorkerMessage>,
    receive: Streaming<v1::ServerMessage>,
    registered: v1::Registered,
}

/// What the stream has to tell.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// The wait is over: call [`Link::open`].
    Due,
    Up(v1::Registered),
    Message(Box<FromServer>),
    Down(LinkError),
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("connect to the server")]
    Connect(#[source] tonic::transport::Error),
    #[error("the server answered: {} ({:?})", .0.message(), .0.code())]
    Refused(Status),
    #[error("the server ended the stream")]
    Ended,
    #[error("the server did not register this worker within {} s", OPEN.as_secs())]
    Slow,
    #[error("the server said something else before it registered this worker")]
    OutOfTurn,
    #[error("the server does not read what this worker sends")]
    Stalled,
}

impl LinkError {
    /// Trying again would end the same way: the server understood and said no.
    pub(super) fn is_final(&self) -> bool {
        use tonic::Code::{
            FailedPrecondition, InvalidArgument, PermissionDenied, Unauthenticated, Unimplemented,
        };
        let codes = [FailedPrecondition, InvalidArgument, PermissionDenied, Unauthenticated, Unimplemented];
        matches!(self, Self::Refused(status) if codes.contains(&status.code()))
    }
}

impl Link {
    pub(super) fn new(server: Server) -> Self {
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        Self { server, backoff, state: State::Waiting { until: Instant::now() } }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Begins to connect; `register` is the first message.
    pub(super) fn open(&mut self, register: v1::RegisterWorker) {
        let server = self.server.clone();
        self.state = State::Opening(Box::pin(async move {
            tokio::time::timeout(OPEN, open(server, register)).await.unwrap_or(Err(LinkError::Slow))
        }));
    }

    /// Sends now or never: a stream that does not take it is given up, and what matters is sent again on the next.
    pub(super) fn send(&mut self, message: FromWorker) {
        let State::Up { send, .. } = &self.state else { return };
        if let Err(error) = send.try_send(v1::WorkerMessage { message: Some(message) }) {
            tracing::warn!(%error, "the stream to the server takes no message");
            self.fail();
        }
    }

    /// The next event. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> LinkEvent {
        match &mut self.state {
            State::Waiting { until } => {
                tokio::time::sleep_until(*until).await;
                LinkEvent::Due
            }
            State::Opening(opening) => match opening.await {
                Ok(Opened { send, receive, registered }) => {
                    self.backoff.reset();
                    self.state = State::Up { send, receive: Box::new(receive) };
                    LinkEvent::Up(registered)
                }
                Err(error) => self.down(error),
            },
            State::Up { send, .. } if send.is_closed() => self.down(LinkError::Stalled),
            State::Up { receive, .. } => loop {
                match receive.message().await {
                    Ok(Some(v1::ServerMessage { message: Some(message) })) => {
                        return LinkEvent::Message(Box::new(message));
                    }
                    // A message of a later version.
                    Ok(Some(v1::ServerMessage { message: None })) => {}
                    Ok(None) => return self.down(LinkError::Ended),
                    Err(status) => return self.down(LinkError::Refused(status)),
                }
            },
        }
    }

    fn fail(&mut self) {
        let wait = self.backoff.after_failure();
        self.state = State::Waiting { until: Instant::now() + wait };
    }

    fn down(&mut self, error: LinkError) -> LinkEvent {
        self.fail();
        LinkEvent::Down(error)
    }
}

async fn open(server: Server, register: v1::RegisterWorker) -> Result<Opened, LinkError> {
    let channel = server.connect().await.map_err(LinkError::Connect)?;
    let mut client = FleetClient::new(channel)
        .max_decoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(kiln_proto::MAX_MESSAGE_BYTES);
    let (send, outgoing) = mpsc::channel(OUTGOING);
    let first = v1::WorkerMessage { message: Some(FromWorker::Register(register)) };
    send.try_send(first).expect("a new channel has room");
    let answer = client.work(ReceiverStream::new(outgoing)).await.map_err(LinkError::Refused)?;
    let mut receive = answer.into_inner();
    match receive.message().await.map_err(LinkError::Refused)? {
        Some(v1::ServerMessage { message: Some(FromServer::Registered(registered)) }) => {
            Ok(Opened { send, receive, registered })
        }
        Some(_) => Err(LinkError::OutOfTurn),
        None => Err(LinkError::Ended),
    }
}
