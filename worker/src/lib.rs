//! The worker: leases steps from a server, runs them in jails, and reports how they ended.
//!
//! Async and safe throughout: every privileged operation is the jail's ([`kiln_jail`]), which runs as a process of its own. The
//! worker never forks, never opens a path that a job can write, and never lets a reader's speed change a job's.

pub mod config;
pub mod images;
pub mod library;

mod backoff;
mod blobs;
mod cgroup_sweep;
mod clock;
mod collect;
mod command;
mod connection;
mod engine;
mod evidence;
mod facts;
mod fleet;
mod group_owner;
mod jail_process;
mod jail_program;
mod languages;
mod live;
mod order;
mod outcome;
mod output;
mod prepare;
pub mod recorder;
mod roots;
mod slots;
mod spool;
mod start_attack;
mod stdin;
mod step;
mod worker;

pub use engine::EngineError;
pub use fleet::LinkError;
pub use start_attack::GotThrough;
pub use worker::{StartError, Worker, WorkerFailure};
