//! What a restore needs of one row.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bkp_bundle::{BundleRecord, Field, MbFile, parse_xattrs};
use bkp_core::{Entry, EntryKind};

use crate::verify::finding::{Finding, Grade};
use crate::verify::log::Log;

/// Looks at a row, besides what every verification looks at. `archived` says that rows are
/// archives, and no records of an mbdb.
pub(in crate::verify) fn row(record: &BundleRecord, archived: bool, log: &Log<'_>) {
    let entry = record.as_ref();
    if record.fault().is_some() {
        return; // told already, and nothing more can be read
    }
    let tell = |finding: Finding| log.add(finding.at(entry).in_row(record.row()));
    let is_file = entry.kind == EntryKind::File;
    let class = entry.protection.map_or(0, |class| class.0);
    if is_file && entry.protection.is_some() && !(1..=4).contains(&class) {
        let message = format!("the file is of protection class {class}; files are of 1 to 4");
        tell(Finding::warning("odd-class", message));
    }
    if !is_file {
        let size = entry.metadata.size_hint;
        if size != 0 {
            let grade = if archived { Grade::Warning } else { Grade::Damage };
            let message = format!("a {} with a size of {size}", entry.kind.name());
            tell(Finding::new("size-of-no-file", grade, message));
        }
        let stray = match (entry.digest.is_some(), record.has_key()) {
            (true, true) => "a digest and a key",
            (true, false) => "a digest",
            (false, true) => "a key",
            (false, false) => "",
        };
        if !stray.is_empty() {
            let message = format!("a {} with {stray}, which files alone have", entry.kind.name());
            tell(Finding::warning("stray-field", message));
        }
    }
    let Some(raw) = &entry.raw else { return };
    match archived {
        true => {
            if let Ok(file) = MbFile::parse(raw) {
                archive(&file, entry, &tell);
            }
        }
        false => {
            for what in nulls(raw) {
                let message = format!("{what} is null, and a device takes no null there");
                tell(Finding::damage("null-field", message));
            }
        }
    }
}

/// Looks for the keys that every archive of a device has. Source: FORMAT.md 2.5.
fn archive(file: &MbFile<'_>, entry: &Entry, tell: &dyn Fn(Finding)) {
    let absent: Vec<&str> = [
        (Field::Mode, file.mode.is_some()),
        (Field::InodeNumber, file.inode.is_some()),
        (Field::UserId, file.uid.is_some()),
        (Field::GroupId, file.gid.is_some()),
        (Field::LastModified, file.modified.is_some()),
        (Field::LastStatusChange, file.changed.is_some()),
        (Field::Birth, file.born.is_some()),
        (Field::Size, file.size.is_some()),
        (Field::ProtectionClass, file.protection_class.is_some()),
        (Field::Flags, file.flags.is_some()),
    ]
    .into_iter()
    .filter(|&(field, there)| !there && !file.bad.contains(field))
    .map(|(field, _)| field.key())
    .collect();
    if !absent.is_empty() {
        let message = format!("the archive lacks {}, which devices write", absent.join(", "));
        tell(Finding::warning("incomplete-metadata", message));
    }
    if entry.kind != EntryKind::File && file.digest.is_some_and(|digest| digest.len() != 20) {
        tell(Finding::warning("stray-field", "a digest, which files alone have"));
    }
    match file.extended_attributes.map(parse_xattrs) {
        Some(Err(error)) => {
            let message = format!("the extended attributes cannot be read: {error}");
            tell(Finding::warning("bad-attributes", message));
        }
        Some(Ok(attributes)) if attributes.unusable > 0 => {
            let message = format!("{} extended attributes cannot be used", attributes.unusable);
            tell(Finding::warning("bad-attributes", message));
        }
        _ => {}
    }
}

/// Names what is null in a record of an mbdb and must not be: the path, which is empty at a root,
/// and names and values of extended attributes. Source: FORMAT.md 5.
fn nulls(raw: &[u8]) -> Vec<&'static str> {
    /// What stands between the strings and the attributes, but for their count.
    const FIXED: usize = 39;
    let mut found = Vec::new();
    let mut rest = raw;
    let mut string = |what: Option<&'static str>, rest: &mut &[u8]| -> Option<()> {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let len = u16::from_be_bytes(*len);
        *rest = after;
        if len == u16::MAX {
            found.extend(what);
        } else {
            *rest = rest.get(usize::from(len)..)?;
        }
        Some(())
    };
    let mut read = || -> Option<()> {
        for what in [Some("the domain"), Some("the path"), None, None, None] {
            string(what, &mut rest)?;
        }
        let (&count, after) = rest.get(FIXED..)?.split_first()?;
        rest = after;
        for _ in 0..count {
            string(Some("the name of an extended attribute"), &mut rest)?;
            string(Some("the value of an extended attribute"), &mut rest)?;
        }
        Some(())
    };
    read();
    found
}

#[cfg(test)]
mod tests {
    use bkp_testkit::MbdbRecord;

    use super::nulls;

    #[test]
    fn nulls_of_a_record() {
        let record = MbdbRecord {
            domain: Some(b"HomeDomain".to_vec()),
            path: Some(Vec::new()),
            xattrs: vec![("name".into(), b"value".to_vec())],
            ..MbdbRecord::default()
        };
        let encode = |record: &MbdbRecord| {
            let mut out = Vec::new();
            record.encode(&mut out);
            out
        };
        let raw = encode(&record);
        assert_eq!(nulls(&raw), Vec::<&str>::new());
        let pathless = encode(&MbdbRecord { path: None, ..record });
        assert_eq!(nulls(&pathless), ["the path"]);
        // The attribute is the end of the record: two lengths, a name of 4 and a value of 5.
        let (head, _) = raw.split_at(raw.len() - 13);
        let null = [head, &[0xff; 4]].concat();
        let both = ["the name of an extended attribute", "the value of an extended attribute"];
        assert_eq!(nulls(&null), both);
        for end in 0..raw.len() {
            assert_eq!(nulls(&raw[..end]), Vec::<&str>::new());
        }
    }
}
