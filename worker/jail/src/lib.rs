//! The jail: a small single-threaded program that makes sandboxes and runs one hostile command at a time.
//!
//! It owns every privileged operation of Kiln. It knows no async runtime, no gRPC and no wire types of the API:
//! the worker hands it a [`plan::Plan`] and descriptors over a SOCK_SEQPACKET socket ([`wire`]) and gets a
//! [`report::Report`] back. `unsafe` lives in `sys` only.

pub mod cgroup;
pub mod explain;
pub mod host;
pub mod landlock;
pub mod learned;
pub mod plan;
pub mod report;
pub mod rootless;
pub mod runtime_directory;
pub mod seccomp;
pub mod standing;
pub mod uid_range;
pub mod wire;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

mod base;
mod evidence;
mod execution;
mod host_devices;
mod ids;
mod inspect;
mod jail;
mod layers;
mod network;
mod own_pids;
mod prepared;
mod priority;
mod sandbox;
mod supervise;
mod sys;

pub use jail::run_jail;
pub use layers::{Layer, NAMES as LAYERS_THAT_MAY_BE_MISSING, layer_of};
