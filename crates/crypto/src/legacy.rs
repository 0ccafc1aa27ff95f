//! The encrypted catalog cells of iOS 10.0.
//!
//! For a short while the `file` cells of an encrypted `Manifest.db` were encrypted one by one and
//! the database itself was not. Two rows of `Properties` hold what is needed. Source: FORMAT.md
//! 2.3.
//!
//! ```text
//! passwordHash = SHA-256(passphrase || salt)
//! cell key     = SHA-1(passphrase || salt)[..16]
//! cell         = AES-128-CBC(cell key, IV = 00 01 .. 0f, PKCS #7)
//! ```

use std::fmt;

use aes::Aes128Dec;
use aes::cipher::KeyIvInit as _;
use cbc::Decryptor;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::cbc::decrypt_all;
use crate::error::LegacyError;
use crate::secret::Passphrase;

const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Decrypts `file` cells.
pub struct LegacyCells(Zeroizing<[u8; 16]>);

impl fmt::Debug for LegacyCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyCells([redacted])")
    }
}

impl LegacyCells {
    /// Checks a passphrase against the `salt` and the `passwordHash` of the catalog.
    ///
    /// # Errors
    ///
    /// Fails when the hash is of another passphrase, or is no SHA-256 value at all.
    pub fn new(
        passphrase: &Passphrase,
        salt: &[u8],
        password_hash: &[u8],
    ) -> Result<Self, LegacyError> {
        let password_hash: &[u8; 32] = password_hash
            .try_into()
            .map_err(|_| LegacyError::HashLength { len: password_hash.len() })?;
        let hash = Sha256::new().chain_update(passphrase.expose()).chain_update(salt).finalize();
        if hash != *password_hash {
            return Err(LegacyError::WrongPassphrase);
        }
        let mut hash = Zeroizing::new([0; 20]);
        Sha1::new()
            .chain_update(passphrase.expose())
            .chain_update(salt)
            .finalize_into((&mut *hash).into());
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&hash[..16]);
        Ok(Self(key))
    }

    /// Decrypts one cell. Padding is stripped when it is valid, else every byte is kept.
    ///
    /// # Errors
    ///
    /// Fails when the cell is empty or not whole blocks.
    pub fn decrypt(&self, cell: &[u8]) -> Result<Vec<u8>, LegacyError> {
        if cell.is_empty() || !cell.len().is_multiple_of(16) {
            return Err(LegacyError::CellLength { len: cell.len() });
        }
        let mut plain = cell.to_vec();
        let mut cipher = Decryptor::<Aes128Dec>::new((&*self.0).into(), (&IV).into());
        let (_, len) = decrypt_all(&mut cipher, &mut plain);
        plain.truncate(len);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests;
