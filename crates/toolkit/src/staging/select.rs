//! Which rows a copy leaves out, by the caller's rules and by what management makes of them.

use std::fmt;

use bkp_bundle::{Backup, Unlocked};
use bkp_core::{Domain, Entry, EntryKind, FileId, RelPath, Select, Verdict};
use bkp_policy::{Because, LeaveOut, Requirement, StripRule};

/// The caller's rules, and then those of management, which no rule of the caller overrules.
pub struct StagingSelect<'s> {
    /// The caller's.
    pub rules: &'s dyn Select,
    /// Those of management.
    pub leave_out: &'s LeaveOut<'s>,
}

impl Select for StagingSelect<'_> {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        match self.rules.judge(entry) {
            Verdict::Keep(rule) => match self.leave_out.judge(entry) {
                Verdict::Keep(_) => Verdict::Keep(rule),
                left_out => left_out,
            },
            left_out => left_out,
        }
    }
}

impl fmt::Debug for StagingSelect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagingSelect").field("leave_out", self.leave_out).finish_non_exhaustive()
    }
}

/// A row that management keeps out of a copy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The entry's fileID.
    pub id: FileId,
    /// Its domain.
    pub domain: Domain,
    /// Its path.
    pub path: RelPath,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Bytes, as the catalog says.
    pub size: u64,
    /// The rule's name.
    pub rule: &'static str,
    /// The statement that the rule follows.
    pub requirement: Requirement,
    /// What it is, or was, for.
    pub why: &'static str,
    /// The app whose data it is.
    pub app: Option<Box<str>>,
}

/// A row that stays, and that a person should look at.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reported {
    /// Its domain.
    pub domain: Domain,
    /// Its path.
    pub path: RelPath,
    /// The rule that names it.
    pub rule: &'static StripRule,
}

/// What a copy leaves out, and what it should be looked at for, row by row.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StagingRows {
    /// Rows that are left out, in catalog order.
    pub left_out: Vec<LeftOut>,
    /// Rows that stay and are named, in catalog order.
    pub reported: Vec<Reported>,
}

impl StagingRows {
    /// Goes through a catalog once. `select` is what the copy is made by: a row that it leaves out
    /// for a reason of its own is not listed.
    #[must_use]
    pub fn of(backup: &Backup<Unlocked>, select: &dyn Select, leave_out: &LeaveOut<'_>) -> Self {
        let mut rows = Self::default();
        for record in backup.catalog().records().flatten() {
            let entry = record.as_ref();
            match (select.judge(entry), leave_out.because(entry)) {
                (Verdict::Drop(Some(rule)), Some(because)) if rule == because.text => {
                    rows.left_out.push(left_out(entry, &because));
                }
                (Verdict::Keep(_), None) => {
                    if let Some(rule) = leave_out.report(entry) {
                        let (domain, path) = (entry.domain.clone(), entry.path.clone());
                        rows.reported.push(Reported { domain, path, rule });
                    }
                }
                _ => {}
            }
        }
        rows
    }
}

fn left_out(entry: &Entry, because: &Because<'_>) -> LeftOut {
    let Because { rule, requirement, why, app, .. } = *because;
    LeftOut {
        id: entry.id,
        domain: entry.domain.clone(),
        path: entry.path.clone(),
        is_file: entry.kind == EntryKind::File,
        size: entry.metadata.size_hint,
        rule,
        requirement,
        why,
        app: app.map(Into::into),
    }
}
