//! One file per command: its flags, its help, and what it does.

pub(crate) mod attack;
pub(crate) mod attack_target;
pub(crate) mod bench;
pub(crate) mod bench_target;
pub(crate) mod blob;
pub(crate) mod cancel;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod get;
pub(crate) mod image;
pub(crate) mod languages;
pub(crate) mod list;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod submit;
pub(crate) mod up;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod worker;
