//! From a library's error to the row of the table of exit codes.

use std::error::Error;

use bkp_toolkit::LocateError;
use bkp_toolkit::archive::ArchiveError;
use bkp_toolkit::bundle::BundleError;
use bkp_toolkit::core::Fault;

use super::{CommandError, Kind};

/// Returns the exit code that goes with the stable code of an error.
fn kind(code: &str) -> Kind {
    match code {
        "not-a-backup" | "not-found" | "several-backups" | "entry-not-found" | "not-an-archive" => {
            Kind::NotABackup
        }
        "unsupported-format" | "unsupported-plist" | "newer-format" | "sealed-version"
        | "sealed-kdf" | "zip-unsupported" => Kind::Unsupported,
        "wrong-password" | "wrong-key-file" => Kind::WrongPassword,
        "password-needed" | "key-file-needed" => Kind::PasswordNeeded,
        "zip-damaged"
        | "sealed-header"
        | "sealed-truncated"
        | "sealed-segment"
        | "sealed-last-segment"
        | "not-written" => Kind::Damaged,
        "zip-too-many-members"
        | "zip-traversal"
        | "zip-special-file"
        | "zip-duplicate-name"
        | "zip-overlap"
        | "zip-lying-size"
        | "zip-bomb"
        | "zip-contradiction"
        | "excessive-kdf"
        | "sealed-segment-size" => Kind::Hostile,
        "key-material-damaged" => Kind::KeysDamaged,
        "kdf-limit" | "limit-exceeded" | "plist-limit" | "hostile-catalog" | "hostile-name"
        | "hostile-plist" => Kind::Hostile,
        "destination-not-empty"
        | "destination-not-directory"
        | "destination-exists"
        | "destination-in-use" => Kind::DestinationExists,
        "no-space" => Kind::NoSpace,
        "permission-denied" => Kind::Permission,
        "bad-pattern" | "bad-rule-file" | "bad-filter" | "rule-limit" | "bad-policy-file"
        | "other-target" | "bad-profile" | "bad-mdm-answer" => Kind::Usage,
        "record-unreadable" => Kind::Refused,
        _ => Kind::Failed,
    }
}

/// Returns what to do about it, where there is something to do.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "wrong-password" => "this is the backup password, not the device passcode",
        "not-a-backup" => {
            "a backup is a folder with Manifest.plist and Manifest.db in it, usually named like \
             the device's UDID, or an archive of one"
        }
        "not-an-archive" => "an archive is a zip of a backup, or what \"bkp pack\" sealed",
        "wrong-key-file" => "this is the file that the archive was sealed with, 32 bytes",
        "password-needed" => "give the archive's password with --seal-password-file FILE",
        "key-file-needed" => "give it with --seal-key-file FILE",
        "sealed-truncated" => "a part of the file is missing: copy it again from where it is whole",
        "sealed-header" | "sealed-segment" | "sealed-last-segment" | "zip-damaged" => {
            "the archive is not what was written: copy it again from where it is whole; \
             \"bkp verify\" tells what can still be read"
        }
        "zip-contradiction" | "zip-overlap" | "zip-lying-size" | "zip-bomb" | "zip-traversal"
        | "zip-special-file" | "zip-duplicate-name" => {
            "no program packs a backup like this; what is in it is not read"
        }
        "excessive-kdf" => {
            "\"bkp pack\" asks for 600,000 rounds; --max-kdf-rounds N allows more, and every ten \
             million take about a second"
        }
        "destination-exists" => "name another file, or allow --overwrite",
        "kdf-limit" => {
            "devices ask for about 10,010,000 rounds; --max-kdf-rounds N allows more, and every \
             ten million take about a second"
        }
        "key-material-damaged" => {
            "no password helps here: look for another copy of the backup's Manifest.plist"
        }
        "destination-not-empty" => "name a new folder",
        "record-unreadable" => {
            "the record says which device the backup was made for; move it away if it is not of \
             this backup"
        }
        "bad-pattern" => "a pattern is DOMAIN:PATH, such as 'HomeDomain:Library/SMS/*'; quote it",
        _ => return None,
    })
}

impl CommandError {
    /// Makes a failure of what a library reports.
    pub(crate) fn of_fault(fault: &dyn Fault) -> Self {
        // What an archive's reader found says more than that a file in it cannot be read.
        let code = archive_code(fault_error(fault)).unwrap_or(fault.code());
        let failed = Self::of(kind(code), code, fault_error(fault));
        match advice(code) {
            Some(advice) => failed.help(advice),
            None => failed,
        }
    }
}

impl From<LocateError> for CommandError {
    fn from(error: LocateError) -> Self {
        let code = error.code();
        let mut failed = Self::of(kind(code), code, &error);
        match error {
            LocateError::Several { found, .. } => {
                failed.backups = found;
                failed.help("name one of them")
            }
            _ => match advice(code) {
                Some(advice) => failed.help(advice),
                None => failed,
            },
        }
    }
}

impl From<BundleError> for CommandError {
    fn from(error: BundleError) -> Self {
        Self::of_fault(&error)
    }
}

/// Returns the code of what an archive's reader found, if that is among the causes.
fn archive_code(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(code) = error.downcast_ref().and_then(ArchiveError::code_within) {
            return Some(code);
        }
        next = error.source();
    }
    None
}

fn fault_error(fault: &dyn Fault) -> &(dyn Error + 'static) {
    fault
}

#[cfg(test)]
mod tests {
    use super::kind;
    use crate::error::Kind;

    #[test]
    fn codes_have_their_rows() {
        for (code, expected) in [
            ("wrong-password", Kind::WrongPassword),
            ("not-a-backup", Kind::NotABackup),
            ("unsupported-format", Kind::Unsupported),
            ("key-material-damaged", Kind::KeysDamaged),
            ("kdf-limit", Kind::Hostile),
            ("zip-traversal", Kind::Hostile),
            ("excessive-kdf", Kind::Hostile),
            ("sealed-version", Kind::Unsupported),
            ("wrong-key-file", Kind::WrongPassword),
            ("key-file-needed", Kind::PasswordNeeded),
            ("sealed-truncated", Kind::Damaged),
            ("not-an-archive", Kind::NotABackup),
            ("destination-exists", Kind::DestinationExists),
            ("destination-not-empty", Kind::DestinationExists),
            ("no-space", Kind::NoSpace),
            ("permission-denied", Kind::Permission),
            ("bad-pattern", Kind::Usage),
            ("something-new", Kind::Failed),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
