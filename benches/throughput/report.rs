//! Tables that a document can hold as they are.

use std::fs;
use std::path::Path;

use crate::cost::Cost;
use crate::job::{Measured, Row};
use crate::targets::{Targets, verdicts};

/// All that was printed so far.
#[derive(Debug, Default)]
pub(crate) struct Report(String);

impl Report {
    /// Prints a line, and keeps it.
    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Begins a section.
    pub(crate) fn title(&mut self, title: &str) {
        self.line(&format!("\n## {title}\n"));
    }

    /// Begins a section with a table of jobs.
    pub(crate) fn table(&mut self, title: &str, notes: &[String]) {
        self.title(title);
        for note in notes {
            self.line(&format!("{note}\n"));
        }
        self.line(
            "| job | CPU (user) s | wall s | peak MiB | beside it: CPU, wall s | CPU ratio | wall ratio | targets |",
        );
        self.line("|---|---|---|---|---|---|---|---|");
    }

    /// Prints what came of a job.
    pub(crate) fn row(&mut self, row: &Row) {
        let Some(ours) = &row.ours else {
            return self.line(&format!("| {} | not in this build | | | | | | |", row.name));
        };
        let each = |of: &dyn Fn(&Measured) -> String| {
            row.beside.iter().map(of).collect::<Vec<_>>().join("; ")
        };
        let beside = each(&|Measured { name, cost, .. }| {
            format!("{name} {:.2}, {:.2}", cost.cpu(), cost.wall)
        });
        let cpu = each(&|beside| format!("{:.2}", ours.cpu() / beside.cost.cpu()));
        let wall = each(&|beside| format!("{:.2}", ours.wall / beside.cost.wall));
        self.line(&format!(
            "| {} | {:.2} ({:.2}) | {:.2} | {:.0} | {beside} | {cpu} | {wall} | {} |",
            row.name,
            ours.cpu(),
            ours.user,
            ours.wall,
            ours.peak / 1024.0,
            verdicts(row, ours)
        ));
    }

    /// Writes all of it into a file, with what makes it again.
    pub(crate) fn write(&self, file: &Path, args: &[String]) {
        let args: Vec<&str> =
            args.iter().map(String::as_str).filter(|arg| *arg != "--bench").collect();
        let command = format!("cargo bench --bench throughput -- {}", args.join(" "));
        let text = format!("<!-- Made by: {command} -->\n\n{}", self.0);
        fs::write(file, text).expect("the report is written");
    }
}

/// Says what this runs on, and what else runs there.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value.to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "a processor".into());
    let flags: Vec<&str> =
        ["sha_ni", "aes", "vaes", "avx2", "avx512f"].into_iter().filter(|f| has(f)).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    format!("{day}, {cores} cores of {model} ({}). {}", flags.join(", "), load())
}

/// Returns true if the processor has something.
pub(crate) fn has(flag: &str) -> bool {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split(' ').any(|has| has == flag)
}

/// Says how many programs want a core. At the end of a run this counts its own.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let fields: Vec<&str> = load.split(' ').collect();
    match fields.as_slice() {
        [one, five, ..] => format!("Load {one} in the last minute, {five} in the last five."),
        _ => String::new(),
    }
}

/// How the cost of jobs grows with their work.
#[derive(Debug, Default)]
pub(crate) struct Growth(Vec<(&'static str, Vec<(u64, Cost)>)>);

impl Growth {
    pub(crate) fn see(&mut self, work: u64, row: &Row) {
        let Some(ours) = row.ours else { return };
        match self.0.iter_mut().find(|(name, _)| *name == row.name) {
            Some((_, seen)) => seen.push((work, ours)),
            None => self.0.push((row.name, vec![(work, ours)])),
        }
    }

    /// Prints how much more the largest takes than the smallest. Ten times the work is to take
    /// eleven times the time at most; a start that always costs the same makes it less.
    #[expect(clippy::cast_precision_loss, reason = "for a person")]
    pub(crate) fn print(&self, title: &str, report: &mut Report, targets: &mut Targets) {
        if self.0.iter().all(|(_, seen)| seen.len() < 2) {
            return;
        }
        report.title(&format!("{title}: processor time over work, 1.00 is linear"));
        report.line("| job | work x | CPU x | over work | wall x | peak MiB |");
        report.line("|---|---|---|---|---|---|");
        let mut worst: Option<(&str, f64, f64)> = None;
        for (name, seen) in &self.0 {
            let [(least, small), .., (most, large)] = seen.as_slice() else { continue };
            let (work, time) = (*most as f64 / *least as f64, large.cpu() / small.cpu());
            let peaks: Vec<_> =
                seen.iter().map(|(_, c)| format!("{:.0}", c.peak / 1024.0)).collect();
            report.line(&format!(
                "| {name} | {work:.1} | {time:.1} | {:.2} | {:.1} | {} |",
                time / work,
                large.wall / small.wall,
                peaks.join(", ")
            ));
            if worst.is_none_or(|(_, less, most)| time / work > most / less) {
                worst = Some((name, work, time));
            }
        }
        if let Some((name, work, time)) = worst {
            let is = (format!("{work:.0} x the work takes {time:.1} x"), time <= 1.1 * work);
            targets.add(&format!("{name}, the worst"), title, "CPU <= 1.1 x work", Some(is));
        }
    }
}
