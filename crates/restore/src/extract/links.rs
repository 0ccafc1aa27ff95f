//! What is left for the end: links, and the modes and times of directories.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bkp_core::{Domain, Entry, RelPath};
use rustix::fs::{AtFlags, fchmod, futimens, symlinkat, unlinkat, utimensat};

use super::stager::{permissions, times, unreachable};
use crate::RestoreError;
use crate::beneath::Handles;
use crate::names::Stored;

/// A row whose last step waits for the end.
#[derive(Debug)]
pub(super) struct Late {
    domain: Domain,
    path: RelPath,
    stored: Stored,
    mode: u32,
    modified: i64,
    /// Where a link points; none for a directory.
    target: Option<Box<[u8]>>,
}

impl Late {
    pub(super) fn new(entry: &Entry, stored: Stored, target: Option<Box<[u8]>>) -> Self {
        Self {
            domain: entry.domain.clone(),
            path: entry.path.clone(),
            stored,
            mode: entry.metadata.mode,
            modified: entry.metadata.modified,
            target,
        }
    }

    fn report(self, error: RestoreError) -> super::Late {
        super::Late { domain: self.domain, path: self.path, error }
    }
}

/// Makes the links, then sets modes and times of directories, deepest first: a change in a
/// directory changes its time, and a mode may forbid changes. Returns how many links could not be
/// made.
///
/// A full disk is the only error that ends this; the others are the entries' own.
pub(super) fn finish_tree(
    root: Arc<OwnedFd>,
    links: Vec<Late>,
    mut directories: Vec<Late>,
    late: &mut Vec<super::Late>,
) -> Result<u64, RestoreError> {
    let mut handles = Handles::new(root);
    let mut lost = 0u64;
    for link in links {
        match make_link(&mut handles, &link) {
            Ok(()) => {}
            Err(error @ RestoreError::NoSpace { .. }) => return Err(error),
            Err(error) => {
                if matches!(error, RestoreError::Metadata { .. }) {
                    late.push(link.report(error));
                } else {
                    lost = lost.saturating_add(1);
                    late.push(link.report(error));
                }
            }
        }
    }
    let depth = |late: &Late| late.stored.as_bytes().iter().filter(|&&b| b == b'/').count();
    directories.sort_by_cached_key(|late| std::cmp::Reverse(depth(late)));
    for directory in directories {
        if let Err(error) = set_directory(&mut handles, &directory) {
            late.push(directory.report(error));
        }
    }
    Ok(lost)
}

/// Puts a link in the place of the empty file that was kept for it.
fn make_link(handles: &mut Handles, link: &Late) -> Result<(), RestoreError> {
    let path = link.stored.as_path();
    let (directory, name) = link.stored.split();
    let target = link.target.as_deref().unwrap_or_default();
    let dir = handles.open(directory).map_err(|why| unreachable(why, path))?;
    unlinkat(dir, name, AtFlags::empty()).map_err(RestoreError::on("create", path))?;
    symlinkat(target, dir, name).map_err(RestoreError::on("create", path))?;
    utimensat(dir, name, &times(link.modified), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| RestoreError::Metadata { path: path.to_owned(), source: error.into() })
}

fn set_directory(handles: &mut Handles, directory: &Late) -> Result<(), RestoreError> {
    let path = directory.stored.as_path();
    let dir = handles.open(directory.stored.as_bytes()).map_err(|why| unreachable(why, path))?;
    let mode = permissions(directory.mode) | rustix::fs::Mode::RWXU;
    futimens(dir, &times(directory.modified))
        .and_then(|()| fchmod(dir, mode))
        .map_err(|error| RestoreError::Metadata { path: path.to_owned(), source: error.into() })
}
