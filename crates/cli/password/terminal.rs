//! The question on the terminal.
//!
//! Keys are read one at a time without echo and with a short timeout, so that Ctrl-C ends the
//! question at once and always leaves the terminal as it was.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::error::{CommandError, Kind};
use crate::signals::Stop;

/// The longest password that can be typed, in bytes.
const LIMIT: usize = 4096;

/// Asks for a password. Returns nothing where there is nobody to ask.
pub(super) fn ask(question: &str, stop: &Stop) -> Result<Option<SecretString>, CommandError> {
    // A question that goes to a file is not seen.
    if !io::stderr().is_terminal() {
        return Ok(None);
    }
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else {
        return Ok(None);
    };
    stop.check()?;
    let failed = |error: io::Error| {
        CommandError::new(
            Kind::PasswordNeeded,
            "password-unreadable",
            format!("cannot ask for the password: {error}"),
        )
    };
    let quiet = Quiet::begin(&terminal).map_err(failed)?;
    let answer = read_answer(&terminal, question, stop);
    drop(quiet);
    // The user's Enter was not echoed either.
    let _ = (&terminal).write_all(b"\n");
    stop.check()?;
    let answer = answer.map_err(failed)?;
    match std::str::from_utf8(&answer) {
        Ok("") => {
            Err(CommandError::new(Kind::PasswordNeeded, "password-empty", "no password was typed"))
        }
        Ok(text) => Ok(Some(SecretString::from(Box::<str>::from(text)))),
        Err(_) => Err(CommandError::new(
            Kind::PasswordNeeded,
            "password-invalid",
            "the password typed is not UTF-8",
        )
        .help("set the terminal to UTF-8")),
    }
}

fn read_answer(mut terminal: &File, question: &str, stop: &Stop) -> io::Result<Zeroizing<Vec<u8>>> {
    terminal.write_all(question.as_bytes())?;
    terminal.flush()?;
    let mut answer = Answer::default();
    let mut key = Zeroizing::new([0]);
    while !stop.requested() {
        match terminal.read(&mut *key) {
            // The timeout. A terminal that is gone gives an error instead.
            Ok(0) => {}
            Ok(_) if answer.press(key[0])? => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer.bytes)
}

/// What has been typed so far.
#[derive(Debug)]
struct Answer {
    bytes: Zeroizing<Vec<u8>>,
}

impl Default for Answer {
    fn default() -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(LIMIT)) }
    }
}

impl Answer {
    /// Takes a key. Returns true when the answer is complete.
    fn press(&mut self, key: u8) -> io::Result<bool> {
        const END: u8 = 0x04;
        const BACKSPACE: [u8; 2] = [0x08, 0x7f];
        const ERASE_LINE: u8 = 0x15;
        match key {
            b'\n' | b'\r' | END => return Ok(true),
            ERASE_LINE => self.bytes.clear(),
            key if BACKSPACE.contains(&key) => {
                // A character is its first byte and the bytes 10xxxxxx after it.
                while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            0 => return Err(io::Error::other("it holds a NUL byte")),
            _ if self.bytes.len() >= LIMIT => {
                return Err(io::Error::other("it is too long to be typed"));
            }
            key => self.bytes.push(key),
        }
        Ok(false)
    }
}

/// A terminal that does not echo, until this is dropped.
struct Quiet<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Quiet<'t> {
    fn begin(terminal: &'t File) -> io::Result<Self> {
        let before = rustix::termios::tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        // A read returns after one key or after a tenth of a second.
        quiet.special_codes[SpecialCodeIndex::VMIN] = 0;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 1;
        rustix::termios::tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, LIMIT};

    fn typed(keys: &[u8]) -> (Vec<u8>, bool) {
        let mut answer = Answer::default();
        let done = keys.iter().any(|&key| answer.press(key).unwrap());
        (answer.bytes.to_vec(), done)
    }

    #[test]
    fn keys_edit_the_answer() {
        assert_eq!(typed(b"abc\n"), (b"abc".to_vec(), true));
        assert_eq!(typed(b"abc\x7f\x08d\r"), (b"ad".to_vec(), true));
        assert_eq!(typed("a\u{fc}\x7fb".as_bytes()), (b"ab".to_vec(), false));
        assert_eq!(typed(b"\x7f\x7fwrong\x15right\x04"), (b"right".to_vec(), true));
    }

    #[test]
    fn an_endless_paste_is_refused_without_growing() {
        let mut answer = Answer::default();
        let capacity = answer.bytes.capacity();
        assert!((0..LIMIT).all(|_| matches!(answer.press(b'x'), Ok(false))));
        assert!(answer.press(b'x').is_err());
        assert_eq!(answer.bytes.capacity(), capacity);
        assert!(answer.press(0).is_err());
    }
}
