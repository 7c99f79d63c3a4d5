//! The whole server on a private socket, with workers that follow a script but speak the real `Fleet` protocol.

#![expect(clippy::unwrap_used, clippy::result_large_err, reason = "tests fail by panicking")]

mod blobs;
mod fleet;
mod harness;
mod restart;
mod run;
mod submit;
mod transport;
