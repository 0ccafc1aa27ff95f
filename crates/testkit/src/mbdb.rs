//! Manifest.mbdb, the catalog of iOS 5 to 9. Source: FORMAT.md 5.

/// One record. `None` is written as the null length FFFF.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MbdbRecord {
    /// The domain.
    pub domain: Option<Vec<u8>>,
    /// The path in the domain.
    pub path: Option<Vec<u8>>,
    /// Where a symbolic link points.
    pub target: Option<Vec<u8>>,
    /// SHA-1 of the stored blob.
    pub digest: Option<Vec<u8>>,
    /// Class and wrapped key.
    pub encryption_key: Option<Vec<u8>>,
    /// Mode, with its type bits.
    pub mode: u16,
    /// Inode number.
    pub inode: u64,
    /// Owner; -2 is FFFFFFFE.
    pub uid: i32,
    /// Group; -2 is FFFFFFFE.
    pub gid: i32,
    /// Last modification, Unix time.
    pub modified: u32,
    /// Last status change, Unix time.
    pub changed: u32,
    /// Birth, Unix time.
    pub born: u32,
    /// Size in bytes.
    pub size: u64,
    /// Protection class.
    pub class: u8,
    /// Extended attributes: name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The six bytes a Manifest.mbdb starts with: magic and version 5.0.
pub(crate) const HEADER: &[u8; 6] = b"mbdb\x05\x00";

impl MbdbRecord {
    /// Appends the record. Strings longer than 65,534 bytes and attributes beyond the 255th do
    /// not fit the format and are cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self {
            domain,
            path,
            target,
            digest,
            encryption_key,
            mode,
            inode,
            uid,
            gid,
            modified,
            changed,
            born,
            size,
            class,
            xattrs,
        } = self;
        for field in [domain, path, target, digest, encryption_key] {
            put_string(out, field.as_deref());
        }
        out.extend(mode.to_be_bytes());
        out.extend(inode.to_be_bytes());
        out.extend(uid.to_be_bytes());
        out.extend(gid.to_be_bytes());
        out.extend(modified.to_be_bytes());
        out.extend(changed.to_be_bytes());
        out.extend(born.to_be_bytes());
        out.extend(size.to_be_bytes());
        out.push(*class);
        let count = u8::try_from(xattrs.len()).unwrap_or(u8::MAX);
        out.push(count);
        for (name, value) in xattrs.iter().take(count.into()) {
            put_string(out, Some(name));
            put_string(out, Some(value));
        }
    }
}

fn put_string(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else { return out.extend([0xff, 0xff]) };
    // FFFF is the null length.
    let len = u16::try_from(value.len()).map_or(0xfffe, |len| len.min(0xfffe));
    out.extend(len.to_be_bytes());
    out.extend(&value[..len.into()]);
}

#[cfg(test)]
mod tests {
    use super::MbdbRecord;

    #[test]
    fn a_root_record_byte_for_byte() {
        let record = MbdbRecord {
            domain: Some(b"RootDomain".to_vec()),
            path: Some(Vec::new()),
            mode: 0o40755,
            gid: -2,
            ..MbdbRecord::default()
        };
        let mut out = Vec::new();
        record.encode(&mut out);
        assert_eq!(&out[..20], b"\x00\x0aRootDomain\x00\x00\xff\xff\xff\xff\xff\xff");
        assert_eq!(out[20..22], [0x41, 0xed]);
        assert_eq!(out[34..38], [0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(out.len(), 20 + 40);
    }
}
