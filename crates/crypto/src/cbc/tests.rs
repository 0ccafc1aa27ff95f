use std::io::{self, ErrorKind, Read};

use aes::cipher::KeyIvInit as _;
use cbc::Decryptor;

use super::{CbcReader, Ending, decrypt_all, decrypt_in_place, padding};
use crate::FileKey;
use crate::testing::{Random, bytes, encrypt, hex, text, unhex, vectors, wycheproof};

const KEY: [u8; 32] = [7; 32];

fn file_key(bytes: &[u8]) -> FileKey {
    FileKey::init(|key| key.copy_from_slice(bytes))
}

/// Yields as many bytes a read as it is told to, by turns, with interruptions between.
struct Drip<'a> {
    bytes: &'a [u8],
    sizes: &'a [usize],
    reads: usize,
}

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(5) {
            return Err(ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.reads % self.sizes.len()].min(out.len());
        self.bytes.read(&mut out[..size])
    }
}

/// Reads to the end with buffers of the given size.
fn read_by(reader: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = vec![0xEE; size];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

fn decrypt_with_iv(key: &[u8], iv: &[u8], payload: &[u8]) -> (Vec<u8>, Ending) {
    let mut reader = CbcReader::with_iv(payload, &file_key(key), iv.try_into().unwrap());
    let plain = read_by(&mut reader, 4096).unwrap();
    (plain, reader.ending().unwrap())
}

/// NIST SP 800-38A F.2.6.
#[test]
fn nist_cbc_aes256_decrypt() {
    let (plain, ending) = decrypt_with_iv(
        &unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
        &unhex("000102030405060708090a0b0c0d0e0f"),
        &unhex(
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
    );
    assert_eq!(
        hex(&plain),
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    );
    assert_eq!(ending, Ending::Unpadded);
}

/// All 216: those of 256 bits through the reader, and every size through what it stands on.
#[test]
fn wycheproof_as_labelled() {
    let Some(file) = vectors("wycheproof/aes_cbc_pkcs5_test.json") else { return };
    let (mut valid, mut invalid, mut by_reader) = (0, 0, 0);
    for (_, test) in wycheproof(&file) {
        let (key, iv) = (bytes(test, "key"), bytes(test, "iv"));
        let (msg, ct) = (bytes(test, "msg"), bytes(test, "ct"));
        let mut data = ct.clone();
        let run = |data: &mut Vec<u8>| match key.len() {
            16 => decrypt_all(
                &mut Decryptor::<aes::Aes128Dec>::new_from_slices(&key, &iv).unwrap(),
                data,
            ),
            24 => decrypt_all(
                &mut Decryptor::<aes::Aes192Dec>::new_from_slices(&key, &iv).unwrap(),
                data,
            ),
            _ => decrypt_all(
                &mut Decryptor::<aes::Aes256Dec>::new_from_slices(&key, &iv).unwrap(),
                data,
            ),
        };
        let (ending, len) = run(&mut data);
        data.truncate(len);
        if key.len() == 32 {
            assert_eq!(decrypt_with_iv(&key, &iv, &ct), (data.clone(), ending), "{test}");
            by_reader += 1;
        }
        if text(test, "result") == "valid" {
            assert_eq!((data, ending), (msg, Ending::Padded), "{test}");
            valid += 1;
        } else {
            assert_ne!(ending, Ending::Padded, "{test}");
            assert_eq!(data.len(), ct.len() / 16 * 16, "every byte is kept: {test}");
            invalid += 1;
        }
    }
    assert_eq!((valid, invalid, by_reader), (72, 144, 72));
}

/// What the reader gives must not depend on how it is read or fed.
#[test]
fn any_read_sizes_give_the_same() {
    let feeds: [&[usize]; 7] = [&[1], &[7], &[16], &[15, 1, 17], &[31, 33], &[4096], &[usize::MAX]];
    let buffers = [1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 100, 4096];
    let mut runs = 0;
    for len in (0..100).chain([255, 256, 257, 4079, 4080, 4095, 4096, 4097]) {
        let plain = Random::new(len as u64).bytes(len);
        let payload = encrypt(&KEY, &[0; 16], &plain, true);
        assert_eq!(payload.len(), len / 16 * 16 + 16);
        for feed in feeds {
            for buffer in buffers {
                let drip = Drip { bytes: &payload, sizes: feed, reads: 0 };
                let mut reader = CbcReader::new(drip, &file_key(&KEY));
                assert_eq!(reader.ending(), None);
                let out = read_by(&mut reader, buffer).unwrap();
                assert!(out == plain, "{len} bytes, fed by {feed:?}, read by {buffer}");
                assert_eq!(reader.ending(), Some(Ending::Padded));
                assert_eq!(reader.read(&mut [0; 64]).unwrap(), 0, "the end stays the end");
                runs += 1;
            }
        }
        let mut whole = payload;
        assert_eq!(decrypt_in_place(&file_key(&KEY), &mut whole), Ending::Padded);
        assert_eq!(whole, plain);
    }
    assert_eq!(runs, 108 * 7 * 12);
}

/// Reads whose buffers change size from one to the next.
#[test]
fn mixed_read_sizes_give_the_same() {
    let mut random = Random::new(3);
    for _ in 0..500 {
        let len = random.below(3000);
        let plain = random.bytes(len);
        let payload = encrypt(&KEY, &[0; 16], &plain, true);
        let sizes: Vec<_> = (0..9).map(|_| 1 + random.below(80)).collect();
        let drip = Drip { bytes: &payload, sizes: &sizes, reads: 0 };
        let mut reader = CbcReader::new(drip, &file_key(&KEY));
        let mut out = Vec::new();
        loop {
            let mut buffer = vec![0; 1 + random.below(90)];
            assert_eq!(reader.read(&mut []).unwrap(), 0);
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => out.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(out == plain);
    }
}

#[test]
fn every_cut_is_told_and_loses_no_whole_block() {
    let plain = Random::new(4).bytes(100);
    let payload = encrypt(&KEY, &[0; 16], &plain, true);
    assert_eq!(payload.len(), 112);
    for cut in 0..=payload.len() {
        let whole = cut / 16 * 16;
        let expected = match (cut, cut % 16) {
            (0, _) => Ending::Empty,
            (112, _) => Ending::Padded,
            (_, 0) => Ending::Unpadded,
            (_, stray) => Ending::Truncated { stray },
        };
        for buffer in [1, 16, 31, 32, 40, 4096] {
            let mut reader = CbcReader::new(&payload[..cut], &file_key(&KEY));
            let out = read_by(&mut reader, buffer).unwrap();
            assert_eq!(reader.ending(), Some(expected), "cut at {cut}");
            assert_eq!(out, plain[..whole.min(100)], "cut at {cut}");
        }
        let mut data = payload[..cut].to_vec();
        assert_eq!(decrypt_in_place(&file_key(&KEY), &mut data), expected);
        assert_eq!(data, plain[..whole.min(100)]);
    }
}

/// What looks like padding before stray bytes is not the end, so it is kept.
#[test]
fn padding_before_stray_bytes_is_kept() {
    let mut payload = encrypt(&KEY, &[0; 16], b"hello", true);
    payload.extend([1, 2, 3]);
    let mut reader = CbcReader::new(&payload[..], &file_key(&KEY));
    let out = read_by(&mut reader, 64).unwrap();
    assert_eq!(out, b"hello\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b");
    assert_eq!(reader.ending(), Some(Ending::Truncated { stray: 3 }));
}

#[test]
fn unpadded_payloads_keep_every_byte() {
    for len in [16, 32, 4096] {
        let plain = vec![0xAA; len];
        let payload = encrypt(&KEY, &[0; 16], &plain, false);
        let mut reader = CbcReader::new(&payload[..], &file_key(&KEY));
        assert_eq!(read_by(&mut reader, 64).unwrap(), plain);
        assert_eq!(reader.ending(), Some(Ending::Unpadded));
    }
}

#[test]
fn one_block_of_padding_is_an_empty_file() {
    let payload = encrypt(&KEY, &[0; 16], b"", true);
    for buffer in [1, 64] {
        let mut reader = CbcReader::new(&payload[..], &file_key(&KEY));
        assert_eq!(read_by(&mut reader, buffer).unwrap(), b"");
        assert_eq!(reader.ending(), Some(Ending::Padded));
    }
}

#[test]
fn padding_is_exact() {
    for n in 1..=16_u8 {
        let mut block = vec![0x55; 32];
        let start = 32 - usize::from(n);
        block[start..].fill(n);
        assert_eq!(padding(&block), Some(n.into()));
        for at in start..32 {
            let mut bad = block.clone();
            bad[at] ^= 0x80;
            assert_eq!(padding(&bad), None, "{n} with byte {at} changed");
        }
    }
    for last in (0..=0).chain(17..=255) {
        assert_eq!(padding(&[last; 32]), None);
        assert_eq!(padding(&vec![last; 300]), None);
    }
    assert_eq!(padding(&[]), None);
}

/// A flipped bit changes its own block and one bit of the next, and is no error of the reader's.
#[test]
fn a_flipped_bit_is_not_an_error() {
    let plain = Random::new(5).bytes(64);
    let payload = encrypt(&KEY, &[0; 16], &plain, true);
    for bit in 0..8 * 48 {
        let mut bad = payload.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let mut reader = CbcReader::new(&bad[..], &file_key(&KEY));
        let out = read_by(&mut reader, 4096).unwrap();
        assert_eq!(reader.ending(), Some(Ending::Padded));
        let block = bit / 128 * 16;
        assert_eq!(out[..block], plain[..block]);
        assert_ne!(out[block..block + 16], plain[block..block + 16]);
        let mut next = plain[block + 16..].to_vec();
        next[bit / 8 - block] ^= 1 << (bit % 8);
        assert_eq!(out[block + 16..], next);
    }
}

/// Fails at a given place, once.
struct Fails<'a> {
    bytes: &'a [u8],
    at: Option<usize>,
}

impl Read for Fails<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.at {
            Some(0) => {
                self.at = None;
                Err(io::Error::other("bad sector"))
            }
            Some(at) => {
                let len = out.len().min(at);
                let n = self.bytes.read(&mut out[..len])?;
                self.at = Some(at - n);
                Ok(n)
            }
            None => self.bytes.read(out),
        }
    }
}

#[test]
fn an_inner_error_is_told_once_and_loses_nothing() {
    let plain = Random::new(6).bytes(200);
    let payload = encrypt(&KEY, &[0; 16], &plain, true);
    for at in 0..=payload.len() {
        for size in [1, 20, 32, 64, 100, 4096] {
            let inner = Fails { bytes: &payload, at: Some(at) };
            let mut reader = CbcReader::new(inner, &file_key(&KEY));
            let (mut out, mut errors) = (Vec::new(), 0);
            let mut buffer = vec![0; size];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => out.extend_from_slice(&buffer[..n]),
                    Err(error) => {
                        assert_eq!(error.to_string(), "bad sector");
                        assert_eq!(reader.ending(), None, "an error is not an ending");
                        errors += 1;
                    }
                }
            }
            assert_eq!(errors, 1, "at {at}");
            assert_eq!(out, plain);
            assert_eq!(reader.ending(), Some(Ending::Padded));
        }
    }
}

#[test]
fn nothing_of_a_reader_prints() {
    let reader = CbcReader::new(&b""[..], &file_key(&KEY));
    assert_eq!(format!("{reader:?}"), "CbcReader { ending: None, .. }");
    assert_eq!(reader.into_inner(), b"");
}
