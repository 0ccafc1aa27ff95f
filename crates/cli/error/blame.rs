//! From a library's error to the row of the table of exit codes.

use bkp_toolkit::LocateError;
use bkp_toolkit::bundle::BundleError;
use bkp_toolkit::core::Fault;

use super::{CommandError, Kind};

/// Returns the exit code that goes with the stable code of an error.
fn kind(code: &str) -> Kind {
    match code {
        "not-a-backup" | "not-found" | "several-backups" | "entry-not-found" => Kind::NotABackup,
        "unsupported-format" | "unsupported-plist" | "newer-format" => Kind::Unsupported,
        "wrong-password" => Kind::WrongPassword,
        "key-material-damaged" => Kind::KeysDamaged,
        "kdf-limit" | "limit-exceeded" | "plist-limit" | "hostile-catalog" | "hostile-name"
        | "hostile-plist" => Kind::Hostile,
        "destination-not-empty" | "destination-not-directory" | "destination-in-use" => {
            Kind::DestinationExists
        }
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
             the device's UDID"
        }
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
        let code = fault.code();
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

fn fault_error(fault: &dyn Fault) -> &(dyn std::error::Error + 'static) {
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
