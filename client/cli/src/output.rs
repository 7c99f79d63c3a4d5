//! Our own stdout and stderr. A reader that went away ends the command quietly, it is never an error.

use std::io::{ErrorKind, IsTerminal, Write};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::failure::Failure;

/// For whom a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    People,
    Json,
}

/// Writes a text and flushes it.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| write_failure("stdout", &error))
}

/// Writes one JSON value on one line.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(value).map_err(|error| Failure::caused("writing JSON", &error))?;
    line.push(b'\n');
    print_bytes(&line)
}

/// Says something on stderr. Where nobody listens, nothing is lost.
pub(crate) fn note(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.write_all(b"\n")));
}

/// Writes a program's bytes as they are, without holding up the runtime while the reader is slow. They are on their way when this
/// returns, and written when the sink is flushed: the next ones come meanwhile.
pub(crate) async fn forward(
    sink: &mut (impl AsyncWrite + Unpin),
    name: &str,
    bytes: &[u8],
) -> Result<(), Failure> {
    sink.write_all(bytes).await.map_err(|error| write_failure(name, &error))
}

/// Waits until everything that was forwarded is written.
pub(crate) async fn flush(sink: &mut (impl AsyncWrite + Unpin), name: &str) -> Result<(), Failure> {
    sink.flush().await.map_err(|error| write_failure(name, &error))
}

pub(crate) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

fn write_failure(name: &str, error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::closed_pipe();
    }
    Failure::caused(&format!("cannot write to {name}"), error)
}
