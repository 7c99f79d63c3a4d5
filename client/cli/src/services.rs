//! What `up`, `server` and `worker` share: being ready, and ending well.

use std::future::Future;
use std::num::NonZeroUsize;

use kiln_server::Server;
use kiln_worker::{EngineError, Worker};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::{Format, note, print_json};
use crate::signals::Signals;

const ENGINE_NEXT: &str = "`kiln doctor` shows what this host has and lacks, with a fix for each";

/// Says, once, that a service is ready: a line on stderr for people, one JSON object on stdout for programs.
pub(crate) fn announce(context: &Context, service: &str, about: &str, facts: Value) -> Result<(), Failure> {
    match context.format {
        Format::Json => print_json(&json!({"ready": service, "facts": facts})),
        Format::People => {
            note(&format!("kiln {service} ready: {about}"));
            Ok(())
        }
    }
}

/// `1 slot`, `2 slots`.
pub(crate) fn slots(count: NonZeroUsize) -> String {
    format!("{count} slot{}", if count.get() == 1 { "" } else { "s" })
}

/// Waits until a signal asks for the end, or the service fails. A second signal ends the process at once.
pub(crate) async fn until_asked_or_failed(
    mut signals: Signals,
    failed: impl Future<Output = Failure>,
) -> Result<u8, Failure> {
    let ended = tokio::select! {
        // Being asked to end is how a service ends: a success.
        _ = signals.next_exit() => Ok(exit::SUCCESS),
        failure = failed => Err(failure),
    };
    if ended.is_ok() {
        tracing::info!("asked to end; running steps may finish, a second signal ends at once");
    }
    signals.end_at_once_on_the_next();
    ended
}

/// A worker that cannot go on.
pub(crate) async fn worker_failed(worker: &Worker) -> Failure {
    Failure::caused("the worker failed", &worker.failed().await)
}

/// A server whose own tasks ended.
pub(crate) async fn server_failed(server: &Server) -> Failure {
    server.failed().await;
    Failure::kiln("the server ended by itself; the lines before this one say why")
}

/// A worker that did not start: the host lacks a layer, or there is no server for it.
pub(crate) fn worker_failure(error: &kiln_worker::StartError) -> Failure {
    use kiln_worker::StartError::{Address, Engine, NotRegistered, Refused};
    let next = match error {
        Engine(_) => ENGINE_NEXT,
        NotRegistered { .. } => "start one there with `kiln server`, or name another with --server",
        Address(_) | Refused { .. } => "--server names the server that this worker should work for",
    };
    Failure::caused("cannot start the worker", error).next(next)
}

/// Sandboxes cannot be made: the error says which layer is missing, doctor how to get it.
pub(crate) fn engine_failure(error: &EngineError) -> Failure {
    Failure::caused("cannot start the worker", error).next(ENGINE_NEXT)
}

/// A server that did not start, most often because there is one already.
pub(crate) fn server_failure(error: &kiln_server::StartError) -> Failure {
    use kiln_server::StartError::{DataDirInUse, Listen};
    let failure = Failure::caused("cannot start the server", error);
    match error {
        DataDirInUse { .. } => failure.next("stop the other server, or give this one another --data-dir"),
        Listen(_) => failure.next("stop whatever listens there, or choose another --listen"),
        _ => failure,
    }
}
