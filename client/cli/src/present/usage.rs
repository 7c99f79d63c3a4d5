//! The tables after a run: what each command used, and with `--timing` when it did what.

use kiln_proto::model::{human_bytes, human_micros};
use kiln_proto::v1::{self, Job};

use super::outcome::in_short;
use super::tables::{Lean, table};

/// Shown where the kernel did not tell.
const UNKNOWN: &str = "-";

/// One line per command that ran.
pub(crate) fn usage_table(job: &Job) -> String {
    let several = job.steps.iter().any(|step| step.commands.len() > 1);
    let rows = job.steps.iter().flat_map(|step| {
        step.commands.iter().map(move |result| {
            let name = if several { format!("{}/{}", step.name, result.name) } else { step.name.clone() };
            usage_row(name, result)
        })
    });
    let header = ["step", "ended", "wall", "cpu", "user", "system", "memory", "processes", "output"];
    let leans = [
        Lean::Left,
        Lean::Left,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
        Lean::Right,
    ];
    table(&header, &leans, rows)
}

fn usage_row(name: String, result: &v1::CommandResult) -> Vec<String> {
    let nothing = v1::Usage::default();
    let usage = result.usage.as_ref().unwrap_or(&nothing);
    let bound = |field: &str| usage.lower_bounds.iter().any(|name| name == field);
    let shown = |field: &str, value: Option<u64>, human: fn(u64) -> String| match value {
        Some(value) if bound(field) => format!("≥ {}", human(value)),
        Some(value) => human(value),
        None => UNKNOWN.to_owned(),
    };
    let cpu = match (usage.cpu_user_us, usage.cpu_system_us) {
        (Some(user), Some(system)) => Some(user + system),
        (user, system) => user.or(system),
    };
    let size = |output: Option<&v1::Output>| output.map_or(0, |output| output.size_bytes);
    let output = size(result.stdout.as_ref()) + size(result.stderr.as_ref());
    vec![
        name,
        in_short(result.outcome.as_ref()),
        shown("wall_us", usage.wall_us, human_micros),
        cpu.map_or_else(|| UNKNOWN.to_owned(), human_micros),
        shown("cpu_user_us", usage.cpu_user_us, human_micros),
        shown("cpu_system_us", usage.cpu_system_us, human_micros),
        shown("peak_memory_bytes", usage.peak_memory_bytes, human_bytes),
        shown("peak_pids", usage.peak_pids, |count| count.to_string()),
        human_bytes(output),
    ]
}

/// How long each phase of each command took.
pub(crate) fn timing_table(job: &Job) -> String {
    let rows = job.steps.iter().flat_map(|step| {
        step.commands.iter().flat_map(move |result| {
            phase_lengths(step, result).into_iter().map(move |(phase, length)| {
                vec![step.name.clone(), result.name.clone(), phase.to_owned(), human_micros(length)]
            })
        })
    });
    table(&["step", "command", "phase", "took"], &[Lean::Left, Lean::Left, Lean::Left, Lean::Right], rows)
}

/// The time between each two moments that were reached.
pub(crate) fn phase_lengths(step: &v1::StepStatus, result: &v1::CommandResult) -> Vec<(&'static str, u64)> {
    let phases = result.phases.unwrap_or_default();
    let moments = [
        ("", step.queued_unix_us),
        ("queued", step.leased_unix_us),
        ("on its way to the worker", phases.received_unix_us),
        ("fetching inputs and image", phases.fetched_unix_us),
        ("making the sandbox", phases.prepared_unix_us),
        ("starting the program", phases.started_unix_us),
        ("running", phases.ended_unix_us),
        ("collecting output and files", phases.collected_unix_us),
        ("reporting", step.reported_unix_us),
    ];
    let reached: Vec<_> = moments.into_iter().filter(|(_, moment)| *moment > 0).collect();
    reached.windows(2).map(|pair| (pair[1].0, pair[1].1.saturating_sub(pair[0].1))).collect()
}

#[cfg(test)]
mod tests {
    use kiln_proto::v1::{CommandResult, Outcome, OutcomeKind, Output, Phases, StepStatus, Usage};

    use super::*;

    fn job() -> Job {
        let result = CommandResult {
            name: "main".to_owned(),
            outcome: Some(Outcome { kind: OutcomeKind::Exited.into(), code: Some(0), ..Outcome::default() }),
            usage: Some(Usage {
                cpu_user_us: Some(12_345),
                cpu_system_us: Some(1_000),
                wall_us: Some(20_000),
                peak_memory_bytes: Some(3 << 20),
                lower_bounds: vec!["cpu_user_us".to_owned()],
                ..Usage::default()
            }),
            stdout: Some(Output { size_bytes: 100, ..Output::default() }),
            phases: Some(Phases {
                received_unix_us: 30,
                fetched_unix_us: 0,
                prepared_unix_us: 1_030,
                started_unix_us: 1_130,
                ended_unix_us: 21_130,
                collected_unix_us: 21_500,
            }),
            ..CommandResult::default()
        };
        let step = StepStatus {
            name: "run".to_owned(),
            commands: vec![result],
            queued_unix_us: 10,
            leased_unix_us: 20,
            reported_unix_us: 22_000,
            ..StepStatus::default()
        };
        Job { steps: vec![step], ..Job::default() }
    }

    #[test]
    fn usage_is_a_table_with_human_units_and_marks_lower_bounds() {
        insta::assert_snapshot!(usage_table(&job()));
    }

    #[test]
    fn timing_skips_moments_that_were_not_reached() {
        insta::assert_snapshot!(timing_table(&job()));
    }
}
