//! An archive as the storage of a bundle, read in place.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bkp_bundle::{StorageBackend, Stored};

use crate::archive::Inner;
use crate::name::MemberName;
use crate::zip::Member;

#[derive(Debug)]
pub(crate) struct Backend(pub(crate) Arc<Inner>);

impl Backend {
    fn find(&self, name: &str) -> io::Result<&Member> {
        let directory = &self.0.directory;
        match MemberName::parse(name.as_bytes()) {
            // How the archive was made is no part of the bundle.
            Some(MemberName::RunRecord) | None => {}
            Some(name) => {
                if let Some(member) = directory.find(&name) {
                    return Ok(member);
                }
            }
        }
        // What was listed as there is there, and is not given out.
        if directory.foreign.contains(name) {
            let text = "no file of a backup; in an archive only those are read";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

impl StorageBackend for Backend {
    fn kind(&self) -> &'static str {
        if self.0.sealed.is_some() { "sealed" } else { "zip" }
    }

    fn open(&self, name: &str) -> io::Result<Stored> {
        let Inner { source, directory, .. } = &*self.0;
        let member = self.find(name)?;
        let reader = directory.open(source, member)?;
        Ok(Stored::reader(Box::new(reader), member.len))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(self.find(name)?.len)
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        let directory = &self.0.directory;
        let members = &directory.members;
        let mut found = folder.is_empty();
        if folder.is_empty() {
            let mut last = None;
            for Member { name, .. } in members {
                match name.shard() {
                    _ if *name == MemberName::RunRecord => {}
                    None => each(&name.to_string(), true),
                    // Members are sorted, so those of a folder stand together.
                    Some(shard) if last.replace(shard) != Some(shard) => {
                        each(&format!("{shard:02x}"), false);
                    }
                    Some(_) => {}
                }
            }
        } else if let Some(shard) = shard(folder) {
            let blob = |member: &&Member| member.name.is_blob();
            let first = |member: &Member| match member.name {
                MemberName::Blob(id, _) => id.as_bytes().first().copied().unwrap_or(0),
                _ => 0,
            };
            let start = members.partition_point(|member| {
                member.name < MemberName::RunRecord && (!blob(&member) || first(member) < shard)
            });
            for Member { name, .. } in members.iter().skip(start) {
                if name.shard() != Some(shard) {
                    break;
                }
                found = true;
                let name = name.to_string();
                each(name.rsplit('/').next().unwrap_or(&name), true);
            }
        }
        // The names that are no bundle's own, by their part that is in this folder.
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut last: Option<&str> = None;
        for name in directory.foreign.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded))
        {
            let Some(within) = name.strip_prefix(&prefix) else { break };
            let (part, is_file) = match within.split_once('/') {
                Some((part, _)) => (part, false),
                None => (within, true),
            };
            found = true;
            let known = !is_file && folder.is_empty() && self.has_shard(part);
            if !part.is_empty() && !known && last.replace(part) != Some(part) {
                each(part, is_file);
            }
        }
        if found { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl Backend {
    /// Returns true when a folder has been listed for the payloads in it.
    fn has_shard(&self, folder: &str) -> bool {
        let Some(shard) = shard(folder) else { return false };
        self.0.directory.members.iter().any(|member| member.name.shard() == Some(shard))
    }
}

/// Reads the name of a payload's folder.
fn shard(folder: &str) -> Option<u8> {
    let lower = folder.len() == 2 && folder.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u8::from_str_radix(folder, 16).ok().filter(|_| lower)
}
