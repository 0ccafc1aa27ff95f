//! Tables that a document can hold as they are.

use std::fs;

use crate::cost::Cost;
use crate::jobs::{Row, Target};

/// What this runs on.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value.to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "a processor".into());
    let has = |flag: &str| field("flags").is_some_and(|f| f.split(' ').any(|f| f == flag));
    let flags: Vec<&str> =
        ["sha_ni", "aes", "vaes", "avx2", "avx512f"].into_iter().filter(|f| has(f)).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model} ({})", flags.join(", "))
}

/// A table under way.
pub(crate) struct Table;

impl Table {
    pub(crate) fn begin(title: &str) -> Self {
        println!("### {title}\n");
        println!(
            "| job | CPU (user) s | wall s | peak MiB | beside it: CPU, wall s | CPU ratio | wall ratio | target |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        Self
    }

    pub(crate) fn row(&self, row: &Row) {
        let Some(ours) = &row.ours else {
            println!("| {} | not in this build | | | | | | |", row.name);
            return;
        };
        let each = |of: &dyn Fn(&(&'static str, Cost)) -> String| {
            row.beside.iter().map(of).collect::<Vec<_>>().join("; ")
        };
        let beside = each(&|(name, cost)| format!("{name} {:.2}, {:.2}", cost.cpu(), cost.wall));
        let cpu = each(&|(_, cost)| format!("{:.2}", ours.cpu() / cost.cpu()));
        let wall = each(&|(_, cost)| format!("{:.2}", ours.wall / cost.wall));
        println!(
            "| {} | {:.2} ({:.2}) | {:.2} | {:.0} | {beside} | {cpu} | {wall} | {} |",
            row.name,
            ours.cpu(),
            ours.user,
            ours.wall,
            ours.peak / 1024.0,
            verdict(row, ours).unwrap_or_default()
        );
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        println!();
    }
}

/// Says what is wanted and whether it was reached; nothing where nothing is, or where what it is
/// compared with is not there.
fn verdict(row: &Row, ours: &Cost) -> Option<String> {
    let first = row.beside.first().map(|(_, cost)| cost);
    let met =
        |text: String, met: bool| Some(format!("{text}: {}", if met { "met" } else { "missed" }));
    match row.target? {
        Target::Cpu(limit) => met(format!("CPU <= {limit}"), ours.cpu() <= limit * first?.cpu()),
        Target::Wall(limit) => met(format!("wall <= {limit:.2}"), ours.wall <= limit * first?.wall),
        Target::BestPeer(limit) => {
            let peers = row.beside.iter().skip(1).map(|(_, cost)| cost.user);
            let Some(best) = peers.reduce(f64::min) else {
                return Some("no peer here".into());
            };
            met(format!("user <= {limit} of the best peer"), ours.user <= limit * best)
        }
        Target::User(limit) => met(format!("user <= {limit} s"), ours.user <= limit),
        Target::Rate(_) if row.bytes == 0 => None,
        Target::Rate(limit) => {
            let rate = per_second(row.bytes, ours.cpu());
            met(format!(">= {limit} GB/s a core, is {rate:.2}"), rate >= limit)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a person")]
fn per_second(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / seconds / 1e9
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

    #[expect(clippy::cast_precision_loss, reason = "for a person")]
    pub(crate) fn print(&self, title: &str) {
        println!(
            "### {title}\n\n| job | work x | CPU x | over work | peak MiB |\n|---|---|---|---|---|"
        );
        for (name, seen) in &self.0 {
            let [(least, small), .., (most, large)] = seen.as_slice() else { continue };
            let (work, time) = (*most as f64 / *least as f64, large.cpu() / small.cpu());
            let peaks: Vec<_> =
                seen.iter().map(|(_, c)| format!("{:.0}", c.peak / 1024.0)).collect();
            println!(
                "| {name} | {work:.1} | {time:.1} | {:.2} | {} |",
                time / work,
                peaks.join(", ")
            );
        }
        println!();
    }
}
