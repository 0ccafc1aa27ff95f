//! Files of rules.

use super::builder::Written;
use crate::PolicyError;

/// Reads the rules of a file, one a line. Lines end with LF or CR LF; a byte order mark at the
/// start is passed over, since some editors write one.
pub(super) fn lines<'f>(
    name: &'f str,
    content: &'f [u8],
) -> impl Iterator<Item = Result<Written, PolicyError>> + 'f {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    (1usize..).zip(content.split(|&b| b == b'\n')).filter_map(move |(line, text)| {
        let file = || name.into();
        let Ok(text) = std::str::from_utf8(text) else {
            return Some(Err(PolicyError::NotText { file: file(), line }));
        };
        let text = trim_end(text.strip_suffix('\r').unwrap_or(text)).trim_start();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let rule = match text.split_once(|c: char| c.is_ascii_whitespace()) {
            Some(("+", pattern)) => Some((true, pattern)),
            Some(("-", pattern)) => Some((false, pattern)),
            _ => None,
        };
        Some(match rule {
            None => Err(PolicyError::NotARule { file: file(), line }),
            Some((keep, pattern)) => Ok(Written {
                keep,
                pattern: pattern.trim_start().into(),
                origin: Some((file(), line)),
                general: false,
            }),
        })
    })
}

/// Drops blanks at the end, but for one that is escaped: an odd number of `\` stands before it.
fn trim_end(text: &str) -> &str {
    let trimmed = text.trim_end_matches([' ', '\t']);
    let escapes = trimmed.bytes().rev().take_while(|&b| b == b'\\').count();
    if escapes % 2 == 1 {
        text.get(..trimmed.len().saturating_add(1)).unwrap_or(trimmed)
    } else {
        trimmed
    }
}
