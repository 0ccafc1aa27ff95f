use bkp_testkit::{PlistValue, binary_plist, xml_plist};

use super::NewInfo;
use crate::plist_guard::{self, Limits};
use crate::testing::shared;
use crate::{Application, DeviceDescription, InfoPlist};

fn sample() -> PlistValue {
    let app = |n| {
        PlistValue::dict([
            ("PlaceholderIcon", PlistValue::Data(vec![n; 100])),
            ("Applications", PlistValue::dict([("b", PlistValue::text("b"))])),
        ])
    };
    PlistValue::dict([
        (
            "Installed Applications",
            PlistValue::Array(["a", "b", "c&d"].map(PlistValue::text).into()),
        ),
        ("Other", PlistValue::Array(vec![PlistValue::text("b")])),
        ("Applications", PlistValue::dict([("a", app(1)), ("b", app(2)), ("c&d", app(3))])),
        ("Last", PlistValue::Bool(true)),
    ])
}

fn value(bytes: &[u8]) -> plist::Dictionary {
    plist_guard::read_value(bytes, &Limits::INFO).unwrap().into_dictionary().unwrap()
}

#[test]
fn apps_go_and_all_else_stays() {
    for original in [binary_plist(&sample()), xml_plist(&sample())] {
        for gone in [&["a"][..], &["b"], &["c&d"], &["a", "b"], &["b", "c&d"], &["a", "b", "c&d"]] {
            let left = InfoPlist::without_applications(&original, &|id| gone.contains(&id));
            let left = left.unwrap();
            assert_eq!(left.starts_with(b"bplist"), original.starts_with(b"bplist"));
            let mut expected = value(&original);
            let apps = expected["Applications"].as_dictionary_mut().unwrap();
            apps.retain(|id, _| !gone.contains(&id.as_str()));
            let list = expected["Installed Applications"].as_array_mut().unwrap();
            list.retain(|id| !gone.contains(&id.as_string().unwrap()));
            assert_eq!(value(&left), expected, "{gone:?}");
        }
        let left = InfoPlist::without_applications(&original, &|id| id == "z").unwrap();
        assert_eq!(left, original);
    }
}

#[test]
fn the_text_around_is_kept_to_the_byte() {
    let text = "\u{feff}<?xml version='1.0'?>\n<!-- by hand -->\n<plist><dict>\r\n\
        \t<key>Applications</key>\n\t<dict>\n\t\t<key>a</key>  <dict/>\n\t\t<key>b</key>\n\t\t<dict>\
        <key>x</key><string>\u{e4}</string></dict>\n\t</dict>\n\
        <key>Installed Applications</key><array><string>a</string><integer>4</integer>\n\
        <string>b</string></array>   <key>Applications</key><string>a</string></dict></plist>\n";
    let without_a = "\u{feff}<?xml version='1.0'?>\n<!-- by hand -->\n<plist><dict>\r\n\
        \t<key>Applications</key>\n\t<dict>\n\t\t<key>b</key>\n\t\t<dict>\
        <key>x</key><string>\u{e4}</string></dict>\n\t</dict>\n\
        <key>Installed Applications</key><array><integer>4</integer>\n\
        <string>b</string></array>   <key>Applications</key><string>a</string></dict></plist>\n";
    let without_b = "\u{feff}<?xml version='1.0'?>\n<!-- by hand -->\n<plist><dict>\r\n\
        \t<key>Applications</key>\n\t<dict>\n\t\t<key>a</key>  <dict/>\n\t</dict>\n\
        <key>Installed Applications</key><array><string>a</string><integer>4</integer>\
        </array>   <key>Applications</key><string>a</string></dict></plist>\n";
    for (gone, expected) in [("a", without_a), ("b", without_b), ("x", text)] {
        let left = InfoPlist::without_applications(text.as_bytes(), &|id| id == gone).unwrap();
        assert_eq!(String::from_utf8(left).unwrap(), expected, "{gone}");
    }
}

#[test]
fn every_cut_of_the_file_is_refused() {
    for original in [binary_plist(&sample()), xml_plist(&sample())] {
        let text = original.trim_ascii_end().len();
        for cut in 0..text {
            let left = InfoPlist::without_applications(&original[..cut], &|id| id == "b");
            assert!(left.is_err(), "{cut}");
        }
    }
}

#[test]
fn real_ones_stay_when_nothing_matches() {
    for bundle in ["ios13.3-unencrypted", "ios9.3-encrypted-mbdb"] {
        let Some(path) = shared(&format!("bundles/{bundle}/Info.plist")) else { return };
        let original = std::fs::read(path).unwrap();
        let left = InfoPlist::without_applications(&original, &|_| true).unwrap();
        assert_eq!(left, original);
    }
}

#[test]
fn a_new_one_says_what_it_is_made_of() {
    let app =
        Application { container_id: "com.example.<app>".to_owned(), ..Application::default() };
    let group = Application {
        container_id: "group.example".to_owned(),
        content_class: Some("Shared/AppGroup".to_owned()),
        ..Application::default()
    };
    let device = DeviceDescription {
        name: "a\u{1}b & c \u{1f600}".to_owned(),
        product_type: "iPhone8,2".to_owned(),
        udid: "ab".repeat(20),
        applications: vec![app, group],
        ..DeviceDescription::default()
    };
    let new = NewInfo { device: &device, date: -1, guid: [0xab; 16], itunes_version: "12.11.0.26" };
    let bytes = InfoPlist::compose(&new).unwrap();
    assert!(bytes.starts_with(b"<?xml"));
    let info = InfoPlist::parse(&bytes).unwrap();
    assert_eq!(info.warnings, []);
    assert_eq!(info.device_name.as_deref(), Some("a\u{fffd}b & c \u{1f600}"));
    assert_eq!(info.display_name, info.device_name);
    assert_eq!((info.last_backup_date, info.imei), (Some(-1), None));
    assert_eq!(info.guid, Some("AB".repeat(16)));
    assert_eq!(info.target_identifier.as_ref(), Some(&device.udid));
    assert_eq!(info.unique_identifier, Some("AB".repeat(20)));
    assert_eq!(info.target_type.as_deref(), Some("Device"));
    assert_eq!(info.itunes_version.as_deref(), Some("12.11.0.26"));
    assert_eq!(info.installed_applications, ["com.example.<app>"]);
    let keys = value(&bytes);
    for key in ["Applications", "iTunes Files", "iTunes Settings"] {
        assert!(keys[key].as_dictionary().is_some(), "{key}");
    }
    assert!(InfoPlist::compose(&NewInfo { date: i64::MAX, ..new }).is_err());
}
