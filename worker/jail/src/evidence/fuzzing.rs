//! Way in to the parsers of what a process may have chosen words in, for the fuzz targets of tests/fuzz.

use super::kernel_log;
use super::parse::{Call, Stat, inner_pid, process_of_thread};

pub(crate) fn process_text(bytes: &[u8]) {
    if let Some(stat) = Stat::parse(bytes) {
        assert!(stat.name.len() <= bytes.len());
    }
    let _read = (Call::parse(bytes), inner_pid(bytes), process_of_thread(bytes));
    kernel_log::read_all(bytes);
}
