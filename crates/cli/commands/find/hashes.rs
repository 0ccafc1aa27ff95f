//! The SHA-256 hashes that are looked for.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bkp_toolkit::ContentHash;

use crate::error::{CommandError, Kind};

/// The longest line of a file of hashes, in bytes. A name may follow the hash.
const LINE: u64 = 64 * 1024;

/// One hash, as an argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashArg(ContentHash);

impl FromStr for HashArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.as_bytes()).map(Self).ok_or("a SHA-256 is 64 hexadecimal digits")
    }
}

/// Hashes, sorted: a list of known files may have millions, and this takes 32 bytes for each.
#[derive(Debug)]
pub(super) struct Hashes(Vec<ContentHash>);

impl Hashes {
    /// Gathers the hashes of the command line; nothing when no option asks for any.
    pub(super) fn of(args: &[HashArg], files: &[PathBuf]) -> Result<Option<Self>, CommandError> {
        if args.is_empty() && files.is_empty() {
            return Ok(None);
        }
        let mut hashes: Vec<ContentHash> = args.iter().map(|&HashArg(hash)| hash).collect();
        for path in files {
            read_file(path, &mut hashes)?;
        }
        hashes.sort_unstable();
        hashes.dedup();
        Ok(Some(Self(hashes)))
    }

    pub(super) fn contains(&self, hash: &ContentHash) -> bool {
        self.0.binary_search(hash).is_ok()
    }
}

fn read_file(path: &Path, hashes: &mut Vec<ContentHash>) -> Result<(), CommandError> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read the hashes in \"{name}\": {error}");
        CommandError::new(Kind::Usage, "hashes-unreadable", message)
    };
    let before = hashes.len();
    let file = File::open(path).map_err(unreadable)?;
    read_lines(BufReader::new(file), hashes).map_err(|fault| match fault {
        LineFault::Read(error) => unreadable(error),
        LineFault::NotAHash(line) => {
            let message = format!("{name}, line {line}: does not begin with a SHA-256");
            CommandError::new(Kind::Usage, "bad-hash-file", message)
                .help("a line is 64 hexadecimal digits and perhaps a name, or a comment after #")
        }
    })?;
    if hashes.len() == before {
        let message = format!("there is no hash in \"{name}\"");
        return Err(CommandError::new(Kind::Usage, "bad-hash-file", message));
    }
    Ok(())
}

#[derive(Debug)]
enum LineFault {
    Read(std::io::Error),
    /// Counted from 1.
    NotAHash(usize),
}

fn read_lines(mut file: impl BufRead, hashes: &mut Vec<ContentHash>) -> Result<(), LineFault> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        // A line that is longer than this is refused for its end, whatever it begins with.
        let count = file.by_ref().take(LINE + 1).read_until(b'\n', &mut line);
        if count.map_err(LineFault::Read)? == 0 {
            break;
        }
        if u64::try_from(line.len()).unwrap_or(u64::MAX) > LINE {
            return Err(LineFault::NotAHash(number));
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line);
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        // sha256sum begins the line of a name that it had to escape with a backslash.
        let text = text.strip_prefix(b"\\").unwrap_or(text);
        let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        hashes.push(parse(word).ok_or(LineFault::NotAHash(number))?);
    }
    Ok(())
}

/// Reads 64 hexadecimal digits of either case.
fn parse(text: &[u8]) -> Option<ContentHash> {
    // Not `from_str_radix`: it takes a leading `+`.
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::{HashArg, LineFault, parse, read_lines};

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_are_64_digits() {
        let hash = parse(HEX.as_bytes()).unwrap();
        assert_eq!((hash[0], hash[31]), (0xba, 0xad));
        assert_eq!(parse(HEX.to_uppercase().as_bytes()), Some(hash));
        for bad in ["", &HEX[1..], &format!("{HEX}0"), &format!("+{}", &HEX[1..]), &"g".repeat(64)]
        {
            assert!(bad.parse::<HashArg>().is_err(), "{bad}");
        }
    }

    /// Gives one byte at a time.
    struct Drip<'b>(&'b [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(buf.len()).min(1);
            let (now, rest) = self.0.split_at(n);
            buf[..n].copy_from_slice(now);
            self.0 = rest;
            Ok(n)
        }
    }

    #[test]
    fn files_of_hashes() {
        let upper = HEX.to_uppercase();
        let text = format!(
            "\u{feff}{HEX}\r\n# note\n\n{upper}  a name\n\\{HEX} *odd\\nname\n  {HEX}\tx\n{HEX}"
        );
        let mut hashes = Vec::new();
        read_lines(text.as_bytes(), &mut hashes).unwrap();
        assert_eq!(hashes, vec![parse(HEX.as_bytes()).unwrap(); 5]);
        let mut dripped = Vec::new();
        read_lines(BufReader::new(Drip(text.as_bytes())), &mut dripped).unwrap();
        assert_eq!(dripped, hashes);
        for (bad, line) in [
            (format!("{HEX}\n{HEX}x\n"), 2),
            ("sms.db\n".to_owned(), 1),
            (format!("\n{HEX} {}\n", "x".repeat(70_000)), 2),
        ] {
            let error = read_lines(bad.as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(matches!(error, LineFault::NotAHash(at) if at == line), "{error:?}");
        }
    }
}
