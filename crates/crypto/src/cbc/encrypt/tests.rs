use std::io::{self, ErrorKind, Read as _, Write};

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use cbc::Encryptor;

use super::{BUFFER, CbcEncryptor, CbcWriter, GROWTH, SMALLEST, encrypt_in_place, encrypted_len};
use crate::testing::{Random, bytes, encrypt, hex, text, unhex, vectors, wycheproof};
use crate::{CbcReader, Ending, FileKey, decrypt_in_place};

const KEY: [u8; 32] = [7; 32];

fn file_key(bytes: &[u8]) -> FileKey {
    FileKey::init(|key| key.copy_from_slice(bytes))
}

fn encrypt_with_iv(key: &[u8], iv: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut cipher = CbcEncryptor::with_iv(&file_key(key), iv.try_into().unwrap());
    let (mut out, tail) = (plain.to_vec(), plain.len() / 16 * 16);
    cipher.encrypt_blocks(&mut out[..tail]);
    let last = cipher.finish(&plain[tail..]);
    out.truncate(tail);
    out.extend_from_slice(&last);
    out
}

/// NIST SP 800-38A F.2.5, in one call and in one call for each block.
#[test]
fn nist_cbc_aes256_encrypt() {
    let key = unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let iv = unhex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
    let plain = unhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    for blocks in [1, 2, 3, 4] {
        let mut out = plain.clone();
        let mut cipher = CbcEncryptor::with_iv(&file_key(&key), &iv);
        for part in out.chunks_mut(16 * blocks) {
            cipher.encrypt_blocks(part);
        }
        assert_eq!(
            hex(&out),
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
        );
    }
}

/// The valid ones of 256 bits give what is published; the invalid ones are no message's.
#[test]
fn wycheproof_as_labelled() {
    let Some(file) = vectors("wycheproof/aes_cbc_pkcs5_test.json") else { return };
    let (mut valid, mut invalid) = (0, 0);
    for (_, test) in wycheproof(&file) {
        let (key, iv) = (bytes(test, "key"), bytes(test, "iv"));
        if key.len() != 32 {
            continue;
        }
        let (made, ct) = (encrypt_with_iv(&key, &iv, &bytes(test, "msg")), bytes(test, "ct"));
        if text(test, "result") == "valid" {
            assert_eq!(hex(&made), hex(&ct), "{test}");
            valid += 1;
        } else {
            assert_ne!(made, ct, "{test}");
            invalid += 1;
        }
    }
    assert_eq!((valid, invalid), (24, 48));
}

/// What is written comes back, whatever the length; the stored form is that of another path
/// through the same cipher, and its length is foretold.
#[test]
fn every_length_comes_back() {
    let edges = [4095, 4096, 4097, BUFFER - 17, BUFFER - 16, BUFFER - 1, BUFFER, BUFFER + 1];
    for len in (0..200).chain(edges).chain([2 * BUFFER, 3 * BUFFER + 5]) {
        let plain = Random::new(len as u64).bytes(len);
        let mut writer = CbcWriter::new(Vec::new(), &file_key(&KEY));
        writer.write_all(&plain).unwrap();
        let stored = writer.finish().unwrap();
        assert_eq!(stored.len() as u64, encrypted_len(len as u64));
        assert!(stored == encrypt(&KEY, &[0; 16], &plain, true), "{len} bytes");

        let mut reader = CbcReader::new(&stored[..], &file_key(&KEY));
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        assert!(back == plain, "{len} bytes");
        assert_eq!(reader.ending(), Some(Ending::Padded));

        let mut whole = plain.clone();
        encrypt_in_place(&file_key(&KEY), &mut whole);
        assert!(whole == stored, "{len} bytes");
        assert_eq!(decrypt_in_place(&file_key(&KEY), &mut whole), Ending::Padded);
        assert!(whole == plain);
    }
}

/// Takes as many bytes a write as it is told to, by turns, with interruptions between.
struct Drip<'a> {
    bytes: Vec<u8>,
    sizes: &'a [usize],
    writes: usize,
}

impl Write for Drip<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes.is_multiple_of(5) {
            return Err(ErrorKind::Interrupted.into());
        }
        let n = self.sizes[self.writes % self.sizes.len()].min(data.len());
        self.bytes.extend_from_slice(&data[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every length below 200, cut in two at every place.
#[test]
fn every_split_gives_the_same() {
    for len in 0..200 {
        let plain = Random::new(len as u64).bytes(len);
        let expected = encrypt(&KEY, &[0; 16], &plain, true);
        for cut in 0..=len {
            for flush in [false, true] {
                let mut writer = CbcWriter::new(Vec::new(), &file_key(&KEY));
                writer.write_all(&plain[..cut]).unwrap();
                if flush {
                    writer.flush().unwrap();
                    assert_eq!(writer.get_ref().len(), cut / 16 * 16, "whole blocks are out");
                }
                writer.write_all(&plain[cut..]).unwrap();
                assert!(writer.finish().unwrap() == expected, "{len} bytes, cut at {cut}");
            }
        }
    }
}

/// Lengths around the buffer, written in pieces of changing sizes, flushed now and then, to a
/// writer that takes a little at a time.
#[test]
fn any_write_sizes_give_the_same() {
    let mut random = Random::new(11);
    let drips: [&[usize]; 5] = [&[1 << 13], &[1000, 1, 15], &[4096, 17], &[65_535], &[usize::MAX]];
    for round in 0..60 {
        let len = random.below(3 * BUFFER);
        let plain = random.bytes(len);
        let drip = Drip { bytes: Vec::new(), sizes: drips[round % drips.len()], writes: 0 };
        let mut writer = CbcWriter::new(drip, &file_key(&KEY));
        let mut rest = &plain[..];
        while !rest.is_empty() {
            let most = [40, 5000, 100_000][random.below(3)];
            let (now, later) = rest.split_at(rest.len().min(1 + random.below(most)));
            writer.write_all(now).unwrap();
            if random.below(7) == 0 {
                writer.flush().unwrap();
            }
            rest = later;
        }
        assert_eq!(writer.write(&[]).unwrap(), 0);
        let stored = writer.finish().unwrap().bytes;
        assert!(stored == encrypt(&KEY, &[0; 16], &plain, true), "{len} bytes");
    }
    // One byte at a time, in and out.
    let plain = random.bytes(300);
    let drip = Drip { bytes: Vec::new(), sizes: &[1], writes: 0 };
    let mut writer = CbcWriter::new(drip, &file_key(&KEY));
    for byte in plain.chunks(1) {
        assert_eq!(writer.write(byte).unwrap(), 1);
    }
    assert!(writer.finish().unwrap().bytes == encrypt(&KEY, &[0; 16], &plain, true));
}

/// Fails every so many bytes, after it took those before.
struct Fails {
    bytes: Vec<u8>,
    every: usize,
    left: usize,
}

impl Write for Fails {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.left = self.every;
            return Err(io::Error::other("no space"));
        }
        let n = self.left.min(data.len());
        self.bytes.extend_from_slice(&data[..n]);
        self.left -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_inner_error_is_told_and_loses_nothing() {
    let plain = Random::new(6).bytes(3 * BUFFER + 100);
    let expected = encrypt(&KEY, &[0; 16], &plain, true);
    for every in [1000, 4099, BUFFER - 1, BUFFER, BUFFER + 1] {
        let fails = Fails { bytes: Vec::new(), every, left: every };
        let mut writer = CbcWriter::new(fails, &file_key(&KEY));
        let (mut rest, mut errors) = (&plain[..], 0);
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) => {
                    assert_eq!(error.to_string(), "no space");
                    errors += 1;
                }
            }
        }
        while writer.flush().is_err() {
            errors += 1;
        }
        // What is left is one block, which the inner writer takes or refuses as a whole here.
        if writer.get_ref().left == 0 {
            assert!(writer.finish().is_err());
            continue;
        }
        let inner = writer.finish().unwrap();
        assert_eq!(errors, inner.bytes.len().div_ceil(every) - 1, "every {every}");
        assert!(inner.bytes == expected, "every {every}");
    }
}

/// A writer that takes nothing is an error and not a loop.
#[test]
fn a_full_inner_writer_is_an_error() {
    let mut room = [0; 100];
    let mut writer = CbcWriter::new(&mut room[..], &file_key(&KEY));
    writer.write_all(&[1; 200]).unwrap();
    assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::WriteZero);
}

#[test]
fn a_dropped_writer_ends_nothing() {
    for (len, out) in [(0, 0), (100, 0), (BUFFER + 1, BUFFER)] {
        let mut inner = Vec::new();
        let mut writer = CbcWriter::new(&mut inner, &file_key(&KEY));
        writer.write_all(&vec![0; len]).unwrap();
        drop(writer);
        assert_eq!(inner.len(), out);
        let ending = decrypt_in_place(&file_key(&KEY), &mut inner);
        assert_eq!(ending, if out == 0 { Ending::Empty } else { Ending::Unpadded });
    }
}

/// What fits into the buffer goes out with its padding in one write.
#[test]
fn a_small_payload_is_one_write() {
    assert!(BUFFER.is_multiple_of(SMALLEST) && SMALLEST.is_multiple_of(16));
    for len in [0, 1, 16, 1000, SMALLEST - 1, SMALLEST, SMALLEST * GROWTH, BUFFER - 1] {
        let drip = Drip { bytes: Vec::new(), sizes: &[usize::MAX], writes: 0 };
        let mut writer = CbcWriter::new(drip, &file_key(&KEY));
        writer.write_all(&vec![1; len]).unwrap();
        assert_eq!(writer.finish().unwrap().writes, 1, "{len} bytes");
    }
}

#[test]
fn lengths_are_foretold() {
    for (plain, stored) in [(0, 16), (1, 16), (15, 16), (16, 32), (17, 32), (31, 32), (32, 48)] {
        assert_eq!(encrypted_len(plain), stored);
    }
    assert_eq!(encrypted_len(u64::MAX - 32), u64::MAX - 31);
    assert_eq!(encrypted_len(u64::MAX), u64::MAX);
}

#[test]
#[should_panic(expected = "1 bytes after the last whole block")]
fn a_part_of_a_block_is_refused() {
    CbcEncryptor::new(&file_key(&KEY)).encrypt_blocks(&mut [0; 17]);
}

#[test]
#[should_panic(expected = "a tail of 16 bytes")]
fn a_whole_block_is_no_tail() {
    let _ = CbcEncryptor::new(&file_key(&KEY)).finish(&[0; 16]);
}

/// The crates' own padding, which ours must be.
#[test]
fn padding_is_that_of_the_crate() {
    for len in 0..40 {
        let plain = Random::new(len as u64).bytes(len);
        let cipher = Encryptor::<aes::Aes256Enc>::new(&KEY.into(), &[0; 16].into());
        let mut buffer = plain.clone();
        buffer.resize(len + 16, 0);
        let theirs = cipher.encrypt_padded::<Pkcs7>(&mut buffer, len).unwrap();
        let mut ours = plain;
        encrypt_in_place(&file_key(&KEY), &mut ours);
        assert_eq!(ours, theirs);
    }
}

#[test]
fn nothing_of_a_writer_prints() {
    let mut writer = CbcWriter::new(Vec::new(), &file_key(&KEY));
    writer.write_all(b"secret").unwrap();
    assert_eq!(format!("{writer:?}"), "CbcWriter { .. }");
    assert_eq!(format!("{:?}", CbcEncryptor::new(&file_key(&KEY))), "CbcEncryptor { .. }");
}
