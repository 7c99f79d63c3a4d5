//! Kiln's attack suite as data: what is tried against a sandbox, where it was seen, what must happen; and the oracles that
//! look from outside of the sandbox whether it held.
//!
//! Owns the cases (`cases/`, embedded), the one program made from those in C, the reading of their headers, and what is
//! asserted about an outcome, the host and what is left behind. It must never run anything: the worker runs cases when it
//! starts, `kiln attack` runs them through a whole service.

mod absent;
mod canary;
mod case;
mod catalogue;
pub mod census;
mod expectation;
mod header;
mod limits;
mod program;
mod row;

pub use absent::{Absent, absent_features};
pub use canary::Canaries;
pub use case::{Case, Interpreter, Language, Layer, Placeholder, Runs, Take, Targets};
pub use catalogue::{all, named};
pub use expectation::{Expectation, signal_number};
pub use header::{About, HeaderError};
pub use limits::{DISK_BYTES, MEMORY_BYTES, PIDS};
pub use program::{Linkage, PROGRAM, VICTIM, WAITER, linkage};
pub use row::{Row, RowError};
