//! One command of ours, what it is measured against, and what came of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cost::{Cost, measure, this};
use crate::place::{Place, warm};
use crate::targets::Target;

/// A program and its arguments. A word that begins with [`OUT`] is where the output goes.
pub(crate) type Line = Vec<OsString>;

/// Stands for a new place in each run.
pub(crate) const OUT: &str = "@out";

/// Writes a command line out of words and paths.
macro_rules! line {
    ($($word:expr),* $(,)?) => { vec![$(std::ffi::OsString::from($word)),*] };
}
pub(crate) use line;

/// One command of ours.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// What it reads, cached before.
    input: PathBuf,
    /// Bytes of payloads that it goes through, where that is what it does and they are known.
    bytes: u64,
    /// Bytes of the catalog that it reads.
    catalog: u64,
    targets: Vec<Target>,
    ours: Line,
    beside: Vec<Beside>,
    /// Makes what the job begins with, which is its input then.
    before: Option<Line>,
    /// Whether the output consists of hard links to the input.
    links: bool,
    /// Whether the input is a damaged backup.
    damaged: bool,
}

/// A floor or a reader by others.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    pub(crate) peer: bool,
    pub(crate) line: Line,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    pub(crate) catalog: u64,
    pub(crate) targets: Vec<Target>,
    /// Nothing where this build has no such command.
    pub(crate) ours: Option<Cost>,
    pub(crate) beside: Vec<Measured>,
}

/// What a floor or a reader by others took.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) peer: bool,
    pub(crate) cost: Cost,
}

impl Job {
    pub(crate) fn new(name: &'static str, input: &Path, ours: Line) -> Self {
        let catalog = std::fs::metadata(input.join("Manifest.db")).map_or(0, |data| data.len());
        let (targets, beside) = (Vec::new(), Vec::new());
        let (input, before) = (input.to_owned(), None);
        let (bytes, links, damaged) = (0, false, false);
        Self { name, input, bytes, catalog, targets, ours, beside, before, links, damaged }
    }

    pub(crate) fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    pub(crate) fn beside(mut self, name: &'static str, line: Line) -> Self {
        self.beside.push(Beside { name, peer: false, line });
        self
    }

    /// Sets one of our own loops beside it.
    pub(crate) fn floor(self, name: &'static str, args: Line) -> Self {
        self.beside(name, [line![this(), "--floor"], args].concat())
    }

    pub(crate) fn peers(mut self, peers: Vec<Beside>) -> Self {
        self.beside.extend(peers);
        self
    }

    /// Leaves away all that is beside it, and with that what it is to reach.
    pub(crate) fn alone(self) -> Self {
        Self { beside: Vec::new(), targets: Vec::new(), ..self }
    }

    pub(crate) fn before(self, input: PathBuf, before: Line) -> Self {
        Self { input, before: Some(before), ..self }
    }

    pub(crate) fn has_before(&self) -> bool {
        self.before.is_some()
    }

    pub(crate) fn links(self) -> Self {
        Self { links: true, ..self }
    }

    pub(crate) fn damaged(self) -> Self {
        Self { damaged: true, ..self }
    }

    pub(crate) fn is_links(&self) -> bool {
        self.links
    }

    /// Runs the job and what is beside it, in turns.
    pub(crate) fn race(self, place: &Place, rounds: usize) -> Row {
        let Self { name, input, bytes, catalog, targets, ours, beside, before, links, damaged } =
            self;
        let mut row = Row { name, bytes, catalog, targets, ours: None, beside: Vec::new() };
        if !is_there(&ours) {
            return row;
        }
        if let Some(before) = &before {
            measure(before, false);
        }
        warm(&input);
        let mut costs = vec![Vec::new(); beside.len() + 1];
        for _ in 0..rounds {
            let contenders = beside.iter().map(|beside| &beside.line).chain([&ours]);
            for (line, costs) in contenders.zip(&mut costs) {
                let out = place.out(links);
                costs.push(measure(&at(line, &out), damaged));
                place.clear(&out);
            }
        }
        if before.is_some() {
            std::fs::remove_file(&input).expect("the input is removed");
        }
        row.ours = costs.pop().map(|costs| Cost::median(&costs));
        row.beside = beside
            .into_iter()
            .zip(costs)
            .map(|(Beside { name, peer, .. }, costs)| Measured {
                name,
                peer,
                cost: Cost::median(&costs),
            })
            .collect();
        row
    }
}

impl Row {
    /// Returns what one of those beside it took.
    pub(crate) fn of(&self, name: &str) -> Option<&Cost> {
        self.beside.iter().find(|beside| beside.name == name).map(|beside| &beside.cost)
    }

    /// Returns a figure of the reader by others that is best in it.
    pub(crate) fn best_peer(&self, figure: fn(&Cost) -> f64) -> Option<f64> {
        let peers = self.beside.iter().filter(|beside| beside.peer);
        peers.map(|beside| figure(&beside.cost)).reduce(f64::min)
    }
}

/// Puts the place of an output into a line.
fn at(line: &Line, out: &Path) -> Line {
    line.iter()
        .map(|word| match word.to_str().and_then(|word| word.strip_prefix(OUT)) {
            Some(end) => {
                let mut path = out.as_os_str().to_owned();
                path.push(end);
                path
            }
            None => word.clone(),
        })
        .collect()
}

/// Returns true if this build has the command of a line.
fn is_there(line: &Line) -> bool {
    let Some(command) = line.get(1) else { return false };
    let help = Command::new(&line[0])
        .arg(command)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    help.is_ok_and(|status| status.success())
}
