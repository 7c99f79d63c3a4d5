//! Everything that was found, for people and for programs.

use serde::Serialize;
use serde_json::{Value, json};

use super::filters::{FilterCost, costs_table};
use super::large::{LargeInput, LargeOutput};
use super::machine::Machine;
use super::memory::{Idle, Queued, ReadyMemory};
use super::numbers::rows_table;
use super::phases::{histograms_table, phases_table};
use super::steady::{CROWD, GRPC, Steady};
use super::targets::{judge, targets_table};
use super::ways::PROGRAM;
use crate::failure::Failure;

/// A figure, or why there is none.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Measured<T> {
    Seen(T),
    Not { not_measured: String },
}

impl<T> Measured<T> {
    /// A figure that cannot be had is told of, and the others are measured; an end that was asked for ends all.
    pub(crate) fn of(result: Result<T, Failure>) -> Result<Measured<T>, Failure> {
        match result {
            Ok(seen) => Ok(Measured::Seen(seen)),
            Err(failure) if failure.message.is_empty() => Err(failure),
            Err(failure) => Ok(Measured::Not { not_measured: failure.message }),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) steady: Steady,
    pub(crate) idle: Measured<Idle>,
    pub(crate) ready: Measured<ReadyMemory>,
    pub(crate) queued: Measured<Queued>,
    pub(crate) large_output: Measured<LargeOutput>,
    pub(crate) large_input: Measured<LargeInput>,
    pub(crate) filters: Vec<FilterCost>,
}

/// What was measured, and where.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) slots: usize,
    pub(crate) found: Found,
}

impl Report {
    pub(crate) fn text(&self) -> String {
        let Found { steady, filters, .. } = &self.found;
        let shown = |row: &&super::numbers::Row| row.name == GRPC && [1, CROWD].contains(&row.clients);
        let tables = [
            rows_table(&steady.rows),
            format!("{} slots; every case runs {PROGRAM}, but the parts of a durable job\n", self.slots),
            phases_table(&steady.phases),
            histograms_table(steady.rows.iter().filter(shown)),
            costs_table(filters),
            targets_table(&judge(&self.found)),
            format!("{}\n", self.machine.sentence()),
        ];
        tables.concat()
    }

    pub(crate) fn json(&self) -> Value {
        let Found { steady, idle, ready, queued, large_output, large_input, filters } = &self.found;
        json!({
            "machine": self.machine,
            "slots": self.slots,
            "targets": judge(&self.found),
            "rows": steady.rows,
            "phases": steady.phases,
            "memory": {"idle": idle, "ready_sandbox": ready, "queued_job": queued},
            "large": {"output": large_output, "input": large_input},
            "jobs_in_a_row": steady.in_a_row,
            "filters": filters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_was_asked_for_ends_the_rest() {
        let not: Measured<u8> = Measured::of(Err(Failure::kiln("no room"))).expect("the others go on");
        assert_eq!(json!(not), json!({"not_measured": "no room"}));
        assert_eq!(json!(Measured::of(Ok(3)).expect("it is there")), json!(3));
        assert!(Measured::<u8>::of(Err(Failure::interrupted(130))).is_err());
    }
}
