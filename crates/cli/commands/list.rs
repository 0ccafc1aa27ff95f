//! `bkp list`: the backups of this computer, or of some folders.

mod table;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::core::Severity;
use bkp_toolkit::{Found, TreeSize, known_roots, list_backups, tree_size};

use crate::args::Format;
use crate::display::Name;
use crate::error::{CommandError, Kind, chain};
use crate::found::{FoundFacts, ProblemFacts};
use crate::json::{SCHEMA_VERSION, write_line};
use crate::problems::Tally;
use crate::ui::{self, Ui};

/// List the backups of this computer, or of folders
///
/// Without ROOT, the folders are listed in which Finder, iTunes and the Apple Devices app keep
/// backups. No password is needed or asked for. A folder that is called like a backup and cannot
/// be read is listed with the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ListArgs {
    /// A folder with backups in it, or a backup itself
    #[arg(value_name = "ROOT")]
    roots: Vec<PathBuf>,

    /// Add up the files of each backup, which looks at every one of them
    #[arg(long)]
    size: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// Write one JSON object a line, the last one a summary, and errors as JSON
    #[arg(long)]
    jsonl: bool,
}

const AFTER_HELP: &str = "\
Examples:
  bkp list
  bkp list /Volumes/Backups /Volumes/Archive --size
  bkp list --json | jq -r '.backups[] | select(.encrypted | not) | .path'

Exit codes:
  0 listed, whether or not there are any    2 no ROOT, and none is known on this system
  3 some backups cannot be read (listed)    10 ROOT is not there, or is no folder
  33 permission denied                      130, 143 interrupted";

impl ListArgs {
    pub(crate) fn format(&self) -> Format {
        match (self.json, self.jsonl) {
            (true, _) => Format::Json,
            (_, true) => Format::JsonLines,
            _ => Format::Text,
        }
    }
}

/// A backup and what was asked to be known of it.
struct Row {
    found: Found,
    size: Option<TreeSize>,
    problem: Option<ProblemFacts>,
}

pub(crate) fn run(args: &ListArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let ListArgs { roots, size, json: _, jsonl: _ } = args;
    let roots = if roots.is_empty() { present(known_roots())? } else { roots.clone() };
    let mut rows = Vec::new();
    for found in list_backups(&roots)? {
        rows.push(Row::of(found, *size, ui)?);
    }
    let mut out = ui::stdout()?;
    let written = match ui.format {
        Format::Text => table::write(&mut out, &rows, ui),
        Format::Json => write_document(&mut out, &rows),
        Format::JsonLines => write_lines(&mut out, &rows),
    };
    written.and_then(|()| out.flush()).map_err(|error| CommandError::stdout(&error))?;
    let mut tally = Tally::default();
    for Row { found, problem, .. } in &rows {
        let Some(ProblemFacts { code, message }) = problem else { continue };
        tally.add(Severity::Failure);
        if ui.format == Format::Text {
            ui.failure(code, &format!("{}: {message}", Name::of(&found.path)));
        }
    }
    if rows.is_empty() {
        let places: Vec<_> = roots.iter().map(|root| Name::of(root).to_string()).collect();
        ui.note(&format!("no backups in {}", places.join(" or ")));
    }
    Ok(tally.exit_code())
}

/// Returns the known folders that are there. That one is not says only that its software never
/// made a backup.
fn present(roots: Vec<PathBuf>) -> Result<Vec<PathBuf>, CommandError> {
    if roots.is_empty() {
        let message = "this system has no folder in which backups are known to be kept";
        return Err(CommandError::new(Kind::Usage, "no-known-folder", message)
            .help("name the folder: bkp list FOLDER"));
    }
    let absent = |root: &PathBuf| {
        let found = root.symlink_metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    Ok(roots.into_iter().filter(|root| !absent(root)).collect())
}

impl Row {
    fn of(found: Found, with_size: bool, ui: &Ui) -> Result<Self, CommandError> {
        ui.stop.check()?;
        let mut problem = found.problem.as_ref().map(ProblemFacts::from);
        let mut size = None;
        if with_size {
            match tree_size(&found.path, &|| ui.stop.requested()) {
                Ok(Some(sum)) => size = Some(sum),
                Ok(None) => return Err(ui.stop.error()),
                Err(error) => {
                    let (code, message) = (error.code().to_owned(), chain(&error));
                    problem.get_or_insert(ProblemFacts { code, message });
                }
            }
        }
        Ok(Self { found, size, problem })
    }
}

/// A row in machine output.
#[derive(Serialize)]
struct RowFacts<'r> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    row_type: Option<&'static str>,
    #[serde(flatten)]
    found: FoundFacts<'r>,
    size: Option<u64>,
    files: Option<u64>,
    problem: Option<&'r ProblemFacts>,
}

impl<'r> RowFacts<'r> {
    fn of(row: &'r Row, row_type: Option<&'static str>) -> Self {
        let Row { found, size, problem } = row;
        Self {
            row_type,
            found: FoundFacts::of(found),
            size: size.map(|size| size.bytes),
            files: size.map(|size| size.files),
            problem: problem.as_ref(),
        }
    }
}

fn write_document(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'r> {
        schema_version: u32,
        kind: &'static str,
        backups: Vec<RowFacts<'r>>,
    }
    let backups = rows.iter().map(|row| RowFacts::of(row, None)).collect();
    write_line(out, &Document { schema_version: SCHEMA_VERSION, kind: "list", backups })
}

fn write_lines(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Summary {
        r#type: &'static str,
        schema_version: u32,
        backups: usize,
        problems: usize,
    }
    for row in rows {
        write_line(out, &RowFacts::of(row, Some("backup")))?;
    }
    let problems = rows.iter().filter(|row| row.problem.is_some()).count();
    let backups = rows.len();
    write_line(
        out,
        &Summary { r#type: "summary", schema_version: SCHEMA_VERSION, backups, problems },
    )
}
