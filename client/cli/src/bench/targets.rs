//! The targets, and how what was found stands beside them. Judging only: it measures nothing and prints nothing.

use kiln_proto::model::human_bytes;
use serde::Serialize;

use super::large::{LargeInput, LargeOutput};
use super::memory::{Idle, Queued, ReadyMemory};
use super::numbers::{Row, precise};
use super::report::{Found, Measured};
use super::steady::{
    CALL, COMMIT, CROWD, DURABLE, FROM_NOTHING, GRPC, IDLE, LIBRARY, OWN_NETWORK, SETTLED, SPAWN,
};
use crate::present::tables::{Lean, table};

const MIB: f64 = (1 << 20) as f64;
/// A worker through which data flows may hold this much of it: buffers of its pipes, its spool, its connection.
const FLAT: f64 = 16.0 * MIB;
const MOST: usize = 64;
const BWRAP: &str = "bwrap";

/// One target.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<f64>,
    pub(crate) sense: Sense,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bound: Option<f64>,
    pub(crate) verdict: Verdict,
    /// Why there is no figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// Of what the figure is about, where that is a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Ratio,
    Microseconds,
    Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sense {
    AtMost,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
}

/// All of them, in their order.
pub(crate) fn judge(found: &Found) -> Vec<Target> {
    let rows = Rows(&found.steady.rows);
    let mut targets = rows.latencies();
    targets.extend(rows.rates());
    targets.push(rows.without_ready());
    targets.push(rows.durable());
    targets.push(idle(&found.idle));
    targets.push(ready(&found.ready));
    targets.push(queued(&found.queued));
    targets.extend(output(&found.large_output));
    targets.push(input(&found.large_input));
    targets.push(in_a_row(found));
    targets
}

/// All of them for people.
pub(crate) fn targets_table(targets: &[Target]) -> String {
    let mut leans = [Lean::Right; 7];
    leans[0] = Lean::Left;
    leans[3] = Lean::Left;
    let lines = targets.iter().map(|target| {
        let unknown = || "-".to_owned();
        let shown = |value: Option<f64>| value.map_or_else(unknown, |value| target.unit.human(value));
        let sense = if target.sense == Sense::AtMost { "≤" } else { "≥" };
        let bound =
            target.bound.map_or_else(unknown, |bound| format!("{sense} {}", target.unit.human(bound)));
        let verdict = match target.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::NotMeasured => "not measured",
        };
        let of = |which: fn(&Latency) -> u64| {
            target.latency.as_ref().map_or_else(unknown, |latency| precise(which(latency)))
        };
        let [p50, p95, p99] =
            [of(|latency| latency.p50_us), of(|latency| latency.p95_us), of(|latency| latency.p99_us)];
        vec![target.what.clone(), shown(target.measured), bound, verdict.to_owned(), p50, p95, p99]
    });
    let mut text = table(&["target", "measured", "asked for", "", "p50", "p95", "p99"], &leans, lines);
    for target in targets {
        if let Some(why) = &target.why {
            text.push_str(&format!("not measured: {}: {why}\n", target.what));
        }
    }
    text
}

impl Unit {
    fn human(self, value: f64) -> String {
        let sign = if value < 0.0 { "-" } else { "" };
        match self {
            Unit::Ratio => format!("{value:.2}"),
            Unit::Microseconds => format!("{sign}{}", precise(value.abs() as u64)),
            Unit::Bytes => format!("{sign}{}", human_bytes(value.abs() as u64)),
        }
    }
}

impl Target {
    fn new(what: impl Into<String>, unit: Unit, sense: Sense, bound: f64, measured: f64) -> Target {
        let met = match sense {
            Sense::AtMost => measured <= bound,
            Sense::AtLeast => measured >= bound,
        };
        Target {
            what: what.into(),
            unit,
            measured: Some(measured),
            sense,
            bound: Some(bound),
            verdict: if met { Verdict::Met } else { Verdict::Missed },
            why: None,
            latency: None,
        }
    }

    fn unknown(what: impl Into<String>, unit: Unit, sense: Sense, why: impl Into<String>) -> Target {
        Target {
            what: what.into(),
            unit,
            measured: None,
            sense,
            bound: None,
            verdict: Verdict::NotMeasured,
            why: Some(why.into()),
            latency: None,
        }
    }

    /// Of a figure that may not be there, with the bound it has anyway.
    fn of<T>(
        what: impl Into<String>,
        unit: Unit,
        bound: f64,
        seen: &Measured<T>,
        figure: impl Fn(&T) -> f64,
    ) -> Target {
        match seen {
            Measured::Seen(seen) => Target::new(what, unit, Sense::AtMost, bound, figure(seen)),
            Measured::Not { not_measured } => {
                let unknown = Target::unknown(what, unit, Sense::AtMost, not_measured);
                Target { bound: Some(bound), ..unknown }
            }
        }
    }

    fn with(self, row: &Row) -> Target {
        let Row { p50_us, p95_us, p99_us, .. } = *row;
        Target { latency: Some(Latency { p50_us, p95_us, p99_us }), ..self }
    }
}

/// What was measured in turns.
struct Rows<'a>(&'a [Row]);

impl Rows<'_> {
    fn find(&self, name: &str, clients: usize, idle_ms: u128) -> Result<&Row, String> {
        let found = self.0.iter().find(|row| {
            row.name == name && row.clients == clients && u128::from(row.idle_ms) == idle_ms && row.runs > 0
        });
        found.ok_or_else(|| format!("there is no case `{name}` with {clients} clients"))
    }

    fn latencies(&self) -> Vec<Target> {
        let idle = IDLE.as_millis();
        let settled = SETTLED.as_millis();
        [
            ("library, ready sandbox / bare spawn".to_owned(), LIBRARY, settled, 1.5),
            ("Run / bare spawn".to_owned(), GRPC, 0, 2.0),
            (format!("Run / bare spawn, both {idle} ms apart"), GRPC, idle, 2.5),
        ]
        .into_iter()
        .map(|(what, name, idle_ms, bound)| self.over(what, (name, idle_ms), (SPAWN, idle_ms), bound))
        .collect()
    }

    fn without_ready(&self) -> Target {
        let what = "from nothing / bwrap";
        match self.find(BWRAP, 1, 0) {
            Ok(_) => self.over(what.to_owned(), (FROM_NOTHING, 0), (BWRAP, 0), 0.6),
            Err(_) => {
                let why = "bwrap is not installed, or does not work here";
                Target { bound: Some(0.6), ..Target::unknown(what, Unit::Ratio, Sense::AtMost, why) }
            }
        }
    }

    /// p50 over p50.
    fn over(&self, what: String, of: (&str, u128), base: (&str, u128), bound: f64) -> Target {
        match (self.find(of.0, 1, of.1), self.find(base.0, 1, base.1)) {
            (Ok(row), Ok(base)) => {
                let ratio = row.p50_us as f64 / base.p50_us.max(1) as f64;
                Target::new(what, Unit::Ratio, Sense::AtMost, bound, ratio).with(row)
            }
            (Err(why), _) | (_, Err(why)) => Target::unknown(what, Unit::Ratio, Sense::AtMost, why),
        }
    }

    fn rates(&self) -> Vec<Target> {
        let all_cores = self.0.iter().filter(|row| row.name == SPAWN && row.idle_ms == 0);
        let processes = all_cores.map(|row| row.clients).max().unwrap_or(1);
        let kept = format!("Run at {CROWD} / bare spawn at {processes}, jobs/s, network kept");
        let fresh = format!("Run at {CROWD} / bare spawn at {processes}, jobs/s, network fresh");
        let spawned = self.find(SPAWN, processes, 0);
        let crowd = self.find(GRPC, CROWD, 0);
        let many = self.find(GRPC, MOST, 0);
        let steady = format!("Run at {MOST} / Run at {CROWD}, jobs/s");
        let tail = format!("Run at {MOST}: p99 / ({MOST} / jobs/s)");
        vec![
            rate_over(kept, &crowd, &spawned, 0.40),
            rate_over(fresh, &self.find(OWN_NETWORK, CROWD, 0), &spawned, 0.28),
            rate_over(steady, &many, &crowd, 0.95),
            match many {
                Ok(row) => {
                    let fair_us = MOST as f64 / per_second(row) * 1e6;
                    let ratio = row.p99_us as f64 / fair_us;
                    Target::new(tail, Unit::Ratio, Sense::AtMost, 3.0, ratio).with(row)
                }
                Err(why) => Target::unknown(tail, Unit::Ratio, Sense::AtMost, why),
            },
        ]
    }

    fn durable(&self) -> Target {
        let what = "Submit to Watch done, beyond Run";
        let one = |name| self.find(name, 1, 0);
        match (one(DURABLE), one(GRPC), one(COMMIT), one(CALL)) {
            (Ok(durable), Ok(run), Ok(commit), Ok(call)) => {
                let beyond = durable.p50_us as f64 - run.p50_us as f64;
                let bound = (2 * commit.p50_us + call.p50_us) as f64;
                Target::new(what, Unit::Microseconds, Sense::AtMost, bound, beyond).with(durable)
            }
            (Err(why), ..) | (_, Err(why), ..) | (_, _, Err(why), _) | (.., Err(why)) => {
                Target::unknown(what, Unit::Microseconds, Sense::AtMost, why)
            }
        }
    }
}

fn rate_over(what: String, of: &Result<&Row, String>, base: &Result<&Row, String>, bound: f64) -> Target {
    match (of, base) {
        (Ok(row), Ok(base)) => {
            let ratio = per_second(row) / per_second(base);
            Target::new(what, Unit::Ratio, Sense::AtLeast, bound, ratio).with(row)
        }
        (Err(why), _) | (_, Err(why)) => Target::unknown(what, Unit::Ratio, Sense::AtLeast, why),
    }
}

fn per_second(row: &Row) -> f64 {
    row.per_second.unwrap_or_default().max(f64::MIN_POSITIVE)
}

fn idle(idle: &Measured<Idle>) -> Target {
    let what = match idle {
        Measured::Seen(idle) => format!("worker and jails, idle for {} s", idle.idle_seconds),
        Measured::Not { .. } => "worker and jails, idle".to_owned(),
    };
    Target::of(what, Unit::Bytes, 40.0 * MIB, idle, |idle| idle.total_bytes as f64)
}

fn ready(ready: &Measured<ReadyMemory>) -> Target {
    let what = match ready {
        Measured::Seen(ready) => format!("a ready sandbox, of {}", ready.sandboxes),
        Measured::Not { .. } => "a ready sandbox".to_owned(),
    };
    Target::of(what, Unit::Bytes, MIB, ready, |ready| ready.bytes_each as f64)
}

fn queued(queued: &Measured<Queued>) -> Target {
    let what = match queued {
        Measured::Seen(queued) => format!("server, each of {} queued jobs", queued.jobs),
        Measured::Not { .. } => "server, each queued job".to_owned(),
    };
    Target::of(what, Unit::Bytes, 500.0, queued, |queued| queued.bytes_each as f64)
}

fn output(output: &Measured<LargeOutput>) -> Vec<Target> {
    let what = match output {
        Measured::Seen(output) => format!("{} of stdout", human_bytes(output.bytes)),
        Measured::Not { .. } => "large stdout".to_owned(),
    };
    let rate = format!("{what}, Run / shell pipe, bytes/s");
    let rate = match output {
        Measured::Seen(seen) => Target::new(rate, Unit::Ratio, Sense::AtLeast, 0.3, seen.ratio()),
        Measured::Not { not_measured } => {
            let unknown = Target::unknown(rate, Unit::Ratio, Sense::AtLeast, not_measured);
            Target { bound: Some(0.3), ..unknown }
        }
    };
    let flat = Target::of(format!("{what}, worker grows by"), Unit::Bytes, FLAT, output, |output| {
        output.worker_growth_bytes() as f64
    });
    vec![rate, flat]
}

fn input(input: &Measured<LargeInput>) -> Target {
    let what = match input {
        Measured::Seen(input) => format!("{} of cached input adds", human_bytes(input.bytes)),
        Measured::Not { .. } => "a large cached input adds".to_owned(),
    };
    let target = Target::of(what, Unit::Microseconds, 2_000.0, input, |input| input.added_us() as f64);
    match input {
        Measured::Seen(LargeInput { with_p50_us, with_p95_us, with_p99_us, .. }) => {
            let latency = Latency { p50_us: *with_p50_us, p95_us: *with_p95_us, p99_us: *with_p99_us };
            Target { latency: Some(latency), ..target }
        }
        Measured::Not { .. } => target,
    }
}

fn in_a_row(found: &Found) -> Target {
    let Some(row) = &found.steady.in_a_row else {
        let what = "20000 jobs in a row, last 1000 / first 1000";
        let unknown = Target::unknown(what, Unit::Ratio, Sense::AtMost, "only with --full");
        return Target { bound: Some(1.1), ..unknown };
    };
    let what = format!("{} jobs in a row, last {edge} / first {edge}", row.jobs, edge = row.edge);
    let latency = Latency { p50_us: row.last_p50_us, p95_us: row.last_p95_us, p99_us: row.last_p99_us };
    Target { latency: Some(latency), ..Target::new(what, Unit::Ratio, Sense::AtMost, 1.1, row.ratio()) }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
