//! Two pictures in one SVG file: how latencies are distributed, and throughput by clients. Readable on light and on dark.
//!
//! It draws what a report holds and decides nothing. Kiln's lines are whole, others dashed, those with idling dotted.

mod canvas;

use std::path::{Path, PathBuf};

use super::numbers::Row;
use super::phases::label;
use super::report::Report;
use super::steady::{
    CALL, COMMIT, DESTROYING, DURABLE, FROM_NOTHING, GRPC, IDLE, LIBRARY, OWN_NETWORK, SPAWN,
};
use crate::failure::Failure;
use canvas::{Canvas, Dashes, Line, Marks, Panel, Scale};

/// Beyond it there are too few samples for a line.
const LAST_PERCENT: usize = 99;
/// In the order of colours.
const NAMES: [&str; 9] = [SPAWN, GRPC, DURABLE, LIBRARY, FROM_NOTHING, "bwrap", "nsjail", "crun", "runc"];

/// Whether a file can be written there, before minutes are spent on what is to be in it.
pub(crate) fn writable(path: &PathBuf) -> Result<(), Failure> {
    if path.extension().is_none_or(|extension| extension != "svg") {
        let message = format!("--plot {}: only .svg files can be drawn", path.display());
        return Err(Failure::usage(message).next("e.g. --plot latency.svg"));
    }
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|error| Failure::usage(format!("--plot {}: {error}", path.display())))
}

pub(crate) fn write(path: &Path, drawing: &str) -> Result<(), Failure> {
    std::fs::write(path, drawing)
        .map_err(|error| Failure::caused(&format!("cannot write {}", path.display()), &error))
}

/// The whole file.
pub(crate) fn draw(report: &Report) -> String {
    let rows = &report.found.steady.rows;
    let mut canvas = Canvas::new("kiln bench: what /bin/true costs in a sandbox", &report.machine.sentence());
    latencies(&mut canvas, rows);
    throughput(&mut canvas, rows);
    canvas.finish()
}

/// Cumulative: the share of runs that took at most so long.
fn latencies(canvas: &mut Canvas, rows: &[Row]) {
    let shown: Vec<&Row> = rows.iter().filter(|row| has_a_curve(row)).collect();
    let ends = shown.iter().flat_map(|row| [at(row, 0), at(row, LAST_PERCENT)]);
    let (least, most) = ends.fold((f64::MAX, 0.0_f64), |(least, most), end| (least.min(end), most.max(end)));
    let panel = Panel {
        title: "Latency of one run, one after another",
        x_title: "milliseconds (logarithmic)",
        y_title: "share of runs that took at most so long, %",
        x: Scale::logarithmic(least.min(most), most),
        y: Scale::linear(0.0, 100.0),
        top: 0,
    };
    let curve =
        |row: &Row| (0..=LAST_PERCENT).map(|percent| (at(row, percent), percent as f64)).collect::<Vec<_>>();
    let lines = shown.iter().map(|row| Line {
        name: label(&row.name, 1, row.idle_ms),
        colour: colour_of(&row.name),
        dashes: if row.idle_ms > 0 { Dashes::Dotted } else { dashes_of(&row.name) },
        points: curve(row),
    });
    canvas.panel(&panel, &lines.collect::<Vec<_>>(), Marks::None);
}

fn has_a_curve(row: &Row) -> bool {
    let idle = u128::from(row.idle_ms);
    let program = ![COMMIT, DESTROYING, CALL].contains(&row.name.as_str());
    let back_to_back = idle == 0;
    let idling = idle == IDLE.as_millis() && [SPAWN, GRPC].contains(&row.name.as_str());
    row.runs > 0 && row.clients == 1 && program && (back_to_back || idling)
}

/// Milliseconds, never 0: the scale is logarithmic.
fn at(row: &Row, percent: usize) -> f64 {
    row.percentiles_us.get(percent).copied().unwrap_or(0).max(1) as f64 / 1e3
}

/// Jobs per second over how many ask at the same time.
fn throughput(canvas: &mut Canvas, rows: &[Row]) {
    let shown: Vec<&Row> = rows.iter().filter(|row| has_a_rate(row)).collect();
    let most = shown.iter().filter_map(|row| row.per_second).fold(1.0, f64::max);
    let clients = shown.iter().map(|row| row.clients).max().unwrap_or(1).max(2);
    let panel = Panel {
        title: "Throughput",
        x_title: "clients at the same time (logarithmic)",
        y_title: "runs per second",
        x: Scale::doubling(1.0, clients as f64),
        y: Scale::linear(0.0, most),
        top: 1,
    };
    let mut lines: Vec<Line> = Vec::new();
    for row in shown {
        let point = (row.clients as f64, row.per_second.unwrap_or_default());
        match lines.iter_mut().find(|line| line.name == row.name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                name: row.name.clone(),
                colour: colour_of(&row.name),
                dashes: dashes_of(&row.name),
                points: vec![point],
            }),
        }
    }
    lines.iter_mut().for_each(|line| line.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    canvas.panel(&panel, &lines, Marks::Dots);
}

/// The same in both pictures.
fn colour_of(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
}

/// Kiln's own lines are whole.
fn dashes_of(name: &str) -> Dashes {
    if name.starts_with("kiln") { Dashes::None } else { Dashes::Dashed }
}

fn has_a_rate(row: &Row) -> bool {
    let alone = [LIBRARY, DURABLE, FROM_NOTHING, OWN_NETWORK, COMMIT, DESTROYING, CALL];
    row.runs > 0 && row.per_second.is_some() && !alone.contains(&row.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::large::LargeOutput;
    use super::super::machine::Machine;
    use super::super::report::{Found, Measured};
    use super::super::steady::Steady;
    use super::*;

    fn row(name: &str, clients: usize, idle_ms: u64, base_us: u64) -> Row {
        let percentiles_us: Vec<u64> = (0..=100).map(|percent| base_us + percent * percent / 8).collect();
        let per_second = (idle_ms == 0).then_some(1e6 / base_us.max(1) as f64 * clients.min(2) as f64);
        let p50_us = percentiles_us[50];
        Row {
            name: name.to_owned(),
            clients,
            idle_ms,
            runs: 9,
            p50_us,
            per_second,
            percentiles_us,
            ..Row::default()
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        let not = || "not here".to_owned();
        let large: Measured<LargeOutput> = Measured::Not { not_measured: not() };
        let machine = Machine {
            processor: "A <CPU> & more".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.18".to_owned(),
            version: "1.2",
            build: "release",
        };
        let found = Found {
            steady: Steady { rows, ..Steady::default() },
            idle: Measured::Not { not_measured: not() },
            ready: Measured::Not { not_measured: not() },
            queued: Measured::Not { not_measured: not() },
            large_output: large,
            large_input: Measured::Not { not_measured: not() },
            filters: Vec::new(),
        };
        Report { machine, slots: 2, found }
    }

    #[test]
    fn a_drawing_is_as_approved() {
        let rows = vec![
            row(SPAWN, 1, 0, 640),
            row(SPAWN, 1, 100, 1_000),
            row(SPAWN, 2, 0, 700),
            row(LIBRARY, 1, 0, 900),
            row(GRPC, 1, 0, 1_300),
            row(GRPC, 64, 0, 1_300),
            row(COMMIT, 1, 0, 200),
        ];
        insta::assert_snapshot!(draw(&report(rows)));
    }

    #[test]
    fn nothing_measured_is_an_empty_drawing_without_odd_numbers() {
        for rows in [Vec::new(), vec![row(SPAWN, 1, 0, 0)]] {
            let drawing = draw(&report(rows));
            assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
            assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
    }

    #[test]
    fn only_an_svg_file_that_can_be_written_is_taken() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert!(writable(&directory.path().join("a.svg")).is_ok());
        let refused = [directory.path().join("a.png"), directory.path().join("none/a.svg"), "svg".into()];
        for path in refused {
            assert_eq!(writable(&path).expect_err("refused").exit, crate::exit::USAGE);
        }
    }
}
