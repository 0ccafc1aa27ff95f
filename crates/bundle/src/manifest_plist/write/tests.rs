use bkp_testkit::{PlistValue, binary_plist, xml_plist};

use super::{ManifestEdit, NewManifest};
use crate::plist_guard::{self, Limits, PlistError};
use crate::plist_tree::Node;
use crate::testing::{Noise, lay_out, shared};
use crate::{
    Application, CatalogKind, DeviceDescription, ManifestPlist, NewStatus, Patch, StatusPlist,
    bplist,
};

/// A status comes out to the last byte. In a manifest devices share empty dictionaries and do not
/// share booleans, by which object in memory they are: that cannot be told from the file's values,
/// which all come out.
#[test]
fn real_binary_plists_come_out_as_they_went_in() {
    for bundle in ["ios13.3-unencrypted", "ios9.3-encrypted-mbdb"] {
        for name in ["Manifest.plist", "Status.plist"] {
            let Some(path) = shared(&format!("bundles/{bundle}/{name}")) else { return };
            let original = std::fs::read(path).unwrap();
            let tree = Node::read(&original, &Limits::MANIFEST).unwrap();
            let written = bplist::write(&tree);
            assert!(Node::read(&written, &Limits::MANIFEST).unwrap() == tree, "{bundle}/{name}");
            assert!(name == "Manifest.plist" || written == original, "{bundle}/{name}");
        }
    }
}

fn sample() -> PlistValue {
    PlistValue::dict([
        ("Version", PlistValue::text("10.0")),
        ("New key", PlistValue::Array(vec![PlistValue::Real(0.1), PlistValue::Int(-5)])),
        ("IsEncrypted", PlistValue::Bool(false)),
        ("Date", PlistValue::Date(1_600_000_000)),
        (
            "Applications",
            PlistValue::dict(
                ["com.example.a", "group.b", "\u{e4}"].map(|id| {
                    (id, PlistValue::dict([("CFBundleIdentifier", PlistValue::text(id))]))
                }),
            ),
        ),
        ("BackupKeyBag", PlistValue::Data(vec![1; 9])),
    ])
}

fn value(bytes: &[u8]) -> plist::Dictionary {
    plist_guard::read_value(bytes, &Limits::MANIFEST).unwrap().into_dictionary().unwrap()
}

#[test]
fn only_what_is_told_changes() {
    for original in [binary_plist(&sample()), xml_plist(&sample())] {
        let keep = |id: &str| id != "group.b";
        let edit = ManifestEdit {
            encrypted: Some(true),
            keybag: Some(vec![2; 5]),
            manifest_key: Patch::Set([3; 44]),
            keep_application: &keep,
        };
        let edited = ManifestPlist::edit(&original, &edit).unwrap();
        assert!(edited.starts_with(b"bplist00"));
        let mut expected = value(&original);
        expected.insert("IsEncrypted".into(), true.into());
        expected.insert("BackupKeyBag".into(), plist::Value::Data(vec![2; 5]));
        expected.insert("ManifestKey".into(), plist::Value::Data(vec![3; 44]));
        expected["Applications"].as_dictionary_mut().unwrap().remove("group.b").unwrap();
        let found = value(&edited);
        assert_eq!(found, expected);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        let edit = ManifestEdit { manifest_key: Patch::Remove, ..ManifestEdit::default() };
        let edited = ManifestPlist::edit(&edited, &edit).unwrap();
        expected.remove("ManifestKey");
        assert_eq!(value(&edited), expected);
    }
}

#[test]
fn without_a_change_the_bytes_stay() {
    for original in [binary_plist(&sample()), xml_plist(&sample())] {
        let edit = ManifestEdit {
            encrypted: Some(false),
            keybag: Some(vec![1; 9]),
            manifest_key: Patch::Remove,
            keep_application: &|_| true,
        };
        for edit in [edit, ManifestEdit::default()] {
            assert_eq!(ManifestPlist::edit(&original, &edit).unwrap(), original);
        }
    }
}

#[test]
fn hostile_and_damaged_ones_are_refused() {
    let edit = ManifestEdit { encrypted: Some(true), ..ManifestEdit::default() };
    let mut objects: Vec<Vec<u8>> = vec![vec![0xd1, 1, 2], vec![0x51, b'a']];
    for at in 2..40 {
        objects.push(vec![0xa2, at + 1, at + 1]);
    }
    objects.push(vec![0xa0]);
    let error = ManifestPlist::edit(&lay_out(&objects, 2, 1, 0), &edit).unwrap_err();
    assert!(matches!(error, PlistError::LimitExceeded { .. }), "{error:?}");
    // The root is no dictionary.
    assert!(ManifestPlist::edit(&binary_plist(&PlistValue::Int(1)), &edit).is_err());
    let original = binary_plist(&sample());
    for cut in 0..original.len() {
        assert!(ManifestPlist::edit(&original[..cut], &edit).is_err(), "{cut}");
    }
    let mut noise = Noise(3);
    let mut edited = 0;
    for _ in 0..5000 {
        let mut original = original.clone();
        let at = noise.below(original.len());
        original[at] ^= u8::try_from(1 + noise.below(255)).unwrap();
        if let Ok(out) = ManifestPlist::edit(&original, &edit) {
            assert_eq!(ManifestPlist::parse(&out).unwrap().is_encrypted, Some(true), "{at}");
            edited += 1;
        }
    }
    assert!(edited > 1000, "{edited}");
}

fn device() -> DeviceDescription {
    let app = Application {
        container_id: "com.example.app".to_owned(),
        version: Some("1.2".to_owned()),
        ..Application::default()
    };
    let group = Application {
        container_id: "group.example".to_owned(),
        content_class: Some("Shared/AppGroup".to_owned()),
        ..Application::default()
    };
    DeviceDescription {
        name: "Somebody\u{2019}s phone".to_owned(),
        product_name: "iPhone 6s Plus".to_owned(),
        product_type: "iPhone8,2".to_owned(),
        product_version: "13.3".to_owned(),
        build_version: "17C54".to_owned(),
        serial_number: "SERIAL".to_owned(),
        udid: "ab".repeat(20),
        applications: vec![app, group],
        ..DeviceDescription::default()
    }
}

#[test]
fn a_new_one_says_what_it_is_made_of() {
    let device = device();
    let new = NewManifest {
        device: &device,
        catalog: CatalogKind::Db,
        date: 1_600_000_000,
        encrypted: true,
        was_passcode_set: true,
        keybag: &[1, 2],
        manifest_key: Some([7; 44]),
    };
    let bytes = ManifestPlist::compose(&new);
    let plist = ManifestPlist::parse(&bytes).unwrap();
    assert_eq!(plist.warnings, []);
    assert_eq!(plist.version.as_deref(), Some("10.0"));
    assert_eq!(plist.system_domains_version.as_deref(), Some("24.0"));
    assert_eq!(plist.date, Some(1_600_000_000));
    assert_eq!((plist.is_encrypted, plist.was_passcode_set), (Some(true), Some(true)));
    assert_eq!(plist.lockdown.device_name.as_ref(), Some(&device.name));
    assert_eq!(plist.lockdown.unique_device_id.as_ref(), Some(&device.udid));
    assert_eq!(plist.keybag.as_deref(), Some(&[1, 2][..]));
    assert_eq!(plist.manifest_key.as_deref(), Some(&[7; 44][..]));
    let ids: Vec<_> = plist
        .applications
        .iter()
        .map(|a| (a.bundle_id.as_deref().unwrap(), a.content_class.as_deref().unwrap()))
        .collect();
    assert_eq!(
        ids,
        [("com.example.app", "Data/Application"), ("group.example", "Shared/AppGroup")]
    );
    let older = NewManifest { catalog: CatalogKind::Mbdb, manifest_key: None, ..new };
    let bytes = ManifestPlist::compose(&older);
    let plist = ManifestPlist::parse(&bytes).unwrap();
    assert_eq!((plist.version.as_deref(), plist.manifest_key), (Some("9.1"), None));
}

/// The keys of a new file are those of a real one, and of the same types.
#[test]
fn a_new_one_has_the_keys_of_a_real_one() {
    let device = device();
    for (bundle, catalog) in
        [("ios13.3-unencrypted", CatalogKind::Db), ("ios9.3-encrypted-mbdb", CatalogKind::Mbdb)]
    {
        let Some(path) = shared(&format!("bundles/{bundle}/Manifest.plist")) else { return };
        let real = value(&std::fs::read(path).unwrap());
        let new = value(&ManifestPlist::compose(&NewManifest {
            device: &device,
            catalog,
            date: 0,
            encrypted: false,
            was_passcode_set: false,
            keybag: &[],
            manifest_key: None,
        }));
        let shape = |dict: &plist::Dictionary| {
            let mut shape: Vec<_> = dict
                .iter()
                .map(|(key, value)| (key.clone(), std::mem::discriminant(value)))
                .collect();
            shape.sort_by(|a, b| a.0.cmp(&b.0));
            shape
        };
        assert_eq!(shape(&new), shape(&real), "{bundle}");
        let lockdown = |dict: &plist::Dictionary| dict["Lockdown"].as_dictionary().unwrap().clone();
        let (new, real) = (lockdown(&new), lockdown(&real));
        assert_eq!(shape(&new), shape(&real), "{bundle}");
        let switches = |dict: &plist::Dictionary| {
            shape(dict["com.apple.Accessibility"].as_dictionary().unwrap())
        };
        assert_eq!(switches(&new), switches(&real), "{bundle}");
    }
}

#[test]
fn a_new_status_is_as_long_as_a_real_one() {
    for (catalog, version) in [(CatalogKind::Db, "3.3"), (CatalogKind::Mbdb, "2.4")] {
        let uuid = std::array::from_fn(|at| 0xf0 | u8::try_from(at).unwrap());
        let bytes = StatusPlist::compose(&NewStatus { uuid, date: 1_581_194_944, catalog });
        assert_eq!(bytes.len(), 189);
        let status = StatusPlist::parse(&bytes).unwrap();
        assert_eq!(status.uuid.as_deref(), Some("F0F1F2F3-F4F5-F6F7-F8F9-FAFBFCFDFEFF"));
        assert_eq!((status.version.as_deref(), status.date), (Some(version), Some(1_581_194_944)));
        assert_eq!(status.backup_state.as_deref(), Some("new"));
        assert_eq!(status.snapshot_state.as_deref(), Some("finished"));
        assert_eq!(status.is_full_backup, Some(false));
    }
}
