//! What each code means, for a restore and for what can be read.
//!
//! Source: FORMAT.md sections 1, 2, 3, 6 and 7. Error numbers are those of the device's backup
//! agent (MBErrorDomain).

/// Returns the sentence of a code.
pub(super) fn meaning(code: &str) -> &'static str {
    find(code).unwrap_or("Nothing more is known of what this means for a restore.")
}

fn find(code: &str) -> Option<&'static str> {
    MEANINGS.binary_search_by_key(&code, |&(known, _)| known).ok().map(|at| MEANINGS[at].1)
}

/// Sorted by code.
const MEANINGS: &[(&str, &str)] = &[
    ("application-incomplete", "A restore may skip the container; other readers stop at it."),
    ("archive-io", "The archive is there and the system does not give all of it out."),
    ("backup-state", "A restore refuses the backup (203 or 204)."),
    (
        "bad-attributes",
        "A restore sets each attribute and looks whether it is there, and may fail.",
    ),
    ("bad-digest", "A restore fails (205); the content cannot be proven."),
    (
        "bad-metadata",
        "What the row says of the entry is lost, and a restore leaves it out or fails.",
    ),
    (
        "bad-padding",
        "The end of the file may not be what was on the device; every byte can be read.",
    ),
    ("bad-row", "The entry cannot be read from the catalog, and a restore leaves it out or fails."),
    ("cannot-read", "The file is there and the system does not give it out."),
    ("catalog-damaged", "Entries may be missing from the catalog, and a restore may fail."),
    ("catalog-form", "Devices write it otherwise; most readers take it."),
    ("catalog-kind", "A restore looks for a catalog that is not there (205)."),
    ("catalog-schema", "Devices declare it otherwise; a restore may not find what it looks for."),
    ("catalog-unchecked", "The catalog can be read; whether every page is sound is not known."),
    ("class-key-damaged", "Files of this class cannot be decrypted, by a restore or otherwise."),
    (
        "class-mismatch",
        "The file opens with the class of its key; a restore may protect it otherwise.",
    ),
    (
        "database-damaged",
        "A restore brings the database back as it is, and its app may fail to open it.",
    ),
    ("database-skipped", "The database was read and not looked into."),
    ("database-unchecked", "The database can be read; whether every page is sound is not known."),
    ("digest-mismatch", "The stored bytes are not those of the backup, and a restore fails (205)."),
    ("duplicate-id", "Two entries share one payload, and one of them is not what it was."),
    (
        "duplicate-inode",
        "A restore takes the files for hard links of one and gives them the same content.",
    ),
    ("encrypted-cells", "Systems other than iOS 10.0 may not read the catalog."),
    (
        "exposed-call-history",
        "Whoever holds the backup can read it; devices put it into encrypted ones, by version.",
    ),
    (
        "exposed-content",
        "Whoever holds the backup can read it; devices put it into encrypted ones, by version.",
    ),
    (
        "exposed-enrolment",
        "Devices put the enrolment profile into encrypted backups only; a restore may drop it.",
    ),
    (
        "exposed-health",
        "Whoever holds the backup can read it; devices put it into encrypted ones, by version.",
    ),
    (
        "exposed-passwords",
        "Whoever holds the backup can read it; devices put it into encrypted ones, by version.",
    ),
    (
        "exposed-website-history",
        "Whoever holds the backup can read it; devices put it into encrypted ones, by version.",
    ),
    (
        "exposed-wifi",
        "Whoever holds the backup can read it; devices put it into encrypted ones, by version.",
    ),
    ("full-backup-flag", "No device writes this; a restore may refuse the backup."),
    ("hostile-catalog", "The catalog is made to mislead whoever opens it."),
    ("hostile-name", "The name could lead out of a folder; a restore refuses it (205)."),
    (
        "id-mismatch",
        "Harmless for names beyond ASCII, which devices hash decomposed; else the row was edited.",
    ),
    (
        "identity-contradiction",
        "A host or a device may refuse the backup, or take it for that of another device.",
    ),
    (
        "incomplete-metadata",
        "A restore sets what is absent to zero; some readers stop at such a row.",
    ),
    ("irregular-blob", "What lies in the payload's place is no file, and a restore fails (205)."),
    ("key-material-damaged", "Keys in the keybag cannot be used, and a restore fails."),
    ("key-unwrap-failed", "The file cannot be decrypted, by a restore or otherwise."),
    ("keybag-closed", "A restore asks for a password that the backup should not have (207)."),
    (
        "keybag-incomplete",
        "Files of the missing classes cannot be decrypted, and a restore may fail.",
    ),
    ("keybag-shape", "Other readers may refuse the keybag, and a device may as well."),
    ("keychain-keybag", "The keychain may not be restored, and the restore may fail with it."),
    ("keychain-unread", "A restore may bring no passwords back, or fail."),
    ("kind-mismatch", "A restore may make something else of the entry than it was."),
    ("limit-exceeded", "There is more of it than any device writes, so it was not read."),
    ("manifest-incomplete", "A restore may do without; other readers stop."),
    ("manifest-key", "A restore may read the catalog otherwise than it is stored."),
    ("manifest-key-class", "The catalog opens; devices use another class."),
    ("manifest-version", "A restore refuses the backup (203)."),
    (
        "misplaced-blob",
        "It can be read here, and a restore looks for it elsewhere and may fail (205).",
    ),
    ("missing-blob", "The file's content is not in the backup, and a restore fails (205)."),
    ("missing-digest", "A restore fails (205); the content cannot be proven."),
    (
        "missing-parent",
        "A restore has no folder to put the entries in, and fails or leaves them out.",
    ),
    ("missing-plist", "A restore may refuse the backup."),
    ("newer-format", "Read as the newest known format; some of it may be misread."),
    ("no-application-entry", "A restore silently skips everything in this container."),
    ("no-container-domain", "The app has no files in the backup, and a restore brings none."),
    ("no-keybag", "A restore refuses the backup (205), encrypted or not."),
    ("no-status", "A restore refuses the backup."),
    ("null-field", "A restore refuses the whole catalog (11)."),
    ("odd-class", "A restore may protect the file otherwise, or refuse it."),
    ("orphan-blob", "No row names it: a row was lost or the file was added. A restore ignores it."),
    ("path-mismatch", "A restore may use either name."),
    ("path-too-long", "A restore refuses the name (205)."),
    ("permission-denied", "The file is there and may not be read."),
    ("plaintext-blob", "It can be read; a restore fails, since every file needs its key (205)."),
    (
        "plist-damaged",
        "What the property list says is not known, and a restore may refuse the backup.",
    ),
    ("plist-oddity", "The value was left out."),
    ("record-incomplete", "The record does not tell enough for this to be compared."),
    ("record-mismatch", "The backup is not what it was when the record was written."),
    (
        "sealed-segment",
        "Part of the archive was changed; nothing of what is in that part is given out.",
    ),
    (
        "side-file",
        "Some program opened the catalog after the backup; a restore may see other rows.",
    ),
    (
        "size-mismatch",
        "Usual for databases, which are copied after they are measured; otherwise the file changed.",
    ),
    ("size-of-no-file", "A restore of a Manifest.mbdb refuses the whole catalog (11)."),
    ("state-contradiction", "A restore goes by what is stated, and fails."),
    ("status-incomplete", "A restore refuses the backup (205 or 11)."),
    ("status-version", "A restore refuses the backup (203)."),
    ("stray-field", "No device writes this; a restore may pass over it."),
    ("symlinked-parent", "A restore refuses what would be written through a link (205)."),
    (
        "system-domains-version",
        "A device whose range does not include it refuses the backup (203).",
    ),
    ("truncated-blob", "The end of the file is lost, and a restore fails."),
    (
        "unfinished-backup",
        "The last backup did not end; hosts and devices may refuse to restore it.",
    ),
    ("unfinished-row", "It holds nothing and is ignored."),
    ("unknown-domain", "A restore skips what is in it, or of a Manifest.mbdb fails."),
    ("unreadable-blob", "The payload is there and the system does not give it out."),
    ("unsupported-format", "It is of a form that is not read."),
    ("user-version", "Of less than 2 a restore empties the catalog and brings nothing back."),
    ("zero-inode", "A restore may take the file for a hard link of another."),
    ("zip-contradiction", "The archive says two things of one file, which is then not read."),
    ("zip-damaged", "What the archive holds of this file is not what was packed."),
    ("zip-overlap", "The archive says that two files share bytes; neither is read."),
];

#[cfg(test)]
mod tests {
    use super::{MEANINGS, find};

    #[test]
    fn the_table_is_sorted_and_short() {
        assert!(MEANINGS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (code, meaning) in MEANINGS {
            assert_eq!(find(code), Some(*meaning));
            assert!(meaning.len() <= 100 && meaning.ends_with('.'), "{code}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
        assert_eq!(find("no-such-code"), None);
    }
}
