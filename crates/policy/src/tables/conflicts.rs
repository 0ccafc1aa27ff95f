//! Questions on which the sources are silent or contradict each other.

/// A question that the sources leave open, and where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Conflict {
    /// Its number; rows of other tables refer to it.
    pub number: u8,
    /// The question.
    pub question: &'static str,
    /// What is known, and what is done meanwhile.
    pub stand: &'static str,
}

const fn row(number: u8, question: &'static str, stand: &'static str) -> Conflict {
    Conflict { number, question, stand }
}

/// All open questions, in the order of their numbers.
pub const CONFLICTS: &[Conflict] = &[
    row(
        1,
        "Are MDM.plist and MDMAppManagement.plist in encrypted backups of enrolled devices?",
        "uncertain; nothing here needs them",
    ),
    row(
        2,
        "How is it enforced that an unencrypted backup has no enrolment profile: is the file left \
         out, or does the device drop it for want of its identity?",
        "uncertain; the second is likelier",
    ),
    row(
        3,
        "Does the UDID or the serial number make a device the same one?",
        "devices compare the UDID and the documents the serial number; here both must agree",
    ),
    row(
        4,
        "With an expired management certificate, does the same device run ADE?",
        "the table of document 000 says so for two rows and its prose says it does not; both are \
         shown",
    ),
    row(
        5,
        "Which app owns an app group?",
        "a backup does not say; the administrator's map or entitlements must",
    ),
    row(
        6,
        "What do the state numbers of MDMAppManagement.plist mean?",
        "uncertain; 10, 11, 17 and 18 are taken for not managed now, and such an app is only \
         reported",
    ),
    row(
        7,
        "What do iOS 26.4 and 27 do with management state that a restore brings?",
        "known at second hand; compare with Apple's current guide",
    ),
    row(
        8,
        "Does a backup over a cable hold data of an account-driven enrolment?",
        "believed not; none was seen",
    ),
    row(
        9,
        "What are the files of books called that do not come from the store?",
        "one source; whole folders are treated, and no file is named",
    ),
    row(
        10,
        "Are Wi-Fi networks never in an unencrypted backup?",
        "they are, in backups of iOS 13 and 14; findings are reported, and nothing is removed for \
         it",
    ),
    row(
        11,
        "Does every version take missing lists of profiles for empty ones?",
        "uncertain; leaving them out is preferred to writing new ones",
    ),
    row(
        12,
        "Does a device restored from its own unencrypted backup look supervised and be unmanaged?",
        "reasoning, seen nowhere",
    ),
];

/// Returns the open question of a number.
pub(crate) fn conflict(number: u8) -> Option<&'static Conflict> {
    CONFLICTS.iter().find(|conflict| conflict.number == number)
}
