//! Measuring what a sandboxed command costs on this host, beside a bare spawn and other sandboxes, against targets.
//!
//! What is compared is measured in turns ([`rounds`]), so that whatever else the host does meets all alike. [`steady`] says what
//! is measured so, [`ways`] how each is done once; [`memory`], [`large`] and [`row`] measure what is no latency; [`targets`] judges.
//! [`filters`] (what confinement costs a program) and [`limits`] (how exactly limits hold) stand by themselves.

pub(crate) mod bed;
pub(crate) mod burnt;
pub(crate) mod filters;
pub(crate) mod large;
pub(crate) mod limits;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod numbers;
pub(crate) mod phases;
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod rivals;
pub(crate) mod rounds;
pub(crate) mod row;
pub(crate) mod steady;
pub(crate) mod targets;
pub(crate) mod ways;

use std::time::Duration;

/// When a case has been measured enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    pub(crate) runs: usize,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Of each case.
    pub(crate) bounds: Bounds,
    /// Bytes of one large output, and of one large input.
    pub(crate) large_bytes: u64,
    /// Jobs that wait in a server without a worker.
    pub(crate) queued_jobs: usize,
    /// Jobs one after another; 0 to leave that out.
    pub(crate) jobs_in_a_row: usize,
    /// How long a worker that was never asked for anything stands before its memory is counted.
    pub(crate) idle: Duration,
}
