//! Tries: opens a thousand connections that never say a word.
//! Seen: slowloris; every server with a thread or a buffer for each connection.
//! Must: honest clients are served meanwhile, and nothing stays of the connections.

use kiln_client::Address;
use tokio::net::{TcpStream, UnixStream};

use super::asking;
use crate::attack::Held;
use crate::attack::target::Target;

const CONNECTIONS: usize = 1_000;

/// An open connection, whatever its kind.
enum Silent {
    Unix { _stream: UnixStream },
    Tcp { _stream: TcpStream },
}

pub(super) async fn run(target: &Target) -> Held {
    let mut silent = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        match open(target).await {
            Ok(connection) => silent.push(connection),
            // A bound on connections is a way to hold, as long as those who were first are served.
            Err(_) if number > 100 => break,
            Err(error) => return Err(format!("connection {number} was refused: {error}")),
        }
    }
    asking::still_serves(target).await?;
    asking::run(target, asking::job(target, |_| {})).await.map_err(|status| asking::told(&status))?;
    drop(silent);
    asking::still_serves(target).await
}

async fn open(target: &Target) -> std::io::Result<Silent> {
    Ok(match &target.address {
        Address::Unix(path) => Silent::Unix { _stream: UnixStream::connect(path).await? },
        Address::Http(authority) => Silent::Tcp { _stream: TcpStream::connect(authority).await? },
    })
}
