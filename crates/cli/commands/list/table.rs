//! The text of `bkp list`.

use std::io::{self, Write};

use bkp_toolkit::Found;

use super::Row;
use crate::display::{Name, Size, Text};
use crate::ui::Ui;

/// The widest a column grows, so that one name cannot push all others away.
const WIDEST: usize = 32;

/// Writes one line for each backup, in columns.
pub(super) fn write(out: &mut dyn Write, rows: &[Row], ui: &Ui) -> io::Result<()> {
    let lines: Vec<_> = rows.iter().map(|row| columns(row, ui)).collect();
    let mut widths = [0; 7];
    for line in &lines {
        for (width, text) in widths.iter_mut().zip(line) {
            *width = (*width).max(text.chars().count().min(WIDEST));
        }
    }
    for (line, row) in lines.iter().zip(rows) {
        for (text, width) in line.iter().zip(widths).filter(|&(_, width)| width > 0) {
            write!(out, "{text:<width$}  ")?;
        }
        writeln!(out, "{}", Name::of(&row.found.path))?;
    }
    Ok(())
}

fn columns(row: &Row, ui: &Ui) -> [String; 7] {
    let Found { device, date, encrypted, state, .. } = &row.found;
    let said = |text: Option<&String>| text.map_or("-".to_owned(), |text| Text(text).to_string());
    [
        said(device.name.as_ref()),
        said(device.product_name.as_ref().or(device.product_type.as_ref())),
        said(device.product_version.as_ref()),
        date.map_or("-".to_owned(), |date| ui.time(date).to_string()),
        match encrypted {
            Some(true) => "encrypted",
            Some(false) => "not encrypted",
            None => "cannot be read",
        }
        .to_owned(),
        state.name().to_owned(),
        row.size.map_or_else(String::new, |size| Size(size.bytes).to_string()),
    ]
}
