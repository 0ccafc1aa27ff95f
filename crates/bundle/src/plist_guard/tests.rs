#![allow(clippy::arithmetic_side_effects)]

use std::io::Cursor;

use plist::{Dictionary, Value};

use super::{Events, Format, Limits, PlistError, check, read_value};
use crate::testing::{Noise, lay_out, shared};
use crate::{InfoPlist, ManifestPlist, StatusPlist};

const LIMITS: Limits = Limits::STATUS;

fn be(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap().to_be_bytes()
}

/// `depth` arrays, each in the one before, and a boolean in the last.
fn nested(depth: usize) -> Vec<u8> {
    let mut objects: Vec<_> = (1..=depth).map(|n| [&[0xa1][..], &be(n)].concat()).collect();
    objects.push(vec![0x09]);
    lay_out(&objects, 4, 4, 0)
}

/// `levels` arrays that each name the next one `width` times.
fn shared_references(levels: usize, width: usize, leaf: Vec<u8>) -> Vec<u8> {
    let mut objects: Vec<_> = (1..=levels)
        .map(|n| [&[0xaf, 0x12][..], &be(width), &be(n).repeat(width)].concat())
        .collect();
    objects.push(leaf);
    lay_out(&objects, 4, 4, 0)
}

fn xml(body: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST \
         1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n\
         {body}\n</plist>\n"
    )
    .into_bytes()
}

fn xml_nested(depth: usize) -> Vec<u8> {
    xml(&format!("{}<true/>{}", "<array>".repeat(depth), "</array>".repeat(depth)))
}

fn limit(bytes: &[u8], limits: &Limits) -> Option<&'static str> {
    match check(bytes, limits) {
        Ok(_) => None,
        Err(PlistError::LimitExceeded { what, .. }) => Some(what),
        Err(other) => panic!("{other:?}"),
    }
}

fn malformed(bytes: &[u8]) -> (&'static str, usize) {
    match check(bytes, &LIMITS) {
        Err(PlistError::Malformed { what, offset }) => (what, offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nesting_stops_at_the_limit() {
    for depth in [1, 511, 512] {
        assert_eq!(limit(&nested(depth), &LIMITS), None, "{depth}");
        assert_eq!(limit(&xml_nested(depth), &LIMITS), None, "{depth}");
        assert!(read_value(&nested(depth), &LIMITS).is_ok());
        assert!(read_value(&xml_nested(depth), &LIMITS).is_ok());
    }
    for depth in [513, 1000, 50_000] {
        assert_eq!(limit(&nested(depth), &LIMITS), Some("nested containers"), "{depth}");
        assert_eq!(limit(&xml_nested(depth), &LIMITS), Some("nested containers"), "{depth}");
    }
}

#[test]
fn visits_stop_at_the_limit() {
    let limits = Limits { visits: 1000, ..LIMITS };
    // One for the root and one for each value.
    for (values, expected) in [(998, None), (999, None), (1000, Some("keys and values"))] {
        let binary = shared_references(1, values, vec![0x09]);
        assert_eq!(limit(&binary, &limits), expected, "{values}");
        let xml = xml(&format!("<array>{}</array>", "<true/>".repeat(values)));
        assert_eq!(limit(&xml, &limits), expected, "{values}");
    }
}

#[test]
fn bombs_of_shared_references() {
    // The 1,408 bytes that exhaust the memory of a parser that builds the tree.
    let bomb = shared_references(8, 10, [&[0x5f, 0x11, 3, 0xe8][..], &[b'A'; 1000]].concat());
    assert!(bomb.len() < 2000);
    let what = "bytes of text and data, shared ones counted each time,";
    assert_eq!(limit(&bomb, &LIMITS), Some(what));
    let bomb = shared_references(8, 10, vec![0x09]);
    assert_eq!(limit(&bomb, &LIMITS), Some("keys and values"));
    // Few visits, and a long string each time.
    let long = [&[0x4f, 0x12][..], &be(900_000), &vec![0; 900_000]].concat();
    let bomb = shared_references(1, 100, long);
    assert_eq!(limit(&bomb, &LIMITS), Some(what));
    // One list of references that is longer than the limit is refused before it is copied.
    let wide = shared_references(1, 1_100_000, vec![0x09]);
    assert_eq!(limit(&wide, &Limits::MANIFEST), Some("keys and values"));
}

#[test]
fn what_is_damaged_says_where() {
    let one = |object: Vec<u8>| lay_out(&[object], 4, 4, 0);
    let runs = "object runs into the offset table";
    assert_eq!(malformed(&one([&[0x4f, 0x13][..], &[0, 0, 1, 0, 0, 0, 0, 0]].concat())), (runs, 8));
    assert_eq!(malformed(&one([&[0xaf, 0x13][..], &[0, 0, 0, 2, 0, 0, 0, 0]].concat())), (runs, 8));
    assert_eq!(malformed(&one([&[0xaf, 0x13][..], &[0xff; 8]].concat())), (runs, 8));
    assert_eq!(malformed(&one(vec![0xa1, 0, 0, 0, 0])), ("container that holds itself", 8));
    assert_eq!(malformed(&one(vec![0x70])), ("unknown kind of object", 8));
    assert_eq!(malformed(&one(vec![0x00])), ("null object", 8));
    assert_eq!(malformed(b"").0, "the file is empty");
    assert_eq!(malformed(b"hello").0, "neither XML nor binary");
    assert_eq!(malformed(b"bplist00").0, "no room for the trailer");
    let mut many = one(vec![0x09]);
    let len = many.len();
    many[len - 24..len - 16].copy_from_slice(&(1_u64 << 40).to_be_bytes());
    assert_eq!(malformed(&many).0, "object table is beyond the end");
    let integer_key = lay_out(&[vec![0xd1, 1, 1], vec![0x10, 1]], 1, 1, 0);
    assert_eq!(malformed(&integer_key), ("key is no string", 11));
}

#[test]
fn dates_that_the_plist_crate_panics_on_are_refused() {
    // Year 0 and before cannot be printed, nor can what a time zone carries past year 9999.
    let binary = |seconds: f64| lay_out(&[[&[0x33][..], &seconds.to_be_bytes()].concat()], 1, 1, 0);
    for seconds in [-63_113_904_001.0, 252_392_457_600.0, f64::NAN, f64::INFINITY, -1e300] {
        assert_eq!(malformed(&binary(seconds)).0, "date outside the years 1 to 9998");
    }
    for seconds in [-63_113_904_000.0, 0.0, 252_392_457_599.5] {
        let value = read_value(&binary(seconds), &LIMITS).unwrap();
        let printed = value.as_date().unwrap().to_xml_format();
        let again = read_value(&xml(&format!("<date>{}Z</date>", &printed[..19])), &LIMITS);
        assert_eq!(again.unwrap().as_date().unwrap().to_xml_format()[..19], printed[..19]);
    }
    for date in [
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "2019-02-29T00:00:00Z",
        "2020-01-01",
        "now",
    ] {
        assert!(malformed(&xml(&format!("<date>{date}</date>"))).0.contains("date"), "{date}");
    }
}

#[test]
fn text_that_the_plist_crate_would_lose_is_refused() {
    let cdata = xml("<string>a<![CDATA[b]]>c</string>");
    assert!(matches!(
        check(&cdata, &LIMITS),
        Err(PlistError::Unsupported { what: "a CDATA section", .. })
    ));
    let entity = xml("<string>a&b;c</string>");
    assert_eq!(malformed(&entity).0, "entity that is not defined");
    let bomb =
        b"<?xml version=\"1.0\"?><!DOCTYPE plist [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">\
                 ]><plist><string>&b;</string></plist>";
    assert!(matches!(
        check(bomb, &LIMITS),
        Err(PlistError::Unsupported { what: "a DTD with declarations of its own", .. })
    ));
    let known = xml("<string>a&amp;b&#x20;&lt;<!-- c -->d</string>");
    assert_eq!(read_value(&known, &LIMITS).unwrap(), Value::from("a&b <d"));
}

#[test]
fn encodings() {
    let text = "<plist><string>grün</string></plist>";
    for (bytes, ok) in [
        (text.as_bytes().to_vec(), true),
        ([b"\xef\xbb\xbf", text.as_bytes()].concat(), true),
        (format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{text}").into_bytes(), false),
        (format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{text}").into_bytes(), true),
        (
            [0xff_u8, 0xfe]
                .into_iter()
                .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
                .collect(),
            false,
        ),
        (text.encode_utf16().flat_map(u16::to_be_bytes).collect(), false),
        (text.encode_utf16().flat_map(u16::to_le_bytes).collect(), false),
        (b"{ a = b; }".to_vec(), false),
        (b"bplist15".to_vec(), false),
    ] {
        match check(&bytes, &LIMITS) {
            Ok(format) => {
                assert!(ok && format == Format::Xml);
                assert_eq!(read_value(&bytes, &LIMITS).unwrap(), Value::from("grün"));
            }
            Err(error) => {
                assert!(!ok && matches!(error, PlistError::Unsupported { .. }), "{error:?}");
            }
        }
    }
    assert_eq!(malformed(b"<plist><string>gr\xfcn</string></plist>"), ("text is not UTF-8", 17));
}

#[test]
fn xml_that_is_not_one_property_list() {
    for body in [
        "",
        "<true/><false/>",
        "<dict><string>a</string></dict>",
        "<dict><key>a</key></dict>",
        "<dict><key>a</key><key>b</key></dict>",
        "<key>a</key>",
        "<array>text</array>",
        "<string><b/></string>",
        "<blob/>",
        "<plist/>",
        "<integer>abc</integer>",
        "<real>abc</real>",
    ] {
        assert!(matches!(check(&xml(body), &LIMITS), Err(PlistError::Malformed { .. })), "{body}");
    }
    for bytes in ["<plist><array></dict></plist>", "<plist><true></plist>", "<plist><a b=></a"] {
        assert!(check(bytes.as_bytes(), &LIMITS).is_err(), "{bytes}");
    }
    let cut = "<plist><array><true/>";
    assert!(check(cut.as_bytes(), &LIMITS).is_err());
}

/// Whatever passes the check must be harmless to build, print and drop.
fn survive(bytes: &[u8], limits: &Limits) {
    let Ok(mut events) = Events::new(bytes, limits) else { return };
    while let Ok(Some(_)) = events.next() {}
    if let Ok(value) = read_value(bytes, limits) {
        drop(format!("{value:?}"));
        // XML cannot hold a UID; that is an error and no panic.
        let _ = value.to_writer_xml(std::io::sink());
    }
    let _ = ManifestPlist::parse(bytes);
    let _ = InfoPlist::parse(bytes);
    let _ = StatusPlist::parse(bytes);
}

fn sample() -> Value {
    let mut lockdown = Dictionary::new();
    lockdown.insert("ProductVersion".into(), "13.3".into());
    lockdown.insert("DeviceName".into(), "Büro 📱".into());
    let mut app = Dictionary::new();
    app.insert("CFBundleIdentifier".into(), "com.example.notes".into());
    app.insert("ContainerContentClass".into(), "Data/Application".into());
    let mut apps = Dictionary::new();
    apps.insert("com.example.notes".into(), Value::Dictionary(app));
    let mut root = Dictionary::new();
    root.insert("Version".into(), "10.0".into());
    root.insert("Date".into(), Value::Date(std::time::UNIX_EPOCH.into()));
    root.insert("IsEncrypted".into(), true.into());
    root.insert("Lockdown".into(), Value::Dictionary(lockdown));
    root.insert("Applications".into(), Value::Dictionary(apps));
    root.insert("BackupKeyBag".into(), Value::Data((0..60).collect()));
    root.insert("Numbers".into(), Value::Array(vec![1.5.into(), (-3).into(), 70_000.into()]));
    Value::Dictionary(root)
}

fn encodings_of(value: &Value) -> [Vec<u8>; 2] {
    let (mut binary, mut xml) = (Vec::new(), Vec::new());
    value.to_writer_binary(&mut binary).unwrap();
    value.to_writer_xml(&mut xml).unwrap();
    [binary, xml]
}

#[test]
fn every_prefix_and_every_changed_byte() {
    for bytes in encodings_of(&sample()) {
        assert_eq!(read_value(&bytes, &LIMITS).unwrap(), sample());
        let end = bytes.trim_ascii_end().len();
        for end in 0..end {
            assert!(check(&bytes[..end], &LIMITS).is_err(), "a cut at {end} was accepted");
            survive(&bytes[..end], &LIMITS);
        }
        let mut changed = bytes.clone();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x0f, 0x13, 0x40, 0x7f, 0x80, 0xa1, 0xd3, 0xff, b'<', b'&', b'9'] {
                changed[at] = value;
                survive(&changed, &LIMITS);
            }
            changed[at] = bytes[at];
        }
    }
}

#[test]
fn random_damage() {
    let mut noise = Noise(0xb0b);
    let samples = encodings_of(&sample());
    for round in 0..20_000 {
        let mut bytes = samples[round % 2].clone();
        for _ in 0..=noise.below(5) {
            let at = noise.below(bytes.len());
            bytes[at] = noise.next().to_le_bytes()[0];
        }
        survive(&bytes, &LIMITS);
    }
}

#[test]
fn fields_of_both_encodings() {
    for bytes in encodings_of(&sample()) {
        let manifest = ManifestPlist::parse(&bytes).unwrap();
        assert_eq!(manifest.version.as_deref(), Some("10.0"));
        assert_eq!(manifest.date, Some(0));
        assert_eq!(manifest.is_encrypted, Some(true));
        assert_eq!(manifest.was_passcode_set, None);
        assert_eq!(manifest.lockdown.product_version.as_deref(), Some("13.3"));
        assert_eq!(manifest.lockdown.device_name.as_deref(), Some("Büro 📱"));
        assert_eq!(manifest.applications.len(), 1);
        assert_eq!(manifest.applications[0].container_id, "com.example.notes");
        assert_eq!(manifest.applications[0].version, None);
        assert_eq!(manifest.keybag, Some((0..60).collect()));
        assert_eq!((manifest.manifest_key, manifest.warnings), (None, Vec::new()));
    }
}

#[test]
fn odd_values_cost_only_themselves() {
    let body = "<dict><key>Version</key><real>9.1</real><key>SystemDomainsVersion</key><array>\
                <dict/></array><key>Date</key><date>yesterday</date><key>IsEncrypted</key>\
                <integer>1</integer><key>WasPasscodeSet</key><string>yes</string>\
                <key>Lockdown</key><dict><key>DeviceName</key><data>AAAA</data><key>ProductType</key>\
                <string><![CDATA[iPhone8,2]]></string></dict><key>Applications</key><dict>\
                <key>a</key><string/></dict><key>BackupKeyBag</key><data>!</data>\
                <key>ManifestKey</key><data>\n\tAQID\n\tBA==\n</data></dict>";
    let manifest = ManifestPlist::parse(&xml(body)).unwrap();
    assert_eq!(manifest.version.as_deref(), Some("9.1"));
    assert_eq!((manifest.is_encrypted, manifest.was_passcode_set), (Some(true), None));
    assert_eq!((manifest.date, manifest.system_domains_version), (None, None));
    assert_eq!(manifest.lockdown.product_type.as_deref(), Some("iPhone8,2"));
    assert_eq!((manifest.keybag, manifest.manifest_key), (None, Some(vec![1, 2, 3, 4])));
    assert_eq!(manifest.applications[0].container_id, "a");
    let warnings: Vec<_> = manifest.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "SystemDomainsVersion is an array, not a string or a number",
            "Date is an unreadable date, not a date",
            "WasPasscodeSet is a string, not a boolean",
            "Lockdown.DeviceName is data, not a string",
            "Applications.a is a string, not a dictionary",
            "BackupKeyBag is damaged, not data",
        ]
    );
    assert!(ManifestPlist::parse(&xml("<array/>")).is_err());
    assert!(ManifestPlist::parse(&xml("<dict/>")).unwrap() == ManifestPlist::default());
}

#[test]
fn info_passes_over_icons() {
    let body = "<dict><key>Device Name</key><string>X</string><key>GUID</key>\
                <data>AAECAwQFBgcICQoLDA0ODw==</data><key>Installed Applications</key><array>\
                <string>a</string><true/><string>b</string></array><key>Applications</key><dict>\
                <key>a</key><dict><key>PlaceholderIcon</key><data>AAAA</data><key>IsDemotedApp</key>\
                <true/></dict><key>b</key><dict><key>iTunesMetadata</key><dict><key>x</key><array/>\
                </dict><key>ApplicationSINF</key><data/></dict></dict>\
                <key>IMEI2</key><string>2</string></dict>";
    let info = InfoPlist::parse(&xml(body)).unwrap();
    assert_eq!(info.guid.as_deref(), Some("000102030405060708090A0B0C0D0E0F"));
    assert_eq!(info.installed_applications, ["a", "b"]);
    assert_eq!(info.imei2.as_deref(), Some("2"));
    let [a, b] = &info.applications[..] else { panic!("{:?}", info.applications) };
    assert!(a.has_placeholder_icon && !a.has_itunes_metadata && !a.has_sinf);
    assert_eq!(a.is_demoted, Some(true));
    assert!(!b.has_placeholder_icon && b.has_itunes_metadata && b.has_sinf);
    assert_eq!(info.warnings.len(), 1);
    assert_eq!(
        info.warnings[0].to_string(),
        "Installed Applications is a boolean, not an array of strings"
    );
}

/// Counts what the events of a real file hold, against the tree that the `plist` crate builds.
#[test]
fn real_files_pass_and_read_as_the_plist_crate_reads_them() {
    for bundle in [
        "ios13.3-unencrypted",
        "ios9.3-encrypted-mbdb",
        "thirdparty-10.3-encrypted",
        "thirdparty-9.0.1-encrypted-mbdb",
    ] {
        let read = |name: &str| {
            let path = shared(&format!("bundles/{bundle}/{name}"))?;
            Some(std::fs::read(path).unwrap())
        };
        let Some(bytes) = read("Manifest.plist") else { return };
        let tree = read_value(&bytes, &Limits::MANIFEST).unwrap();
        let tree = tree.as_dictionary().unwrap();
        let manifest = ManifestPlist::parse(&bytes).unwrap();
        assert_eq!(manifest.warnings, [], "{bundle}");
        let string = |dict: &Dictionary, key: &str| {
            dict.get(key).map(|value| value.as_string().unwrap().to_owned())
        };
        let unix = |dict: &Dictionary, key: &str| {
            dict.get(key).map(|date| {
                let date: std::time::SystemTime = date.as_date().unwrap().into();
                let since = date.duration_since(std::time::UNIX_EPOCH).unwrap();
                i64::try_from(since.as_secs()).unwrap()
            })
        };
        assert_eq!(manifest.version, string(tree, "Version"));
        assert_eq!(manifest.date, unix(tree, "Date"));
        assert_eq!(manifest.is_encrypted, tree.get("IsEncrypted").and_then(Value::as_boolean));
        assert_eq!(manifest.keybag.as_deref(), tree.get("BackupKeyBag").and_then(Value::as_data));
        assert_eq!(
            manifest.manifest_key.as_deref(),
            tree.get("ManifestKey").and_then(Value::as_data)
        );
        let lockdown = tree["Lockdown"].as_dictionary().unwrap();
        assert_eq!(manifest.lockdown.product_version, string(lockdown, "ProductVersion"));
        assert_eq!(manifest.lockdown.unique_device_id, string(lockdown, "UniqueDeviceID"));
        let empty = Dictionary::new();
        let apps = tree.get("Applications").map_or(&empty, |apps| apps.as_dictionary().unwrap());
        assert_eq!(manifest.applications.len(), apps.len());
        for (ours, (id, theirs)) in manifest.applications.iter().zip(apps) {
            let theirs = theirs.as_dictionary().unwrap();
            assert_eq!(&ours.container_id, id);
            assert_eq!(ours.bundle_id, string(theirs, "CFBundleIdentifier"));
            assert_eq!(ours.version, string(theirs, "CFBundleVersion"));
            assert_eq!(ours.path, string(theirs, "Path"));
        }

        let bytes = read("Info.plist").unwrap();
        let tree = read_value(&bytes, &Limits::INFO).unwrap();
        let tree = tree.as_dictionary().unwrap();
        let info = InfoPlist::parse(&bytes).unwrap();
        assert_eq!(info.warnings, [], "{bundle}");
        assert_eq!(info.product_version, string(tree, "Product Version"));
        assert_eq!(info.serial_number, string(tree, "Serial Number"));
        assert_eq!(info.last_backup_date, unix(tree, "Last Backup Date"));
        let installed =
            tree.get("Installed Applications").map_or(0, |v| v.as_array().unwrap().len());
        assert_eq!(info.installed_applications.len(), installed);

        let bytes = read("Status.plist").unwrap();
        let tree = read_value(&bytes, &Limits::STATUS).unwrap();
        let tree = tree.as_dictionary().unwrap();
        let status = StatusPlist::parse(&bytes).unwrap();
        assert_eq!(status.warnings, [], "{bundle}");
        assert_eq!(status.uuid, string(tree, "UUID"));
        assert_eq!(status.version, string(tree, "Version"));
        assert_eq!(status.snapshot_state, string(tree, "SnapshotState"));
        assert_eq!(status.is_full_backup, tree.get("IsFullBackup").and_then(Value::as_boolean));
        println!("{bundle}: {} apps, version {:?}", apps.len(), manifest.version);
    }
}

#[test]
fn changed_bytes_of_a_real_manifest() {
    let Some(path) = shared("bundles/thirdparty-10.3-encrypted/Manifest.plist") else { return };
    let mut bytes = std::fs::read(path).unwrap();
    for at in 0..bytes.len() {
        let kept = bytes[at];
        for flip in [0x01, 0x10, 0x80, 0xff] {
            bytes[at] = kept ^ flip;
            survive(&bytes, &Limits::MANIFEST);
        }
        bytes[at] = kept;
    }
    let Some(path) = shared("bundles/ios13.3-unencrypted/Manifest.plist") else { return };
    let mut bytes = std::fs::read(path).unwrap();
    assert!(Value::from_reader(Cursor::new(&bytes)).is_ok());
    let mut noise = Noise(0xfee1);
    for _ in 0..300 {
        // The last fifth holds the offset table; the rest are objects.
        let at = noise.below(bytes.len());
        let kept = bytes[at];
        bytes[at] = noise.next().to_le_bytes()[0];
        survive(&bytes, &Limits::MANIFEST);
        bytes[at] = kept;
    }
}
