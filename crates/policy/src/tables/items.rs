//! Apps and books, item by item.

use super::Fate;
use crate::requirement::{Ground, says};

/// A kind of data that a managed app or book leaves in a backup.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// Data of an app without management flags.
    AppPlain,
    /// Data of an app with flag 1: it is removed at unenrolment.
    AppRemovedOnUnenrol,
    /// Data of an app with flag 4, or 5: it is not to be backed up.
    AppNotBackedUp,
    /// Data of an app that is not installed at the time.
    AppMissing,
    /// A group container that apps of both sorts share.
    SharedGroup,
    /// Data of an app of an account-driven enrolment.
    AccountDrivenApp,
    /// A book that MDM installed.
    Book,
    /// Such a book, when its backup is disallowed.
    BookDisallowed,
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ItemRow {
    /// The item.
    pub item: Item,
    /// What it is, in words.
    pub what: &'static str,
    /// On the device it came from.
    pub same: Fate,
    /// On another one.
    pub different: Fate,
    /// What else is to be said.
    pub note: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
    /// Numbers of the open questions that concern it.
    pub conflicts: &'static [u8],
}

use Fate::{Kept, Stripped};

const fn row(
    item: Item,
    what: &'static str,
    (same, different): (Fate, Fate),
    note: &'static str,
    grounds: &'static [Ground],
    conflicts: &'static [u8],
) -> ItemRow {
    ItemRow { item, what, same, different, note, grounds, conflicts }
}

/// Apps and books.
pub const ITEMS: &[ItemRow] = &[
    row(
        Item::AppPlain,
        "data of an app with no flag",
        (Kept, Kept),
        "",
        &[says(1, "22"), says(1, "26")],
        &[],
    ),
    row(
        Item::AppRemovedOnUnenrol,
        "data of an app with flag 1",
        (Kept, Stripped),
        "",
        &[says(1, "22"), says(1, "26")],
        &[6],
    ),
    row(
        Item::AppNotBackedUp,
        "data of an app with flag 4 or 5",
        (Stripped, Stripped),
        "It should not be in the backup. A copy for the same device keeps it all the same; a filter by policy leaves it out.",
        &[says(1, "12"), says(1, "15")],
        &[6],
    ),
    row(
        Item::AppMissing,
        "data of an app that is not installed",
        (Kept, Kept),
        "A placeholder may show until the app is there; none after a restore by Configurator.",
        &[says(1, "22")],
        &[],
    ),
    row(
        Item::SharedGroup,
        "a group that a kept and a dropped app share",
        (Kept, Kept),
        "It goes only when it is proved that no kept app uses it.",
        &[Ground::Device],
        &[5],
    ),
    row(
        Item::AccountDrivenApp,
        "data of an app of an account-driven enrolment",
        (Kept, Kept),
        "Skipped when the app is already installed, and the user is told.",
        &[says(1, "27")],
        &[8],
    ),
    row(
        Item::Book,
        "a book that MDM installed",
        (Kept, Kept),
        "",
        &[says(1, "22"), says(1, "26")],
        &[9],
    ),
    row(
        Item::BookDisallowed,
        "such a book, its backup disallowed",
        (Stripped, Stripped),
        "It should not be in the backup. A copy for the same device keeps it all the same; a filter by policy leaves it out.",
        &[says(1, "12"), says(1, "16")],
        &[9],
    ),
];

/// What Apple says of a management flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FlagOutcome {
    /// The value of the flags.
    pub flags: u8,
    /// What it means.
    pub means: &'static str,
    /// Whether data of such an app is in a backup.
    pub in_backup: bool,
    /// What the same device gets.
    pub same: &'static str,
    /// What another one gets.
    pub different: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
}

/// Outcomes by flag. An account-driven enrolment has a backup of its own, which holds managed
/// app data only, and its apps are always removed at unenrolment (001-14, 001-17).
pub const FLAG_OUTCOMES: &[FlagOutcome] = &[
    FlagOutcome {
        flags: 0,
        means: "none",
        in_backup: true,
        same: "data restored",
        different: "data restored",
        grounds: &[says(1, "22"), says(1, "26")],
    },
    FlagOutcome {
        flags: 1,
        means: "remove on unenrolment",
        in_backup: true,
        same: "data restored",
        different: "data not restored",
        grounds: &[says(1, "13"), says(1, "26")],
    },
    FlagOutcome {
        flags: 4,
        means: "no backup",
        in_backup: false,
        same: "nothing to restore",
        different: "nothing to restore",
        grounds: &[says(1, "15")],
    },
    FlagOutcome {
        flags: 5,
        means: "both",
        in_backup: false,
        same: "nothing to restore",
        different: "nothing to restore",
        grounds: &[says(1, "15")],
    },
];
