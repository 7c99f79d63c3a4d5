//! Tries: speaks other protocols and nonsense to the service's socket.
//! Seen: every parser's first day on the internet.
//! Must: each connection is closed, and the service goes on.

use kiln_client::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::asking;
use crate::attack::Held;
use crate::attack::target::Target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) async fn run(target: &Target) -> Held {
    let Address::Unix(path) = &target.address else { return Err("there is no unix socket to speak to".to_owned()) };
    let huge_frame = [PREFACE, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], &[0x42; 100_000]].concat();
    let settings_flood = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(10_000)].concat();
    let nonsense: [&[u8]; 6] =
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[0; 65_536], &[0xff; 65_536], PREFACE, &huge_frame, &settings_flood];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(path).await.map_err(|error| error.to_string())?;
        // The service may close before it has read everything: that is its right.
        let _closed = stream.write_all(bytes).await;
        let _closed = stream.shutdown().await;
        let mut answer = vec![0; 1 << 20];
        let _closed = tokio::time::timeout(std::time::Duration::from_secs(10), stream.read(&mut answer)).await;
        asking::still_serves(target).await?;
    }
    Ok(())
}
