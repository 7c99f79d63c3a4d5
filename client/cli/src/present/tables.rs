//! One look for all tables.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// Which way a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lean {
    Left,
    Right,
}

/// A table with a header; `leans` has one entry per column.
pub(crate) fn table(header: &[&str], leans: &[Lean], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    let aligned = |texts: Vec<String>| {
        let cells = texts.into_iter().zip(leans).map(|(text, lean)| {
            let alignment = if *lean == Lean::Right { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(alignment)
        });
        cells.collect::<Vec<_>>()
    };
    table.set_header(aligned(header.iter().map(|title| (*title).to_owned()).collect()));
    for row in rows {
        table.add_row(aligned(row));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}
