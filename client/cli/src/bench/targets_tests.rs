//! Figures that are made up, and what the targets say of them.

use super::super::row::InARow;
use super::super::steady::Steady;
use super::*;

fn row(name: &str, clients: usize, idle_ms: u64, p50_us: u64, per_second: f64) -> Row {
    let per_second = (idle_ms == 0).then_some(per_second);
    let (p95_us, p99_us) = (p50_us * 2, p50_us * 3);
    Row {
        name: name.to_owned(),
        clients,
        idle_ms,
        runs: 9,
        p50_us,
        p95_us,
        p99_us,
        per_second,
        ..Row::default()
    }
}

fn found() -> Found {
    let settled = SETTLED.as_millis() as u64;
    let rows = vec![
        row(SPAWN, 1, 0, 640, 1_500.0),
        row(SPAWN, 1, settled, 800, 0.0),
        row(SPAWN, 1, 100, 1_000, 0.0),
        row(SPAWN, 2, 0, 700, 2_700.0),
        row(LIBRARY, 1, settled, 1_000, 0.0),
        row(GRPC, 1, 0, 1_300, 700.0),
        row(GRPC, 1, 100, 2_400, 0.0),
        row(GRPC, CROWD, 0, 8_000, 1_000.0),
        row(OWN_NETWORK, CROWD, 0, 9_000, 700.0),
        row(GRPC, MOST, 0, 60_000, 970.0),
        row(DURABLE, 1, 0, 2_000, 500.0),
        row(COMMIT, 1, 0, 200, 5_000.0),
        row(CALL, 1, 0, 100, 9_000.0),
        row(FROM_NOTHING, 1, 0, 2_000, 500.0),
        row(BWRAP, 1, 0, 3_400, 280.0),
    ];
    let in_a_row = InARow {
        jobs: 20_000,
        edge: 1_000,
        first_p50_us: 1_300,
        last_p50_us: 1_290,
        last_p95_us: 1_800,
        last_p99_us: 2_400,
    };
    Found {
        steady: Steady { rows, phases: Vec::new(), in_a_row: Some(in_a_row) },
        idle: Measured::Seen(Idle {
            idle_seconds: 65,
            worker_bytes: 20 << 20,
            jails: 2,
            jails_bytes: 4 << 20,
            total_bytes: 30 << 20,
            memfd_bytes: 8 << 20,
            ready_sandboxes: 0,
            server_bytes: 12 << 20,
        }),
        ready: Measured::Seen(ReadyMemory { sandboxes: 50, bytes_each: 700 << 10 }),
        queued: Measured::Seen(Queued { jobs: 20_000, before_bytes: 1, after_bytes: 2, bytes_each: 612 }),
        large_output: Measured::Not { not_measured: "the disk is full".to_owned() },
        large_input: Measured::Seen(LargeInput {
            bytes: 1 << 30,
            runs: 5,
            without_p50_us: 1_000,
            with_p50_us: 2_500,
            with_p95_us: 2_700,
            with_p99_us: 2_900,
        }),
        filters: Vec::new(),
    }
}

#[test]
fn every_target_says_met_missed_or_why_not_measured() {
    insta::assert_snapshot!(targets_table(&judge(&found())));
}

#[test]
fn nothing_measured_is_nothing_met() {
    let not = || "a reason".to_owned();
    let nothing = Found {
        steady: Steady::default(),
        idle: Measured::Not { not_measured: not() },
        ready: Measured::Not { not_measured: not() },
        queued: Measured::Not { not_measured: not() },
        large_output: Measured::Not { not_measured: not() },
        large_input: Measured::Not { not_measured: not() },
        filters: Vec::new(),
    };
    let targets = judge(&nothing);
    assert_eq!(targets.len(), judge(&found()).len());
    assert!(targets.iter().all(|target| target.verdict == Verdict::NotMeasured && target.why.is_some()));
}

#[test]
fn a_bound_itself_is_met_in_both_senses() {
    for (sense, missed) in [(Sense::AtMost, 2.1), (Sense::AtLeast, 1.9)] {
        let verdict = |measured| Target::new("x", Unit::Ratio, sense, 2.0, measured).verdict;
        assert_eq!([verdict(2.0), verdict(missed)], [Verdict::Met, Verdict::Missed]);
    }
}
