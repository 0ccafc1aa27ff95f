//! AES key wrap (RFC 3394) and AES-CBC (NIST SP 800-38A) with PKCS#7 padding.

use aes::cipher::{Array, BlockModeEncrypt, BlockSizeUser, KeyIvInit};
use aes_kw::{KeyInit as _, KwAes256};

/// Wraps a 32-byte key, RFC 3394 with the default initial value.
///
/// # Panics
///
/// Never: 32 bytes are four semiblocks, and the output has room for five.
#[must_use]
pub fn wrap_key(kek: &[u8; 32], key: &[u8; 32]) -> [u8; 40] {
    let mut out = [0; 40];
    KwAes256::new(kek.into()).wrap_key(key, &mut out).expect("40 bytes hold a wrapped 32-byte key");
    out
}

/// Pads to a multiple of 16 bytes as RFC 5652 6.3 says: one whole block when nothing is missing.
pub(crate) fn pad(mut data: Vec<u8>) -> Vec<u8> {
    let mut missing: u8 = 16;
    while !(data.len() + usize::from(missing)).is_multiple_of(16) {
        missing -= 1;
    }
    data.resize(data.len() + usize::from(missing), missing);
    data
}

/// Encrypts with AES-256-CBC and a zero IV, as FORMAT.md 2.4 and 2.6 say of all payloads.
///
/// # Panics
///
/// When `data` is not a multiple of 16 bytes long and `padded` is false.
#[must_use]
pub fn cbc_encrypt(key: &[u8; 32], data: &[u8], padded: bool) -> Vec<u8> {
    let data = if padded { pad(data.to_vec()) } else { data.to_vec() };
    let mut cipher = cbc::Encryptor::<aes::Aes256>::new(key.into(), &[0; 16].into());
    encrypt_in_place(&mut cipher, data)
}

/// Encrypts with AES-128-CBC, padded: only the cells of iOS 10.0 (FORMAT.md 2.3).
pub(crate) fn cbc_encrypt_128(key: &[u8; 16], iv: &[u8; 16], data: &[u8]) -> Vec<u8> {
    let mut cipher = cbc::Encryptor::<aes::Aes128>::new(key.into(), iv.into());
    encrypt_in_place(&mut cipher, pad(data.to_vec()))
}

fn encrypt_in_place<C: BlockModeEncrypt + BlockSizeUser>(
    cipher: &mut C,
    mut data: Vec<u8>,
) -> Vec<u8> {
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut data);
    assert!(rest.is_empty(), "CBC takes whole blocks");
    cipher.encrypt_blocks(blocks);
    data
}

#[cfg(test)]
mod tests {
    use super::{cbc_encrypt, cbc_encrypt_128, pad, wrap_key};
    use crate::hex;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut out = [0; N];
        for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        out
    }

    // RFC 3394, 4.6: 256 bits of key data with a 256-bit KEK.
    #[test]
    fn wrap_rfc3394() {
        let kek = bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let key = bytes("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
        assert_eq!(
            hex(&wrap_key(&kek, &key)),
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
        );
    }

    // NIST SP 800-38A F.2.5, the first two blocks. The vector has an IV and this function none,
    // so the IV is folded into the first block, which is what CBC does with it.
    #[test]
    fn cbc_sp800_38a() {
        let key = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let mut plain: [u8; 32] =
            bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        for (n, byte) in plain.iter_mut().take(16).enumerate() {
            *byte ^= u8::try_from(n).unwrap();
        }
        let sealed = cbc_encrypt(&key, &plain, false);
        assert_eq!(
            hex(&sealed),
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
        );
        let padded = cbc_encrypt(&key, &plain, true);
        assert_eq!((&padded[..32], padded.len()), (&sealed[..], 48));
    }

    // NIST SP 800-38A F.2.1, first block.
    #[test]
    fn cbc_128_sp800_38a() {
        let sealed = cbc_encrypt_128(
            &bytes("2b7e151628aed2a6abf7158809cf4f3c"),
            &bytes("000102030405060708090a0b0c0d0e0f"),
            &bytes::<16>("6bc1bee22e409f96e93d7e117393172a"),
        );
        assert_eq!(hex(&sealed[..16]), "7649abac8119b246cee98e9b12e9197d");
        assert_eq!(sealed.len(), 32);
    }

    #[test]
    fn padding_is_never_empty() {
        for n in 0..40 {
            let padded = pad(vec![0; n]);
            assert_eq!(padded.len(), n / 16 * 16 + 16);
            let count = usize::from(padded[padded.len() - 1]);
            assert_eq!(padded.len() - count, n);
        }
    }
}
