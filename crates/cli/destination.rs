//! What is refused of a destination before a password is asked for, which takes a person's time.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bkp_toolkit::check_destination;

use crate::display::Name;
use crate::error::{CommandError, Kind};

/// Refuses a destination that is the backup, or in it.
pub(crate) fn refuse_source(source: &Path, target: &Path) -> Result<(), CommandError> {
    check_destination(source, target).map_err(|error| {
        CommandError::of(Kind::DestinationExists, "destination-is-source", &error)
            .help("a backup is never written: name a folder outside of it")
    })
}

/// Refuses a destination that has something in it. Anything else that may be wrong with it is
/// found when it is written.
pub(crate) fn refuse_full(target: &Path) -> Result<(), CommandError> {
    match std::fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
        Ok(true) => {
            let name = Name(target.as_os_str().as_bytes()).to_string();
            Err(CommandError::destination_not_empty(&name))
        }
        _ => Ok(()),
    }
}
