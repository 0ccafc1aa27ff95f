//! The run record beside a backup, for the device that the backup was made for.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use bkp_core::Fault;
use bkp_restore::RunStaging;
use serde::Deserialize;

/// The longest record that is read, in bytes. One of a million rows has about 200 MB.
const LIMIT: u64 = 2 << 30;

/// A run record beside a backup cannot be read, so it cannot be told what the backup was made for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagedRecordError {
    /// The system does not give it.
    #[error("cannot read the run record {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no run record.
    #[error("{} is no run record that can be read", path.display())]
    Malformed {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Fault for StagedRecordError {
    fn code(&self) -> &'static str {
        "record-unreadable"
    }
}

/// The one part of a record that counts here. The others are passed over as they are read.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    staging: Option<RunStaging>,
}

/// Reads which device a backup was made for, from the run record beside its folder; nothing where
/// there is no record, or where it names no device.
///
/// # Errors
///
/// Fails when there is a record that cannot be read, is longer than 2 GiB, or is none.
pub fn staged_for(folder: &Path) -> Result<Option<RunStaging>, StagedRecordError> {
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let (Some(name), Some(above)) = (real.file_name(), real.parent()) else { return Ok(None) };
    let mut name = name.to_owned();
    name.push(".bkp-run.json");
    let path = above.join(name);
    let failed = |source| StagedRecordError::Read { path: path.clone(), source };
    match fs::metadata(&path) {
        // A pipe in its place would never end.
        Ok(metadata) if !metadata.is_file() => {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = File::open(&path).map_err(failed)?.take(LIMIT);
    match serde_json::from_reader::<_, Head>(BufReader::new(file)) {
        Ok(head) => Ok(head.staging),
        Err(source) => Err(StagedRecordError::Malformed { path, source }),
    }
}
