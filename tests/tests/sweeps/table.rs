//! How many points were tried, and what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use super::judge::{End, Outcome};
use super::points::{Point, Sweep};

/// Counts of a sweep.
#[derive(Debug)]
pub(crate) struct Table {
    kind: Sweep,
    begun: Instant,
    /// In the order of their first points.
    commands: Vec<&'static str>,
    /// By call and command: points at which something happened.
    hits: BTreeMap<(&'static str, &'static str), usize>,
    /// By what was there in the end and command.
    ends: BTreeMap<(End, &'static str), usize>,
    /// Points that the run never came to: threads do not always share the work alike.
    missed: usize,
    wrong: usize,
}

impl Table {
    pub(crate) fn new(kind: Sweep) -> Self {
        let (commands, hits, ends) = Default::default();
        Self { kind, begun: Instant::now(), commands, hits, ends, missed: 0, wrong: 0 }
    }

    pub(crate) fn add(&mut self, command: &'static str, point: &Point, outcome: &Outcome) {
        if !self.commands.contains(&command) {
            self.commands.push(command);
        }
        self.wrong += usize::from(!outcome.wrong.is_empty());
        if outcome.hit {
            *self.hits.entry((point.row(), command)).or_default() += 1;
            *self.ends.entry((outcome.end, command)).or_default() += 1;
        } else {
            self.missed += 1;
        }
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.values().sum()
    }

    pub(crate) fn summary(&self) -> String {
        let Self { kind, begun, missed, wrong, .. } = self;
        let (kind, hits, time) = (kind.name(), self.hits(), begun.elapsed().as_secs_f64());
        format!("{kind} sweep: {hits} points, {wrong} wrong, {missed} not reached, {time:.1} s")
    }

    /// Writes the table into the folder that `BKP_SWEEP_REPORT` names, as Markdown.
    pub(crate) fn keep(&self) {
        let Some(folder) = std::env::var_os("BKP_SWEEP_REPORT") else { return };
        let path = PathBuf::from(folder).join(format!("{}.md", self.kind.name()));
        std::fs::write(path, self.markdown()).unwrap();
    }

    fn markdown(&self) -> String {
        let mut text = format!("{}\n\n| call |", self.summary());
        for command in &self.commands {
            write!(text, " {command} |").unwrap();
        }
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(self.commands.len()));
        text.push('\n');
        let row = |text: &mut String, name: &str, count: &dyn Fn(&'static str) -> usize| {
            write!(text, "| {name} |").unwrap();
            for &command in &self.commands {
                write!(text, " {} |", count(command)).unwrap();
            }
            text.push('\n');
        };
        let mut calls: Vec<_> = self.hits.keys().map(|(call, _)| *call).collect();
        calls.dedup();
        for call in calls {
            let hits = |command| self.hits.get(&(call, command)).copied().unwrap_or(0);
            row(&mut text, &format!("`{call}`"), &hits);
        }
        let all =
            |command| self.hits.iter().filter(|((_, c), _)| *c == command).map(|(_, n)| n).sum();
        row(&mut text, "**all points**", &all);
        for (end, name) in [
            (End::Absent, "no output"),
            (End::Partial, "no output, a marked partial folder"),
            (End::Complete, "whole output"),
            (End::Told, "output, and what it lacks is listed"),
        ] {
            let count = |command| self.ends.get(&(end, command)).copied().unwrap_or(0);
            row(&mut text, name, &count);
        }
        text
    }
}

impl Sweep {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Error => "error",
        }
    }
}
