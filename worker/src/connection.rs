//! How this worker reaches its server: a unix socket or loopback, with dead peers noticed in seconds.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::config::ServerAddress;

const CONNECT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);

/// Makes connections. The stream of heartbeats, the blobs and the relays have connections of their own: what one carries much of must
/// not make the other wait for its turn. Streams of one connection do not stall each other: the server's window for it is as large
/// as those of all its streams together.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    endpoint: Endpoint,
    address: String,
}

impl Server {
    pub(crate) fn at(address: &ServerAddress) -> Result<Self, tonic::transport::Error> {
        let address = match address {
            ServerAddress::Unix(path) => format!("unix:{}", path.display()),
            ServerAddress::Loopback(uri) => uri.to_string(),
        };
        let endpoint = Endpoint::from_shared(address.clone())?
            .connect_timeout(CONNECT)
            .max_frame_size(kiln_proto::FRAME_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .keep_alive_while_idle(true);
        Ok(Self { endpoint, address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A new connection, made now.
    pub(crate) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        self.endpoint.connect().await
    }

    /// A connection made when first used, and made again when it breaks.
    pub(crate) fn connect_when_used(&self) -> Channel {
        self.endpoint.connect_lazy()
    }
}
