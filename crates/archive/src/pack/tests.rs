//! Whatever the threads, the segments and the sizes of reads: the same archive, or the same error.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_bundle::{Layout, Storage, StorageBackend, Stored};
use bkp_core::{Fault as _, FileId};
use bkp_crypto::{ArchiveKey, SealOptions, Sealing};
use sha2::{Digest as _, Sha256};

use super::{Pack, PackOptions, PackPlan, PackedMember, pack};
use crate::{Archive, ArchiveError, ArchiveLimits, MemberName, OpenedArchive, on_threads};

fn key() -> ArchiveKey {
    ArchiveKey::try_init(|key| {
        key.fill(3);
        Ok::<_, ()>(())
    })
    .unwrap()
}

fn sealing(segment_size: u32) -> Sealing {
    let options = SealOptions { segment_size, ..SealOptions::default() };
    Sealing::with_key_file(key(), options).unwrap()
}

fn open(bytes: Vec<u8>) -> Archive {
    match OpenedArchive::of(Arc::new(bytes), ArchiveLimits::default()).unwrap() {
        OpenedArchive::Plain(archive) => archive,
        OpenedArchive::Sealed(sealed) => sealed.unseal_with_key_file(&key()).unwrap(),
    }
}

fn go(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn blob(number: u8) -> MemberName {
    let mut id = [0; 20];
    id[0] = number;
    MemberName::Blob(FileId::from_bytes(id), Layout::Sharded)
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrong {
    Nothing,
    /// It is gone when it is opened.
    Gone,
    /// Reading fails behind so many bytes.
    Fails(u64),
    /// It has so many bytes, and says otherwise.
    Has(u64),
    /// Whoever reads it panics.
    Panics,
}

/// Files that are made as they are read, in pieces of at most so many bytes.
#[derive(Debug)]
struct Made {
    files: Vec<(u64, Wrong)>,
    piece: usize,
}

/// A byte of a file.
fn byte(file: usize, at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 13).to_le_bytes()[0] ^ file.to_le_bytes()[0]
}

struct MadeFile {
    file: usize,
    at: u64,
    has: u64,
    wrong: Wrong,
    piece: usize,
}

impl Read for MadeFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.wrong {
            Wrong::Fails(at) if self.at >= at => return Err(io::Error::other("a bad sector")),
            Wrong::Panics => panic!("this file is meant to"),
            _ => {}
        }
        let left = usize::try_from(self.has - self.at).unwrap();
        let count = buf.len().min(self.piece).min(left);
        for byte_of in &mut buf[..count] {
            *byte_of = byte(self.file, self.at);
            self.at += 1;
        }
        Ok(count)
    }
}

impl Made {
    fn of(files: &[(u64, Wrong)], piece: usize) -> Storage {
        Storage::from_backend(Arc::new(Self { files: files.to_vec(), piece }))
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        let number = usize::from_str_radix(&name[..2], 16).unwrap();
        if number < self.files.len() { Ok(number) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl StorageBackend for Made {
    fn kind(&self) -> &'static str {
        "made"
    }

    fn open(&self, name: &str) -> io::Result<Stored> {
        let file = self.find(name)?;
        let (len, wrong) = self.files[file];
        let has = match wrong {
            Wrong::Gone => return Err(io::ErrorKind::NotFound.into()),
            Wrong::Has(has) => has,
            _ => len,
        };
        let made = MadeFile { file, at: 0, has, wrong, piece: self.piece };
        Ok(Stored::reader(Box::new(made), len))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(self.files[self.find(name)?].0)
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        for number in 0..u8::try_from(self.files.len()).unwrap() {
            let name = blob(number).to_string();
            match folder {
                "" => each(&name[..2], false),
                folder if name.starts_with(folder) => each(&name[3..], true),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Packs on so many threads, with everything hashed and a record, and losses told of.
fn packed(
    source: &Storage,
    seal: Option<Sealing>,
    threads: usize,
) -> Result<(Vec<u8>, Pack, Vec<MemberName>), ArchiveError> {
    let plan = PackPlan::new(source).unwrap();
    let (mut lost, mut recorded) = (Vec::new(), Vec::new());
    let mut on_lost = |name, _: ArchiveError| lost.push(name);
    let mut record = |members: &[PackedMember]| {
        recorded = members.to_vec();
        vec![7; 3 << 19]
    };
    let options = PackOptions {
        seal,
        hash: true,
        hash_archive: true,
        record: Some(&mut record),
        lost: Some(&mut on_lost),
    };
    let work = || pack(source, &plan, Vec::new(), options, &go);
    let (bytes, pack) = on_threads(NonZeroUsize::new(threads), work).unwrap()?;
    assert_eq!(recorded, pack.members, "the record is given them all");
    assert_eq!(pack.archive_bytes, bytes.len() as u64);
    assert_eq!(pack.archive_sha256, Some(Sha256::digest(&bytes).into()));
    Ok((bytes, pack, lost))
}

/// Finds out whether an archive holds these files and no others.
fn check(archive: &Archive, pack: &Pack, files: &[(u64, Wrong)]) {
    let kept = || files.iter().enumerate().filter(|(_, (_, wrong))| *wrong == Wrong::Nothing);
    assert_eq!(pack.files, kept().count() as u64);
    assert_eq!(pack.bytes, kept().map(|(_, (len, _))| len).sum::<u64>());
    assert_eq!(archive.members().len() as u64, pack.files + 1);
    for ((number, &(len, _)), member) in kept().zip(&pack.members) {
        let name = blob(u8::try_from(number).unwrap());
        let expected: Vec<u8> = (0..len).map(|at| byte(number, at)).collect();
        let sha256 = Sha256::digest(&expected).into();
        assert_eq!(*member, PackedMember { name, len, sha256 });
        let mut found = Vec::new();
        archive.storage().open(&name.to_string()).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == expected, "{number}");
    }
    assert_eq!(archive.run_record().unwrap().unwrap(), vec![7; 3 << 19]);
    assert_eq!(pack.members.len() as u64, pack.files);
}

/// Lengths around those of chunks, segments and the limit of small files.
fn lengths() -> Vec<(u64, Wrong)> {
    let (chunk, small) = (256_u64 << 10, 4_u64 << 20);
    let around = [0, 1, 63, 64, 4095, chunk - 130, chunk - 1, chunk, chunk + 1, 3 * chunk];
    let large = [small - 1, small, small + 1, 0, small + 3 * chunk + 5];
    around.into_iter().chain(large).chain(0..60).map(|len| (len, Wrong::Nothing)).collect()
}

#[test]
fn threads_segments_and_reads_change_nothing() {
    let files = lengths();
    let source = Made::of(&files, usize::MAX);
    let (plain, pack, _) = packed(&source, None, 1).unwrap();
    check(&open(plain.clone()), &pack, &files);
    for (threads, piece) in [(2, 1 << 20), (5, 70_001), (9, 4096)] {
        let (bytes, again, lost) = packed(&Made::of(&files, piece), None, threads).unwrap();
        assert!(bytes == plain, "{threads} threads, reads of {piece}");
        assert_eq!((again, lost.len()), (pack.clone(), 0));
    }
    for (segment, threads) in [(64, 2), (101, 1), (4096, 3), (1 << 18, 2), (1 << 20, 4)] {
        let (bytes, sealed, _) = packed(&source, Some(sealing(segment)), threads).unwrap();
        assert_eq!((sealed.members, sealed.zip_bytes), (pack.members.clone(), pack.zip_bytes));
        let archive = open(bytes);
        let mut zip = vec![0; plain.len()];
        archive.sealed().unwrap().read_at(0, &mut zip).unwrap();
        assert!(zip == plain, "segments of {segment}");
        assert!(archive.sealed().unwrap().segments() > 1);
    }
}

/// Content one byte at a time.
#[test]
fn a_dripping_source_is_packed_alike() {
    let files: Vec<_> = (0..40).map(|n| (n * n * 3, Wrong::Nothing)).collect();
    let (at_once, ..) = packed(&Made::of(&files, usize::MAX), None, 2).unwrap();
    let (dripped, ..) = packed(&Made::of(&files, 1), None, 2).unwrap();
    assert!(at_once == dripped);
}

/// Of a payload that is lost no byte stays behind, wherever it began and ended.
#[test]
fn lost_payloads_leave_no_trace() {
    let small = 4 << 20;
    let wrongs = [Wrong::Gone, Wrong::Fails(0), Wrong::Fails(700_000), Wrong::Has(5)];
    for wrong in wrongs.into_iter().chain([Wrong::Has(small + 10)]) {
        let mut files = lengths();
        for (at, len) in [(3, 900_000), (7, 900_000), (20, 900_000)] {
            files[at] = (len, wrong);
        }
        let mut kept = files.clone();
        // The same archive as of a backup in which they never were.
        for at in [3, 7, 20] {
            kept[at] = (900_000, Wrong::Gone);
        }
        let (expected, ..) = packed(&Made::of(&kept, usize::MAX), None, 1).unwrap();
        for threads in [1, 2] {
            let (bytes, pack, lost) = packed(&Made::of(&files, 65_536), None, threads).unwrap();
            assert_eq!(lost, [blob(3), blob(7), blob(20)], "{wrong:?}");
            assert!(bytes == expected, "{wrong:?}");
            check(&open(bytes), &pack, &files);
        }
        let seal = Some(sealing(1 << 16));
        let (bytes, pack, _) = packed(&Made::of(&files, 65_536), seal, 2).unwrap();
        check(&open(bytes), &pack, &files);
    }
}

/// A part of it is written already when it turns out that it cannot be read.
#[test]
fn a_large_payload_that_fails_ends_the_run() {
    let len = 6 << 20;
    for (wrong, code) in [
        (Wrong::Fails(5 << 20), "source-read"),
        (Wrong::Has(len - 1), "source-changed"),
        (Wrong::Has(len + 1), "source-changed"),
    ] {
        let files = [(10, Wrong::Nothing), (len, wrong), (10, Wrong::Nothing)];
        for threads in [1, 2] {
            let source = Made::of(&files, 100_000);
            assert_eq!(packed(&source, None, threads).unwrap_err().code(), code, "{wrong:?}");
        }
    }
}

/// Takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_run_wherever_it_is_full() {
    let files = lengths();
    let source = Made::of(&files, usize::MAX);
    let plan = PackPlan::new(&source).unwrap();
    let (whole, ..) = packed(&source, None, 1).unwrap();
    for room in [0, 1, 200_000, 5 << 20, whole.len() - (2 << 20)] {
        for threads in [1, 2, 5] {
            for seal in [None, Some(sealing(1 << 16))] {
                let options = PackOptions { seal, hash: true, ..PackOptions::default() };
                let work = || pack(&source, &plan, Full(room), options, &go).err();
                let error = on_threads(NonZeroUsize::new(threads), work).unwrap().unwrap();
                let ArchiveError::Io { action: "write", source } = error else {
                    panic!("{error:?}")
                };
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            }
        }
    }
}

/// The other threads do not wait for one that is gone.
#[test]
fn a_panic_is_passed_on() {
    let mut files = lengths();
    files[30].1 = Wrong::Panics;
    for threads in [1, 3] {
        let files = files.clone();
        let packing = std::thread::spawn(move || {
            packed(&Made::of(&files, usize::MAX), None, threads).is_ok()
        });
        assert!(packing.join().is_err());
    }
}
