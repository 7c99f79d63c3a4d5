//! What people see: tables, sentences, the spinner. Numbers in units that people read.

pub(crate) mod live;
pub(crate) mod outcome;
pub(crate) mod tables;
pub(crate) mod time;
pub(crate) mod usage;
