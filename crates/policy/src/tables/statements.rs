//! What the requirement documents state, in our words.

use crate::requirement::Requirement;

/// A statement of a requirement document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statement {
    /// Its number.
    pub requirement: Requirement,
    /// What it says.
    pub says: &'static str,
}

const fn row(document: u8, item: &'static str, says: &'static str) -> Statement {
    Statement { requirement: Requirement::new(document, item), says }
}

/// All numbered statements of documents 000, 001 and 004.
pub const STATEMENTS: &[Statement] = &[
    row(0, "1", "covers ADE devices in Setup Assistant: reset and restore, and moving to another"),
    row(0, "2", "the vendor's own procedures for backup, restore and transfer are to be followed"),
    row(
        0,
        "3",
        "a new device finishes the Intune ADE profile assigned to it, whatever enrolment the old one had",
    ),
    row(
        0,
        "4",
        "on the same device, the age of the backup decides most: weeks or months fail more often",
    ),
    row(0, "5", "when the management state of the backup is still valid, the device returns to it"),
    row(
        0,
        "6",
        "when the device was retired or the management certificate has expired, check-in fails",
    ),
    row(
        0,
        "7",
        "when the certificate expired since the backup, no ADE runs and the old state comes back",
    ),
    row(
        0,
        "8",
        "after expiry on the same device: Intune BYOD gets its old profile, no MDM and other MDM get ADE",
    ),
    row(0, "9", "who wants reset, restore and ADE needs a device with another serial number"),
    row(
        1,
        "1",
        "moving to a new device is common; devices and accounts may be owned by either side",
    ),
    row(1, "2", "a Mac makes the safest backups of an organisation's devices"),
    row(
        1,
        "3",
        "a backup has layout, app data, settings and photos; no apps, no media synced or in iCloud",
    ),
    row(
        1,
        "4",
        "an unencrypted backup has no passwords, call history, health, website history or Wi-Fi",
    ),
    row(
        1,
        "5",
        "iCloud backups need an account, are always encrypted, and run locked, on power and Wi-Fi",
    ),
    row(
        1,
        "6",
        "backups by Finder or Configurator need no account and are unencrypted unless asked for",
    ),
    row(
        1,
        "7",
        "Configurator restores one prepared backup to many devices; it must hold nothing private",
    ),
    row(
        1,
        "8",
        "an enrolled device has at least one profile; payloads can add certificates, fonts, web clips",
    ),
    row(
        1,
        "9",
        "profiles and what belongs to them are in backups; MDM can force backups to be encrypted",
    ),
    row(1, "10", "the management configuration is in the backup: supervised, Shared iPad"),
    row(
        1,
        "11",
        "the enrolment profile of profile-based and ADE enrolments is only in encrypted backups",
    ),
    row(
        1,
        "12",
        "restrictions exist: no iCloud backup, forced encryption, no in-house books, no managed apps",
    ),
    row(
        1,
        "13",
        "managed apps belong to a device or an account; MDM says whether they stay after unenrolment",
    ),
    row(
        1,
        "14",
        "with account-driven enrolment and User Enrollment, managed apps always go at unenrolment",
    ),
    row(1, "15", "MDM may forbid the backup of an app's data; the app itself is never in a backup"),
    row(1, "16", "MDM can keep the EPUB and PDF books it installed out of backups"),
    row(
        1,
        "17",
        "a backup of a managed account holds managed app data only and restores no whole device",
    ),
    row(1, "18", "after any restore the user makes a new passcode; biometrics are optional"),
    row(
        1,
        "19",
        "same device: configuration and enrolment profile come back; the server decides at check-in",
    ),
    row(
        1,
        "20",
        "when the server refuses: enrolment profile, its configurations and remove-on-unenrol apps go",
    ),
    row(
        1,
        "21",
        "a profile with a hardware-bound ACME identity is not restored; as MDM identity it ends enrolment",
    ),
    row(
        1,
        "22",
        "same device: data of managed apps and books come back; missing apps may show placeholders",
    ),
    row(1, "23", "Business Essentials ADE with an Employee plan: the user enrols again"),
    row(
        1,
        "24",
        "different device: management configuration and enrolment are deleted during the restore",
    ),
    row(
        1,
        "25",
        "when its serial number is in ABM or ASM, the device then fetches a configuration of its own",
    ),
    row(
        1,
        "26",
        "different device: managed app data comes back unless the app is remove-on-unenrol; books do",
    ),
    row(
        1,
        "27",
        "account-driven: the same Managed Apple Account is offered its restore in the enrolment",
    ),
    row(4, "1", "preventing app backups is a setting that an administrator turns on"),
    row(
        4,
        "2",
        "it covers store apps with any licence and in-house apps; on macOS no in-house apps",
    ),
    row(4, "3", "local data of a managed app may be lost after backup and restore"),
    row(
        4,
        "4",
        "on devices in use, required apps are set up again at once, available ones after a new download",
    ),
    row(4, "5", "how an app comes back depends on its type and assignment"),
    row(
        4,
        "6",
        "a sync is started by the administrator or the user, and by itself about every 8 hours",
    ),
    row(
        4,
        "7",
        "a user licence goes with the store account, a device licence with the serial number",
    ),
    row(4, "8", "same device: the management profile is still valid; new device: a new enrolment"),
    row(4, "9", "a cloud icon waits for MDM; \"Waiting\" is the store's and installs by itself"),
    row(4, "10", "a new device needs no manual sync, since enrolment starts one"),
    row(
        4,
        "11",
        "the management profile and the iCloud Backup list say which apps are not backed up",
    ),
    row(
        4,
        "12",
        "sync is not backup; the flag arrives with an install or update; work accounts are set up again",
    ),
];
