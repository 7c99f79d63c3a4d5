//! Signals that ask us to end: the first one politely, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit;
use crate::failure::Failure;

/// Listens from its making on; the default action of these signals is off.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Signals, Failure> {
        let one = |kind| signal(kind).map_err(|error| Failure::caused("cannot listen for signals", &error));
        Ok(Signals {
            interrupt: one(SignalKind::interrupt())?,
            terminate: one(SignalKind::terminate())?,
            hangup: one(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal; the exit status that it means.
    pub(crate) async fn next_exit(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => exit::CANCELLED,
            _ = self.terminate.recv() => exit::TERMINATED,
            _ = self.hangup.recv() => exit::HUNG_UP,
        }
    }

    /// From now on a further signal ends the process at once. The kernel ends jails whose worker died.
    pub(crate) fn end_at_once_on_the_next(mut self) {
        tokio::spawn(async move {
            let status = self.next_exit().await;
            std::process::exit(i32::from(status));
        });
    }
}
