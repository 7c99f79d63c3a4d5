//! The server of Kiln: API, queue, store and blobs.
//!
//! Each piece of mutable state has one owner: the queue and the live jobs belong to one task, the database to one writer thread.

pub mod blobs;
mod clock;
pub mod config;
mod jobs;
pub mod queue;
pub mod store;
