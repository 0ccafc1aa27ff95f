//! The backups that a folder holds, where one was to be named.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use serde::Serialize;

use bkp_toolkit::Found;

use crate::display::{Name, Rfc3339, Text};

/// Shows a backup on a line of its own.
pub(super) struct FoundLine<'f>(pub(super) &'f Found);

impl fmt::Display for FoundLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { path, device_name, product_version, date, encrypted, .. } = self.0;
        write!(f, "{}", Name(path.as_os_str().as_bytes()))?;
        if let Some(name) = device_name {
            write!(f, "  {}", Text(name))?;
        }
        if let Some(version) = product_version {
            write!(f, "  {}", Text(version))?;
        }
        if let Some(date) = *date {
            write!(f, "  {}", Rfc3339(date))?;
        }
        match encrypted {
            Some(true) => f.write_str("  encrypted"),
            Some(false) => f.write_str("  not encrypted"),
            None => f.write_str("  cannot be read"),
        }
    }
}

/// A backup in machine output.
#[derive(Serialize)]
pub(super) struct FoundFacts<'f> {
    path: String,
    device_name: Option<&'f str>,
    product_version: Option<&'f str>,
    date: Option<String>,
    encrypted: Option<bool>,
}

impl<'f> FoundFacts<'f> {
    pub(super) fn of(found: &'f Found) -> Self {
        let Found { path, device_name, product_version, date, encrypted, .. } = found;
        Self {
            path: path.to_string_lossy().into_owned(),
            device_name: device_name.as_deref(),
            product_version: product_version.as_deref(),
            date: date.map(|date| Rfc3339(date).to_string()),
            encrypted: *encrypted,
        }
    }
}
