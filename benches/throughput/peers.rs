//! Readers by others, where they are on this machine.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bundles::PASSWORD;

/// One of them, ready to be run.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    command: Vec<OsString>,
}

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

/// Returns those that are there.
pub(crate) fn all() -> Vec<Peer> {
    let mut peers = Vec::new();
    if let Some(program) = std::env::var_os("BKP_CRABAPPLE") {
        peers.push(Peer { name: "crabapple", command: vec![program] });
    }
    if let Some(python) = std::env::var_os("BKP_READERS") {
        let imports = |name: &&str| {
            let import = format!("import {name}");
            let run = Command::new(&python).args(["-c", &import]).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        for name in ["iphone_backup_decrypt", "pyiosbackup"].into_iter().filter(imports) {
            let command = vec![python.clone(), "-c".into(), SCRIPT.into(), name.into()];
            peers.push(Peer { name, command });
        }
    }
    peers
}

impl Peer {
    /// Returns the command that does a job: `open`, `list` or `extract`.
    pub(crate) fn command(&self, job: &str, backup: &Path, out: &Path) -> Vec<OsString> {
        let mut command = self.command.clone();
        command.extend([job.into(), backup.into(), PASSWORD.into()]);
        if job == "extract" {
            command.push(out.into());
        }
        command
    }
}
