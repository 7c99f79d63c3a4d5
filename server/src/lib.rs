//! The server of Kiln: API, queue, store and blobs.
//!
//! Each piece of mutable state has one owner: the queue and the live jobs belong to one task ([`jobs`]), the database to one writer thread
//! ([`store`]). The queue is a value that knows no clock, the store knows no policy, and the API decides nothing.

mod api;
pub mod blobs;
mod clock;
pub mod config;
mod connections;
mod housekeeping;
mod images;
mod jobs;
mod listen;
pub mod queue;
mod server;
pub mod store;

pub use config::{Config, ConfigError, Listen, ServerFile};
pub use listen::ListenError;
pub use server::{Server, StartError};
