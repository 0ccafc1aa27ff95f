//! Whether a backup goes back to the device it came from.

use std::fmt;

/// A serial number, in upper case.
///
/// Blanks around it are dropped, and lower case is taken for upper case. Nothing else is
/// forgiven: a serial number has 6 to 20 letters and digits of ASCII, not all of them zeros.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Serial(Box<str>);

/// The unique identifier of a device, in upper case.
///
/// Two forms are known: 40 hexadecimal digits, and (since 2018) 8 and 16 of them with a dash
/// between. Blanks around it are dropped, case is not told apart, and the dash of the second form
/// may be missing, as some programs print it so. A dash anywhere else is an error.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Udid(Box<str>);

/// A serial number or a UDID does not have the form of one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct IdentityError {
    /// `serial number` or `UDID`.
    pub what: &'static str,
    /// What was given, at most 64 characters of it.
    pub text: Box<str>,
}

impl IdentityError {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.chars().take(64).collect() }
    }
}

impl Serial {
    /// Checks a serial number.
    ///
    /// # Errors
    ///
    /// Fails when the text does not have the form of one.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let upper = text.trim_matches([' ', '\t', '\r', '\n']).to_ascii_uppercase();
        // Zeros are what programs fill in when they know none.
        let formed = (6..=20).contains(&upper.len())
            && upper.bytes().all(|b| b.is_ascii_alphanumeric())
            && upper.bytes().any(|b| b != b'0');
        if formed { Ok(Self(upper.into())) } else { Err(IdentityError::new("serial number", text)) }
    }

    /// Returns the serial number, in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true when the two differ in one character, or have two neighbours swapped: most
    /// often a slip of the pen.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        if a.len() != b.len() {
            return false;
        }
        let differ: Vec<_> = a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b).collect();
        match differ.as_slice() {
            [_] => true,
            [(i, (a, b)), (j, (c, d))] => i.checked_add(1) == Some(*j) && a == d && b == c,
            _ => false,
        }
    }
}

impl Udid {
    /// Checks a UDID.
    ///
    /// # Errors
    ///
    /// Fails when the text does not have one of the two forms.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let upper = text.trim_matches([' ', '\t', '\r', '\n']).to_ascii_uppercase();
        let bad = || IdentityError::new("UDID", text);
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
        let (whole, plain) = match (upper.len(), upper.split_once('-')) {
            (25, Some((chip, unit))) if chip.len() == 8 => {
                (digits(chip) && digits(unit), upper.replace('-', ""))
            }
            (24 | 40, None) => (digits(&upper), upper.clone()),
            _ => return Err(bad()),
        };
        if !whole || plain.bytes().all(|b| b == b'0') {
            return Err(bad());
        }
        match plain.split_at_checked(8) {
            Some((chip, unit)) if plain.len() == 24 => Ok(Self(format!("{chip}-{unit}").into())),
            _ => Ok(Self(plain.into())),
        }
    }

    /// Returns the UDID, in upper case and with its dash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Udid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Udid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What tells one device from another.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeviceIdentity {
    /// The serial number.
    pub serial: Serial,
    /// The UDID; a target may have been named without one.
    pub udid: Option<Udid>,
}

impl fmt::Display for DeviceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.udid {
            Some(udid) => write!(f, "serial number {}, UDID {udid}", self.serial),
            None => write!(f, "serial number {}", self.serial),
        }
    }
}

/// The identity that the files of a backup state, as they spell it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceIdentity {
    /// `Info.plist`, `Serial Number`.
    pub info_serial: Option<Box<str>>,
    /// `Info.plist`, `Unique Identifier`.
    pub info_unique_identifier: Option<Box<str>>,
    /// `Info.plist`, `Target Identifier`. Older files leave it out.
    pub info_target_identifier: Option<Box<str>>,
    /// `Manifest.plist`, `Lockdown`, `SerialNumber`.
    pub lockdown_serial: Option<Box<str>>,
    /// `Manifest.plist`, `Lockdown`, `UniqueDeviceID`.
    pub lockdown_udid: Option<Box<str>>,
}

/// The identity of the target, as it was given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetIdentity {
    /// The serial number. Nothing is decided without one.
    pub serial: Option<Box<str>>,
    /// The UDID.
    pub udid: Option<Box<str>>,
}

/// What a comparison of source and target found.
#[derive(Debug)]
pub enum Identity {
    /// The backup goes back to its own device.
    Same(SameDevice),
    /// It goes to another one, and that is certain.
    Different(DifferentDevice),
    /// It cannot be told.
    Unknown(UnknownIdentity),
}

/// Proof that source and target are one device.
#[derive(Debug)]
pub struct SameDevice {
    source: DeviceIdentity,
}

/// Proof that source and target are two devices.
///
/// Profiles can be left out of a copy only by showing one of these, and [`compare`] is the only
/// way to have one. No flag can take its place.
///
/// ```compile_fail,E0451
/// # use bkp_policy::{DeviceIdentity, DifferentDevice};
/// fn forged(source: DeviceIdentity, target: DeviceIdentity) -> DifferentDevice {
///     DifferentDevice { source, target }
/// }
/// ```
#[derive(Debug)]
pub struct DifferentDevice {
    source: DeviceIdentity,
    target: DeviceIdentity,
}

/// Both sides of a comparison that decided nothing, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnknownIdentity {
    /// What the backup states.
    pub source: SourceIdentity,
    /// What was given of the target.
    pub target: TargetIdentity,
    /// Why it is not enough.
    pub reason: UnknownReason,
}

/// Why source and target can be told neither to be one device nor to be two.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The target's serial number was not given.
    #[error("the serial number of the target is needed")]
    NoTargetSerial,
    /// A file of the backup does not state what it should.
    #[error("the backup does not state {what}")]
    SourceMissing {
        /// The file and the key.
        what: &'static str,
    },
    /// Something stated is no serial number or UDID.
    #[error("{what} is not usable")]
    Malformed {
        /// The file and the key, or which of the target's.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: IdentityError,
    },
    /// Two files of the backup contradict each other.
    #[error("the files of the backup state different {what}")]
    SourceConflict {
        /// `serial numbers` or `UDIDs`.
        what: &'static str,
    },
    /// One of serial number and UDID agrees with the target, and the other does not.
    #[error("serial number and UDID contradict each other: only the {equal} is the target's")]
    Mixed {
        /// Which of them is the same: `serial number` or `UDID`.
        equal: &'static str,
    },
}

impl SameDevice {
    /// Returns the device.
    #[must_use]
    pub fn device(&self) -> &DeviceIdentity {
        &self.source
    }
}

impl DifferentDevice {
    /// Returns the device that the backup was made from.
    #[must_use]
    pub fn source(&self) -> &DeviceIdentity {
        &self.source
    }

    /// Returns the device that it goes to.
    #[must_use]
    pub fn target(&self) -> &DeviceIdentity {
        &self.target
    }
}

/// Finds out whether a backup goes back to the device it came from (000-9, 001-19, 001-24).
///
/// # What "certain" means
///
/// A backup states each of serial number and UDID at least twice: in `Info.plist`, and in
/// `Manifest.plist` under `Lockdown`. All of them must be there, have the form that Apple gives
/// out, and agree. An edited identity is the signature of tools that get round an enrolment, so
/// a backup that contradicts itself, or that leaves one out, has no identity at all.
///
/// The target's serial number must be given. By it alone the organisation's server knows a
/// device, and two devices never share one, so it decides when no UDID of the target is given.
/// When one is given, it must say the same as the serial number: both equal is the same device,
/// both different is another. One equal and one different is no device that exists.
///
/// Whatever is not certain is [`Identity::Unknown`], and nothing is left out for it.
#[must_use]
pub fn compare(source: &SourceIdentity, target: &TargetIdentity) -> Identity {
    match certain(source, target) {
        Ok(identity) => identity,
        Err(reason) => Identity::Unknown(UnknownIdentity {
            source: source.clone(),
            target: target.clone(),
            reason,
        }),
    }
}

fn certain(source: &SourceIdentity, target: &TargetIdentity) -> Result<Identity, UnknownReason> {
    let source = source.device()?;
    let target = target.device()?;
    let same_serial = source.serial == target.serial;
    let same_udid = match (&source.udid, &target.udid) {
        (Some(a), Some(b)) => Some(a == b),
        _ => None,
    };
    match (same_serial, same_udid) {
        (true, Some(false)) => Err(UnknownReason::Mixed { equal: "serial number" }),
        (false, Some(true)) => Err(UnknownReason::Mixed { equal: "UDID" }),
        (true, _) => Ok(Identity::Same(SameDevice { source })),
        (false, _) => Ok(Identity::Different(DifferentDevice { source, target })),
    }
}

impl SourceIdentity {
    /// Returns the device, when all that states it is there and agrees.
    ///
    /// # Errors
    ///
    /// Fails when something is missing, has not the form it should have, or is contradicted.
    pub fn device(&self) -> Result<DeviceIdentity, UnknownReason> {
        let Self {
            info_serial,
            info_unique_identifier,
            info_target_identifier,
            lockdown_serial,
            lockdown_udid,
        } = self;
        let serial = serial(info_serial.as_deref(), "Serial Number of Info.plist")?;
        let locked = self::serial(lockdown_serial.as_deref(), "SerialNumber of Manifest.plist")?;
        let udid = udid(info_unique_identifier.as_deref(), "Unique Identifier of Info.plist")?;
        let named = match info_target_identifier.as_deref() {
            None => None,
            text => Some(self::udid(text, "Target Identifier of Info.plist")?),
        };
        let known = self::udid(lockdown_udid.as_deref(), "UniqueDeviceID of Manifest.plist")?;
        if serial != locked {
            return Err(UnknownReason::SourceConflict { what: "serial numbers" });
        }
        if udid != known || named.is_some_and(|named| named != udid) {
            return Err(UnknownReason::SourceConflict { what: "UDIDs" });
        }
        Ok(DeviceIdentity { serial, udid: Some(udid) })
    }
}

impl TargetIdentity {
    /// Returns the device that was named.
    ///
    /// # Errors
    ///
    /// Fails when no serial number was given, or when what was given has not the form it should
    /// have.
    pub fn device(&self) -> Result<DeviceIdentity, UnknownReason> {
        let Self { serial, udid } = self;
        let malformed = |what| move |source| UnknownReason::Malformed { what, source };
        let serial = serial.as_deref().ok_or(UnknownReason::NoTargetSerial)?;
        Ok(DeviceIdentity {
            serial: Serial::new(serial).map_err(malformed("the target's serial number"))?,
            udid: udid
                .as_deref()
                .map(Udid::new)
                .transpose()
                .map_err(malformed("the target's UDID"))?,
        })
    }
}

fn serial(text: Option<&str>, what: &'static str) -> Result<Serial, UnknownReason> {
    let text = text.ok_or(UnknownReason::SourceMissing { what })?;
    Serial::new(text).map_err(|source| UnknownReason::Malformed { what, source })
}

fn udid(text: Option<&str>, what: &'static str) -> Result<Udid, UnknownReason> {
    let text = text.ok_or(UnknownReason::SourceMissing { what })?;
    Udid::new(text).map_err(|source| UnknownReason::Malformed { what, source })
}

#[cfg(test)]
mod tests {
    use super::{Identity, Serial, SourceIdentity, TargetIdentity, Udid, UnknownReason, compare};

    const OLD: &str = "3ac82354b0a59ba46a03e8ae4937617063e26647";
    const NEW: &str = "00008030-001A2B3C4D5E6F70";

    fn source() -> SourceIdentity {
        SourceIdentity {
            info_serial: Some("TESTKIT00001".into()),
            info_unique_identifier: Some(OLD.into()),
            info_target_identifier: Some(OLD.into()),
            lockdown_serial: Some("TESTKIT00001".into()),
            lockdown_udid: Some(OLD.into()),
        }
    }

    fn target(serial: &str, udid: &str) -> TargetIdentity {
        let some = |text: &str| (!text.is_empty()).then(|| text.into());
        TargetIdentity { serial: some(serial), udid: some(udid) }
    }

    #[test]
    fn both_equal_is_the_same_and_both_different_another() {
        for (serial, udid, expected) in [
            ("TESTKIT00001", OLD, "same"),
            (" testkit00001\n", &OLD.to_uppercase(), "same"),
            ("TESTKIT00001", "", "same"),
            ("TESTKIT00002", NEW, "different"),
            ("TESTKIT00002", "", "different"),
            ("TESTKIT00001", NEW, "unknown"),
            ("TESTKIT00002", OLD, "unknown"),
            ("", OLD, "unknown"),
            ("", "", "unknown"),
            ("TESTKIT-00002", NEW, "unknown"),
            ("TESTKIT 00002", NEW, "unknown"),
            ("TESTKIT00002", "not-a-udid", "unknown"),
            ("TESTKIT00001", "3ac82354-b0a59ba46a03e8ae4937617063e26647", "unknown"),
        ] {
            let found = match compare(&source(), &target(serial, udid)) {
                Identity::Same(same) => {
                    assert_eq!(same.device().serial.as_str(), "TESTKIT00001");
                    "same"
                }
                Identity::Different(proof) => {
                    assert_eq!(proof.source().serial.as_str(), "TESTKIT00001");
                    assert_eq!(proof.target().serial.as_str(), "TESTKIT00002");
                    "different"
                }
                Identity::Unknown(unknown) => {
                    assert_eq!(unknown.source, source());
                    assert_eq!(unknown.target, target(serial, udid));
                    "unknown"
                }
            };
            assert_eq!(found, expected, "{serial:?} {udid:?}");
        }
    }

    /// Whatever one statement of the backup is changed to, or when it is missing, there is no
    /// certainty any more: neither for its own device nor for another.
    #[test]
    fn a_backup_that_contradicts_itself_has_no_identity() {
        type Field = fn(&mut SourceIdentity) -> &mut Option<Box<str>>;
        let fields: [(Field, bool, bool); 5] = [
            (|s| &mut s.info_serial, true, true),
            (|s| &mut s.lockdown_serial, true, true),
            (|s| &mut s.info_unique_identifier, false, true),
            (|s| &mut s.info_target_identifier, false, false),
            (|s| &mut s.lockdown_udid, false, true),
        ];
        for (field, is_serial, needed) in fields {
            for value in [None, Some(""), Some("0"), Some("TESTKIT00002"), Some(NEW)] {
                let mut edited = source();
                *field(&mut edited) = value.map(Into::into);
                for to in [target("TESTKIT00001", OLD), target("TESTKIT00002", NEW)] {
                    let identity = compare(&edited, &to);
                    if value.is_none() && !needed {
                        assert!(!matches!(identity, Identity::Unknown(_)));
                        continue;
                    }
                    let Identity::Unknown(unknown) = identity else { panic!("{edited:?} {to:?}") };
                    let formed = value == Some(if is_serial { "TESTKIT00002" } else { NEW });
                    match unknown.reason {
                        UnknownReason::SourceMissing { .. } => assert_eq!(value, None),
                        UnknownReason::SourceConflict { .. } => assert!(formed),
                        UnknownReason::Malformed { .. } => assert!(value.is_some() && !formed),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn forms_of_udids_and_serials() {
        assert_eq!(Udid::new(" 00008030001a2b3c4d5e6f70 ").unwrap().as_str(), NEW);
        assert_eq!(Udid::new(&NEW.to_lowercase()).unwrap(), Udid::new(NEW).unwrap());
        for bad in [
            "",
            "0000803-0001A2B3C4D5E6F70",
            "00008030--01A2B3C4D5E6F70",
            "00008030-001A2B3C4D5E6F7G",
            "00008030 001A2B3C4D5E6F70",
            "00000000-0000000000000000",
            "0000000000000000000000000000000000000000",
            "3ac82354b0a59ba46a03e8ae4937617063e2664",
            "\u{661}0008030-001A2B3C4D5E6F7",
        ] {
            assert!(Udid::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "N/A", "NONE", "000000000000", "TESTKIT0000Ö", "TEST\0KIT0001"] {
            assert!(Serial::new(bad).is_err(), "{bad}");
        }
        for (length, formed) in [(5, false), (6, true), (20, true), (21, false)] {
            assert_eq!(Serial::new(&"A".repeat(length)).is_ok(), formed, "{length}");
        }
    }

    #[test]
    fn slips_of_the_pen() {
        let serial = |text| Serial::new(text).unwrap();
        for (a, b, near) in [
            ("TESTKIT00001", "TESTKIT00002", true),
            ("TESTKIT00012", "TESTKIT00021", true),
            ("TESTKIT00001", "TESTKIT00001", false),
            ("TESTKIT00001", "TESTKIT00022", false),
            ("TESTKIT00001", "TESTKIT000012", false),
            ("1TESTKIT0002", "2TESTKIT0001", false),
        ] {
            assert_eq!(serial(a).is_near(&serial(b)), near, "{a} {b}");
        }
    }
}

/// A proof for tests of other modules.
#[cfg(test)]
pub(crate) mod tests_support {
    use super::{DifferentDevice, Identity, SourceIdentity, TargetIdentity, compare};

    pub(crate) fn source() -> SourceIdentity {
        let serial = Some("TESTKIT00001".into());
        let udid: Option<Box<str>> = Some("00000000-0123456789ABCDEF".into());
        SourceIdentity {
            info_serial: serial.clone(),
            info_unique_identifier: udid.clone(),
            info_target_identifier: udid.clone(),
            lockdown_serial: serial,
            lockdown_udid: udid,
        }
    }

    pub(crate) fn different() -> DifferentDevice {
        let target = TargetIdentity { serial: Some("ZZTARGET9999".into()), udid: None };
        match compare(&source(), &target) {
            Identity::Different(proof) => proof,
            other => panic!("{other:?}"),
        }
    }
}
