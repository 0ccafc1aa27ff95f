use super::{DigestForm, MbFile};
use crate::PlistValue;

fn file() -> MbFile {
    MbFile {
        path: "Library/SMS/sms.db".into(),
        mode: 0o100_644,
        inode: 89_000,
        uid: 501,
        gid: -2,
        modified: 1_700_000_000,
        changed: 1_700_000_001,
        born: 1_600_000_000,
        size: 4096,
        class: 4,
        flags: 0,
        target: None,
        digest: None,
        encryption_key: None,
        xattrs: None,
        omit: Vec::new(),
        extra: Vec::new(),
    }
}

fn read(file: &MbFile) -> (plist::Dictionary, Vec<plist::Value>) {
    let bytes = file.encode();
    let value = plist::Value::from_reader(std::io::Cursor::new(&bytes)).unwrap();
    let dict = value.into_dictionary().unwrap();
    assert_eq!(dict.keys().collect::<Vec<_>>(), ["$version", "$archiver", "$top", "$objects"]);
    let objects = dict["$objects"].as_array().unwrap().clone();
    (objects[1].as_dictionary().unwrap().clone(), objects)
}

fn follow<'o>(
    root: &plist::Dictionary,
    objects: &'o [plist::Value],
    key: &str,
) -> &'o plist::Value {
    &objects[usize::try_from(root[key].as_uid().unwrap().get()).unwrap()]
}

fn keys(file: &MbFile) -> String {
    read(file).0.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// FORMAT.md 2.5, rule 3, as the rule is worded there.
#[test]
fn key_order_follows_the_key_set() {
    let plain = file();
    assert_eq!(
        keys(&plain),
        "LastModified Flags GroupID $class LastStatusChange RelativePath Birth Size InodeNumber \
         Mode UserID ProtectionClass"
    );
    let link = MbFile { target: Some("/x".into()), ..file() };
    assert!(keys(&link).starts_with("LastModified Flags GroupID Target $class"));
    let digest = Some((vec![7; 20], DigestForm::Reference));
    let with_digest = MbFile { digest: digest.clone(), xattrs: Some(vec![1]), ..file() };
    assert!(keys(&with_digest).starts_with("LastModified Flags ExtendedAttributes GroupID"));
    assert!(keys(&with_digest).ends_with("UserID Digest ProtectionClass"));
    let key = Some(vec![9; 44]);
    let with_key = MbFile { encryption_key: key.clone(), ..file() };
    assert_eq!(
        keys(&with_key),
        "LastModified Flags GroupID $class LastStatusChange RelativePath Birth EncryptionKey Size \
         Mode UserID InodeNumber ProtectionClass"
    );
    let both = MbFile { encryption_key: key, digest, ..file() };
    assert_eq!(
        keys(&both),
        "LastModified ProtectionClass Flags GroupID $class LastStatusChange RelativePath Birth \
         EncryptionKey Size Mode UserID Digest InodeNumber"
    );
}

#[test]
fn values_arrive() {
    let archive = MbFile {
        digest: Some((vec![7; 20], DigestForm::Reference)),
        encryption_key: Some(vec![9; 44]),
        xattrs: Some(vec![1, 2, 3]),
        ..file()
    };
    let (root, objects) = read(&archive);
    assert_eq!(root["GroupID"].as_signed_integer(), Some(-2));
    assert_eq!(root["Mode"].as_signed_integer(), Some(0o100_644));
    assert_eq!(follow(&root, &objects, "RelativePath").as_string(), Some("Library/SMS/sms.db"));
    assert_eq!(follow(&root, &objects, "Digest").as_data(), Some(&[7; 20][..]));
    assert_eq!(follow(&root, &objects, "ExtendedAttributes").as_data(), Some(&[1, 2, 3][..]));
    let key = follow(&root, &objects, "EncryptionKey").as_dictionary().unwrap();
    assert_eq!(key["NS.data"].as_data(), Some(&[9; 44][..]));
    assert_eq!(key["$class"].as_uid().unwrap().get(), 5);
    assert_eq!(
        objects[5].as_dictionary().unwrap()["$classname"].as_string(),
        Some("NSMutableData")
    );
    assert_eq!(
        objects.last().unwrap().as_dictionary().unwrap()["$classname"].as_string(),
        Some("MBFile")
    );
}

#[test]
fn three_forms_of_a_digest() {
    let form = |form| read(&MbFile { digest: Some((vec![7; 20], form)), ..file() });
    let (root, _) = form(DigestForm::Inline);
    assert_eq!(root["Digest"].as_data(), Some(&[7; 20][..]));
    let (root, objects) = form(DigestForm::Wrapped);
    let wrapped = follow(&root, &objects, "Digest").as_dictionary().unwrap();
    assert_eq!(wrapped["NS.data"].as_data(), Some(&[7; 20][..]));
}

/// Two wrappers use one class.
#[test]
fn wrappers_share_their_class() {
    let archive = MbFile {
        digest: Some((vec![7; 20], DigestForm::Wrapped)),
        encryption_key: Some(vec![9; 44]),
        ..file()
    };
    let (root, objects) = read(&archive);
    let class = |key| follow(&root, &objects, key).as_dictionary().unwrap()["$class"].clone();
    assert_eq!(class("Digest"), class("EncryptionKey"));
    assert_eq!(objects.len(), 7);
}

#[test]
fn unknown_and_omitted_keys() {
    let archive = MbFile {
        omit: vec!["Birth".into()],
        extra: vec![
            ("Mystery".into(), PlistValue::text("kept")),
            ("Number".into(), PlistValue::Int(5)),
        ],
        ..file()
    };
    let (root, objects) = read(&archive);
    assert!(!root.contains_key("Birth"));
    assert_eq!(follow(&root, &objects, "Mystery").as_string(), Some("kept"));
    assert_eq!(root["Number"].as_signed_integer(), Some(5));
}

/// Every archive of a real iOS 13.3 bundle comes out as it was, byte for byte.
#[test]
fn real_archives() {
    let Ok(data) = std::env::var("BKP_SHARED_DATA") else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return;
    };
    let path = format!("file:{data}/bundles/ios13.3-unencrypted/Manifest.db?immutable=1");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let db = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let mut archives = db.prepare("SELECT file FROM Files").unwrap();
    let mut count = 0;
    for archive in archives.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap() {
        let archive = archive.unwrap();
        let value = plist::Value::from_reader(std::io::Cursor::new(&archive)).unwrap();
        let objects = value.as_dictionary().unwrap()["$objects"].as_array().unwrap().clone();
        let root = objects[1].as_dictionary().unwrap();
        let number = |key: &str| root[key].as_signed_integer().unwrap();
        let object = |key: &str| root.contains_key(key).then(|| follow(root, &objects, key));
        let data = |key: &str| object(key).map(|value| value.as_data().unwrap().to_vec());
        let read = MbFile {
            path: object("RelativePath").unwrap().as_string().unwrap().into(),
            mode: number("Mode"),
            inode: number("InodeNumber"),
            uid: number("UserID"),
            gid: number("GroupID"),
            modified: number("LastModified"),
            changed: number("LastStatusChange"),
            born: number("Birth"),
            size: number("Size"),
            class: number("ProtectionClass"),
            flags: number("Flags"),
            target: object("Target").map(|value| value.as_string().unwrap().into()),
            digest: data("Digest").map(|digest| (digest, DigestForm::Reference)),
            encryption_key: None,
            xattrs: data("ExtendedAttributes"),
            omit: Vec::new(),
            extra: Vec::new(),
        };
        assert!(read.encode() == archive, "{} differs", read.path);
        count += 1;
    }
    assert_eq!(count, 1746);
}
