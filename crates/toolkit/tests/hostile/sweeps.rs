//! Every prefix and every single-byte change of a keybag, a property list and an archive.

use std::ops::ControlFlow;

use bkp_bundle::{ManifestPlist, MbFile, MbFileError, PlistError, parse_xattrs};
use bkp_core::ProtectionClass;
use bkp_crypto::{ClassState, Keybag, Passphrase, UnlockError};
use bkp_testkit::faults::seeds;
use bkp_testkit::{BundleSpec, Encryption};

use crate::noise::{each_byte, each_prefix};

fn bag() -> Vec<u8> {
    let mut spec = BundleSpec::new(3);
    spec.encryption = Some(Encryption { password: "test".into(), dpic: Some(2), iterations: 1 });
    spec.keybag_contents().encode()
}

/// Which classes open, and which need the device.
fn states(bytes: &[u8]) -> Result<Vec<Option<ClassState>>, String> {
    let keybag = Keybag::parse(bytes).map_err(|_| "damaged".to_owned())?;
    let passphrase = Passphrase::new("test".into());
    let mut go_on = |_| ControlFlow::Continue(());
    match keybag.unlock(&passphrase, 2_000, &mut go_on) {
        Ok(keys) => Ok((0..=12).map(|class| keys.state(ProtectionClass(class))).collect()),
        Err(UnlockError::WrongPassphrase { .. }) => Err("wrong password".into()),
        Err(UnlockError::ExcessiveWork { .. }) => Err("too much work".into()),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// What each byte of the bag is: the tag, and whether it is in the tag, the length or the value.
fn parts(bag: &[u8]) -> Vec<(String, &'static str)> {
    let mut parts = Vec::new();
    let mut uuids = 0;
    while parts.len() < bag.len() {
        let head = &bag[parts.len()..parts.len() + 8];
        let tag = String::from_utf8(head[..4].to_vec()).unwrap();
        let len = u32::from_be_bytes(head[4..].try_into().unwrap());
        uuids += usize::from(tag == "UUID");
        let place = if uuids > 1 { "class" } else { "header" };
        let tag = format!("{place} {tag}");
        for (part, count) in [("tag", 4), ("length", 4), ("value", len)] {
            parts.extend((0..count).map(|_| (tag.clone(), part)));
        }
    }
    parts
}

#[test]
fn keybags() {
    let sound = bag();
    let same = states(&sound).unwrap();
    let parts = parts(&sound);
    let say = |bytes: &[u8]| match states(bytes) {
        Ok(states) if states == same => "the same".to_owned(),
        Ok(states) => {
            let fewer = states.iter().zip(&same).filter(|(a, b)| a != b).count();
            format!("{fewer} classes differ")
        }
        Err(error) => error,
    };
    each_byte("keybag", &sound, |at, bytes| {
        let (tag, part) = &parts[at];
        let outcome = say(bytes);
        // What a changed value must come to, whichever bit it is.
        let allowed: &[&str] = match (tag.as_str(), *part) {
            ("class WPKY", "value") => &["1 classes differ"],
            ("header SALT" | "header DPSL", "value") => &["wrong password"],
            ("header ITER" | "header DPIC", "value") => {
                &["wrong password", "too much work", "damaged"]
            }
            ("class CLAS", "value") => &["damaged", "1 classes differ", "2 classes differ"],
            // 3 and 1 both need the device.
            ("class WRAP", "value") => &["1 classes differ", "the same"],
            (_, "value") => &["the same"],
            (
                "header VERS" | "header TYPE" | "header HMCK" | "header WRAP" | "header DPWT",
                "tag",
            ) => &["the same", "damaged"],
            ("class WRAP" | "class WPKY", "tag") => &["1 classes differ", "damaged"],
            ("class KTYP", "tag") => &["the same", "damaged"],
            // Of no fixed length. A longer one may take in its neighbour, and nothing needs WRAP.
            ("header HMCK", "length") => &["damaged", "the same"],
            ("header SALT" | "header DPSL", "length") => &["damaged", "wrong password"],
            _ => &["damaged"],
        };
        assert!(allowed.contains(&outcome.as_str()), "{tag} {part}: {outcome} (byte {at})");
        format!("{part}: {outcome}")
    });
    each_prefix("keybag", &sound, say);
}

/// What a property list came to. An error is about a place in the file.
fn manifest(bytes: &[u8]) -> Result<ManifestPlist, &'static str> {
    ManifestPlist::parse(bytes).map_err(|error| match error {
        PlistError::Malformed { offset, .. } => inside("malformed", offset, bytes),
        PlistError::Xml { offset, .. } => inside("no XML", offset, bytes),
        PlistError::Unsupported { offset, .. } => inside("unsupported", offset, bytes),
        PlistError::LimitExceeded { .. } => "beyond a limit",
        error => panic!("{error:?}"),
    })
}

fn inside(what: &'static str, offset: usize, bytes: &[u8]) -> &'static str {
    assert!(offset <= bytes.len(), "{what} at {offset} of {}", bytes.len());
    what
}

fn sweep_manifest(name: &str, sound: &[u8]) {
    let same = manifest(sound).unwrap();
    assert!(same.warnings.is_empty() && same.manifest_key.is_some() && same.date.is_some());
    let say = |bytes: &[u8]| {
        match manifest(bytes) {
            Ok(plist) if plist == same => "the same",
            Ok(plist) if plist.warnings.is_empty() => "other values",
            Ok(_) => "odd values",
            Err(what) => what,
        }
        .to_owned()
    };
    each_byte(name, sound, |_, bytes| say(bytes));
    // What is cut off is missed, unless it is the line's end.
    each_prefix(name, sound.trim_ascii_end(), |bytes| {
        let outcome = say(bytes);
        assert!(manifest(bytes).is_err(), "{} bytes: {outcome}", bytes.len());
        outcome
    });
}

#[test]
fn manifests_in_binary() {
    sweep_manifest("Manifest.plist, binary", &seeds::small_manifests().0);
}

#[test]
fn manifests_in_xml() {
    sweep_manifest("Manifest.plist, XML", &seeds::small_manifests().1);
}

#[test]
fn archives() {
    let sound = seeds::every_archive_field();
    let same = MbFile::parse(&sound).unwrap();
    assert_eq!((same.unknown, same.unreadable), (0, 0));
    assert_eq!(parse_xattrs(same.extended_attributes.unwrap()).unwrap().items.len(), 2);
    let say = |bytes: &[u8]| {
        match MbFile::parse(bytes) {
            Ok(file) => {
                let xattrs = file.extended_attributes.map(parse_xattrs);
                // Whatever is not as it was is either told or another value of the same sort.
                match (file == same, xattrs) {
                    (true, _) => "the same",
                    (_, Some(Err(_))) => "damaged attributes",
                    _ if file.unreadable > 0 => "unreadable keys",
                    _ if format!("{:?}", file.bad) != format!("{:?}", same.bad) => {
                        "unusable fields"
                    }
                    _ => "other values",
                }
            }
            Err(MbFileError::Malformed { offset, .. }) => inside("malformed", offset, bytes),
            Err(MbFileError::NotBinary) => "not binary",
            Err(MbFileError::NotMbFile { .. }) => "no MBFile",
            Err(error) => panic!("{error:?}"),
        }
        .to_owned()
    };
    each_byte("archive", &sound, |_, bytes| say(bytes));
    let prefixes = each_prefix("archive", &sound, say);
    let refused = prefixes.keys().all(|key| key == "malformed" || key == "not binary");
    assert!(refused, "{prefixes:?}");
}
