//! One fault each: bundles that are sound but for one thing, and what a reader must say of it.
//!
//! ```text
//! title: ITER asks for no rounds
//! kind: keybag                       what the bytes are
//! expect: open/key-material-damaged  what comes out, where
//! read: 0                            how many of the three files are read whole
//!
//! VERS....TYPE....UUID               the bytes, or a recipe
//! ```
//!
//! A case stands for a whole bundle, [`FaultCase::files`]: the base that its kind names, with the
//! bytes in the place they belong to. A recipe is text, one change a line; see [`recipe`]. Where
//! something comes out is one of
//!
//! | place | what |
//! |---|---|
//! | `open` | the bundle or its catalog does not open |
//! | `unlock` | the password does not open it |
//! | `notice` | something is odd about the bundle or the catalog |
//! | `row` | an item of the listing is no entry |
//! | `payload` | a file cannot be opened, or something is told after its last byte |
//!
//! Every place and code is expected as often as it is written, and no other; `ok` is none at all.

mod database;
mod keybag;
mod mbdb;
mod mbfile;
mod names;
pub mod pages;
mod payload;
mod plist;
pub mod recipe;
pub mod seeds;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::{fs, io};

pub use recipe::Files;

/// A bundle with one fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultCase {
    /// What its file is called, without `.case`.
    pub name: String,
    /// What is wrong, in one line.
    pub title: String,
    /// What the bytes are.
    pub kind: Kind,
    /// What comes out: `place/code`, sorted.
    pub expect: Vec<String>,
    /// How many of the base's three files a reader gives back whole.
    pub read: usize,
    /// The bytes, or the recipe.
    pub body: Vec<u8>,
}

/// What the bytes of a case are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The keybag of an encrypted bundle.
    Keybag,
    /// Manifest.plist of an unencrypted bundle.
    ManifestPlist,
    /// The archive of one file in an unencrypted bundle.
    MbFile,
    /// Manifest.mbdb of an unencrypted bundle.
    Mbdb,
    /// Changes to a base bundle, as text.
    Recipe,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Keybag, Self::ManifestPlist, Self::MbFile, Self::Mbdb, Self::Recipe];

    /// Returns the kind's name in a case file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keybag => "keybag",
            Self::ManifestPlist => "manifest-plist",
            Self::MbFile => "mbfile",
            Self::Mbdb => "mbdb",
            Self::Recipe => "recipe",
        }
    }
}

/// A case while its table is written down: name, title, what comes out, and the bytes.
pub(crate) struct Draft {
    name: String,
    title: String,
    expect: &'static str,
    read: Option<usize>,
    body: Vec<u8>,
}

impl Draft {
    pub(crate) fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        expect: &'static str,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        Self { name: name.into(), title: title.into(), expect, read: None, body: body.into() }
    }

    /// States how many files are read, where that does not follow from what comes out.
    pub(crate) fn reads(mut self, read: usize) -> Self {
        self.read = Some(read);
        self
    }

    fn finish(self, group: &str, kind: Kind) -> FaultCase {
        let Self { name, title, expect, read, body } = self;
        let mut expect: Vec<_> = expect.split(' ').map(str::to_owned).collect();
        expect.sort();
        let lost = |code: &&String| {
            let (place, code) = code.split_once('/').unwrap_or_default();
            place == "row"
                || matches!(code, "missing-blob" | "key-unwrap-failed" | "unreadable-blob")
        };
        let closed = |code: &String| code.starts_with("open/") || code.starts_with("unlock/");
        let read = read.unwrap_or(if expect.iter().any(closed) {
            0
        } else {
            recipe::FILES.len().saturating_sub(expect.iter().filter(lost).count())
        });
        FaultCase { name: format!("{group}-{name}"), title, kind, expect, read, body }
    }
}

/// Returns every case, sorted by name.
///
/// # Errors
///
/// Fails when a base cannot be built.
pub fn all() -> io::Result<Vec<FaultCase>> {
    let mut cases = Vec::new();
    for (group, kind, drafts) in [
        ("keybag", Kind::Keybag, keybag::bytes()),
        ("kdf", Kind::Recipe, keybag::recipes()),
        ("plist", Kind::ManifestPlist, plist::bytes()),
        ("plist", Kind::Recipe, plist::recipes()),
        ("mbfile", Kind::MbFile, mbfile::bytes()),
        ("mbfile", Kind::Recipe, mbfile::recipes()),
        ("db", Kind::Recipe, database::recipes()),
        ("mbdb", Kind::Mbdb, mbdb::bytes()),
        ("name", Kind::Recipe, names::recipes()),
        ("payload", Kind::Recipe, payload::recipes()),
    ] {
        cases.extend(drafts.into_iter().map(|draft| draft.finish(group, kind)));
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    let mut names = HashSet::new();
    if let Some(twice) = cases.iter().find(|case| !names.insert(&case.name)) {
        return Err(invalid(&format!("two cases are called {}", twice.name)));
    }
    Ok(cases)
}

/// Writes every case below `dir` and removes the case files there that are none any more.
///
/// # Errors
///
/// Fails when a file cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let cases = all()?;
    let names: HashSet<_> = cases.iter().map(|case| format!("{}.case", case.name)).collect();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".case") && !names.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    for case in cases {
        fs::write(dir.join(format!("{}.case", case.name)), case.encode())?;
    }
    Ok(())
}

/// Reads every case below `dir`, sorted by name.
///
/// # Errors
///
/// Fails when a file cannot be read or is no case.
pub fn read(dir: &Path) -> io::Result<Vec<FaultCase>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "case") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            cases.push(FaultCase::decode(&name, &fs::read(&path)?)?);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

impl FaultCase {
    /// Spells the case as a file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { name: _, title, kind, expect, read, body } = self;
        let head = format!(
            "title: {title}\nkind: {}\nexpect: {}\nread: {read}\n\n",
            kind.name(),
            expect.join(" ")
        );
        [head.as_bytes(), body].concat()
    }

    /// Reads a case from its file.
    ///
    /// # Errors
    ///
    /// Fails when the header is not what [`encode`](Self::encode) writes.
    pub fn decode(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let bad = |what: &str| invalid(&format!("{name}: {what}"));
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or(bad("no header"))?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| bad("header is not UTF-8"))?;
        let field = |key: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            line.ok_or_else(|| bad(&format!("no {key}")))
        };
        let kind = field("kind")?;
        Ok(Self {
            name: name.to_owned(),
            title: field("title")?.to_owned(),
            kind: *Kind::ALL.iter().find(|k| k.name() == kind).ok_or(bad("unknown kind"))?,
            expect: field("expect")?.split(' ').map(str::to_owned).collect(),
            read: field("read")?.parse().map_err(|_| bad("read is no number"))?,
            body: bytes[end + 2..].to_vec(),
        })
    }

    /// Makes the whole bundle, in memory.
    ///
    /// # Errors
    ///
    /// Fails when the recipe is none.
    pub fn files(&self) -> io::Result<Files> {
        recipe::files(self)
    }

    /// Returns what the three files hold.
    #[must_use]
    pub fn contents(&self) -> Vec<Vec<u8>> {
        let of = |(path, content): &(&str, &str)| match recipe::argument(self, "content") {
            Some(other) if *path == recipe::NOTE => other.into_bytes(),
            _ => (*content).into(),
        };
        recipe::FILES.iter().map(of).collect()
    }

    /// Returns the password to open the bundle with.
    #[must_use]
    pub fn password(&self) -> String {
        recipe::argument(self, "password").unwrap_or_else(|| crate::cases::PASSWORD.into())
    }

    /// Returns the most rounds of key derivation to allow, where the case is about that.
    #[must_use]
    pub fn kdf_limit(&self) -> Option<u64> {
        recipe::argument(self, "kdf-limit")?.parse().ok()
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// The bytes of a bundle's files, by name.
pub(crate) type FileMap = BTreeMap<String, Vec<u8>>;

#[cfg(test)]
mod tests;
