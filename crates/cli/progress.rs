//! Progress on stderr, and the problems of a run as they come.

use std::fmt;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use bkp_toolkit::core::{Entry, Monitor, Problem, Stage};

use crate::display::Size;
use crate::json::{Line, SCHEMA_VERSION};
use crate::problems::Item;
use crate::ui::Ui;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProgressMode {
    Silent,
    /// A line on a terminal that is drawn anew.
    Bar,
    /// A line of text every few seconds, where there is no terminal.
    Lines,
    /// A JSON object every so often.
    Json,
}

impl ProgressMode {
    /// Returns how often it is shown.
    fn interval(self) -> Duration {
        match self {
            Self::Silent => Duration::MAX,
            Self::Bar => Duration::from_millis(100),
            Self::Lines => Duration::from_secs(5),
            Self::Json => Duration::from_millis(250),
        }
    }
}

/// Shows the progress of one command and collects its problems.
pub(crate) struct Progress<'u> {
    ui: &'u Ui,
    /// What is done with entries.
    phase: &'static str,
    bar: ProgressBar,
    begun: Instant,
    /// When progress was last shown, in milliseconds since `begun`, plus one; 0 is never.
    shown: AtomicU64,
    selected: Count,
    staged: Count,
    problems: Mutex<Vec<Item>>,
}

/// Files and their bytes.
#[derive(Debug, Default)]
struct Count {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    fn add(&self, bytes: u64) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl<'u> Progress<'u> {
    pub(crate) fn new(ui: &'u Ui) -> Self {
        let bar = match ui.progress {
            ProgressMode::Bar => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            _ => ProgressBar::hidden(),
        };
        Self {
            ui,
            phase: "extracting",
            bar,
            begun: Instant::now(),
            shown: AtomicU64::new(0),
            selected: Count::default(),
            staged: Count::default(),
            problems: Mutex::new(Vec::new()),
        }
    }

    /// Calls what is done with entries something else than extracting.
    pub(crate) fn doing(mut self, phase: &'static str) -> Self {
        self.phase = phase;
        self
    }

    /// Returns true if a bar may be on the terminal.
    pub(crate) fn is_bar(&self) -> bool {
        self.ui.progress == ProgressMode::Bar
    }

    /// Does something while the bar is not on the terminal, such as writing to it.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bar.suspend(write)
    }

    /// Takes the news of a key derivation. Breaks when the user wants an end.
    pub(crate) fn key_derivation(&self, done: u64, total: u64) -> ControlFlow<()> {
        if self.due() || (done == total && self.ui.progress != ProgressMode::Lines) {
            self.show("deriving the key", "rounds", (done, total), None);
        }
        if done == total {
            self.clear();
        }
        if self.ui.stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Takes the news of work that is told in bytes alone: done and in all.
    pub(crate) fn bytes(&self, phase: &'static str, bytes: (u64, u64)) {
        if self.due() {
            self.show(phase, "bytes", bytes, None);
        }
    }

    /// Returns the problems so far.
    pub(crate) fn so_far(&self) -> Vec<Item> {
        self.list().clone()
    }

    /// Takes down a problem and shows it.
    pub(crate) fn report(&self, item: Item) {
        self.bar.suspend(|| self.ui.problem(&item));
        self.list().push(item);
    }

    /// Removes the progress from the terminal and returns the problems in the order they came.
    pub(crate) fn finish(self) -> Vec<Item> {
        if self.ui.progress == ProgressMode::Json && self.staged.get() != (0, 0) {
            self.show_entries();
        }
        self.bar.finish_and_clear();
        self.problems.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> MutexGuard<'_, Vec<Item>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a phase: its bar goes away, and the next one is shown at once.
    fn clear(&self) {
        self.bar.finish_and_clear();
        self.shown.store(0, Ordering::Relaxed);
    }

    /// Returns true, to one thread, when it is time to show progress again.
    fn due(&self) -> bool {
        if self.ui.progress == ProgressMode::Silent {
            return false;
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.begun.elapsed()).saturating_add(1);
        let last = self.shown.load(Ordering::Relaxed);
        let next = last.saturating_add(millis(self.ui.progress.interval()));
        (last == 0 || now >= next)
            && self.shown.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn show_entries(&self) {
        let (files, bytes) = self.staged.get();
        let (all_files, all_bytes) = self.selected.get();
        self.show(self.phase, "bytes", (bytes, all_bytes), Some((files, all_files)));
    }

    fn show(
        &self,
        phase: &'static str,
        unit: &'static str,
        (done, total): (u64, u64),
        entries: Option<(u64, u64)>,
    ) {
        match self.ui.progress {
            ProgressMode::Silent => {}
            ProgressMode::Bar => {
                let message = match entries {
                    Some((done, all)) => format!("{phase}, {done} of {all} entries"),
                    None => phase.to_owned(),
                };
                // A new phase gets its look before it is drawn for the first time.
                if self.bar.length().is_none() || self.bar.is_finished() {
                    self.bar.set_style(style(unit));
                    self.bar.reset();
                }
                self.bar.set_message(message);
                self.bar.set_length(total);
                self.bar.set_position(done.min(total));
            }
            ProgressMode::Lines => {
                let seconds = self.begun.elapsed().as_secs();
                let mut err = io::stderr().lock();
                let _ = match entries {
                    Some((files, all)) => writeln!(
                        err,
                        "{phase}: {files} of {all} entries, {} of {}, {seconds} s",
                        Size(done),
                        Size(total)
                    ),
                    None => writeln!(err, "{phase}: {done} of {total} {unit}, {seconds} s"),
                };
            }
            ProgressMode::Json => {
                let mut line = Line::default();
                line.begin()
                    .value("schema_version", SCHEMA_VERSION)
                    .plain("kind", b"progress")
                    .value("phase", phase)
                    .plain("unit", unit.as_bytes())
                    .value("done", done)
                    .value("total", total);
                if let Some((files, all)) = entries {
                    line.value("entries_done", files).value("entries_total", all);
                }
                let _ = line.end(&mut io::stderr().lock());
            }
        }
    }
}

/// The look of the bar. A template that does not parse would be a mistake in this file; the
/// default one is shown then.
fn style(unit: &str) -> ProgressStyle {
    let template = match unit {
        "bytes" => {
            "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
        }
        _ => "{msg} {wide_bar} {human_pos} of {human_len} rounds, {eta} left",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("mode", &self.ui.progress).finish_non_exhaustive()
    }
}

impl Monitor for Progress<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, _: u64) {
        match stage {
            Stage::Selected => self.selected.add(entry.metadata.size_hint),
            Stage::Staged => {
                self.staged.add(entry.metadata.size_hint);
                if self.due() {
                    self.show_entries();
                }
            }
            _ => {}
        }
    }

    fn problem(&self, problem: Problem<'_>) {
        let Problem { entry, fault } = problem;
        self.report(Item::new(entry, fault));
    }

    fn cancelled(&self) -> bool {
        self.ui.stop.requested()
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, ProgressMode, style};
    use crate::args::Format;
    use crate::display::Styles;
    use crate::signals::Stop;
    use crate::ui::Ui;
    use bkp_toolkit::core::{Domain, Entry, EntryKind, Monitor as _, RelPath, Stage};

    #[test]
    fn the_templates_parse() {
        for unit in ["bytes", "rounds"] {
            // The default style is what a template that does not parse falls back to.
            assert!(!format!("{:?}", style(unit).get_tick_str(0)).is_empty());
        }
        for template in [
            "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
            "{msg} {wide_bar} {human_pos} of {human_len} rounds, {eta} left",
        ] {
            assert!(indicatif::ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn entries_are_counted_from_many_threads() {
        let ui = Ui {
            format: Format::Text,
            styles: Styles::default(),
            progress: ProgressMode::Silent,
            stop: Stop::default(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let progress = Progress::new(&ui);
        let mut entry = Entry::derive(
            Domain::new("HomeDomain").unwrap(),
            RelPath::new("a").unwrap(),
            EntryKind::File,
        );
        entry.metadata.size_hint = 3;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        progress.advanced(Stage::Selected, &entry, 0);
                        progress.advanced(Stage::Staged, &entry, 3);
                    }
                });
            }
        });
        assert_eq!(progress.selected.get(), (4000, 12_000));
        assert_eq!(progress.staged.get(), (4000, 12_000));
        assert!(!progress.cancelled() && progress.finish().is_empty());
    }
}
