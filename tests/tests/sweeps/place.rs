//! A folder in memory with the source in it, where a command runs again and again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bkp_testkit::Truth;
use sha2::{Digest as _, Sha256};

use super::{KEY, NEW_PASSWORD, PASSWORD, Swept};
use crate::sandbox::Sandbox;

/// What lies in the folder before a run.
const GIVEN: [&str; 6] = ["backup", "home", "key", "new", "packed", "pw"];

/// A folder with a source, its passwords, and a command that is to be run.
#[derive(Debug)]
pub(crate) struct Place {
    pub(super) sandbox: Sandbox,
    pub(super) swept: &'static Swept,
    /// The words after `bkp`.
    pub(super) args: Vec<String>,
    pub(super) truth: Truth,
    /// The source as it was written.
    source: BTreeMap<PathBuf, Node>,
    /// What a tracer writes, outside of the folder.
    log: tempfile::NamedTempFile,
}

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    /// SHA-256 of a file's bytes or a link's target; of a folder nothing.
    pub(crate) content: [u8; 32],
    pub(crate) mode: u32,
    /// Seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
}

impl Node {
    /// Tells whether both hold the same, whatever their times and permissions are.
    pub(crate) fn holds_the_same(&self, other: &Self) -> bool {
        self.content == other.content && self.kind() == other.kind()
    }

    pub(crate) fn is_empty_file(&self) -> bool {
        self.is_file() && self.content[..] == Sha256::digest([])[..]
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind() == 0o100_000
    }

    /// The type bits of its mode.
    fn kind(&self) -> u32 {
        self.mode & 0o170_000
    }
}

impl Place {
    pub(crate) fn new(swept: &'static Swept, threads: &str) -> Self {
        let sandbox = Sandbox::in_memory();
        let truth = sandbox.bundle(&(swept.source)());
        sandbox.file("pw", PASSWORD).file("new", NEW_PASSWORD).file("key", KEY);
        // What a command takes out of an archive has to be in one.
        if swept.line.contains(" packed ") {
            sandbox.run(&["pack", "backup", "-o", "packed"]).exits(0);
            remove(&sandbox.path("packed.bkp-run.json"));
        }
        let mut args: Vec<String> = swept.line.split(' ').map(str::to_owned).collect();
        args.extend(["--json", "--threads", threads].map(str::to_owned));
        let source = sources(&sandbox);
        let log = tempfile::NamedTempFile::new().unwrap();
        Self { sandbox, swept, args, truth, source, log }
    }

    /// The folder, with all links resolved.
    pub(crate) fn root(&self) -> PathBuf {
        fs::canonicalize(self.sandbox.path("")).unwrap()
    }

    pub(crate) fn log(&self) -> &Path {
        self.log.path()
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.sandbox.path("out")
    }

    /// Tells whether anything of the source has changed: a name, a byte, a time.
    pub(crate) fn source_changed(&self) -> bool {
        sources(&self.sandbox) != self.source
    }

    /// Lists what a run has left in the folder.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.sandbox.path("")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<_> = names.filter(|name| !GIVEN.contains(&name.as_str())).collect();
        left.sort();
        left
    }

    /// Removes what a run has left.
    pub(crate) fn clear(&self) {
        for name in self.left() {
            remove(&self.sandbox.path(name));
        }
    }
}

/// The backup, and the archive of it where there is one.
fn sources(sandbox: &Sandbox) -> BTreeMap<PathBuf, Node> {
    let mut found = nodes(&sandbox.path("backup"));
    let packed = sandbox.path("packed");
    if packed.exists() {
        found.extend(nodes(&packed).into_values().map(|node| ("packed".into(), node)));
    }
    found
}

/// Removes a file or a tree.
pub(crate) fn remove(path: &Path) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// Everything below a folder, and the folder itself under the empty path.
pub(crate) fn nodes(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let bytes = if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else {
            fs::read(&path).unwrap()
        };
        let node = Node {
            content: Sha256::digest(&bytes).into(),
            mode: metadata.permissions().mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        found.insert(path.strip_prefix(root).unwrap().to_owned(), node);
    }
    found
}
