//! What is in a synthetic backup, entry by entry, before any of it is written.

mod rows;

use crate::content::Source;
use crate::databases::{self, Fixed};
use crate::places::{Place, Places};
use crate::{Seed, SizeMix, SynthDevice, domain, sizes};

pub use rows::Rows;

/// Numbered folders hold what lies in their place of this many files, wherever those are.
const FILES_A_FOLDER: usize = 4_000;
/// Entries in one folder of those that only make rows.
const FILL_A_FOLDER: usize = 400;
/// One in so many files has a symbolic link beside it, somewhere in an app.
const FILES_A_LINK: usize = 100;
/// Inodes of entries and of the folders above them. They never meet: each stays below its next.
const ENTRY_INODES: u64 = 1_000_000;
const FOLDER_INODES: u64 = 4_000_000_000;
/// The most files and rows, so that inodes stay apart.
const MOST: usize = 1_000_000_000;
/// When all inodes last changed, Unix time.
const CHANGED: i64 = 1_716_024_600;

/// What a synthetic backup is to hold.
#[derive(Clone, Debug)]
pub struct SynthSpec {
    /// What everything follows from.
    pub seed: u64,
    /// Regular files with content.
    pub files: usize,
    /// Bytes of all files together; `None` leaves the sizes as they are drawn.
    pub total: Option<u64>,
    /// How the sizes are spread.
    pub mix: SizeMix,
    /// Rows in all. Files, links and directories count; what is missing is filled up. Fewer than
    /// those need means just those.
    pub rows: usize,
    /// What the rows are filled up with.
    pub filler: Filler,
    /// Which files carry a digest.
    pub digests: Digests,
    /// Whether files are zeros, but for those of known names.
    pub sparse: bool,
}

impl SynthSpec {
    /// A thousand files of mixed sizes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (mix, filler, digests) = (SizeMix::Mixed, Filler::Folders, Digests::ByDomain);
        Self { seed, files: 1_000, total: None, mix, rows: 0, filler, digests, sparse: false }
    }
}

/// What rows are filled up with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filler {
    /// Directories, and one symbolic link in forty: the backup is sound.
    Folders,
    /// Regular files whose content is missing, as after a host left some out.
    MissingFiles,
}

/// Which files carry a digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digests {
    /// Those of the domains whose files do on a device (FORMAT.md 2.6).
    ByDomain,
    /// All, so that every byte is proven by one.
    All,
}

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There are bytes and no files.
    #[error("bytes need a file to be in")]
    NoFiles,
    /// There are more files or rows than inodes.
    #[error("a backup has at most {MOST} files and rows")]
    TooMany,
    /// SQLite could not make one of the databases: memory, as a rule.
    #[error("cannot make a database")]
    Database(#[source] rusqlite::Error),
}

/// Everything that follows from a spec and can be known without writing.
///
/// Entry `n` is a function of `n` alone, so any thread can make any of them.
#[derive(Debug)]
pub struct Plan {
    seed: Seed,
    places: Places,
    fixed: Vec<Fixed>,
    /// Sizes of the files that are not fixed.
    sizes: Vec<u64>,
    links: usize,
    rows: usize,
    filler: Filler,
    digests: Digests,
    sparse: bool,
}

/// One row as it will be: an entry, a folder above one, or the root of a domain.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The number of an entry. Folders above entries have none.
    pub number: Option<usize>,
    /// The domain, by its place in [`Plan::domains`].
    pub domain: usize,
    /// The path in the domain.
    pub path: String,
    /// What it is.
    pub node: Node,
    /// What the catalog says of its size, in bytes. Not always the truth: devices measure a live
    /// database before its log is folded into the copy (FORMAT.md 2.6).
    pub size: u64,
    /// Protection class; 0 for what is no file.
    pub class: u8,
    /// `st_mode`, with its type bits.
    pub mode: u32,
    /// Owning user.
    pub uid: i32,
    /// Owning group.
    pub gid: i32,
    /// `st_ino`.
    pub inode: u64,
    /// Last modification, Unix time.
    pub modified: i64,
    /// Last change of the inode, Unix time.
    pub changed: i64,
    /// Creation, Unix time.
    pub born: i64,
    /// Whether it is a file that carries a digest.
    pub digest: bool,
    /// Extended attributes, names and values.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum Node {
    /// A file with its content.
    File(Source),
    /// A file that is listed and is not there, with a digest of the content that nobody has.
    Missing([u8; 20]),
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Link(String),
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Rows in all.
    pub rows: usize,
    /// Regular files.
    pub files: usize,
    /// Directories.
    pub directories: usize,
    /// Symbolic links.
    pub symlinks: usize,
    /// Regular files that are listed and not there.
    pub missing: usize,
    /// Bytes of what the files hold.
    pub bytes: u64,
    /// Bytes of what the files hold, each filled up to whole blocks of 16 by 1 to 16 bytes: what
    /// AES-CBC with PKCS#7 makes of them (FORMAT.md 2.6).
    pub padded_bytes: u64,
}

impl Counts {
    fn add(&mut self, planned: &Planned) {
        self.rows += 1;
        match &planned.node {
            Node::File(source) => {
                let len = source.len();
                self.files += 1;
                self.bytes = self.bytes.saturating_add(len);
                self.padded_bytes = self.padded_bytes.saturating_add(len / 16 * 16 + 16);
            }
            Node::Missing(_) => (self.files, self.missing) = (self.files + 1, self.missing + 1),
            Node::Directory => self.directories += 1,
            Node::Link(_) => self.symlinks += 1,
        }
    }
}

impl Plan {
    /// Plans a backup, with a keychain if the writer has one.
    ///
    /// # Errors
    ///
    /// Fails when the spec contradicts itself or asks for too much.
    pub fn new(spec: &SynthSpec, keychain: Option<Vec<u8>>) -> Result<Self, PlanError> {
        let SynthSpec { seed, files, total, mix, rows, filler, digests, sparse } = *spec;
        if files == 0 && total.is_some_and(|total| total > 0) {
            return Err(PlanError::NoFiles);
        }
        if files > MOST || rows > MOST {
            return Err(PlanError::TooMany);
        }
        let seed = Seed(seed);
        let fixed = databases::make(seed, files, total, keychain).map_err(PlanError::Database)?;
        let bytes: u64 = fixed.iter().map(|fixed| fixed.content.len() as u64).sum();
        let sizes = sizes::draw(seed, mix, files - fixed.len(), total.map(|total| total - bytes));
        let (places, links) = (Places::new(), files / FILES_A_LINK);
        Ok(Self { seed, places, fixed, sizes, links, rows, filler, digests, sparse })
    }

    /// Returns what everything follows from.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Returns whether files are zeros.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Returns the names of all domains.
    #[must_use]
    pub fn domains(&self) -> &[String] {
        &self.places.domains
    }

    /// Returns whose backup it is.
    #[must_use]
    pub fn device(&self) -> SynthDevice {
        SynthDevice::new(self.seed)
    }

    /// Goes through the whole backup in catalog order: the roots of the domains first, then the
    /// entries, each after the folders above it.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self)
    }

    /// Counts all rows.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.rows().for_each(|planned| counts.add(&planned));
        counts
    }

    /// Returns how many entries there are, whatever number of rows is asked for.
    #[must_use]
    pub fn least(&self) -> usize {
        self.fixed.len() + self.sizes.len() + self.links
    }

    /// Returns entry `n`. There is one for every number.
    #[must_use]
    pub fn entry(&self, n: usize) -> Planned {
        let files = self.fixed.len() + self.sizes.len();
        if let Some(fixed) = self.fixed.get(n) {
            let Fixed { domain, path, class, mode, recorded, content } = fixed;
            let domain = self.places.domain(domain).unwrap_or(0);
            let source = Source::Bytes(content.clone());
            let mut planned = self.planned(n, domain, (*path).to_owned(), Node::File(source));
            planned.class = class.unwrap_or(planned.class);
            planned.mode = mode.unwrap_or(planned.mode);
            planned.size = recorded.unwrap_or(planned.size);
            planned
        } else if n < files {
            let len = self.sizes[n - self.fixed.len()];
            let source =
                if self.sparse { Source::Zeros(len) } else { Source::Pool { number: n, len } };
            self.file(n, len, Node::File(source))
        } else if n < self.least() {
            self.link(n, n - files)
        } else {
            self.fill(n, n - self.least())
        }
    }

    fn planned(&self, n: usize, domain: usize, path: String, node: Node) -> Planned {
        let inode = ENTRY_INODES + n as u64;
        Planned { number: Some(n), ..self.row(domain, path, node, inode) }
    }

    /// Returns a row with nothing special about it.
    fn row(&self, domain: usize, path: String, node: Node, inode: u64) -> Planned {
        let name = self.places.domains[domain].as_bytes();
        let defaults = domain::defaults(name, path.is_empty());
        let file = matches!(node, Node::File(_) | Node::Missing(_));
        let mode = match &node {
            Node::Directory => 0o040_000 | defaults.directory_mode,
            Node::Link(_) => 0o120_755,
            _ => 0o100_000 | defaults.file_mode,
        };
        let size = match &node {
            Node::File(source) => source.len(),
            _ => 0,
        };
        let spread = i64::try_from(inode % 100_000).unwrap_or(0);
        Planned {
            number: None,
            domain,
            path,
            node,
            size,
            class: if file { defaults.class } else { 0 },
            mode,
            uid: defaults.uid,
            gid: defaults.gid,
            inode,
            modified: CHANGED - spread,
            changed: CHANGED,
            born: CHANGED - 200_000,
            digest: file && (defaults.digest || self.digests == Digests::All),
            xattrs: Vec::new(),
        }
    }

    fn file(&self, n: usize, size: u64, node: Node) -> Planned {
        let Place { domain, folder, extension, class } = self.places.choose(self.seed, n, size);
        let folder = folder.replace('%', &(100 + n / FILES_A_FOLDER).to_string());
        let path = format!("{folder}/{n:07}.{extension}");
        let mut planned = self.planned(n, domain, path, node);
        planned.class = class.unwrap_or(planned.class);
        planned.size = size;
        planned.xattrs = self.xattrs(n, extension);
        planned
    }

    /// Returns the attributes of a file, names as they are met on devices (FORMAT.md 2.7).
    fn xattrs(&self, n: usize, extension: &str) -> Vec<(String, Vec<u8>)> {
        let bytes = || self.seed.bytes::<16>(format!("bulk xattr {n}")).to_vec();
        let pair = |name: &str, value| vec![(name.to_owned(), value)];
        match extension {
            "HEIC" | "MOV" if n.is_multiple_of(3) => [
                pair("com.apple.assetsd.UUID", bytes()),
                pair("com.apple.assetsd.timeZoneName", b"Europe/Berlin".to_vec()),
            ]
            .concat(),
            "log" => pair("com.apple.TextEncoding", b"utf-8;134217984".to_vec()),
            "dat" if n.is_multiple_of(20) => pair("com.apple.lastuseddate#PS", bytes()),
            _ => Vec::new(),
        }
    }

    fn link(&self, n: usize, at: usize) -> Planned {
        let (domain, path, target) = match at {
            0 => (
                self.places.domain("DatabaseDomain").unwrap_or(0),
                "timezone/localtime".to_owned(),
                "/var/db/timezone/zoneinfo/Europe/Berlin".to_owned(),
            ),
            _ => {
                (self.places.app(at), format!("Library/Links/{n:07}"), format!("../Caches/{n:07}"))
            }
        };
        self.planned(n, domain, path, Node::Link(target))
    }

    /// Returns one of the entries that are there for their row alone.
    fn fill(&self, n: usize, at: usize) -> Planned {
        if self.filler == Filler::MissingFiles {
            let size = u64::from(u16::from_le_bytes(self.seed.bytes(format!("bulk fill {n}"))));
            let digest = self.seed.bytes(format!("bulk digest {n}"));
            return self.file(n, size, Node::Missing(digest));
        }
        let group = at / FILL_A_FOLDER;
        let path = format!("Library/Caches/Fill/{group:05}/{n:07}");
        let node = match at % 40 {
            39 => Node::Link(format!("{:07}", n - 1)),
            _ => Node::Directory,
        };
        self.planned(n, self.places.app(group), path, node)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Digests, Filler, Node, Plan, SynthSpec};

    #[test]
    fn rows_are_as_many_as_asked_for() {
        for filler in [Filler::Folders, Filler::MissingFiles] {
            for rows in [0, 400, 401, 402, 403, 404, 405, 2_000] {
                let spec = SynthSpec { files: 140, rows, filler, ..SynthSpec::new(5) };
                let plan = Plan::new(&spec, None).unwrap();
                let counts = plan.counts();
                let Counts { files, directories, symlinks, missing, .. } = counts;
                assert_eq!(files + directories + symlinks, counts.rows);
                assert_eq!(files - missing, 140);
                assert!(counts.rows == rows || rows == 0 && counts.rows > 140, "{rows}");
                assert_eq!(missing > 0, filler == Filler::MissingFiles && rows > 0);
                let again: Vec<_> = plan.rows().map(|planned| planned.path).collect();
                assert_eq!(again.len(), counts.rows);
            }
        }
    }

    #[test]
    fn totals_are_exact_and_padding_is_counted() {
        let spec = SynthSpec { total: Some(3 << 20), files: 140, ..SynthSpec::new(5) };
        let plan = Plan::new(&spec, None).unwrap();
        let lens = plan.rows().filter_map(|planned| match planned.node {
            Node::File(source) => Some(source.len()),
            _ => None,
        });
        let padded: u64 = lens.map(|len| len + 16 - len % 16).sum();
        let counts = plan.counts();
        assert_eq!((counts.bytes, counts.padded_bytes), (3 << 20, padded));
    }

    #[test]
    fn digests_are_of_some_domains_or_of_all_files() {
        for digests in [Digests::ByDomain, Digests::All] {
            let plan = Plan::new(&SynthSpec { digests, ..SynthSpec::new(3) }, None).unwrap();
            let (mut with, mut without) = (0, 0);
            for planned in plan.rows() {
                match (planned.node, planned.digest) {
                    (Node::File(_), true) => with += 1,
                    (Node::File(_), false) => without += 1,
                    (_, digest) => assert!(!digest, "{}", planned.path),
                }
            }
            assert!(with > 100, "{with}");
            assert_eq!(without > 100, digests == Digests::ByDomain, "{without}");
        }
    }

    #[test]
    fn a_spec_that_contradicts_itself_is_refused() {
        let none = SynthSpec { files: 0, total: Some(1), ..SynthSpec::new(1) };
        let many = SynthSpec { rows: usize::MAX, ..SynthSpec::new(1) };
        for bad in [none, many] {
            assert!(Plan::new(&bad, None).is_err());
        }
    }

    #[test]
    fn a_parent_comes_before_what_is_in_it() {
        let plan = Plan::new(&SynthSpec { rows: 3_000, ..SynthSpec::new(2) }, None).unwrap();
        let mut seen = std::collections::HashSet::new();
        for planned in plan.rows() {
            if !planned.path.is_empty() {
                let parent = planned.path.rsplit_once('/').map_or("", |(parent, _)| parent);
                assert!(seen.contains(&(planned.domain, parent.to_owned())), "{}", planned.path);
            }
            assert!(seen.insert((planned.domain, planned.path)));
        }
    }
}
