use super::LegacyCells;
use crate::LegacyError;
use crate::Passphrase;
use crate::testing::unhex;

/// Made with Python's hashlib and with `openssl enc -aes-128-cbc`.
const HASH: &str = "713f0fd50e105bf338acf385e762b990f9748f23989f2308aae78d9b4deb48a3";
const PADDED: &str = "08522a4bf0b5547a9ae17a176fd47e5db6cfa395409aa76e916bc6583c586e0b\
                      312e079a4931b107574f2fddc5cb799f";
const UNPADDED: &str = "f50859b26c7ef245cc92994d471fa8bac14778723b740e1c0dfdf6a88b6e1d95";

fn salt() -> Vec<u8> {
    (32..52).collect()
}

fn cells() -> LegacyCells {
    LegacyCells::new(&Passphrase::new("pässword".into()), &salt(), &unhex(HASH)).unwrap()
}

#[test]
fn known_cells_decrypt() {
    let plain = cells().decrypt(&unhex(PADDED)).unwrap();
    assert_eq!(plain, b"bplist00 and then some more of it");
    assert_eq!(cells().decrypt(&unhex(UNPADDED)).unwrap(), [b'A'; 32]);
}

#[test]
fn a_wrong_password_is_not_a_damaged_hash() {
    let wrong = Passphrase::new("password".into());
    let refused = |result: Result<LegacyCells, LegacyError>| result.unwrap_err();
    assert_eq!(
        refused(LegacyCells::new(&wrong, &salt(), &unhex(HASH))),
        LegacyError::WrongPassphrase
    );
    let right = Passphrase::new("pässword".into());
    for len in [0, 20, 31, 33] {
        let mut hash = unhex(HASH);
        hash.resize(len, 0);
        assert_eq!(
            refused(LegacyCells::new(&right, &salt(), &hash)),
            LegacyError::HashLength { len }
        );
    }
    for bit in 0..256 {
        let mut hash = unhex(HASH);
        hash[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(LegacyCells::new(&right, &salt(), &hash)), LegacyError::WrongPassphrase);
    }
}

#[test]
fn a_cut_cell_is_refused_or_keeps_every_byte() {
    let cell = unhex(PADDED);
    let whole = b"bplist00 and then some more of it";
    for len in 0..cell.len() {
        let result = cells().decrypt(&cell[..len]);
        if len == 0 || len % 16 != 0 {
            assert_eq!(result, Err(LegacyError::CellLength { len }));
        } else {
            assert_eq!(result.unwrap(), whole[..len]);
        }
    }
}

#[test]
fn the_key_does_not_print() {
    assert_eq!(format!("{:?}", cells()), "LegacyCells([redacted])");
}
