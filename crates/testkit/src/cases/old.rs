//! Layouts from before iOS 10.1.

use crate::{
    BundleSpec, CellEncryption, DeviceFacts, Encryption, PlistValue, Seed, binary_plist, file_id,
};
use sha1::{Digest as _, Sha1};

/// An encrypted bundle of iOS 10.0: a plain Manifest.db whose `file` cells are encrypted one by
/// one, with a key from the password and a salt in `Properties`. Source: FORMAT.md 2.3.
#[must_use]
pub fn ios10_0_cells() -> BundleSpec {
    super::plain_db().with(|spec| {
        spec.device = DeviceFacts::ios10_0();
        spec.encryption = Some(Encryption { dpic: None, ..Encryption::new(super::PASSWORD) });
        spec.manifest_db_encrypted = false;
        spec.cells = Some(CellEncryption { salt: Seed(spec.seed).noise("cell salt", 20) });
    })
}

/// A folder of iOS 3: a `.mdinfo` and a `.mddata` for each file, all of them listed inside
/// Manifest.plist. Source: FORMAT.md 1, first row of the table.
///
/// Nothing else of a bundle is there. A reader of today knows it by that and says so.
#[must_use]
pub fn ios3_layout() -> BundleSpec {
    let files = [
        ("HomeDomain", "Library/Notes/notes.db", &b"an old note"[..]),
        ("HomeDomain", "Library/SMS/sms.db", b"an old message"),
    ];
    let mut spec = BundleSpec::new(3);
    let mut listed = Vec::new();
    for (domain, path, content) in files {
        let name = file_id(domain, path);
        let metadata = binary_plist(&PlistValue::dict([
            ("Domain", PlistValue::text(domain)),
            ("Greylist", PlistValue::Bool(false)),
            ("Path", PlistValue::text(path)),
            ("Version", PlistValue::text("3.0")),
        ]));
        let info = binary_plist(&PlistValue::dict([
            ("AuthSignature", PlistValue::Data(Sha1::digest(&metadata).to_vec())),
            ("AuthVersion", PlistValue::text("2.0")),
            ("IsEncrypted", PlistValue::Bool(false)),
            ("Metadata", PlistValue::Data(metadata)),
            ("StorageVersion", PlistValue::text("1.0")),
        ]));
        let entry = PlistValue::dict([
            ("DataHash", PlistValue::Data(Sha1::digest(content).to_vec())),
            ("Domain", PlistValue::text(domain)),
            ("FileLength", PlistValue::Int(content.len().try_into().unwrap_or(i64::MAX))),
            ("ModificationTime", PlistValue::Date(1_260_000_000)),
        ]);
        listed.push((name.clone(), entry));
        spec.raw_files.push((format!("{name}.mdinfo"), info));
        spec.raw_files.push((format!("{name}.mddata"), content.to_vec()));
    }
    let data = binary_plist(&PlistValue::dict([
        ("Files", PlistValue::Dict(listed)),
        ("Version", PlistValue::text("2.0")),
    ]));
    let manifest = binary_plist(&PlistValue::dict([
        ("AuthSignature", PlistValue::Data(Sha1::digest(&data).to_vec())),
        ("AuthVersion", PlistValue::text("2.0")),
        ("Data", PlistValue::Data(data)),
        ("IsEncrypted", PlistValue::Bool(false)),
    ]));
    spec.raw_files.push(("Manifest.plist".into(), manifest));
    spec.remove_files = vec!["Manifest.db".into(), "Status.plist".into()];
    spec
}
