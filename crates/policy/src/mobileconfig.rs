//! Configuration profiles (`.mobileconfig`), as far as backups depend on them.
//!
//! ```text
//! bytes ─▶ ProfileFile::read ─▶ content: a property list ─▶ (caller's parser) ─▶ ConfigurationProfile
//!          plain XML or binary, or wrapped in a CMS signature, which is not verified
//! ```
//!
//! The property list itself is parsed by the caller, for two reasons. The parser in use follows
//! shared references without a limit, so a guard has to walk the bytes before it; that guard is in
//! the crate that reads bundles, and one is enough. And so nothing here reads more than a tree
//! that is in memory already.

mod cms;

use std::borrow::Cow;

use plist::{Dictionary, Value};

use crate::PolicyError;
use crate::policy_file::Restrictions;

/// The most bytes of a profile that are read: 64 MiB. Fonts make profiles large.
pub const MAX_PROFILE: usize = 64 << 20;

/// The property list of a profile, out of whatever it was wrapped in.
///
/// The caller parses it, by a parser with limits, and gives the tree to
/// [`ConfigurationProfile::from_value`]: property lists are graphs, and a small one may unfold to
/// more than any memory.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProfileFile<'a> {
    /// The property list, XML or binary.
    pub content: Cow<'a, [u8]>,
    /// Whether it was signed. The signature is not verified, so the signer is not known.
    pub signed: bool,
}

impl<'a> ProfileFile<'a> {
    /// Finds the property list in a file: as it is, or inside a CMS message (RFC 5652,
    /// `SignedData`), in DER or in BER with indefinite lengths.
    ///
    /// # Errors
    ///
    /// Fails when the file is longer than [`MAX_PROFILE`], is neither of the two, or is a damaged
    /// message. `name` is what errors call the file.
    pub fn read(name: &str, bytes: &'a [u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_PROFILE {
            return Err(PolicyError::FileTooLong {
                file: name.into(),
                length: bytes.len(),
                most: MAX_PROFILE,
            });
        }
        if is_property_list(bytes) {
            return Ok(Self { content: bytes.into(), signed: false });
        }
        let bad = |what, offset| PolicyError::NotAProfile { file: name.into(), what, offset };
        if bytes.first() != Some(&0x30) {
            return Err(bad("neither a property list nor a CMS message", 0));
        }
        let content =
            cms::content(bytes).map_err(|cms::Malformed { what, offset }| bad(what, offset))?;
        if is_property_list(&content) {
            Ok(Self { content, signed: true })
        } else {
            Err(bad("the signed content is no property list", 0))
        }
    }
}

fn is_property_list(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.starts_with(b"bplist00") || text.trim_ascii_start().starts_with(b"<")
}

/// What a profile holds, as far as backups depend on it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigurationProfile {
    /// `PayloadIdentifier`.
    pub identifier: Option<Box<str>>,
    /// `PayloadDisplayName`.
    pub display_name: Option<Box<str>>,
    /// `PayloadOrganization`.
    pub organization: Option<Box<str>>,
    /// `PayloadRemovalDisallowed`.
    pub removal_disallowed: bool,
    /// The type of every payload, in order: `com.apple.mdm`, `com.apple.wifi.managed`.
    pub payload_types: Vec<Box<str>>,
    /// What its restrictions say of backups. Where several say something, the stricter holds.
    pub restrictions: Restrictions,
    /// `ServerURL` of its MDM payload; such a profile is an enrolment profile.
    pub mdm_server: Option<Box<str>>,
    /// `EnrollmentMode` of its MDM payload: `BYOD` or `ADDE` for account-driven enrolments.
    pub enrolment_mode: Option<Box<str>>,
    /// What it holds of hardware-bound ACME certificates.
    pub acme: Acme,
    /// True when its payloads are encrypted for one device, so that nothing above is known.
    pub encrypted_payloads: bool,
}

/// Hardware-bound ACME certificates of a profile.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Acme {
    /// There is none.
    #[default]
    None,
    /// There is one, and it is not the MDM identity.
    Elsewhere,
    /// The MDM identity is one.
    MdmIdentity,
}

impl ConfigurationProfile {
    /// Reads a parsed profile. The tree must come from a parser with limits.
    ///
    /// A key of a wrong type is passed over: devices refuse such a profile.
    ///
    /// # Errors
    ///
    /// Fails when this is no configuration profile. `name` is what errors call the file.
    pub fn from_value(name: &str, value: &Value) -> Result<Self, PolicyError> {
        let bad = |what| PolicyError::NotAProfile { file: name.into(), what, offset: 0 };
        let profile = value.as_dictionary().ok_or_else(|| bad("no dictionary"))?;
        if profile.get("PayloadType").and_then(Value::as_string) != Some("Configuration") {
            return Err(bad("its PayloadType is not Configuration"));
        }
        let mut found = Self {
            identifier: text(profile, "PayloadIdentifier"),
            display_name: text(profile, "PayloadDisplayName"),
            organization: text(profile, "PayloadOrganization"),
            removal_disallowed: flag(profile, "PayloadRemovalDisallowed").unwrap_or(false),
            encrypted_payloads: profile.contains_key("EncryptedPayloadContent"),
            ..Self::default()
        };
        let payloads: Vec<&Dictionary> = profile
            .get("PayloadContent")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_dictionary)
            .collect();
        let mut identity = None;
        for payload in &payloads {
            let Some(kind) = text(payload, "PayloadType") else { continue };
            match &*kind {
                "com.apple.mdm" => {
                    found.mdm_server = text(payload, "ServerURL").or(Some("".into()));
                    found.enrolment_mode = text(payload, "EnrollmentMode");
                    identity = text(payload, "IdentityCertificateUUID");
                }
                "com.apple.applicationaccess" => found.restrictions.tighten(&Restrictions {
                    allow_enterprise_book_backup: flag(payload, "allowEnterpriseBookBackup"),
                    force_encrypted_backup: flag(payload, "forceEncryptedBackup"),
                    allow_managed_app_backup: None,
                }),
                _ => {}
            }
            found.payload_types.push(kind);
        }
        for payload in payloads {
            let acme = payload.get("PayloadType").and_then(Value::as_string)
                == Some("com.apple.security.acme");
            if !acme || flag(payload, "HardwareBound") != Some(true) {
                continue;
            }
            let is_identity = identity.is_some() && text(payload, "PayloadUUID") == identity;
            if is_identity {
                found.acme = Acme::MdmIdentity;
            } else if found.acme == Acme::None {
                found.acme = Acme::Elsewhere;
            }
        }
        Ok(found)
    }
}

fn text(dictionary: &Dictionary, key: &str) -> Option<Box<str>> {
    dictionary.get(key).and_then(Value::as_string).map(Into::into)
}

fn flag(dictionary: &Dictionary, key: &str) -> Option<bool> {
    dictionary.get(key).and_then(Value::as_boolean)
}

#[cfg(test)]
mod tests {
    use plist::Value;

    use super::{Acme, ConfigurationProfile, MAX_PROFILE, ProfileFile};
    use crate::PolicyError;

    fn parsed(xml: &str) -> ConfigurationProfile {
        let whole = format!("<plist version=\"1.0\">{xml}</plist>");
        let value = Value::from_reader_xml(whole.as_bytes()).unwrap();
        ConfigurationProfile::from_value("x", &value).unwrap()
    }

    fn configuration(payloads: &str) -> String {
        format!(
            "<dict><key>PayloadType</key><string>Configuration</string>\
             <key>PayloadIdentifier</key><string>com.example.mdm</string>\
             <key>PayloadContent</key><array>{payloads}</array></dict>"
        )
    }

    #[test]
    fn restrictions_of_several_payloads_add_up() {
        let found = parsed(&configuration(
            "<dict><key>PayloadType</key><string>com.apple.applicationaccess</string>\
             <key>allowEnterpriseBookBackup</key><false/><key>forceEncryptedBackup</key><false/></dict>\
             <dict><key>PayloadType</key><string>com.apple.applicationaccess</string>\
             <key>allowEnterpriseBookBackup</key><true/><key>forceEncryptedBackup</key><true/></dict>\
             <dict><key>forceEncryptedBackup</key><true/></dict>",
        ));
        assert_eq!(found.restrictions.allow_enterprise_book_backup, Some(false));
        assert_eq!(found.restrictions.force_encrypted_backup, Some(true));
        assert_eq!(found.restrictions.allow_managed_app_backup, None);
        assert_eq!(found.payload_types.len(), 2);
        assert_eq!(found.identifier.as_deref(), Some("com.example.mdm"));
        assert!(found.mdm_server.is_none() && !found.encrypted_payloads);
    }

    #[test]
    fn acme_is_told_by_the_identity_of_the_enrolment() {
        let mdm = "<dict><key>PayloadType</key><string>com.apple.mdm</string>\
                   <key>ServerURL</key><string>https://mdm.example.com</string>\
                   <key>IdentityCertificateUUID</key><string>A</string></dict>";
        let acme = |uuid: &str, bound: &str| {
            format!(
                "<dict><key>PayloadType</key><string>com.apple.security.acme</string>\
                 <key>PayloadUUID</key><string>{uuid}</string><key>HardwareBound</key>{bound}</dict>"
            )
        };
        for (payloads, expected) in [
            (String::from(mdm), Acme::None),
            (acme("A", "<true/>") + mdm, Acme::MdmIdentity),
            (acme("A", "<false/>") + mdm, Acme::None),
            (acme("B", "<true/>") + mdm, Acme::Elsewhere),
            (acme("A", "<true/>") + mdm + &acme("B", "<true/>"), Acme::MdmIdentity),
            (acme("A", "<true/>"), Acme::Elsewhere),
        ] {
            assert_eq!(parsed(&configuration(&payloads)).acme, expected, "{payloads}");
        }
    }

    #[test]
    fn what_is_no_profile() {
        for (bytes, what) in [
            (&b""[..], "neither a property list nor a CMS message"),
            (b"PK\x03\x04", "neither a property list nor a CMS message"),
            (b"\x30\x00", "the message does not begin with the type of SignedData"),
        ] {
            match ProfileFile::read("x", bytes) {
                Err(PolicyError::NotAProfile { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{other:?}"),
            }
        }
        let plain = ProfileFile::read("x", b"\xef\xbb\xbf \n<?xml version=\"1.0\"?>").unwrap();
        assert!(!plain.signed && plain.content.len() == 26);
        assert!(!ProfileFile::read("x", b"bplist00").unwrap().signed);
        let long = vec![b'<'; MAX_PROFILE + 1];
        assert!(matches!(ProfileFile::read("x", &long), Err(PolicyError::FileTooLong { .. })));
        assert!(ProfileFile::read("x", &long[1..]).is_ok());
        for value in [Value::from("x"), Value::Dictionary(plist::Dictionary::new())] {
            assert!(ConfigurationProfile::from_value("x", &value).is_err());
        }
    }

    /// Real profiles, one of them signed with a CMS message, when they are there.
    #[test]
    fn real_profiles() {
        let Some(data) = std::env::var_os("BKP_SHARED_DATA") else {
            println!("skipped: BKP_SHARED_DATA is not set");
            return;
        };
        for (name, signed, payload) in [
            ("dns-signed.mobileconfig", true, "com.apple.dnsSettings.managed"),
            ("dns-unsigned.mobileconfig", false, "com.apple.dnsSettings.managed"),
            ("mdm-enroll.mobileconfig", false, "com.apple.mdm"),
        ] {
            let path = std::path::Path::new(&data).join("profiles").join(name);
            let bytes = std::fs::read(path).unwrap();
            let file = ProfileFile::read(name, &bytes).unwrap();
            assert_eq!(file.signed, signed);
            let value = Value::from_reader(std::io::Cursor::new(&file.content[..])).unwrap();
            let profile = ConfigurationProfile::from_value(name, &value).unwrap();
            assert!(profile.payload_types.iter().any(|kind| &**kind == payload), "{profile:?}");
            assert_eq!(profile.mdm_server.is_some(), payload == "com.apple.mdm");
            if signed {
                for cut in 0..bytes.len() {
                    assert!(ProfileFile::read(name, &bytes[..cut]).is_err(), "{cut}");
                }
            }
        }
    }
}
