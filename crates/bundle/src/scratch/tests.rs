use std::io;

use super::{CHUNK, KEEP, Scratch, ScratchPlace};
use crate::testing::Noise;

fn noise(noise: &mut Noise, len: usize) -> Vec<u8> {
    (0..len).map(|_| noise.next().to_le_bytes()[7]).collect()
}

/// Appends of all lengths, read back in pieces of all lengths while it grows.
#[test]
fn what_is_appended_is_read_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    for keep in [0, CHUNK + 1, KEEP] {
        let mut random = Noise(keep as u64 | 1);
        let mut scratch = Scratch::new(ScratchPlace::folder(dir.path()), keep);
        let mut twin = Vec::new();
        for round in 0..60 {
            let len = [random.below(40), random.below(90_000), 4096][round % 3];
            let bytes = noise(&mut random, len);
            scratch.append(&bytes).unwrap();
            twin.extend_from_slice(&bytes);
            assert_eq!(scratch.len(), twin.len() as u64);
            let at = random.below(twin.len() + 1);
            let mut out = vec![0; random.below(twin.len() - at + 1)];
            scratch.read_at(at as u64, &mut out).unwrap();
            assert!(out == twin[at..at + out.len()], "{at}, {} of {}", out.len(), twin.len());
        }
        assert_eq!(scratch.stored > 0, keep < KEEP, "{scratch:?}");
        let mut all = vec![0; twin.len()];
        scratch.read_at(0, &mut all).unwrap();
        assert!(all == twin);
        let beyond = scratch.read_at(twin.len() as u64, &mut [0]).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        let beyond = scratch.read_at(1, &mut all).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        scratch.read_at(twin.len() as u64, &mut []).unwrap();
    }
    // No file has had a name for longer than it takes to remove it.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn few_bytes_need_no_place() {
    let mut scratch = Scratch::new(ScratchPlace::folder("/nowhere/at/all"), KEEP);
    scratch.append(&vec![1; KEEP - 1]).unwrap();
    // After an error nothing goes on: what was written is not known.
    assert_eq!(scratch.append(&[1]).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(scratch.append(&[1]).unwrap_err().kind(), io::ErrorKind::Other);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_of() {
    let mut scratch = Scratch::new(ScratchPlace::folder("/nowhere"), 0);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    scratch.file = Some(super::SealedFile::of(full));
    let error = scratch.append(&vec![1; CHUNK]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(scratch.append(&[1]).unwrap_err().kind(), io::ErrorKind::Other);
}

/// What is in the file, as whoever holds the disk sees it.
#[cfg(target_os = "linux")]
#[test]
fn no_plaintext_is_on_the_disk() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    let dir = tempfile::tempdir().unwrap();
    let mut scratch = Scratch::new(ScratchPlace::folder(dir.path()), 0);
    let canary = b"canary-8d24, sixteen by sixteen.";
    for _ in 0..4 * CHUNK / canary.len() {
        scratch.append(canary).unwrap();
    }
    let ours = |path: &std::path::Path| {
        std::fs::read_link(path).is_ok_and(|target| target.starts_with(dir.path()))
    };
    let open: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| ours(path))
        .collect();
    assert_eq!(open.len(), 1, "{open:?}");
    let file = std::fs::File::open(&open[0]).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (0, 0o600));
    assert_eq!(metadata.len(), 4 * CHUNK as u64);
    let mut stored = vec![0; 4 * CHUNK];
    file.read_exact_at(&mut stored, 0).unwrap();
    assert!(stored.windows(6).all(|bytes| bytes != b"canary"));
    // Every block is another one, though the plaintext repeats.
    let blocks: std::collections::BTreeSet<&[u8]> = stored.chunks(16).collect();
    assert_eq!(blocks.len(), stored.len() / 16);
    let mut back = vec![0; canary.len()];
    scratch.read_at(canary.len() as u64 * 1_000, &mut back).unwrap();
    assert_eq!(back, canary);
}

/// Where a file system has no files without names.
#[cfg(unix)]
#[test]
fn a_name_is_taken_away_at_once() {
    use std::os::unix::fs::MetadataExt as _;

    let dir = tempfile::tempdir().unwrap();
    let folder = std::fs::File::open(dir.path()).unwrap();
    let file = super::place::unlinked(std::os::fd::AsFd::as_fd(&folder)).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (0, 0o600));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
