use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, KeyInit};
use bkp_core::Fault as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::segment::{BadLength, Geometry, SegmentCipher, TAG, hkdf};
use super::{
    ByteSource, KeySource, SealOptions, SealWriter, SealedError, SealedHeader, SealedReader,
    Sealing, SegmentSealer, sealed_limits,
};
use crate::testing::{Random, bytes, silent, text, vectors};
use crate::{ArchiveKey, Passphrase};

const HEADER: usize = sealed_limits::HEADER;

fn key(byte: u8) -> ArchiveKey {
    ArchiveKey::try_init(|key| {
        key.fill(byte);
        Ok::<_, ()>(())
    })
    .unwrap()
}

fn sealing(segment_size: u32) -> Sealing {
    let options = SealOptions { segment_size, ..SealOptions::default() };
    Sealing::with_key_file(key(7), options).unwrap()
}

fn seal(segment_size: u32, plain: &[u8]) -> Vec<u8> {
    let mut writer = SealWriter::new(Vec::new(), sealing(segment_size)).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn open(sealed: Vec<u8>) -> Result<SealedReader, SealedError> {
    let header = SealedReader::header(&sealed)?;
    SealedReader::open(Arc::new(sealed), header, &key(7))
}

fn read(reader: &SealedReader) -> Result<Vec<u8>, SealedError> {
    let mut plain = vec![0; usize::try_from(reader.len()).unwrap()];
    reader.read_at(0, &mut plain).map(|()| plain)
}

fn plain(len: usize) -> Vec<u8> {
    Random::new(9).bytes(len)
}

/// Opens a stream of another's making, segment by segment.
fn open_stream<C>(key: &[u8], header: usize, size: usize, stream: &[u8]) -> Option<Vec<u8>>
where
    C: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>
        + KeyInit,
{
    assert_eq!(usize::from(stream[0]), header);
    let prefix = stream[header - 7..header].try_into().unwrap();
    let cipher = SegmentCipher::<C>::of_key(key, prefix);
    let len = u64::try_from(stream.len()).unwrap();
    let geometry = Geometry::of(u32::try_from(size).unwrap(), header, len).unwrap();
    let mut plain = Vec::new();
    for index in 0..geometry.count {
        let range = geometry.segment(index);
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let mut segment = stream[range].to_vec();
        plain.extend_from_slice(cipher.open(index, index == geometry.last(), &mut segment).ok()?);
    }
    assert_eq!(u64::try_from(plain.len()).unwrap(), geometry.plain_len());
    Some(plain)
}

/// The vectors that Tink publishes, of other keys and hashes than ours, segment by segment.
#[test]
fn published_tink_vectors() {
    let Some(file) = vectors("aes_gcm_hkdf_streaming.json") else { return };
    let mut opened = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let number = |field: &str| usize::try_from(vector[field].as_u64().unwrap()).unwrap();
        let (size, derived) = (number("seg"), number("dk"));
        let (ikm, aad, mut stream) =
            (bytes(vector, "key"), bytes(vector, "aad"), bytes(vector, "ct"));
        let header = 1 + derived + 7;
        let mut key = vec![0; derived];
        let salt = stream[1..=derived].to_vec();
        match text(vector, "hkdf") {
            "SHA1" => hkdf::<Sha1>(&ikm, &salt, &aad, &mut key),
            "SHA256" => hkdf::<Sha256>(&ikm, &salt, &aad, &mut key),
            "SHA512" => hkdf::<Sha512>(&ikm, &salt, &aad, &mut key),
            other => panic!("{other}"),
        }
        let open = |stream: &[u8]| match derived {
            16 => open_stream::<Aes128Gcm>(&key, header, size, stream),
            _ => open_stream::<Aes256Gcm>(&key, header, size, stream),
        };
        assert_eq!(open(&stream).as_deref(), Some(&bytes(vector, "pt")[..]), "{vector}");
        *stream.last_mut().unwrap() ^= 1;
        assert_eq!(open(&stream), None);
        opened += 1;
    }
    assert_eq!(opened, 8);
}

/// Every length around the first borders, written in pieces of every size.
#[test]
fn what_is_sealed_opens_and_is_laid_out_as_published() {
    let all = plain(300);
    for size in [64, 65, 100] {
        for len in 0..=all.len() {
            let mut writer = SealWriter::new(Vec::new(), sealing(size)).unwrap();
            for piece in all[..len].chunks(1 + len % 70) {
                writer.write_all(piece).unwrap();
            }
            let sealed = writer.finish().unwrap();
            let (header, stream) = sealed.split_at(HEADER);
            let mut derived = [0; 32];
            hkdf::<Sha256>(&[7; 32], &stream[1..33], header, &mut derived);
            let published =
                open_stream::<Aes256Gcm>(&derived, 40, usize::try_from(size).unwrap(), stream);
            assert_eq!(published.as_deref(), Some(&all[..len]));
            let reader = open(sealed).unwrap();
            assert_eq!(reader.len(), u64::try_from(len).unwrap());
            assert_eq!(read(&reader).unwrap(), all[..len]);
            let check = reader.check_segments(&|_| ControlFlow::Continue(())).unwrap();
            assert_eq!((check.segments, check.damaged), (reader.segments(), 0));
        }
    }
}

/// More than is sealed together at once.
#[test]
fn many_batches_keep_their_order() {
    let all = plain(21 << 20);
    let sealed = seal(1 << 16, &all);
    let reader = open(sealed).unwrap();
    assert!(read(&reader).unwrap() == all);
}

#[test]
fn any_place_is_read_and_only_its_segments_are_opened() {
    let all = plain(5000);
    let reader = open(seal(116, &all)).unwrap();
    let mut random = Random::new(3);
    for _ in 0..2000 {
        let start = random.below(all.len());
        let len = random.below((all.len() - start).min(300) + 1);
        let mut buf = vec![0; len];
        reader.read_at(u64::try_from(start).unwrap(), &mut buf).unwrap();
        assert_eq!(buf, all[start..start + len]);
    }
    let reader = open(seal(116, &all)).unwrap();
    assert_eq!(reader.segments_opened(), 1, "the last one");
    // The first has 60 bytes, the others 100.
    reader.read_at(1060, &mut [0; 100]).unwrap();
    assert_eq!(reader.segments_opened(), 2);
    reader.read_at(1059, &mut [0; 102]).unwrap();
    assert_eq!(reader.segments_opened(), 4, "the one in between is kept");
    let error = reader.read_at(4999, &mut [0; 2]).unwrap_err();
    assert!(matches!(error, SealedError::Io { .. }), "{error}");
    assert!(reader.read_at(u64::MAX, &mut [0]).is_err());
    reader.read_at(5000, &mut []).unwrap();
}

/// Cut short anywhere, it does not open.
#[test]
fn every_cut_is_found() {
    let whole = seal(64, &plain(900));
    let mut codes = BTreeSet::new();
    for len in 0..whole.len() {
        let error = open(whole[..len].to_vec()).unwrap_err();
        let border = len > HEADER && (len - HEADER).is_multiple_of(64);
        if border {
            assert_eq!(error.code(), "sealed-truncated", "{len}");
        }
        assert!(
            matches!(error.code(), "not-sealed" | "sealed-truncated" | "sealed-last-segment"),
            "{len}: {error}"
        );
        assert_eq!(error.code() == "not-sealed", len == 0);
        codes.insert(error.code());
    }
    assert_eq!(codes.len(), 3);
    // With segments as large as they are written.
    let whole = seal(sealed_limits::DEFAULT_SEGMENT, &plain(3 << 20));
    let mut random = Random::new(5);
    let borders = (1..=3).map(|n| HEADER + (n << 20));
    let places = borders.chain((0..1000).map(|_| random.below(whole.len()))).collect::<Vec<_>>();
    for len in places {
        let code = open(whole[..len].to_vec()).unwrap_err().code();
        let border = len > HEADER && (len - HEADER).is_multiple_of(1 << 20);
        assert!(code == "sealed-truncated" || code == "sealed-last-segment" && !border, "{len}");
    }
    let mut longer = seal(64, &plain(900));
    longer.push(0);
    assert_eq!(open(longer).unwrap_err().code(), "sealed-last-segment");
}

/// Every bit of header and stream.
#[test]
fn every_flipped_bit_is_found_and_nothing_else_is_lost() {
    let all = plain(500);
    let whole = seal(100, &all);
    let first = 100 - 40 - TAG;
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let at = bit / 8;
        let reader = match open(changed) {
            Err(error) => {
                let code = error.code();
                match at {
                    0..8 => assert_eq!(code, "not-sealed"),
                    8 => assert_eq!(code, "sealed-version"),
                    9..HEADER => assert_eq!(code, "sealed-header", "byte {at}"),
                    HEADER => assert_eq!(code, "sealed-header"),
                    _ if at < HEADER + 40 => assert_eq!(code, "sealed-last-segment"),
                    _ => {
                        assert_eq!(code, "sealed-last-segment");
                        assert_eq!((at - HEADER) / 100, (whole.len() - HEADER - 1) / 100);
                    }
                }
                continue;
            }
            Ok(reader) => reader,
        };
        assert!(at >= HEADER + 40);
        let hit = (at - HEADER) / 100;
        let check = reader.check_segments(&|_| ControlFlow::Continue(())).unwrap();
        assert_eq!(check.first_damaged, [u64::try_from(hit).unwrap()]);
        assert_eq!(check.damaged, 1);
        for (place, expected) in all.iter().enumerate() {
            let segment = if place < first { 0 } else { 1 + (place - first) / 84 };
            let mut byte = [0xEE];
            let result = reader.read_at(u64::try_from(place).unwrap(), &mut byte);
            if segment == hit {
                let error = result.unwrap_err();
                assert!(matches!(error, SealedError::Segment { segment } if segment == hit as u64));
                assert_eq!(byte, [0xEE], "a byte of it was handed out");
            } else {
                result.unwrap();
                assert_eq!(byte[0], *expected);
            }
        }
    }
}

#[test]
fn segments_do_not_move() {
    let all = plain(400);
    let (whole, other) = (seal(64, &all), seal(64, &all));
    let segments = |from: &[u8]| from[HEADER..].chunks(64).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let join = |segments: Vec<Vec<u8>>| [whole[..HEADER].to_vec(), segments.concat()].concat();
    let sound = segments(&whole);
    let damaged = |segments: Vec<Vec<u8>>| match open(join(segments)) {
        Err(error) => Err(error.code()),
        Ok(reader) => {
            assert!(read(&reader).is_err());
            Ok(reader.check_segments(&|_| ControlFlow::Continue(())).unwrap().first_damaged)
        }
    };
    assert_eq!(sound.len(), 10);
    let mut swapped = sound.clone();
    swapped.swap(3, 6);
    assert_eq!(damaged(swapped), Ok(vec![3, 6]));
    for at in 0..sound.len() {
        let mut dropped = sound.clone();
        dropped.remove(at);
        let code = if at == 9 { "sealed-truncated" } else { "sealed-last-segment" };
        if at > 0 {
            assert_eq!(damaged(dropped), Err(code), "{at}");
        } else {
            // What is left begins with the bytes of another segment.
            assert!(damaged(dropped).is_err());
        }
        let mut repeated = sound.clone();
        repeated.insert(at, sound[at].clone());
        assert_eq!(damaged(repeated), Err("sealed-last-segment"), "{at}");
        let mut spliced = sound.clone();
        spliced[at] = segments(&other)[at].clone();
        match at {
            // The stream's salt is in the first, its end in the last.
            0 | 9 => assert_eq!(damaged(spliced), Err("sealed-last-segment")),
            _ => assert_eq!(damaged(spliced), Ok(vec![at as u64])),
        }
    }
    // The header of one before the stream of the other, with another segment size.
    let longer = seal(70, &all);
    let crossed = [&longer[..HEADER], &whole[HEADER..]].concat();
    assert_eq!(open(crossed).unwrap_err().code(), "sealed-last-segment");
}

#[test]
fn wrong_keys_are_told_from_damage() {
    let whole = seal(64, b"abc");
    let header = SealedReader::header(&whole).unwrap();
    assert_eq!(header.key_source(), &KeySource::KeyFile);
    assert_eq!(header.segment_size(), 64);
    assert_eq!(header.check_key_file(&key(8)).unwrap_err().code(), "wrong-key-file");
    header.check_key_file(&key(7)).unwrap();
    let error = SealedReader::open(Arc::new(whole), header.clone(), &key(8)).unwrap_err();
    assert_eq!(error.code(), "wrong-key-file");
    let error = header.derive(&Passphrase::empty(), u64::MAX, &mut silent).unwrap_err();
    assert_eq!(error.code(), "key-file-needed");
}

#[test]
fn a_passphrase_seals_and_opens() {
    let passphrase = Passphrase::new("correct horse".into());
    let options = SealOptions { segment_size: 64, rounds: 600_000 };
    let few = SealOptions { rounds: 599_999, ..options };
    let error = Sealing::with_passphrase(&passphrase, few, &mut silent).unwrap_err();
    assert_eq!(error.code(), "few-rounds");
    let stop = &mut |_| ControlFlow::Break(());
    let error = Sealing::with_passphrase(&passphrase, options, stop).unwrap_err();
    assert_eq!(error.code(), "cancelled");

    let sealing = Sealing::with_passphrase(&passphrase, options, &mut silent).unwrap();
    let mut writer = SealWriter::new(Vec::new(), sealing).unwrap();
    writer.write_all(b"for nobody else").unwrap();
    let sealed = writer.finish().unwrap();
    let header = SealedReader::header(&sealed).unwrap();
    let KeySource::Passphrase(kdf) = header.key_source() else { panic!("{header:?}") };
    assert_eq!((kdf.rounds.get(), kdf.salt.len()), (600_000, 32));
    // The archive key is what the standard says.
    let mut derived = [0; 32];
    ::pbkdf2::pbkdf2_hmac::<Sha256>(b"correct horse", &kdf.salt, 600_000, &mut derived);
    let theirs = ArchiveKey::try_init(|key| {
        *key = derived;
        Ok::<_, ()>(())
    });
    assert!(header.is_of(&theirs.unwrap()));
    assert_eq!(header.check_key_file(&key(1)).unwrap_err().code(), "password-needed");
    let error = header.derive(&passphrase, 599_999, &mut silent).unwrap_err();
    assert_eq!(error.code(), "excessive-kdf");
    let wrong = Passphrase::new("correct hors".into());
    let error = header.derive(&wrong, 600_000, &mut silent).unwrap_err();
    assert_eq!(error.code(), "wrong-password");
    let key = header.derive(&passphrase, 600_000, &mut silent).unwrap();
    let reader = SealedReader::open(Arc::new(sealed), header, &key).unwrap();
    assert_eq!(read(&reader).unwrap(), b"for nobody else");
}

/// Headers whose checksum is right: what somebody writes who knows how.
#[test]
fn hostile_headers() {
    let sound = sealing(64).header.as_bytes().to_vec();
    let with = |at: usize, bytes: &[u8]| {
        let mut header = sound.clone();
        header[at..at + bytes.len()].copy_from_slice(bytes);
        let sum = Sha256::digest(&header[..84]);
        header[84..].copy_from_slice(&sum[..4]);
        SealedHeader::parse(&header)
    };
    let code = |at, bytes: &[u8]| with(at, bytes).unwrap_err().code();
    assert_eq!(with(0, &[]).unwrap().segment_size(), 64);
    assert_eq!(code(8, &[0]), "sealed-version");
    assert_eq!(code(8, &[2]), "sealed-version");
    assert_eq!(code(9, &[2]), "sealed-kdf");
    assert_eq!(code(9, &[1]), "sealed-header", "no rounds");
    assert_eq!(code(10, &[1]), "sealed-header");
    assert_eq!(code(11, &[1]), "sealed-header");
    assert_eq!(code(16, &[0, 0, 0, 1]), "sealed-header", "rounds of a key file");
    assert_eq!(code(20, &[1]), "sealed-header", "salt of a key file");
    assert_eq!(code(51, &[1]), "sealed-header", "salt of a key file");
    let size = |size: u32| with(12, &size.to_be_bytes()).map(|header| header.segment_size());
    for wrong in [0, 63, (16 << 20) + 1, u32::MAX] {
        assert_eq!(size(wrong).unwrap_err().code(), "sealed-segment-size");
    }
    for right in [64, 65, (16 << 20) - 1, 16 << 20] {
        assert_eq!(size(right).unwrap(), right);
        // The key check is of the header as it was.
        let header = with(12, &right.to_be_bytes()).unwrap();
        assert_eq!(header.check_key_file(&key(7)).is_ok(), right == 64);
    }
    let passphrase = with(9, &[1, 0, 0, 0, 0, 0, 64, 0xFF, 0xFF, 0xFF, 0xFF]).unwrap();
    let error = passphrase.derive(&Passphrase::empty(), 50_000_000, &mut silent).unwrap_err();
    assert_eq!(error.code(), "excessive-kdf");
    for segment_size in [63, (16 << 20) + 1] {
        let options = SealOptions { segment_size, ..SealOptions::default() };
        let error = Sealing::with_key_file(key(7), options).unwrap_err();
        assert_eq!(error.code(), "sealed-segment-size");
    }
}

#[test]
fn lengths_at_their_limits() {
    let of = |size, len| Geometry::of(size, 40, len);
    assert_eq!(of(64, 55).unwrap_err(), BadLength::Short);
    assert_eq!(of(64, 56).unwrap().plain_len(), 0);
    assert_eq!(of(64, 64 + 15).unwrap_err(), BadLength::Short);
    // A last segment without plaintext: no writer makes one, and Tink reads it.
    assert_eq!(of(64, 64 + 16).unwrap().plain_len(), 8);
    let most = 64_u64 << 32;
    assert_eq!(of(64, most).unwrap_err(), BadLength::Long);
    assert_eq!(of(64, most - 64).unwrap().count, u32::MAX);
    assert_eq!(of(64, u64::MAX).unwrap_err(), BadLength::Long);
    let geometry = of(1 << 20, 1 << 50).unwrap();
    let end = geometry.plain_len();
    assert_eq!(geometry.locate(end), None);
    assert_eq!(geometry.locate(end - 1), Some(((1 << 30) - 1, (1 << 20) - 17)));
    assert_eq!(geometry.locate(u64::MAX), None);
}

#[test]
fn a_check_stops_when_it_is_asked_to() {
    let reader = open(seal(64, &plain(5000))).unwrap();
    let error = reader.check_segments(&|_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(error.code(), "cancelled");
}

/// A disk that is full after some bytes.
#[derive(Debug)]
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = bytes.len().min(self.0);
        self.0 -= n;
        if n == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(n) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_write_is_never_forgotten() {
    let all = plain(6 << 20);
    let error = SealWriter::new(Full(50), sealing(1 << 20)).unwrap_err();
    assert_eq!(error.code(), "archive-io");
    let mut writer = SealWriter::new(Full(140), sealing(1 << 16)).unwrap();
    let mut all_of_it = all.iter().copied().cycle().take(40 << 20).collect::<Vec<_>>();
    let error = writer.write_all(&all_of_it).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    all_of_it.truncate(1);
    assert!(writer.write_all(&all_of_it).is_err());
    assert!(writer.finish().is_err());
    // The end is what does not fit.
    let mut writer = SealWriter::new(Full(140), sealing(1 << 16)).unwrap();
    writer.write_all(b"abc").unwrap();
    assert_eq!(writer.finish().unwrap_err().code(), "archive-io");
}

/// Dropped before its end, a stream is none.
#[test]
fn an_unfinished_stream_does_not_open() {
    let mut out = Vec::new();
    let mut writer = SealWriter::new(&mut out, sealing(64)).unwrap();
    writer.write_all(&plain(40 << 20)).unwrap();
    drop(writer);
    assert!(out.len() > 1 << 20);
    assert_eq!(open(out).unwrap_err().code(), "sealed-truncated");
}

/// Segments that are sealed in place are those that the writer writes, and one that has not the
/// length it must have uses up no number.
#[test]
fn segments_are_sealed_where_they_lie() {
    let all = plain(150);
    let mut sealer = SegmentSealer::new(sealing(64)).unwrap();
    assert_eq!((sealer.segment_size(), sealer.start().len()), (64, HEADER + 40));
    let mut sealed = sealer.start().to_vec();
    let mut rest = &all[..];
    for room in [8, 48, 48] {
        for wrong in [0, room + 15, room + 17, 200] {
            let error = sealer.seal(&mut vec![0; wrong]).unwrap_err();
            assert_eq!(error.code(), "sealed-too-long");
        }
        let (now, behind) = rest.split_at(room);
        let mut segment = now.to_vec();
        segment.resize(room + 16, 0);
        sealer.seal(&mut segment).unwrap();
        sealed.extend(segment);
        rest = behind;
    }
    let mut segment = rest.to_vec();
    segment.resize(rest.len() + 16, 0);
    sealer.finish(&mut segment).unwrap();
    sealed.extend(segment);
    assert_eq!(read(&open(sealed).unwrap()).unwrap(), all);
    for wrong in [15, 25] {
        let sealer = SegmentSealer::new(sealing(64)).unwrap();
        assert!(sealer.finish(&mut vec![0; wrong]).is_err(), "{wrong}");
    }
}

/// Buffers are used again, by all threads, and nobody reads what was in them before.
#[test]
fn many_threads_read_what_is_there() {
    let all = plain(300_000);
    let mut sealed = seal(4096, &all);
    // The tag of segment 10.
    let damaged = HEADER + 11 * 4096 - 1;
    sealed[damaged] ^= 1;
    let reader = open(sealed).unwrap();
    let (from, to) = (10 * 4080 - 40, 11 * 4080 - 40);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (reader, all) = (&reader, &all);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..400 {
                    let start = random.below(all.len());
                    let end = all.len().min(start + random.below(12_000));
                    let mut buffer = vec![0; end - start];
                    let result = reader.read_at(u64::try_from(start).unwrap(), &mut buffer);
                    match result {
                        Ok(()) => assert!(buffer == all[start..end], "{start} {end}"),
                        Err(error) => {
                            assert_eq!(error.code(), "sealed-segment");
                            assert!(start < to && end > from, "{start} {end}");
                        }
                    }
                }
            });
        }
    });
}
