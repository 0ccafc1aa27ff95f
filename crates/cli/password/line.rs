//! The first line of a stream, as a secret.

use std::io::{self, Read};
use std::process::ExitStatus;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The longest password in bytes.
const LIMIT: usize = 64 * 1024;

/// Why a source gives no password. None of these holds a byte of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("cannot open it")]
    Open(#[source] io::Error),
    #[error("cannot read it")]
    Read(#[source] io::Error),
    #[error("the command failed ({0})")]
    Command(ExitStatus),
    #[error("it is empty")]
    Empty,
    #[error("it holds a NUL byte")]
    Nul,
    #[error("its first line is longer than {LIMIT} bytes")]
    TooLong,
    #[error("it is not UTF-8")]
    NotUtf8,
}

impl LineError {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Open(_) | Self::Read(_) => "password-unreadable",
            Self::Command(_) => "password-command-failed",
            Self::Empty => "password-empty",
            Self::Nul | Self::TooLong | Self::NotUtf8 => "password-invalid",
        }
    }
}

/// Reads up to the first newline or the end.
pub(super) fn first_line(mut source: impl Read) -> Result<SecretString, LineError> {
    // Made at its full size: a vector that grows leaves copies behind. Two bytes more than the
    // limit, for the line's end.
    let mut buffer = Zeroizing::new(vec![0; LIMIT + 2]);
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        let count = match source.read(room) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(LineError::Read(error)),
        };
        let newline = room.iter().take(count).any(|&b| b == b'\n');
        filled += count;
        if newline {
            break;
        }
    }
    let text = buffer.get(..filled).unwrap_or_default();
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
    // The end of the line is one LF or CRLF; a CR at the end of a file is part of the password
    // only when no LF follows it.
    let line = match line.strip_suffix(b"\r") {
        Some(stripped) if line.len() < text.len() => stripped,
        _ => line,
    };
    whole(line)
}

/// Checks a password that is there in full.
pub(super) fn whole(password: &[u8]) -> Result<SecretString, LineError> {
    if password.is_empty() {
        return Err(LineError::Empty);
    }
    if password.len() > LIMIT {
        return Err(LineError::TooLong);
    }
    if password.contains(&0) {
        return Err(LineError::Nul);
    }
    // A boxed copy of exactly this size, which the secret wipes.
    let text = std::str::from_utf8(password).map_err(|_| LineError::NotUtf8)?;
    Ok(SecretString::from(Box::<str>::from(text)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use secrecy::ExposeSecret as _;

    use super::{LIMIT, LineError, first_line};

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Some((&first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn the_first_line_without_its_end() {
        for (text, password) in [
            (&b"secret"[..], "secret"),
            (b"secret\n", "secret"),
            (b"secret\r\n", "secret"),
            (b"secret\r", "secret\r"),
            (b"secret\n\n", "secret"),
            (b"secret\nnotes", "secret"),
            (b"secret\r\nnotes", "secret"),
            (b" spaces stay \n", " spaces stay "),
            ("pässwörd\n".as_bytes(), "pässwörd"),
        ] {
            assert_eq!(first_line(text).unwrap().expose_secret(), password);
            assert_eq!(first_line(Drip(text)).unwrap().expose_secret(), password);
        }
    }

    #[test]
    fn what_cannot_be_a_password() {
        assert!(matches!(first_line(&b""[..]), Err(LineError::Empty)));
        assert!(matches!(first_line(&b"\nsecret"[..]), Err(LineError::Empty)));
        assert!(matches!(first_line(&b"\r\n"[..]), Err(LineError::Empty)));
        assert!(matches!(first_line(&b"sec\0ret\n"[..]), Err(LineError::Nul)));
        assert!(matches!(first_line(&b"sec\xff\n"[..]), Err(LineError::NotUtf8)));
    }

    #[test]
    fn the_limit_is_exact() {
        for end in ["", "\n", "\r\n"] {
            let fits = "a".repeat(LIMIT) + end;
            assert_eq!(first_line(fits.as_bytes()).unwrap().expose_secret().len(), LIMIT);
            let over = "a".repeat(LIMIT + 1) + end;
            assert!(matches!(first_line(over.as_bytes()), Err(LineError::TooLong)));
        }
        assert!(matches!(first_line(std::io::repeat(b'a')), Err(LineError::TooLong)));
    }
}
