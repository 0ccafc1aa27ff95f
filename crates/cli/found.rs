//! Backups that were found in folders.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use bkp_toolkit::{BackupState, Found, Warning};

use crate::display::{Name, Rfc3339, Text};

/// Shows a backup on a line of its own.
pub(crate) struct FoundLine<'f>(pub(crate) &'f Found);

impl fmt::Display for FoundLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { path, device, date, encrypted, .. } = self.0;
        write!(f, "{}", Name::of(path))?;
        if let Some(name) = &device.name {
            write!(f, "  {}", Text(name))?;
        }
        if let Some(version) = &device.product_version {
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
pub(crate) struct FoundFacts<'f> {
    path: Cow<'f, str>,
    /// The exact bytes of a path that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    device_name: Option<&'f str>,
    product_name: Option<&'f str>,
    product_type: Option<&'f str>,
    product_version: Option<&'f str>,
    build_version: Option<&'f str>,
    serial_number: Option<&'f str>,
    unique_device_id: Option<&'f str>,
    date: Option<String>,
    encrypted: Option<bool>,
    state: BackupState,
    /// When it was set aside, in the time of the host that did so.
    archived: Option<String>,
    warnings: &'f [Warning],
}

impl<'f> FoundFacts<'f> {
    pub(crate) fn of(found: &'f Found) -> Self {
        let Found { path, device, date, encrypted, state, archived, warnings, .. } = found;
        Self {
            path: path.to_string_lossy(),
            path_b64: path_b64(path),
            device_name: device.name.as_deref(),
            product_name: device.product_name.as_deref(),
            product_type: device.product_type.as_deref(),
            product_version: device.product_version.as_deref(),
            build_version: device.build_version.as_deref(),
            serial_number: device.serial_number.as_deref(),
            unique_device_id: device.unique_device_id.as_deref(),
            date: date.and_then(|date| Rfc3339(date).timestamp()).map(|time| time.to_string()),
            encrypted: *encrypted,
            state: *state,
            archived: archived.map(|time| time.to_string()),
            warnings,
        }
    }
}

fn path_b64(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| STANDARD.encode(path.as_os_str().as_bytes()))
}

/// Why a backup cannot be used, in machine output.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemFacts {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl From<&Warning> for ProblemFacts {
    fn from(Warning { code, message }: &Warning) -> Self {
        Self { code: code.clone(), message: message.clone() }
    }
}
