//! A folder to run the program in, with an environment of its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bkp_testkit::{BundleSpec, Encryption, EntrySpec, Truth, cases};
use serde_json::Value;

/// A password that would be noticed wherever it turns up.
pub(crate) const CANARY: &str = "canary-4f1d-Pässwörd";

/// A folder that is gone when the test ends.
#[derive(Debug)]
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            // A run that was killed by a signal has no code, and no test expects one.
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("stderr is not UTF-8"),
        }
    }
}

impl Run {
    /// Fails the test, with all there is to see, unless the exit code is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let (stdout, stderr) = (String::from_utf8_lossy(&self.stdout), &self.stderr);
        assert_eq!(self.code, code, "\n-- stdout\n{stdout}\n-- stderr\n{stderr}");
        self
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is not UTF-8")
    }

    /// Reads stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).expect("stdout is not one JSON document")
    }

    /// Reads stdout as JSON lines.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert!(self.text().is_empty() || self.text().ends_with('\n'));
        self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Reads the last line of stderr as JSON.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        let last = self.stderr.lines().last().expect("nothing on stderr");
        serde_json::from_str(last).expect(last)
    }

    /// Fails the test unless stderr tells this code in brackets.
    #[track_caller]
    pub(crate) fn says(self, code: &str) -> Self {
        assert!(self.stderr.contains(&format!("[{code}]: ")), "{}", self.stderr);
        self
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    /// A sandbox in memory, where the system has such a place.
    pub(crate) fn in_memory() -> Self {
        Self::of(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn of(dir: tempfile::TempDir) -> Self {
        fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a bundle into the folder `backup`.
    pub(crate) fn bundle(&self, spec: &BundleSpec) -> Truth {
        self.bundle_at("backup", spec)
    }

    pub(crate) fn bundle_at(&self, name: &str, spec: &BundleSpec) -> Truth {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        spec.write(&path).unwrap()
    }

    /// Writes a file, such as one with a password.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), content).unwrap();
        self
    }

    /// The program with nothing of this machine's environment.
    pub(crate) fn command<A: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bkp"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// Runs the program with the password of the ready cases.
    pub(crate) fn run_unlocked(&self, args: &[&str]) -> Run {
        self.file("pw", cases::PASSWORD);
        self.run(&[args, &["--password-file", "pw"]].concat())
    }

    /// Runs the program and gives it something on stdin.
    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &[u8]) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A child that does not read all of it is no failure of the test.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap().into()
    }
}

/// Everything below a folder: names, kinds, lengths, times, inodes and contents.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.push(format!(
            "{} {:o} {} {}.{} {} {}",
            path.display(),
            metadata.mode(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ino(),
            bkp_testkit::hex(&content)
        ));
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort_unstable();
    found
}

/// Compares with a file in `tests/snapshots`. `BKP_UPDATE_SNAPSHOTS=1` writes them anew.
#[track_caller]
pub(crate) fn snapshot(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("BKP_UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "differs from {name}");
}

/// A small encrypted bundle under the canary password.
pub(crate) fn canary_bundle() -> BundleSpec {
    cases::encrypted_db(1_000).with(|spec| spec.encryption = Some(Encryption::new(CANARY)))
}

/// Names that could lead out of a folder, and one that cannot.
pub(crate) fn hostile_names() -> Vec<EntrySpec> {
    vec![
        EntrySpec::file("HomeDomain", "good.txt", "good"),
        EntrySpec::file("HomeDomain", "../../escape.txt", "bad"),
        EntrySpec::file("SysContainerDomain-../../..", "escape.txt", "bad"),
        EntrySpec::file("HomeDomain", "/etc/escape.txt", "bad"),
    ]
}
