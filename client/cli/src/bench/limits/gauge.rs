//! The program `gauge.c`: how it is put into a sandbox, and how to read what it says.

use bytes::Bytes;
use kiln_proto::v1::{
    Command, CommandResult, Content, FileIn, JobSpec, Limits, OutcomeKind, Output, Step, content,
};
use kiln_worker::library::Runner;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::explain::check;
use crate::failure::{Failure, with_sources};

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gauge"));
const PATH: &str = "/work/gauge";

pub(super) struct Gauge<'a> {
    pub(super) context: &'a Context,
    pub(super) runner: &'a Runner,
}

/// A value and the moment, by the host's clock, at which it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) value: u64,
    pub(super) unix_us: u64,
}

impl Gauge<'_> {
    pub(super) async fn run(&self, arguments: &[&str], limits: Limits) -> Result<CommandResult, Failure> {
        self.run_until(arguments, limits, CancellationToken::new()).await
    }

    /// A run that ends by itself, with 0.
    pub(super) async fn succeed(&self, arguments: &[&str], limits: Limits) -> Result<CommandResult, Failure> {
        let result = self.run(arguments, limits).await?;
        match &result.outcome {
            Some(outcome) if outcome.kind() == OutcomeKind::Exited && outcome.code == Some(0) => Ok(result),
            other => {
                let sentence = other.as_ref().map_or("", |outcome| outcome.sentence.as_str());
                Err(Failure::kiln(format!("gauge {}: {sentence}", arguments.join(" "))))
            }
        }
    }

    pub(super) async fn run_until(
        &self,
        arguments: &[&str],
        limits: Limits,
        enough: CancellationToken,
    ) -> Result<CommandResult, Failure> {
        let spec = check(job(arguments, limits), self.context)?;
        let results = self.runner.run_until(&spec.steps[0], enough).await;
        let results = results.map_err(|error| Failure::kiln(with_sources(&error)))?;
        results.into_iter().next().ok_or_else(|| Failure::kiln("a step of one command had no result"))
    }
}

fn job(arguments: &[&str], limits: Limits) -> JobSpec {
    let argv = std::iter::once(PATH).chain(arguments.iter().copied());
    let file = FileIn {
        path: Bytes::from_static(PATH.as_bytes()),
        content: Some(Content { source: Some(content::Source::Inline(Bytes::from_static(PROGRAM))) }),
        executable: true,
    };
    let command = Command {
        argv: argv.map(|word| Bytes::copy_from_slice(word.as_bytes())).collect(),
        files_in: vec![file],
        limits: Some(limits),
        ..Command::default()
    };
    let step = Step { name: "gauge".to_owned(), commands: vec![command], ..Step::default() };
    JobSpec { steps: vec![step], ..JobSpec::default() }
}

pub(super) fn cpu_us(result: &CommandResult) -> u64 {
    let usage = result.usage.as_ref();
    let of = |part: Option<u64>| part.unwrap_or_default();
    usage.map_or(0, |usage| of(usage.cpu_user_us) + of(usage.cpu_system_us))
}

/// All that was said in full lines.
pub(super) fn stamps(output: Option<&Output>) -> Vec<Stamp> {
    let text = output.map(|output| String::from_utf8_lossy(&output.data).into_owned()).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let read = |line: &str| {
        let (value, unix_us) = line.split_once(' ')?;
        Some(Stamp { value: value.parse().ok()?, unix_us: unix_us.parse().ok()? })
    };
    whole.lines().filter_map(read).collect()
}

/// The last moment that the program told of itself before it crossed the limit.
pub(super) fn last_said(output: Option<&Output>) -> Option<u64> {
    stamps(output).last().map(|stamp| stamp.unix_us)
}

pub(super) fn crossed_wall(result: &CommandResult, limit_us: u64) -> Option<u64> {
    result.phases.map(|phases| phases.started_unix_us + limit_us)
}

/// When the program's own clock passed the limit. That clock began at its birth, before the jail's count did, so this is early
/// rather than late. What it burnt since the stamp before or after, it burnt on `cpus` CPUs without a break at best. Its threads'
/// stamps are not in order.
pub(super) fn crossed_cpu(result: &CommandResult, limit_us: u64, cpus: u64) -> Option<u64> {
    let stamps = stamps(result.stdout.as_ref());
    let after = stamps.iter().filter(|stamp| stamp.value >= limit_us).min_by_key(|stamp| stamp.value);
    let before = stamps.iter().filter(|stamp| stamp.value < limit_us).max_by_key(|stamp| stamp.value);
    match (after, before) {
        (Some(after), _) => Some(after.unix_us - (after.value - limit_us)),
        (None, before) => before.map(|before| before.unix_us + (limit_us - before.value) / cpus.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &'static str) -> Output {
        Output { data: Bytes::from_static(text.as_bytes()), ..Output::default() }
    }

    #[test]
    fn a_line_that_was_cut_is_no_stamp() {
        let stamps = stamps(Some(&said("1 1000\n2 2000\n3 30")));
        assert_eq!(stamps, [Stamp { value: 1, unix_us: 1000 }, Stamp { value: 2, unix_us: 2000 }]);
        assert_eq!(super::stamps(Some(&said("17"))), []);
        assert_eq!(super::stamps(None), []);
    }

    #[test]
    fn the_crossing_is_where_the_clock_passed_the_limit_or_was_last_heard_of() {
        let result = |text| CommandResult { stdout: Some(said(text)), ..CommandResult::default() };
        assert_eq!(crossed_cpu(&result("90 500\n130 900\n140 950\n"), 100, 2), Some(870));
        assert_eq!(crossed_cpu(&result("140 950\n90 500\n130 900\n"), 100, 2), Some(870));
        assert_eq!(crossed_cpu(&result("90 500\n"), 100, 2), Some(505));
        assert_eq!(crossed_cpu(&result("90 500\n80 490\n"), 100, 2), Some(505));
        assert_eq!(crossed_cpu(&result(""), 100, 2), None);
    }
}
