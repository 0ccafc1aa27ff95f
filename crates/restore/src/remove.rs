//! Emptying a directory of trees of any depth with a handful of open files.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Dir, renameat, unlinkat};
use rustix::io::Errno;

use crate::beneath::open_dir;

/// Names that are read before they are removed: some systems lose their place in a directory
/// that shrinks.
const BATCH: usize = 1024;

/// Removes all that is in `top` but the name `keep`. Links are removed and never followed.
///
/// Neither calls itself nor holds a chain of directories open: a directory that is not empty is
/// moved to `top` and emptied there in its turn. What is interrupted can be begun again.
pub(crate) fn clear(top: BorrowedFd<'_>, keep: &[u8]) -> Result<(), Errno> {
    let mut moved = 0u64;
    let mut entries = Dir::read_from(top)?;
    loop {
        let names = batch(&mut entries, keep)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            if !remove(top, name)? {
                let dir = open_dir(top, name.as_bytes())?;
                empty(dir.as_fd(), top, &mut moved)?;
                remove(top, name)?;
            }
        }
        entries.rewind();
    }
}

/// Removes what is in `dir`, and moves to `top` what is not empty itself.
fn empty(dir: BorrowedFd<'_>, top: BorrowedFd<'_>, moved: &mut u64) -> Result<(), Errno> {
    let mut entries = Dir::read_from(dir)?;
    loop {
        let names = batch(&mut entries, b"")?;
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            while !remove(dir, name)? {
                *moved = moved.saturating_add(1);
                match renameat(dir, name, top, format!("removing-{moved}")) {
                    Ok(()) => break,
                    // Left by a removal that was interrupted.
                    Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        entries.rewind();
    }
}

/// Removes one name. Returns false for a directory that is not empty.
fn remove(dir: BorrowedFd<'_>, name: &CString) -> Result<bool, Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        // What a directory is answered with differs between systems.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

fn batch(entries: &mut Dir, keep: &[u8]) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    while names.len() < BATCH {
        let Some(entry) = entries.read() else { break };
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") && name.to_bytes() != keep {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode, mkdirat};

    use super::clear;
    use crate::beneath::open_dir;

    #[test]
    fn trees_deeper_than_the_limit_of_open_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, top) = (dir.path().join("outside"), dir.path().join("top"));
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), b"x").unwrap();
        std::fs::create_dir_all(top.join("tree")).unwrap();
        let root = open_dir(CWD, top.as_os_str().as_bytes()).unwrap();
        let mut at = open_dir(root.as_fd(), b"tree").unwrap();
        for _ in 0..3_000 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open_dir(at.as_fd(), b"d").unwrap();
        }
        for i in 0..3_000 {
            std::fs::write(top.join(format!("tree/{i}")), b"x").unwrap();
        }
        symlink(&outside, top.join("tree/link")).unwrap();
        symlink(&outside, top.join("link")).unwrap();
        // Names that an earlier removal left, or that were meant to look so.
        std::fs::create_dir_all(top.join("removing-1/x")).unwrap();
        std::fs::create_dir_all(top.join("tree/removing-2/x")).unwrap();
        std::fs::write(top.join("removing-3"), b"x").unwrap();
        std::fs::write(top.join("keep"), b"x").unwrap();
        clear(root.as_fd(), b"keep").unwrap();
        let left: Vec<_> =
            std::fs::read_dir(&top).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["keep"]);
        assert_eq!(std::fs::read(outside.join("kept")).unwrap(), b"x");
    }
}
