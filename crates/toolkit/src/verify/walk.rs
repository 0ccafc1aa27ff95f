//! The rows of a catalog, each on its own and all together.
//!
//! Of every row a few numbers are kept and no names, so that a million rows take some thirty
//! mebibytes. When those numbers say that something is wrong, the catalog is walked once more to
//! find out whose it is.
//!
//! ```text
//! walk 1    each row on its own      ids of files and others    inodes    hashes of folders
//! between   sorted and compared      ids twice, inodes twice, folders that rows need and none is
//! walk 2    only if there is any     names them
//! ```

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use bkp_bundle::{BundlePayloads, BundleRecord, Catalog, Field, MbFile};
use bkp_core::{Domain, DomainKind, Entry, EntryKind, FileId, Monitor as _};

use super::VerifyError;
use super::finding::Finding;
use super::log::Log;
use super::restorable;

/// Domains whose files all carry a digest. Source: FORMAT.md 2.6.
const DIGEST_DOMAINS: [&[u8]; 14] = [
    b"DatabaseDomain",
    b"HealthDomain",
    b"HomeDomain",
    b"HomeKitDomain",
    b"InstallDomain",
    b"KeyboardDomain",
    b"KeychainDomain",
    b"ManagedPreferencesDomain",
    b"MobileDeviceDomain",
    b"NetworkDomain",
    b"ProtectedDomain",
    b"RootDomain",
    b"SystemPreferencesDomain",
    b"WirelessDomain",
];
/// Bytes from which a device refuses a path. Source: FORMAT.md 6.
const LONG_PATH: usize = 998;
/// Rows between two questions whether to go on.
const BEAT: u64 = 1024;

/// Folders that are remembered as needed without being looked up.
const RECENT: usize = 1024;

/// What is known of a catalog after the walk.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Rows that name an entry.
    pub(super) entries: u64,
    /// Rows that do not, damaged stretches counted as one.
    pub(super) unreadable: u64,
    pub(super) files: u64,
    /// Files whose row has no digest.
    pub(super) without_digest: u64,
    /// Bytes of all files, as the catalog says.
    pub(super) bytes: u64,
    /// Bytes of the longest file, as the catalog says.
    pub(super) longest: u64,
    /// Files whose row has a key.
    pub(super) keyed: u64,
    /// Payloads that rows of files name. Sorted.
    pub(super) ids: Vec<FileId>,
    /// Files without a key in an encrypted backup. Sorted.
    pub(super) keyless: Vec<FileId>,
    /// Files whose key does not unwrap. Sorted.
    pub(super) locked: Vec<FileId>,
    /// Files whose archive cannot be read, so that nothing says how long they are. Sorted.
    pub(super) unmeasured: Vec<FileId>,
    pub(super) domains: BTreeSet<Domain>,
}

/// What the walk gathers and nobody else needs.
struct Gathered {
    hasher: RandomState,
    /// Hashes needed of late, each in the place of its lowest bits: most rows lie in the folder
    /// of a row before.
    recent: [u64; RECENT],
    /// Ids of rows that are no files.
    others: Vec<FileId>,
    inodes: Vec<u64>,
    folders: Vec<u64>,
    links: Vec<u64>,
    needed: Vec<u64>,
}

impl Gathered {
    fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            recent: [0; RECENT],
            others: Vec::new(),
            inodes: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
            needed: Vec::new(),
        }
    }

    /// Notes a folder that a row is in.
    fn need(&mut self, hash: u64) {
        let low = hash % RECENT as u64;
        let place = usize::try_from(low).ok().and_then(|low| self.recent.get_mut(low));
        // Zero stands for an empty place, and would be a hash that is noted every time.
        if place.is_none_or(|place| std::mem::replace(place, hash) != hash || hash == 0) {
            self.needed.push(hash);
        }
    }

    /// Hashes a name. The key is this run's own, so that nobody can make names collide.
    fn hash(&self, domain: &Domain, path: &[u8]) -> u64 {
        self.hasher.hash_one((domain.as_bytes(), path))
    }
}

pub(super) fn walk(
    catalog: &Catalog,
    payloads: &BundlePayloads,
    encrypted: bool,
    restorable: bool,
    log: &Log<'_>,
) -> Result<Rows, VerifyError> {
    let mut rows = Rows::default();
    let mut all = Gathered::new();
    let archived = matches!(catalog, Catalog::Db(_));
    let mut beat = 0;
    for record in catalog.records() {
        beat += 1;
        if beat % BEAT == 0 && log.cancelled() {
            return Err(VerifyError::Cancelled);
        }
        match record {
            Ok(record) => {
                row(&record, archived, log);
                if restorable {
                    restorable::row(&record, archived, log);
                }
                rows.count(&record, encrypted);
                if let Err(error) = payloads.check_key(&record) {
                    rows.locked.push(record.as_ref().id);
                    log.add(Finding::of(&error).at(record.as_ref()).in_row(record.row()));
                }
                all.gather(&record, restorable, &mut rows);
            }
            Err(error) => {
                rows.unreadable += 1;
                log.add(Finding::of(&error));
            }
        }
    }
    rows.ids.sort_unstable();
    rows.locked.sort_unstable();
    rows.keyless.sort_unstable();
    rows.unmeasured.sort_unstable();
    all.second_look(catalog, &rows, log)?;
    Ok(rows)
}

/// Returns the directory that a path is in, or nothing for a domain's root.
fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let end = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
    path.get(..end)
}

impl Rows {
    fn count(&mut self, record: &BundleRecord, encrypted: bool) {
        let entry = record.as_ref();
        self.entries += 1;
        if !self.domains.contains(&entry.domain) {
            self.domains.insert(entry.domain.clone());
        }
        if entry.kind != EntryKind::File {
            return;
        }
        let size = entry.metadata.size_hint;
        self.files += 1;
        self.without_digest += u64::from(entry.digest.is_none());
        self.bytes = self.bytes.saturating_add(size);
        self.longest = self.longest.max(size);
        self.keyed += u64::from(record.has_key());
        if record.fault().is_some() {
            self.unmeasured.push(entry.id);
        } else if encrypted && !record.has_key() {
            self.keyless.push(entry.id);
        }
    }

    /// Returns the domains that are containers of an app, an extension or a group.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&Domain, &[u8])> {
        self.domains.iter().filter_map(|domain| match domain.kind() {
            DomainKind::App | DomainKind::AppGroup | DomainKind::AppPlugin => {
                Some((domain, domain.owner()?))
            }
            _ => None,
        })
    }
}

impl Gathered {
    fn gather(&mut self, record: &BundleRecord, restorable: bool, rows: &mut Rows) {
        let entry = record.as_ref();
        let root = self.hash(&entry.domain, b"");
        let above = match parent(entry.path.as_bytes()) {
            None | Some(b"") => root,
            Some(path) => self.hash(&entry.domain, path),
        };
        self.need(root);
        self.need(above);
        if restorable && matches!(entry.kind, EntryKind::Symlink(_)) {
            self.links.push(self.hash(&entry.domain, entry.path.as_bytes()));
        }
        if entry.kind == EntryKind::Directory {
            self.folders.push(self.hash(&entry.domain, entry.path.as_bytes()));
        }
        if entry.kind != EntryKind::File {
            self.others.push(entry.id);
            return;
        }
        rows.ids.push(entry.id);
        // A row whose archive cannot be read says nothing of inodes.
        if record.fault().is_none() && entry.metadata.inode != 0 {
            self.inodes.push(entry.metadata.inode);
        }
    }

    /// Compares what was gathered, and names what is wrong.
    fn second_look(
        mut self,
        catalog: &Catalog,
        rows: &Rows,
        log: &Log<'_>,
    ) -> Result<(), VerifyError> {
        self.folders.sort_unstable();
        self.links.sort_unstable();
        self.needed.sort_unstable();
        self.needed.dedup();
        let is_folder = |hash: &u64| self.folders.binary_search(hash).is_ok();
        let mut missing: HashSet<u64> =
            self.needed.iter().copied().filter(|hash| !is_folder(hash)).collect();
        self.others.sort_unstable();
        self.inodes.sort_unstable();
        let inodes = repeated(&self.inodes);
        let mut ids = repeated(&rows.ids);
        ids.extend(repeated(&self.others));
        ids.extend(self.others.iter().filter(|id| rows.ids.binary_search(id).is_ok()));
        ids.sort_unstable();
        // One contradiction is told of all of them together.
        let keyless = if rows.keyed > 0 { rows.keyless.as_slice() } else { &[] };
        if missing.is_empty() && inodes.is_empty() && ids.is_empty() && keyless.is_empty() {
            return Ok(());
        }
        let mut beat = 0;
        for record in catalog.records().filter_map(Result::ok) {
            beat += 1;
            if beat % BEAT == 0 && log.cancelled() {
                return Err(VerifyError::Cancelled);
            }
            let entry = record.as_ref();
            let tell = |finding: Finding| log.add(finding.at(entry).in_row(record.row()));
            let above = parent(entry.path.as_bytes()).unwrap_or_default();
            for path in [above, b""] {
                let hash = self.hash(&entry.domain, path);
                if missing.remove(&hash) {
                    let link = self.links.binary_search(&hash).is_ok();
                    log.add(missing_parent(entry, path, link));
                }
            }
            if ids.binary_search(&entry.id).is_ok() {
                let count = count(&rows.ids, &entry.id) + count(&self.others, &entry.id);
                tell(Finding::damage("duplicate-id", format!("{count} rows have this fileID")));
            }
            if entry.kind != EntryKind::File {
                continue;
            }
            let inode = entry.metadata.inode;
            if record.fault().is_none() && inodes.binary_search(&inode).is_ok() {
                let count = count(&self.inodes, &inode);
                let message = format!("{count} rows of files have the inode {inode}");
                tell(Finding::damage("duplicate-inode", message));
            }
            if keyless.binary_search(&entry.id).is_ok() {
                let message = "the row has no key, and the backup is encrypted";
                tell(Finding::damage("plaintext-blob", message));
            }
        }
        Ok(())
    }
}

/// `link` says that there is a row of these names, and it is of a symbolic link.
fn missing_parent(entry: &Entry, path: &[u8], link: bool) -> Finding {
    if link {
        let message = format!("a symbolic link is the parent of \"{}\"", entry.path);
        return Finding::damage("symlinked-parent", message)
            .at_names(entry.domain.as_bytes(), path);
    }
    let message = if path.is_empty() {
        "the domain has entries and no row for its root".to_owned()
    } else {
        format!("no row for this folder, which holds \"{}\"", entry.path)
    };
    Finding::damage("missing-parent", message).at_names(entry.domain.as_bytes(), path)
}

/// Returns what stands more than once in a sorted list, once each.
fn repeated<T: Copy + PartialEq>(sorted: &[T]) -> Vec<T> {
    let mut found: Vec<T> = sorted
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a == b => Some(*a),
            _ => None,
        })
        .collect();
    found.dedup();
    found
}

/// Counts how often a value stands in a sorted list.
fn count<T: Ord>(sorted: &[T], value: &T) -> usize {
    let start = sorted.partition_point(|other| other < value);
    let end = sorted.partition_point(|other| other <= value);
    end.saturating_sub(start)
}

/// Looks at one row on its own. `archived` says that rows are archives, and no records of an mbdb.
fn row(record: &BundleRecord, archived: bool, log: &Log<'_>) {
    let entry = record.as_ref();
    let tell = |finding: Finding| log.add(finding.at(entry).in_row(record.row()));
    let right = FileId::of(&entry.domain, &entry.path);
    if right != entry.id {
        let message = format!("the fileID is {}, the hash of the names is {right}", entry.id);
        tell(Finding::warning("id-mismatch", message));
    }
    if entry.path.as_bytes().len() >= LONG_PATH {
        let message = format!("the path has {} bytes", entry.path.as_bytes().len());
        tell(Finding::damage("path-too-long", message));
    }
    if let Some(fault) = record.fault() {
        tell(Finding::damage(fault.code(), fault.to_string()));
        return; // what the row would say of the rest cannot be read
    }
    let metadata = &entry.metadata;
    let expected = match entry.kind {
        EntryKind::File => 0o100_000,
        EntryKind::Directory => 0o040_000,
        _ => 0o120_000,
    };
    if metadata.mode & 0o170_000 != expected {
        let kind = entry.kind.name();
        let message = format!("the row is of a {kind}, and its mode is {:o}", metadata.mode);
        tell(Finding::damage("kind-mismatch", message));
    }
    let is_file = entry.kind == EntryKind::File;
    if is_file && metadata.inode == 0 {
        tell(Finding::damage("zero-inode", "the inode is 0"));
    }
    if let (Some(key), Some(class)) = (record.key_class(), entry.protection)
        && key != class
    {
        let message = format!("the key is of class {key}, the file of class {class}");
        tell(Finding::warning("class-mismatch", message));
    }
    let file = match &entry.raw {
        Some(raw) if archived => MbFile::parse(raw).ok(),
        _ => None,
    };
    let odd_digest = file.as_ref().and_then(|file| archive(file, entry, &tell));
    if is_file
        && entry.digest.is_none()
        && odd_digest.is_none()
        && DIGEST_DOMAINS.binary_search(&entry.domain.as_bytes()).is_ok()
    {
        let message = "the row has no digest, and every file of this domain has one";
        tell(Finding::damage("missing-digest", message));
    }
}

/// Looks at what only the archive of a row says. Returns the length of a digest that is none.
fn archive(file: &MbFile<'_>, entry: &Entry, tell: &dyn Fn(Finding)) -> Option<usize> {
    match file.relative_path.as_deref() {
        Some(path) if path == entry.path.as_bytes() => {}
        Some(path) => {
            let message = format!("the archive has the path \"{}\"", String::from_utf8_lossy(path));
            tell(Finding::warning("path-mismatch", message));
        }
        None => tell(Finding::warning("path-mismatch", "the archive has no path")),
    }
    let names = |fields: bkp_bundle::FieldSet| {
        let names: Vec<_> = fields.iter().map(Field::key).collect();
        names.join(", ")
    };
    let mut odd = Vec::new();
    if !file.bad.is_empty() {
        odd.push(format!("{} cannot be used", names(file.bad)));
    }
    if !file.repeated.is_empty() {
        odd.push(format!("{} stands there more than once", names(file.repeated)));
    }
    if file.unreadable > 0 {
        odd.push(format!("{} keys cannot be read", file.unreadable));
    }
    if !odd.is_empty() {
        tell(Finding::warning("bad-metadata", format!("in the archive {}", odd.join(", "))));
    }
    let len = file.digest.map(<[u8]>::len).filter(|&len| len != 20)?;
    tell(Finding::damage("bad-digest", format!("the digest has {len} bytes, not 20")));
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::{DIGEST_DOMAINS, count, parent, repeated};

    #[test]
    fn parents() {
        assert_eq!(parent(b""), None);
        assert_eq!(parent(b"a"), Some(&b""[..]));
        assert_eq!(parent(b"a/b/c"), Some(&b"a/b"[..]));
    }

    #[test]
    fn what_stands_twice() {
        assert_eq!(repeated(&[1, 1, 1, 2, 3, 3]), [1, 3]);
        assert!(repeated::<u8>(&[]).is_empty());
        assert_eq!(count(&[1, 1, 1, 2, 3, 3], &1), 3);
        assert_eq!(count(&[1, 1, 1, 2, 3, 3], &4), 0);
    }

    #[test]
    fn the_table_of_domains_is_sorted() {
        assert!(DIGEST_DOMAINS.is_sorted());
    }
}
