//! Writing what differs.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use bkp_toolkit::core::{Entry, EntryKind, Monitor, Problem, Stage};
use bkp_toolkit::{Aspect, Change, DiffNote, DiffReport, DiffSide, Difference, Evidence};

use crate::args::Format;
use crate::display::{Location, Name, Styles, Text, label};
use crate::error::CommandError;
use crate::json::{Line as Row, SCHEMA_VERSION, write_line};
use crate::problems::Item;
use crate::progress::Progress;
use crate::ui::{self, Ui};

/// Collects problems, and hands progress on.
pub(super) struct Problems<'p> {
    progress: &'p Progress<'p>,
    items: Mutex<Vec<Item>>,
}

impl<'p> Problems<'p> {
    pub(super) fn new(progress: &'p Progress<'p>) -> Self {
        Self { progress, items: Mutex::default() }
    }

    pub(super) fn into_items(self) -> Vec<Item> {
        self.items.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Problems<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        self.progress.advanced(stage, entry, bytes);
    }

    fn problem(&self, Problem { entry, fault }: Problem<'_>) {
        let item = Item::new(entry, fault);
        self.items.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }

    fn cancelled(&self) -> bool {
        self.progress.cancelled()
    }
}

/// A line of `--jsonl`, or a member of the document.
#[derive(Serialize)]
struct Line<'v, T> {
    r#type: &'static str,
    #[serde(flatten)]
    value: &'v T,
}

/// The last line of `--jsonl`.
#[derive(Serialize)]
struct Summary<'v> {
    r#type: &'static str,
    schema_version: u32,
    kind: &'static str,
    #[serde(flatten)]
    report: &'v DiffReport,
}

/// An answer under way. Nothing is written before there is something to say, so that a failure
/// leaves nothing of it.
pub(super) struct Output<'a> {
    out: BufWriter<File>,
    ui: &'a Ui,
    styles: Styles,
    paths: [&'a PathBuf; 2],
    notes: &'a [DiffNote],
    begun: bool,
    told: u64,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        paths: [&'a PathBuf; 2],
        notes: &'a [DiffNote],
        ui: &'a Ui,
    ) -> Result<Self, CommandError> {
        let (out, styles) = (ui::stdout()?, ui::stdout_styles());
        Ok(Self { out, ui, styles, paths, notes, begun: false, told: 0 })
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match self.ui.format {
            Format::Text => {
                let [a, b] = self.paths;
                for (name, path) in [("A", a), ("B", b)] {
                    row(&mut self.out, self.styles, name, Name::of(Path::new(path)))?;
                }
                for DiffNote { fact, a, b, .. } in self.notes {
                    let said = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "-".into());
                    let text = format!("{fact} {} -> {}", said(a), said(b));
                    row(&mut self.out, self.styles, "Note", Text(&text))?;
                }
                self.out.write_all(b"\n")
            }
            Format::Json => {
                write!(
                    self.out,
                    "{{\"schema_version\":{SCHEMA_VERSION},\"kind\":\"diff\",\"notes\":"
                )?;
                serde_json::to_writer(&mut self.out, self.notes)?;
                self.out.write_all(b",\"differences\":[")
            }
            Format::JsonLines => self
                .notes
                .iter()
                .try_for_each(|value| write_line(&mut self.out, &Line { r#type: "note", value })),
        }
    }

    pub(super) fn difference(&mut self, value: &Difference) -> io::Result<()> {
        self.begin()?;
        self.told += 1;
        match self.ui.format {
            Format::Text => self.text(value),
            Format::Json => {
                self.out.write_all(if self.told == 1 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.out, value).map_err(Into::into)
            }
            Format::JsonLines => write_line(&mut self.out, &Line { r#type: "difference", value }),
        }
    }

    /// Writes the end, and returns what has to be flushed.
    pub(super) fn end(
        mut self,
        report: &DiffReport,
        problems: &[Item],
    ) -> io::Result<BufWriter<File>> {
        self.begin()?;
        match self.ui.format {
            Format::Text => self.summary(report)?,
            Format::Json => {
                self.out.write_all(b"\n],\"problems\":")?;
                serde_json::to_writer(&mut self.out, problems)?;
                self.out.write_all(b",\"summary\":")?;
                serde_json::to_writer(&mut self.out, report)?;
                self.out.write_all(b"}\n")?;
            }
            Format::JsonLines => {
                let mut line = Row::default();
                for item in problems {
                    item.write_row(&mut line, &mut self.out)?;
                }
                let (schema_version, kind) = (SCHEMA_VERSION, "diff");
                let summary = Summary { r#type: "summary", schema_version, kind, report };
                write_line(&mut self.out, &summary)?;
            }
        }
        Ok(self.out)
    }

    fn text(&mut self, difference: &Difference) -> io::Result<()> {
        let Difference { domain, path, change, what, evidence, a, b, .. } = difference;
        let Styles { good, warning, error, .. } = self.styles;
        let sign = match change {
            Change::Added => label(good, "+"),
            Change::Removed => label(error, "-"),
            Change::Changed => label(warning, "~"),
        };
        let place = Location { domain: domain.as_bytes(), path: path.as_bytes() };
        write!(self.out, "{sign} {place}")?;
        if let (Some(a), Some(b)) = (a, b) {
            for (at, aspect) in what.iter().enumerate() {
                let begin = if at == 0 { "  " } else { ", " };
                write!(self.out, "{begin}{}", Shown { aspect: *aspect, a, b, ui: self.ui })?;
            }
        }
        if *evidence == Some(Evidence::Unknown) {
            self.out.write_all(b"; content not comparable")?;
        }
        self.out.write_all(b"\n")
    }

    fn summary(&mut self, report: &DiffReport) -> io::Result<()> {
        let DiffReport { added, removed, changed, same, left_out, .. } = report;
        if self.told > 0 {
            self.out.write_all(b"\n")?;
        }
        let left_out = match left_out {
            0 => String::new(),
            count => format!(", {count} left out by filters"),
        };
        let text = format!(
            "{added} added, {removed} removed, {changed} changed, {same} the same{left_out}"
        );
        let style = if report.is_same() { self.styles.good } else { self.styles.warning };
        row(&mut self.out, self.styles, "Entries", label(style, text))?;
        let DiffReport { files_by_digest, files_by_content, files_by_metadata, .. } = report;
        let mut content =
            vec![format!("{files_by_digest} files by digest, {files_by_content} read")];
        if *files_by_metadata > 0 {
            content.push(format!(
                "{files_by_metadata} taken for the same by size and time; --content reads them"
            ));
        }
        if report.files_unknown > 0 {
            content.push(format!("{} not comparable", report.files_unknown));
        }
        row(&mut self.out, self.styles, "Content", content.join(", "))?;
        match report.unreadable_rows {
            0 => Ok(()),
            rows => row(&mut self.out, self.styles, "Unreadable", format_args!("{rows} rows")),
        }
    }
}

fn row(out: &mut dyn Write, styles: Styles, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{} {value}", label(styles.heading, format_args!("{name:<10}")))
}

/// What changed, from what to what.
struct Shown<'d> {
    aspect: Aspect,
    a: &'d DiffSide,
    b: &'d DiffSide,
    ui: &'d Ui,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aspect, a, b, ui } = self;
        let (from, to) = (&a.metadata, &b.metadata);
        let name = aspect.name();
        match aspect {
            Aspect::Kind => write!(f, "{name} {} -> {}", a.kind.name(), b.kind.name()),
            Aspect::Size => write!(f, "{name} {} -> {}", from.size_hint, to.size_hint),
            Aspect::Target => match (&a.kind, &b.kind) {
                (EntryKind::Symlink(from), EntryKind::Symlink(to)) => {
                    write!(f, "{name} {} -> {}", Name(from), Name(to))
                }
                _ => f.write_str(name),
            },
            Aspect::Mode => write!(f, "{name} {:o} -> {:o}", from.mode, to.mode),
            Aspect::Owner => {
                write!(f, "{name} {}:{} -> {}:{}", from.uid, from.gid, to.uid, to.gid)
            }
            Aspect::Times if from.modified != to.modified => {
                write!(f, "{name} {} -> {}", ui.time(from.modified), ui.time(to.modified))
            }
            Aspect::Class => {
                let class = |side: &DiffSide| match side.protection {
                    Some(class) => class.to_string(),
                    None => "-".to_owned(),
                };
                write!(f, "{name} {} -> {}", class(a), class(b))
            }
            Aspect::Flags => write!(f, "{name} {:x} -> {:x}", from.flags, to.flags),
            _ => f.write_str(name),
        }
    }
}
