//! Names that every file system can hold, and the way back.
//!
//! ```text
//! AppDomain-x : Docs/a:b?.txt     AppDomain-x/Docs/a%3Ab%3F.txt
//!               Docs/100%                     Docs/100%25
//!               Docs/CON.txt                  Docs/%43ON.txt
//!               Docs/end.                     Docs/end%2E
//!               Docs/A and Docs/a             Docs/%41 and Docs/a
//! ```
//!
//! `%` itself is always encoded, so what is decoded is what was encoded. A component that would
//! be longer than 255 bytes is cut, and ends in `%~` and the SHA-1 of its bytes; its name is in
//! the map alone.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bkp_core::{Domain, RelPath, limits};
use sha1::{Digest as _, Sha1};

use super::Twins;

/// What Windows does not take in a name, and the sign of an encoding itself.
const RESERVED: &[u8] = b"<>:\"/\\|?*%";
/// Names of devices on Windows, alone or before a dot. COM and LPT take a digit besides.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
const NUMBERED: [&str; 2] = ["COM", "LPT"];
const DIGITS: [&str; 13] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "\u{b9}", "\u{b2}", "\u{b3}"];
/// Begins the end of a name that was cut. `~` is no hexadecimal digit, so nothing decodes to it.
const CUT: &[u8] = b"%~";

/// Encodes a name. The second value says whether anything changed.
pub(super) fn encode(domain: &Domain, path: &RelPath, twins: &Twins) -> (Vec<u8>, bool) {
    let capacity = domain.as_bytes().len().saturating_add(path.as_bytes().len());
    let mut out = Vec::with_capacity(capacity.saturating_add(1));
    let mut changed = false;
    for (component, twin) in twins.of(domain, path) {
        let top = out.is_empty();
        if !top {
            out.push(b'/');
        }
        changed |= encode_component(component, twin, top, &mut out);
    }
    (out, changed)
}

/// Appends one component, `top` when it stands at the root of the destination, where our own map
/// does.
fn encode_component(component: &[u8], twin: bool, top: bool, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let last = component.len().saturating_sub(1);
    let first_too =
        is_device(component) || (top && component.eq_ignore_ascii_case(super::MAP.as_bytes()));
    let mut at = 0usize;
    for chunk in component.utf8_chunks() {
        for c in chunk.valid().chars() {
            let forced = (first_too && at == 0)
                || (at == last && matches!(c, '.' | ' '))
                || (twin && (c.is_ascii_uppercase() || !c.is_ascii()))
                || c.is_ascii_control()
                || u8::try_from(c).is_ok_and(|b| RESERVED.contains(&b));
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            if forced {
                bytes.iter().for_each(|&b| escape(b, out));
            } else {
                out.extend_from_slice(bytes);
            }
            at = at.saturating_add(bytes.len());
        }
        for &b in chunk.invalid() {
            escape(b, out);
            at = at.saturating_add(1);
        }
    }
    let encoded = out.get(start..).unwrap_or_default();
    if encoded.len() > limits::COMPONENT {
        let kept = cut(encoded).len();
        out.truncate(start.saturating_add(kept));
        out.extend_from_slice(CUT);
        for byte in Sha1::digest(component) {
            out.push(hex(byte >> 4));
            out.push(hex(byte));
        }
        return true;
    }
    encoded != component
}

/// Keeps as much of a name as leaves room for the end, and no half of a character or an escape.
fn cut(encoded: &[u8]) -> &[u8] {
    let room = limits::COMPONENT.saturating_sub(CUT.len()).saturating_sub(40);
    let mut kept = encoded.get(..room).unwrap_or(encoded);
    if let Some(at) = kept.iter().rposition(|&b| b == b'%')
        && kept.len().saturating_sub(at) < 3
    {
        kept = kept.get(..at).unwrap_or_default();
    }
    // An encoded name is UTF-8, so only the last character can be incomplete.
    match std::str::from_utf8(kept) {
        Ok(_) => kept,
        Err(error) => kept.get(..error.valid_up_to()).unwrap_or_default(),
    }
}

/// Returns true for what Windows takes for a device: the name before the first dot, with blanks
/// at its end passed over.
fn is_device(component: &[u8]) -> bool {
    let stem = component.split(|&b| b == b'.').next().unwrap_or_default();
    let stem = stem.trim_ascii_end();
    let strip = |name: &str| {
        let (head, rest) = stem.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name.as_bytes()).then_some(rest)
    };
    DEVICES.iter().any(|name| strip(name) == Some(b""))
        || NUMBERED.iter().any(|name| {
            strip(name).is_some_and(|rest| DIGITS.iter().any(|digit| digit.as_bytes() == rest))
        })
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte)]);
}

/// The last four bits as an upper-case digit.
fn hex(bits: u8) -> u8 {
    b"0123456789ABCDEF".get(usize::from(bits & 15)).copied().unwrap_or(b'0')
}

/// Gives back the name that was written portably: a component or a whole path.
///
/// Returns `None` for what no portable name looks like, and for a name that was cut because of
/// its length: `names.jsonl` has that one.
#[must_use]
pub fn decode(stored: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(stored.len());
    let mut bytes = stored.iter();
    while let Some(&byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(*bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            out.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
