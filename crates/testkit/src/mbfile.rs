//! The MBFile archive that a Manifest.db row carries. Source: FORMAT.md 2.5.

use crate::plist_writer::{PlistValue, binary_plist};

/// How the digest stands in the archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DigestForm {
    /// A reference to data in the object table, as devices write it.
    Reference,
    /// Data in the root dictionary itself.
    Inline,
    /// A reference to an archived `NSData`, as some tools write it.
    Wrapped,
}

/// A file's metadata as an MBFile archive states it.
#[derive(Clone, Debug, PartialEq)]
pub struct MbFile {
    /// RelativePath.
    pub path: String,
    /// Mode, with its type bits.
    pub mode: i64,
    /// InodeNumber.
    pub inode: i64,
    /// UserID.
    pub uid: i64,
    /// GroupID.
    pub gid: i64,
    /// LastModified, Unix time.
    pub modified: i64,
    /// LastStatusChange, Unix time.
    pub changed: i64,
    /// Birth, Unix time.
    pub born: i64,
    /// Size in bytes.
    pub size: i64,
    /// ProtectionClass.
    pub class: i64,
    /// Flags (`st_flags`).
    pub flags: i64,
    /// Target of a symbolic link.
    pub target: Option<String>,
    /// Digest.
    pub digest: Option<(Vec<u8>, DigestForm)>,
    /// EncryptionKey: class and wrapped key.
    pub encryption_key: Option<Vec<u8>>,
    /// ExtendedAttributes, already encoded.
    pub xattrs: Option<Vec<u8>>,
    /// Keys of the root dictionary to leave out.
    pub omit: Vec<String>,
    /// Keys that no device writes. Strings and data go through the object table.
    pub extra: Vec<(String, PlistValue)>,
}

/// The object table while it is filled.
struct Objects(Vec<PlistValue>);

impl Objects {
    fn push(&mut self, value: PlistValue) -> PlistValue {
        self.0.push(value);
        uid(self.0.len() - 1)
    }

    /// Archives bytes as `NSMutableData`; the class comes right after its first user.
    fn push_mutable_data(&mut self, data: &[u8], class: &mut Option<PlistValue>) -> PlistValue {
        let next = uid(self.0.len() + 1);
        let reference = self.push(PlistValue::dict([
            ("NS.data", PlistValue::Data(data.to_vec())),
            ("$class", class.clone().unwrap_or(next)),
        ]));
        if class.is_none() {
            *class = Some(self.push(class_of(
                PlistValue::text("NSMutableData"),
                [
                    PlistValue::OwnText("NSMutableData".into()),
                    PlistValue::text("NSData"),
                    PlistValue::text("NSObject"),
                ],
            )));
        }
        reference
    }
}

/// Makes a reference. An archive of ours has far fewer than 128 objects, which is as many as
/// some readers take.
fn uid(index: usize) -> PlistValue {
    PlistValue::Uid(u8::try_from(index).unwrap_or(u8::MAX))
}

fn class_of<const N: usize>(name: PlistValue, classes: [PlistValue; N]) -> PlistValue {
    PlistValue::dict([("$classname", name), ("$classes", PlistValue::Array(classes.into()))])
}

impl MbFile {
    /// Encodes the archive, byte for byte as a device would.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { path, target, digest, encryption_key, xattrs, omit, extra, .. } = self;
        // Objects: null, root, path, then what is present, and the class last.
        let mut objects = Objects(vec![PlistValue::text("$null"), PlistValue::Bool(false)]);
        let mut data_class = None;
        let path = objects.push(PlistValue::text(path));
        let target = target.as_ref().map(|target| objects.push(PlistValue::text(target)));
        let digest = digest.as_ref().map(|(digest, form)| match form {
            DigestForm::Reference => objects.push(PlistValue::Data(digest.clone())),
            DigestForm::Inline => PlistValue::Data(digest.clone()),
            DigestForm::Wrapped => objects.push_mutable_data(digest, &mut data_class),
        });
        let key =
            encryption_key.as_ref().map(|key| objects.push_mutable_data(key, &mut data_class));
        let xattrs = xattrs.as_ref().map(|xattrs| objects.push(PlistValue::Data(xattrs.clone())));
        let mut extras = Vec::new();
        for (name, value) in extra {
            let value = match value {
                PlistValue::Text(_) | PlistValue::OwnText(_) | PlistValue::Data(_) => {
                    objects.push(value.clone())
                }
                _ => value.clone(),
            };
            extras.push((name.clone(), value));
        }
        let class = objects.push(class_of(
            PlistValue::text("MBFile"),
            [PlistValue::text("MBFile"), PlistValue::text("NSObject")],
        ));

        let mut root = Vec::new();
        for name in key_order(digest.is_some(), key.is_some()) {
            let value = match *name {
                "LastModified" => Some(PlistValue::Int(self.modified)),
                "Flags" => Some(PlistValue::Int(self.flags)),
                "ExtendedAttributes" => xattrs.clone(),
                "GroupID" => Some(PlistValue::Int(self.gid)),
                "Target" => target.clone(),
                "$class" => Some(class.clone()),
                "LastStatusChange" => Some(PlistValue::Int(self.changed)),
                "RelativePath" => Some(path.clone()),
                "Birth" => Some(PlistValue::Int(self.born)),
                "EncryptionKey" => key.clone(),
                "Size" => Some(PlistValue::Wide(self.size)),
                "InodeNumber" => Some(PlistValue::Wide(self.inode)),
                "Mode" => Some(PlistValue::Int(self.mode)),
                "UserID" => Some(PlistValue::Int(self.uid)),
                "Digest" => digest.clone(),
                "ProtectionClass" => Some(PlistValue::Int(self.class)),
                _ => None,
            };
            if let Some(value) = value
                && !omit.iter().any(|omitted| omitted == name)
            {
                root.push(((*name).to_owned(), value));
            }
        }
        root.extend(extras);
        objects.0[1] = PlistValue::Dict(root);
        binary_plist(&PlistValue::dict([
            ("$version", PlistValue::Int(100_000)),
            ("$archiver", PlistValue::text("NSKeyedArchiver")),
            ("$top", PlistValue::dict([("root", PlistValue::Uid(1))])),
            ("$objects", PlistValue::Array(objects.0)),
        ]))
    }
}

/// The order of the root's keys, which depends on what is present (FORMAT.md 2.5, rule 3).
/// Names that are absent are skipped.
fn key_order(digest: bool, key: bool) -> &'static [&'static str] {
    match (digest, key) {
        (_, false) => &[
            "LastModified",
            "Flags",
            "ExtendedAttributes",
            "GroupID",
            "Target",
            "$class",
            "LastStatusChange",
            "RelativePath",
            "Birth",
            "Size",
            "InodeNumber",
            "Mode",
            "UserID",
            "Digest",
            "ProtectionClass",
        ],
        (false, true) => &[
            "LastModified",
            "Flags",
            "ExtendedAttributes",
            "GroupID",
            "Target",
            "$class",
            "LastStatusChange",
            "RelativePath",
            "Birth",
            "EncryptionKey",
            "Size",
            "Mode",
            "UserID",
            "InodeNumber",
            "ProtectionClass",
        ],
        (true, true) => &[
            "LastModified",
            "ProtectionClass",
            "Flags",
            "GroupID",
            "ExtendedAttributes",
            "Target",
            "$class",
            "LastStatusChange",
            "RelativePath",
            "Birth",
            "EncryptionKey",
            "Size",
            "Mode",
            "UserID",
            "Digest",
            "InodeNumber",
        ],
    }
}

#[cfg(test)]
mod tests;
