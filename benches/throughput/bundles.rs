//! Bundles to measure on, made by `bkp generate` and gone at the end.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Rounds of key derivation where they are not what is measured.
const FEW: &str = "10000";
/// The password of every bundle, and the new one of those that are made of it.
pub(crate) const PASSWORD: &str = "test";

/// The program that is measured: of this build, unless `BKP_PROGRAM` names another.
pub(crate) fn bkp() -> OsString {
    std::env::var_os("BKP_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_bkp").into())
}

/// Where bundles are made and outputs go.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

/// How large a bundle is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) files: u64,
    pub(crate) rows: u64,
    /// Of all payloads; nothing for small files, of 8 KiB in the mean.
    pub(crate) bytes: Option<u64>,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, rows, bytes } = *self;
        #[expect(clippy::cast_precision_loss, reason = "for a person")]
        let size = match bytes {
            Some(bytes) if bytes >= 1 << 30 => {
                format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
            }
            Some(bytes) => format!("{} MiB", bytes >> 20),
            None => "0.2 to 16 KiB each,".to_owned(),
        };
        write!(f, "{size} in {files} files, {rows} rows")
    }
}

/// One content, encrypted and not.
#[derive(Debug)]
pub(crate) struct Bundles {
    dir: TempDir,
    pub(crate) password_file: PathBuf,
    pub(crate) plain: PathBuf,
    pub(crate) encrypted: PathBuf,
    pub(crate) shape: Shape,
}

impl Place {
    /// Takes memory where it has room for a plain bundle, an encrypted one, an archive and an
    /// output, and some to work in.
    pub(crate) fn new(size: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let room = free(memory).is_some_and(|free| free > size.saturating_mul(9) / 2);
        let dir = if room { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.expect("a folder to work in");
        fs::write(dir.path().join("password"), format!("{PASSWORD}\n")).expect("a password file");
        Self { dir }
    }

    /// Makes a tiny backup that asks for as many rounds as devices do.
    pub(crate) fn rounds(&self) -> Bundles {
        let bundles = self.begin(Shape { files: 5, rows: 0, bytes: Some(1 << 20) });
        bundles.make(&bundles.encrypted, &["--encrypted"]);
        bundles
    }

    /// Makes a backup, encrypted and not.
    pub(crate) fn generate(&self, shape: Shape) -> Bundles {
        let bundles = self.begin(shape);
        bundles.make(&bundles.plain, &["--plain"]);
        bundles.make(&bundles.encrypted, &["--encrypted", "--kdf-iterations", FEW]);
        warm(&bundles.plain);
        warm(&bundles.encrypted);
        bundles
    }

    /// Makes backups that are a catalog and nearly nothing else: of folders and links where it is
    /// encrypted, and of files that are missing where it is not.
    pub(crate) fn rows(&self, rows: u64) -> Bundles {
        let bundles = self.begin(Shape { files: 10, rows, bytes: Some(1 << 20) });
        bundles.make(&bundles.plain, &["--plain", "--fill", "missing-files"]);
        bundles.make(&bundles.encrypted, &["--encrypted", "--kdf-iterations", FEW]);
        bundles
    }

    fn begin(&self, shape: Shape) -> Bundles {
        let dir = tempfile::tempdir_in(&self.dir).expect("a folder");
        let (plain, encrypted) = (dir.path().join("plain"), dir.path().join("encrypted"));
        let password_file = self.dir.path().join("password");
        Bundles { dir, password_file, plain, encrypted, shape }
    }
}

impl Bundles {
    fn make(&self, out: &Path, options: &[&str]) {
        let Shape { files, rows, bytes } = self.shape;
        let mut command = Command::new(bkp());
        command.arg("generate").arg(out).args(options).args(["--progress", "never"]);
        command.args(["--files", &files.to_string(), "--rows", &rows.to_string()]);
        match bytes {
            Some(bytes) => command.args(["--total", &bytes.to_string()]),
            None => command.args(["--dist", "small"]),
        };
        if options.contains(&"--encrypted") {
            command.arg("--password-file").arg(&self.password_file);
        }
        let status = command.stdout(Stdio::null()).status().expect("bkp runs");
        assert!(status.success(), "{command:?}: {status}");
    }

    /// Returns where an output goes. Nothing is there.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Returns a place for what a job needs to begin with.
    pub(crate) fn input(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Takes an output away, and the record beside it. A job that writes nothing leaves nothing.
    pub(crate) fn clear(&self) {
        let keep = [&self.plain, &self.encrypted];
        for entry in fs::read_dir(self.dir.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            let input = path.file_stem().is_some_and(|stem| stem == "pack");
            if !keep.contains(&&path) && !input {
                remove(&path);
            }
        }
    }

    /// Takes away what a job began with.
    pub(crate) fn clear_inputs(&self) {
        for name in ["pack.zip", "pack.bkpz"] {
            remove(&self.input(name));
        }
    }
}

fn remove(path: &Path) {
    // One of the two is the right one, if it is there at all.
    let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
}

/// Returns the bytes that a file system in memory still takes, where there is one.
fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    // Such a file system allows more than there is.
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = available.trim().trim_end_matches(" kB").parse().ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize).min(kib << 10))
}

/// Reads everything once, so that it is cached.
fn warm(folder: &Path) {
    each_file(folder, &mut |path| drop(fs::read(path).expect("a file")));
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
