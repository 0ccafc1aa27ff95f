//! Readers by others, where they are on this machine.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::job::{Beside, Line, OUT, line};
use crate::place::PASSWORD;

/// Does one job with one library of Python.
const SCRIPT: &str = r#"
import sys
peer, job, folder, password = sys.argv[1:5]
if peer == "iphone_backup_decrypt":
    from iphone_backup_decrypt import EncryptedBackup
    backup = EncryptedBackup(backup_directory=folder, passphrase=password)
    if job == "extract":
        backup.extract_files(relative_paths_like="%", output_folder=sys.argv[5],
                             preserve_folders=True, domain_subfolders=True)
    else:
        with backup.manifest_db_cursor() as rows:
            if job == "list":
                for row in rows.execute("SELECT fileID, domain, relativePath, flags FROM Files"):
                    print(*row, sep="\t")
else:
    from pyiosbackup import Backup
    backup = Backup.from_path(folder, password)
    if job == "list":
        for e in backup.iter_entries():
            print(e.file_id, e.domain, e.relative_path, e.size, sep="\t")
    elif job == "extract":
        backup.unback(sys.argv[5])
    else:
        backup.ios_version
"#;

/// Returns those that are there, to do a job: `open`, `list` or `extract`.
pub(crate) fn all(job: &str, backup: &Path) -> Vec<Beside> {
    let mut peers: Vec<(&'static str, Line)> = Vec::new();
    if let Some(program) = std::env::var_os("BKP_CRABAPPLE") {
        peers.push(("crabapple", vec![program]));
    }
    if let Some(python) = std::env::var_os("BKP_READERS") {
        for name in ["iphone_backup_decrypt", "pyiosbackup"] {
            if has_module(&python, name) {
                peers.push((name, line![&python, "-c", SCRIPT, name]));
            }
        }
    }
    let mut args = line![job, backup, PASSWORD];
    if job == "extract" {
        args.push(OUT.into());
    }
    let with =
        |(name, line): (_, Line)| Beside { name, peer: true, line: [line, args.clone()].concat() };
    peers.into_iter().map(with).collect()
}

fn has_module(python: &OsString, name: &str) -> bool {
    let import = format!("import {name}");
    let run = Command::new(python).args(["-c", &import]).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}
