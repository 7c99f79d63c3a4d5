//! What the suites share: they start the real `kiln` binary, speak the real API, and look at the host from outside.
//!
//! Owns starting and stopping of services, building of job specs, running the command line, and the census of what is
//! left behind. It must never replace a part of Kiln by something else, and never touch a process that it did not start.

pub mod api;
pub mod archive;
pub mod binary;
pub mod broken;
pub mod census;
pub mod cli;
pub mod hostile;
pub mod mixed;
pub mod service;
pub mod spec;
pub mod verdict;
