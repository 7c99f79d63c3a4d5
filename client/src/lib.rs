//! The typed client of Kiln: connect, call, retry, upload, download.
//!
//! It owns the way to a server and nothing else: it never decides what a server should, never retries a `Run`, and
//! never prints. Wire types come from [`kiln_proto::v1`].

mod address;
mod blobs;
mod content;
mod error;
mod images;
mod jobs;
mod retry;

use std::path::Path;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use kiln_proto::v1::blobs_client::BlobsClient;
use kiln_proto::v1::images_client::ImagesClient;
use kiln_proto::v1::jobs_client::JobsClient;
use tonic::transport::{Channel, Endpoint};

pub use address::{Address, AddressError};
pub use blobs::Stored;
pub use content::ContentReader;
pub use error::ClientError;
pub use jobs::Events;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection over TCP that answers no ping for this long is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A connection to a server. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects, once. Fails at once when nobody listens there.
    pub async fn connect(address: &Address) -> Result<Client, ClientError> {
        let refused = |source| ClientError::Connect { address: address.clone(), source };
        let channel = match address {
            Address::Unix(path) => {
                let path = path.clone();
                // The authority is never resolved: the connector below opens the socket, whatever it says.
                let endpoint = of_this_client(Endpoint::from_static("http://kiln.invalid"));
                let connector = tower::service_fn(move |_| open_socket(path.clone()));
                endpoint.connect_with_connector(connector).await.map_err(refused)?
            }
            Address::Http(authority) => Endpoint::from_shared(format!("http://{authority}"))
                .map(of_this_client)
                .map_err(refused)?
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .connect()
                .await
                .map_err(refused)?,
        };
        Ok(Client { channel })
    }

    /// Connects to a server that may still be starting: tries again, with jitter, until `patience` is over.
    pub async fn connect_within(address: &Address, patience: Duration) -> Result<Client, ClientError> {
        let deadline = Instant::now() + patience;
        let mut pauses = retry::Pauses::default();
        loop {
            let refused = match Client::connect(address).await {
                Ok(client) => return Ok(client),
                Err(refused) => refused,
            };
            let pause = pauses.next_pause();
            if Instant::now() + pause >= deadline {
                return Err(refused);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The connection itself, for callers that need a call this client does not wrap (health, reflection).
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn jobs(&self) -> JobsClient<Channel> {
        JobsClient::new(self.channel.clone())
            .max_decoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
    }

    fn blobs(&self) -> BlobsClient<Channel> {
        BlobsClient::new(self.channel.clone())
            .max_decoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
    }

    fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone())
            .max_decoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(kiln_proto::MAX_MESSAGE_BYTES)
    }
}

fn of_this_client(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(kiln_proto::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(kiln_proto::CONNECTION_WINDOW_BYTES)
        .max_frame_size(kiln_proto::FRAME_BYTES)
}

async fn open_socket(path: impl AsRef<Path>) -> std::io::Result<TokioIo<tokio::net::UnixStream>> {
    tokio::net::UnixStream::connect(path).await.map(TokioIo::new)
}
