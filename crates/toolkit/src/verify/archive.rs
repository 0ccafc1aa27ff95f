//! The container of a backup that is in an archive: segments and members.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use bkp_archive::{Archive, ArchiveError, MemberName, on_threads};
use bkp_core::Monitor as _;
use serde::Serialize;

use super::VerifyError;
use super::finding::Finding;
use super::log::Log;

/// What an archive came to.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ArchiveFacts {
    /// `zip` or `sealed`.
    pub form: &'static str,
    /// Segments of a sealed archive, all of which were opened.
    pub segments: Option<u64>,
    /// How many of them did not open.
    pub segments_damaged: u64,
    /// Members that are a bundle's own files, the record of the run included.
    pub members: u64,
    /// How many of them cannot be read, or have another checksum.
    pub members_damaged: u64,
    /// Members with other names, which are not read.
    pub foreign: u64,
}

/// Opens every segment and reads every member.
pub(super) fn check(
    archive: &Archive,
    threads: Option<NonZeroUsize>,
    log: &Log<'_>,
) -> Result<ArchiveFacts, VerifyError> {
    let go = |_| match log.cancelled() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let failed = |error| match error {
        ArchiveError::Cancelled => VerifyError::Cancelled,
        _ if log.cancelled() => VerifyError::Cancelled,
        error => VerifyError::Archive(error),
    };
    let work = || Ok((archive.check_segments(&go)?, archive.check_members(&go)?));
    let (segments, members) = on_threads(threads, work).and_then(|done| done).map_err(failed)?;
    let segments_damaged = segments.as_ref().map_or(0, |check| check.damaged);
    for number in segments.iter().flat_map(|check| &check.first_damaged) {
        let message = format!("segment {number} was changed or moved");
        log.add(Finding::damage("sealed-segment", message));
    }
    for (name, error) in &members.failed {
        let mut finding = Finding::of(error);
        finding.message = format!("{name}: {}", finding.message);
        log.add(match name {
            MemberName::Blob(id, _) => finding.of_payload(*id),
            _ => finding,
        });
    }
    Ok(ArchiveFacts {
        form: if archive.is_sealed() { "sealed" } else { "zip" },
        segments: segments.map(|check| check.segments),
        segments_damaged,
        members: members.members,
        members_damaged: members.failed.len() as u64,
        foreign: archive.foreign_count(),
    })
}
