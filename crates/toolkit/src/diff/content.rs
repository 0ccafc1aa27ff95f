//! Reading the files that rows do not settle.

use std::num::NonZeroUsize;

use bkp_bundle::{Backup, Unlocked};
use bkp_core::{Entry, EntryKind, Monitor, Problem, RunError, Select, Stage, Verdict};

use super::problem::DiffProblem;
use super::rows::{Content, Name, Names, Pair, count};
use super::{DiffError, DiffReport, Side};
use crate::{ContentHash, hash_files};

/// What files of one backup hold, by name.
#[derive(Debug, Default)]
pub(super) struct Hashed(Vec<(Name, ContentHash)>);

/// The files to be read. Their names are sorted.
struct Wanted<'n> {
    names: &'n Names,
    wanted: &'n [Name],
}

impl Select for Wanted<'_> {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        let wanted = entry.kind == EntryKind::File
            && self.wanted.binary_search(&self.names.name(entry)).is_ok();
        if wanted { Verdict::Keep(None) } else { Verdict::Drop(None) }
    }
}

/// Says of which backup a problem is. Rows were told of by the walk.
struct OfSide<'m> {
    side: Side,
    monitor: &'m dyn Monitor,
}

impl Monitor for OfSide<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        self.monitor.advanced(stage, entry, bytes);
    }

    fn problem(&self, problem: Problem<'_>) {
        // A size other than the catalog says is no matter of two backups, and usual.
        if problem.entry.is_some() && problem.fault.code() != "size-mismatch" {
            DiffProblem::of(self.side, problem.fault).tell(problem.entry, self.monitor);
        }
    }

    fn cancelled(&self) -> bool {
        self.monitor.cancelled()
    }
}

impl Hashed {
    pub(super) fn read(
        backup: &Backup<Unlocked>,
        side: Side,
        names: &Names,
        wanted: &[Name],
        threads: Option<NonZeroUsize>,
        monitor: &dyn Monitor,
    ) -> Result<Self, DiffError> {
        let mut hashes = Vec::with_capacity(wanted.len());
        let mut found = |entry: &Entry, hash: Option<&ContentHash>| {
            hashes.extend(hash.map(|hash| (names.name(entry), *hash)));
            Ok(())
        };
        let select = Wanted { names, wanted };
        let of_side = OfSide { side, monitor };
        match hash_files(backup, &select, threads, &mut found, &of_side) {
            Ok(_) => {}
            Err(RunError::Cancelled) => return Err(DiffError::Cancelled),
            Err(source) => return Err(DiffError::Read { side, source }),
        }
        // Stable: of several rows of one name the first counts.
        hashes.sort_by_key(|&(name, _)| name);
        hashes.dedup_by_key(|&mut (name, _)| name);
        Ok(Self(hashes))
    }

    pub(super) fn get(&self, name: &Name) -> Option<&ContentHash> {
        let at = self.0.binary_search_by_key(name, |&(name, _)| name).ok()?;
        self.0.get(at).map(|(_, hash)| hash)
    }
}

/// Decides about the files that were read, and forgets those that are the same.
pub(super) fn settle(pairs: &mut Vec<Pair>, hashed: &[Hashed; 2], report: &mut DiffReport) {
    let [a, b] = hashed;
    for pair in pairs.iter_mut().filter(|pair| pair.is_to_be_read()) {
        let name = pair.name();
        pair.content = match (a.get(&name), b.get(&name)) {
            (Some(a), Some(b)) if a == b => Content::SameByHash,
            (Some(_), Some(_)) => Content::ChangedByHash,
            // A problem has said why.
            _ => Content::Unknown,
        };
        pair.differs |= pair.content == Content::ChangedByHash;
        count(pair, report);
    }
    pairs.retain(|pair| pair.differs);
}
