//! File identifiers: where a payload lives in a backup directory.

use std::fmt;
use std::str::FromStr;

use sha1::{Digest as _, Sha1};

use crate::{Domain, RelPath};

/// The name of a payload, `SHA-1(domain "-" path)`. Source: FORMAT.md 2.3.
///
/// This is a name and not a checksum: it says where a payload is, and nothing about its bytes.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId([u8; 20]);

/// A string was not forty hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{}\" is not a file id (expected 40 hexadecimal digits)", .0.escape_ascii())]
pub struct ParseFileIdError(Box<[u8]>);

impl FileId {
    /// Computes the identifier of a path in a domain.
    #[must_use]
    pub fn of(domain: &Domain, path: &RelPath) -> Self {
        let mut hash = Sha1::new();
        hash.update(domain.as_bytes());
        hash.update(b"-");
        hash.update(path.as_bytes());
        Self(hash.finalize().into())
    }

    /// Reads forty hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// Fails on anything else; what a catalog states is then no name of a payload.
    pub fn parse(text: &[u8]) -> Result<Self, ParseFileIdError> {
        // Not `from_str_radix`: it takes a leading `+`.
        let digit = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let mut id = [0; 20];
        let mut pairs = text.chunks_exact(2);
        for (byte, pair) in id.iter_mut().zip(&mut pairs) {
            let &[high, low] = pair else { return Err(ParseFileIdError(text.into())) };
            let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                return Err(ParseFileIdError(text.into()));
            };
            *byte = high << 4 | low;
        }
        if text.len() == 40 { Ok(Self(id)) } else { Err(ParseFileIdError(text.into())) }
    }

    /// Takes the twenty bytes of an identifier.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the twenty bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Returns the forty lower-case digits as ASCII.
    #[must_use]
    pub fn to_hex(&self) -> [u8; 40] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |n: u8| DIGITS.get(usize::from(n & 15)).copied().unwrap_or(b'0');
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
        }
        hex
    }
}

impl FromStr for FileId {
    type Err = ParseFileIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::parse(s.as_bytes())
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.to_hex();
        f.pad(std::str::from_utf8(&hex).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::FileId;
    use crate::{Domain, RelPath};

    /// Known values of FORMAT.md 2.3.
    #[test]
    fn names_well_known_files() {
        for (domain, path, id) in [
            ("HomeDomain", "Library/SMS/sms.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"),
            ("KeychainDomain", "keychain-backup.plist", "51a4616e576dd33cd2abadfea874eb8ff246bf0e"),
            (
                "HomeDomain",
                "Library/Preferences/com.apple.mobile.ldbackup.plist",
                "2f771621fd3c627d0db75fe173f3dae8ce50e98b",
            ),
        ] {
            let of = FileId::of(&Domain::new(domain).unwrap(), &RelPath::new(path).unwrap());
            assert_eq!(of.to_string(), id);
            assert_eq!(id.parse(), Ok(of));
        }
    }

    #[test]
    fn refuses_what_is_not_forty_digits() {
        assert!("3d".parse::<FileId>().is_err());
        assert!("../../../../../../../../../etc/shadow0".parse::<FileId>().is_err());
        assert!("é".repeat(20).parse::<FileId>().is_err());
        assert!("+f".repeat(20).parse::<FileId>().is_err());
        assert!("ab".repeat(21).parse::<FileId>().is_err());
        assert!("a".repeat(41).parse::<FileId>().is_err());
        assert!("AB".repeat(20).parse::<FileId>().is_ok());
    }
}
