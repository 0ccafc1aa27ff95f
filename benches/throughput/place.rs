//! Bundles to measure on, made by `bkp generate`, and where outputs go.
//!
//! Bundles lie on a disk and are cached: each is read before it is measured. They are kept for the
//! next run, since a disk on which many files were just removed makes new ones slowly. Outputs go
//! to memory and are removed after each run. Hard links cannot leave their disk, so outputs of
//! links stand beside the bundles until the end.

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::options::{GIB, Options};

/// Rounds of key derivation where they are not what is measured.
pub(crate) const FEW: &str = "10000";
const ENCRYPTED: [&str; 3] = ["--encrypted", "--kdf-iterations", FEW];
/// The password of every bundle, and the new one of those that are made of it.
pub(crate) const PASSWORD: &str = "test";

/// The program that is measured: of this build, unless `BKP_PROGRAM` names another.
pub(crate) fn bkp() -> OsString {
    std::env::var_os("BKP_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_bkp").into())
}

/// How large a bundle is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) files: u64,
    pub(crate) rows: u64,
    /// Of all payloads; nothing for small files, of 8 KiB in the mean.
    pub(crate) bytes: Option<u64>,
}

impl Shape {
    /// A quarter of all rows are folders and links.
    pub(crate) fn new(files: u64, bytes: Option<u64>) -> Self {
        Self { files, rows: files * 4 / 3, bytes }
    }

    /// Returns the bytes, which for small files are those of the mean.
    pub(crate) fn about(&self) -> u64 {
        self.bytes.unwrap_or(self.files << 13)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, rows, bytes } = *self;
        let size = bytes.map_or_else(|| "0.2 to 16 KiB each,".to_owned(), size);
        write!(f, "{size} in {files} files, {rows} rows")
    }
}

/// Writes a size for a person.
#[expect(clippy::cast_precision_loss, reason = "for a person")]
pub(crate) fn size(bytes: u64) -> String {
    if bytes >= GIB {
        format!("{:.1} GiB", bytes as f64 / GIB as f64)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

/// One content, encrypted and not.
#[derive(Debug)]
pub(crate) struct Bundles {
    pub(crate) plain: PathBuf,
    pub(crate) encrypted: PathBuf,
    pub(crate) shape: Shape,
}

/// Where bundles are and outputs go.
#[derive(Debug)]
pub(crate) struct Place {
    bundles: PathBuf,
    /// On the disk of the bundles.
    beside: TempDir,
    /// In memory, where there is room.
    outputs: TempDir,
    in_memory: bool,
    next: Cell<u32>,
}

impl Place {
    pub(crate) fn new(options: &Options) -> Self {
        let bundles = options.input.join(concat!("bundles-", env!("CARGO_PKG_VERSION")));
        fs::create_dir_all(&bundles).expect("a folder for bundles");
        let beside = tempfile::tempdir_in(&options.input).expect("a folder beside the bundles");
        let memory = Path::new("/dev/shm");
        let room = free(memory).is_some_and(|free| free > options.size / 2 * 3);
        let outputs = match &options.output {
            Some(folder) => tempfile::tempdir_in(folder),
            None if room => tempfile::tempdir_in(memory),
            None => tempfile::tempdir(),
        };
        let in_memory = options.output.is_some() || room;
        let outputs = outputs.expect("a folder for outputs");
        fs::write(beside.path().join("password"), format!("{PASSWORD}\n")).expect("a password");
        Self { bundles, beside, outputs, in_memory, next: Cell::default() }
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.beside.path().join("password")
    }

    /// Returns a file on the disk, for what a job begins with.
    pub(crate) fn input(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    /// Says what may be wrong with the figures of inputs and outputs of a size.
    pub(crate) fn doubts(&self, bytes: u64) -> Vec<String> {
        let mut doubts = Vec::new();
        let available = available().unwrap_or(0);
        if available < bytes.saturating_mul(2) {
            doubts.push(format!(
                "**Memory is short**: {} of input and as much output, {} available. The input may \
                 not be cached.",
                size(bytes),
                size(available)
            ));
        }
        if !self.in_memory {
            doubts.push("**Outputs are on a disk**: memory has no room for them.".to_owned());
        }
        doubts
    }

    /// Refuses what does not fit on the disk of the bundles or into memory.
    pub(crate) fn need(&self, disk: u64, memory: u64) {
        let outputs = free(self.outputs.path()).unwrap_or(0);
        for (what, needed, free) in [
            ("on the disk of the bundles", disk, free_on_disk(&self.bundles).unwrap_or(0)),
            ("for outputs", memory, outputs),
        ] {
            assert!(needed <= free, "{} {what} are needed, {} are free", size(needed), size(free));
        }
    }

    /// Returns a tiny backup that asks for as many rounds as devices do.
    pub(crate) fn rounds(&self) -> PathBuf {
        let shape = Shape { files: 5, rows: 0, bytes: Some(1 << 20) };
        self.bundle("rounds", shape, &["--encrypted"])
    }

    /// Returns a backup, encrypted and not.
    pub(crate) fn generate(&self, shape: Shape) -> Bundles {
        Bundles {
            plain: self.bundle("plain", shape, &["--plain"]),
            encrypted: self.bundle("encrypted", shape, &ENCRYPTED),
            shape,
        }
    }

    /// Returns an encrypted backup in which every file carries a digest.
    pub(crate) fn digested(&self, shape: Shape) -> PathBuf {
        let options = ["--encrypted", "--kdf-iterations", FEW, "--digests", "all"];
        self.bundle("digests", shape, &options)
    }

    /// Returns backups that are a catalog and nearly nothing else: of folders and links where it is
    /// encrypted, and of files that are missing where it is not.
    pub(crate) fn rows(&self, rows: u64) -> Bundles {
        let shape = Shape { files: 10, rows, bytes: Some(1 << 20) };
        let missing = ["--plain", "--fill", "missing-files"];
        Bundles {
            plain: self.bundle("missing", shape, &missing),
            encrypted: self.bundle("encrypted", shape, &ENCRYPTED),
            shape,
        }
    }

    fn bundle(&self, name: &str, shape: Shape, options: &[&str]) -> PathBuf {
        let Shape { files, rows, bytes } = shape;
        let kind = bytes.map_or("small".to_owned(), |bytes| bytes.to_string());
        let out = self.bundles.join(format!("{name}-{kind}-{files}-{rows}"));
        if out.exists() {
            return out;
        }
        let mut command = Command::new(bkp());
        command.arg("generate").arg(&out).args(options).args(["--progress", "never"]);
        command.args(["--files", &files.to_string(), "--rows", &rows.to_string()]);
        match bytes {
            Some(bytes) => command.args(["--total", &bytes.to_string()]),
            None => command.args(["--dist", "small"]),
        };
        if options.contains(&"--encrypted") {
            command.arg("--password-file").arg(self.password_file());
        }
        let status = command.stdout(Stdio::null()).status().expect("bkp runs");
        assert!(status.success(), "{command:?}: {status}");
        out
    }

    /// Returns where one run may write. Nothing is there.
    pub(crate) fn out(&self, links: bool) -> PathBuf {
        let number = self.next.replace(self.next.get() + 1);
        let root = if links { self.beside.path() } else { self.outputs.path() };
        let folder = root.join(number.to_string());
        fs::create_dir(&folder).expect("a new folder");
        folder.join("out")
    }

    /// Removes an output, but for links, of which nothing is removed before the end.
    pub(crate) fn clear(&self, out: &Path) {
        if let Some(folder) = out.parent().filter(|folder| folder.starts_with(&self.outputs)) {
            fs::remove_dir_all(folder).expect("the output is removed");
        }
    }
}

/// Reads everything once, so that it is cached, after what is still to be written.
pub(crate) fn warm(path: &Path) {
    rustix::fs::sync();
    let mut buffer = vec![0; 1 << 20];
    let mut read = |path: &Path| {
        let mut file = fs::File::open(path).expect("a file");
        while file.read(&mut buffer).expect("bytes") > 0 {}
    };
    if path.is_dir() { each_file(path, &mut read) } else { read(path) }
}

/// Calls `each` with every file below a folder.
pub(crate) fn each_file(folder: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            each_file(&entry.path(), each);
        } else {
            each(&entry.path());
        }
    }
}

/// Returns the bytes that a file system still takes.
fn free_on_disk(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Returns the bytes that a file system in memory still takes; it allows more than there is.
fn free(path: &Path) -> Option<u64> {
    Some(free_on_disk(path)?.min(available()?))
}

/// Returns the bytes of memory that programs and files in memory can have.
fn available() -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib << 10)
}
