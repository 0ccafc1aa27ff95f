//! A zip of any bytes is opened as an archive, listed, and read to the end of every member.
//!
//! The fuzz target and the test of its corpus both run this.

use std::io::Read as _;
use std::sync::Arc;

use bkp_archive::{ArchiveLimits, OpenedArchive};

/// More than any input of a fuzzer says with a right.
const LIMITS: ArchiveLimits = ArchiveLimits { members: 1000, ratio: 20, free_of_ratio: 1 << 20 };

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(OpenedArchive::Plain(archive)) = OpenedArchive::of(Arc::new(bytes.to_vec()), LIMITS)
    else {
        return;
    };
    let storage = archive.storage();
    let mut names = Vec::new();
    let _ = storage.list("", &mut |name, _| names.push(name.to_owned()));
    for member in archive.members() {
        let Ok(file) = storage.open(&member.name.to_string()) else { continue };
        let mut content = Vec::new();
        if file.take(member.len.saturating_add(1)).read_to_end(&mut content).is_ok() {
            assert_eq!(content.len() as u64, member.len, "not what the directory says");
        }
    }
    let _ = archive.run_record();
}
