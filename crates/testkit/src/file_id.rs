//! The name of a payload.

use sha1::{Digest as _, Sha1};

/// Returns SHA-1(domain "-" path) as 40 lower-case digits. Source: FORMAT.md 2.3.
#[must_use]
pub fn file_id(domain: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> String {
    let mut hash = Sha1::new();
    hash.update(domain.as_ref());
    hash.update(b"-");
    hash.update(path.as_ref());
    hex(&hash.finalize())
}

/// Spells bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::file_id;

    // FORMAT.md 2.3: names every backup of an iPhone has.
    #[test]
    fn known_names() {
        for (domain, path, id) in [
            ("HomeDomain", "Library/SMS/sms.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"),
            ("KeychainDomain", "keychain-backup.plist", "51a4616e576dd33cd2abadfea874eb8ff246bf0e"),
            (
                "HomeDomain",
                "Library/Preferences/com.apple.mobile.ldbackup.plist",
                "2f771621fd3c627d0db75fe173f3dae8ce50e98b",
            ),
        ] {
            assert_eq!(file_id(domain, path), id);
        }
    }
}
