//! What is kept of each row: hashes, and no names.

use std::hash::{BuildHasher as _, Hash, RandomState};

use bkp_bundle::{BundleRecord, Catalog, MbFile, Mbdb, Opened, StoredIndex, parse_xattrs};
use bkp_core::{Domain, Entry, EntryKind, Fault as _, Monitor, ProtectionClass, RelPath, Select};

use super::problem::DiffProblem;
use super::{BEAT, ContentCheck, DiffError, DiffReport, Open};

/// A name as two hashes under keys of this run: nobody can make two names collide.
pub(super) type Name = [u64; 2];

/// Hashes names and what belongs to them.
#[derive(Debug)]
pub(super) struct Names {
    first: RandomState,
    second: RandomState,
    /// Neither backup is encrypted.
    plain: bool,
    /// The classes whose keys are the same in both, as bits.
    classes: u64,
}

/// What the row's own bytes say and an [`Entry`] does not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Extras {
    /// A hash of the extended attributes; 0 where there are none.
    pub(super) attributes: u64,
    /// A hash of the wrapped key; 0 where there is none, and where the key of its class is not
    /// known to be the same in both.
    key: u64,
}

impl Names {
    pub(super) fn new(a: Open<'_>, b: Open<'_>) -> Self {
        let encrypted = |open: &Open<'_>| open.opened.bundle().is_encrypted();
        let classes = match (encrypted(&a), encrypted(&b)) {
            (true, true) => same_classes(a.opened, b.opened),
            _ => 0,
        };
        Self {
            first: RandomState::new(),
            second: RandomState::new(),
            plain: !encrypted(&a) && !encrypted(&b),
            classes,
        }
    }

    /// Returns true if digests of both are of plaintext.
    pub(super) fn plain(&self) -> bool {
        self.plain
    }

    pub(super) fn name(&self, entry: &Entry) -> Name {
        self.name_of(&entry.domain, &entry.path)
    }

    fn name_of(&self, domain: &Domain, path: &RelPath) -> Name {
        let name = (domain.as_bytes(), path.as_bytes());
        [self.first.hash_one(name), self.second.hash_one(name)]
    }

    /// Hashes something that is there: never 0.
    fn some(&self, value: impl Hash) -> u64 {
        self.first.hash_one(value).max(1)
    }

    pub(super) fn extras(&self, record: &BundleRecord, catalog: &Catalog) -> Extras {
        let Some(raw) = record.as_ref().raw.as_deref() else { return Extras::default() };
        match catalog {
            Catalog::Db(_) => match MbFile::parse(raw) {
                Ok(file) => Extras {
                    attributes: file.extended_attributes.map_or(0, |value| self.attributes(value)),
                    key: self.key(record.key_class(), file.encryption_key),
                },
                Err(_) => Extras::default(),
            },
            Catalog::Mbdb(_) => {
                // A record is read as a file of one.
                let bytes = [b"mbdb\x05\x00", raw].concat();
                let found = Mbdb::parse(&bytes).ok().and_then(|mbdb| mbdb.records().next());
                let Some(Ok(found)) = found else { return Extras::default() };
                let mut items: Vec<_> = found.xattrs.collect();
                items.sort_unstable();
                Extras {
                    attributes: if items.is_empty() { 0 } else { self.some(items) },
                    key: self.key(record.key_class(), found.encryption_key),
                }
            }
        }
    }

    fn attributes(&self, value: &[u8]) -> u64 {
        match parse_xattrs(value) {
            Ok(found) if found.unusable == 0 => {
                let mut items: Vec<(&[u8], &[u8])> =
                    found.items.iter().map(|(name, value)| (&**name, *value)).collect();
                items.sort_unstable();
                if items.is_empty() { 0 } else { self.some(items) }
            }
            // What cannot be read is compared as it is.
            _ => self.some(value),
        }
    }

    fn key(&self, class: Option<ProtectionClass>, key: Option<&[u8]>) -> u64 {
        match (class, key) {
            (Some(class), Some(key)) if self.classes & bit(class) != 0 => self.some(key),
            _ => 0,
        }
    }
}

fn bit(class: ProtectionClass) -> u64 {
    1_u64.checked_shl(class.0).unwrap_or(0)
}

/// Finds the classes of which both have the same key. Where one is locked, only the same keybag
/// can tell.
fn same_classes(a: &Opened, b: &Opened) -> u64 {
    match (a, b) {
        (Opened::Unlocked(a), Opened::Unlocked(b)) => {
            let Some((a, b)) = a.class_keys().zip(b.class_keys()) else { return 0 };
            (1..=11)
                .map(ProtectionClass)
                .filter(|&class| {
                    let keys = a.class_key(class).zip(b.class_key(class));
                    keys.is_some_and(|(a, b)| a.fingerprint() == b.fingerprint())
                })
                .fold(0, |bits, class| bits | bit(class))
        }
        _ => {
            let (a, b) = (&a.bundle().manifest().keybag, &b.bundle().manifest().keybag);
            if a.is_some() && a == b { u64::MAX } else { 0 }
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: Name,
    /// All metadata that is compared.
    metadata: u64,
    /// Size and time of modification.
    quick: u64,
    /// 0 where there is none.
    digest: u64,
    /// As in [`Extras`].
    key: u64,
    is_file: bool,
    /// It has a payload.
    stored: bool,
    /// The selection keeps it.
    kept: bool,
}

/// The rows of one catalog, by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// Names of rows that cannot be read.
    unreadable: Vec<Name>,
    entries: u64,
    /// Rows that cannot be read, damaged stretches counted as one.
    lost: u64,
}

impl Table {
    pub(super) fn read(
        open: Open<'_>,
        names: &Names,
        select: &dyn Select,
        monitor: &dyn Monitor,
    ) -> Result<Self, DiffError> {
        let Open { side, opened, catalog } = open;
        let mut stored = match opened {
            Opened::Unlocked(backup) => bkp_core::Source::payloads(backup).index(),
            Opened::Locked(backup) => backup.payloads().index(),
        };
        let mut table = Self::default();
        let mut beat = 0_u64;
        for record in catalog.records() {
            beat = beat.wrapping_add(1);
            if beat.is_multiple_of(BEAT) && monitor.cancelled() {
                return Err(DiffError::Cancelled);
            }
            match record {
                Ok(record) => {
                    let kept = select.judge(record.as_ref()).is_keep();
                    if let Some(fault) = record.fault().filter(|_| kept) {
                        let message = fault.to_string();
                        DiffProblem::damage(side, fault.code(), message)
                            .tell(Some(record.as_ref()), monitor);
                    }
                    let row = Row::new(&record, open, names, &mut stored, kept, monitor);
                    table.rows.push(row);
                    table.entries += 1;
                }
                Err(error) => {
                    if let Some(place) = error.place()
                        && let (Ok(domain), Ok(path)) =
                            (Domain::new(place.domain), RelPath::new(place.path))
                    {
                        table.unreadable.push(names.name_of(&domain, &path));
                    }
                    table.lost += 1;
                    DiffProblem::of(side, &error).tell(None, monitor);
                }
            }
        }
        table.unreadable.sort_unstable();
        // Stable, so that the first row of a name counts, here and when it is told.
        table.rows.sort_by_key(|row| row.name);
        let before = table.rows.len();
        table.rows.dedup_by_key(|row| row.name);
        let twice = before.saturating_sub(table.rows.len());
        if twice > 0 {
            let message = format!("{twice} rows have the names of rows before them: passed over");
            DiffProblem::damage(side, "duplicate-name", message).tell(None, monitor);
        }
        Ok(table)
    }

    fn cannot_read(&self, name: &Name) -> bool {
        self.unreadable.binary_search(name).is_ok()
    }
}

impl Row {
    fn new(
        record: &BundleRecord,
        open: Open<'_>,
        names: &Names,
        index: &mut StoredIndex,
        kept: bool,
        monitor: &dyn Monitor,
    ) -> Self {
        let entry = record.as_ref();
        let is_file = entry.kind == EntryKind::File;
        let Extras { attributes, key } = names.extras(record, open.catalog);
        let stored = is_file
            && match index.contains(entry) {
                Ok(stored) => {
                    if !stored && kept {
                        let error = bkp_bundle::PayloadError::Missing { id: entry.id };
                        DiffProblem::of(open.side, &error).tell(Some(entry), monitor);
                    }
                    stored
                }
                Err(error) => {
                    DiffProblem::of(open.side, &error).tell(Some(entry), monitor);
                    false
                }
            };
        let m = &entry.metadata;
        let target = match &entry.kind {
            EntryKind::Symlink(target) => Some(target),
            _ => None,
        };
        let times = (m.modified, m.changed, m.born);
        let class = entry.protection.map(|class| class.0);
        let owner = (m.uid, m.gid);
        let metadata = names.some((
            (entry.kind.name(), target, m.mode, owner, times),
            (class, m.size_hint, m.flags, attributes),
        ));
        Self {
            name: names.name(entry),
            metadata,
            quick: names.some((m.size_hint, m.modified)),
            digest: entry.digest.map_or(0, |digest| names.some(digest)),
            key,
            is_file,
            stored,
            kept,
        }
    }
}

/// What is known of the content of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// It is no file, or in one backup alone.
    None,
    /// The file must be read.
    Read,
    SameByDigest,
    ChangedByDigest,
    SameByHash,
    ChangedByHash,
    /// Taken for the same.
    Assumed,
    /// It cannot be told.
    Unknown,
}

/// An entry that differs, or may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    name: Name,
    pub(super) content: Content,
    /// It differs, whatever its content.
    pub(super) differs: bool,
}

impl Pair {
    pub(super) fn name(&self) -> Name {
        self.name
    }

    pub(super) fn is_to_be_read(&self) -> bool {
        self.content == Content::Read
    }
}

/// Compares the rows of both. Returns what differs or has to be read, by name.
pub(super) fn merge(
    a: Table,
    b: Table,
    plain: bool,
    check: ContentCheck,
    report: &mut DiffReport,
) -> Vec<Pair> {
    (report.entries_a, report.entries_b) = (a.entries, b.entries);
    report.unreadable_rows = a.lost.saturating_add(b.lost);
    let mut pairs = Vec::new();
    let (mut left, mut right) = (a.rows.iter().peekable(), b.rows.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.name.cmp(&b.name),
        };
        let row_a = if order.is_le() { left.next() } else { None };
        let row_b = if order.is_ge() { right.next() } else { None };
        let kept = [row_a, row_b].into_iter().flatten().any(|row| row.kept);
        if !kept {
            report.left_out += 1;
            continue;
        }
        let pair = match (row_a, row_b) {
            (Some(a), Some(b)) => both(a, b, plain, check, report),
            (Some(row), None) => {
                // The other backup has a row of it, and what that says is lost.
                if b.cannot_read(&row.name) {
                    report.files_unknown += u64::from(row.is_file);
                    continue;
                }
                report.removed += 1;
                Pair { name: row.name, content: Content::None, differs: true }
            }
            (None, Some(row)) => {
                if a.cannot_read(&row.name) {
                    report.files_unknown += u64::from(row.is_file);
                    continue;
                }
                report.added += 1;
                Pair { name: row.name, content: Content::None, differs: true }
            }
            (None, None) => return pairs,
        };
        if pair.differs || pair.is_to_be_read() {
            pairs.push(pair);
        }
    }
}

/// Compares the rows of one name. What has to be read is counted once it has been.
fn both(a: &Row, b: &Row, plain: bool, check: ContentCheck, report: &mut DiffReport) -> Pair {
    let same_key = plain || (a.key == b.key && a.key != 0);
    let content = if !a.is_file || !b.is_file {
        Content::None
    } else if !a.stored || !b.stored {
        Content::Unknown
    } else if check == ContentCheck::All {
        Content::Read
    } else if a.digest != 0 && b.digest != 0 && same_key {
        if a.digest == b.digest { Content::SameByDigest } else { Content::ChangedByDigest }
    } else if a.quick == b.quick {
        Content::Assumed
    } else {
        Content::Read
    };
    let digests = match (a.digest, b.digest) {
        (0, 0) => false,
        (0, _) | (_, 0) => true,
        (a, b) => same_key && a != b,
    };
    let differs = a.metadata != b.metadata || digests || content == Content::ChangedByDigest;
    let pair = Pair { name: a.name, content, differs };
    if !pair.is_to_be_read() {
        count(&pair, report);
    }
    pair
}

/// Counts an entry that is in both, once all is known of it.
pub(super) fn count(pair: &Pair, report: &mut DiffReport) {
    match pair.content {
        Content::None | Content::Read => {}
        Content::SameByDigest | Content::ChangedByDigest => report.files_by_digest += 1,
        Content::SameByHash | Content::ChangedByHash => report.files_by_content += 1,
        Content::Assumed => report.files_by_metadata += 1,
        Content::Unknown => report.files_unknown += 1,
    }
    match (pair.differs, pair.content) {
        (true, _) => report.changed += 1,
        // Neither the same nor different, as far as anybody can tell.
        (false, Content::Unknown) => {}
        (false, _) => report.same += 1,
    }
}
