//! What a disk that ignores case and composition takes for the same name.

use std::hash::{Hash, Hasher};

use unicode_normalization::UnicodeNormalization as _;

/// Feeds a hasher one component as such a disk sees it: without case, decomposed, and without
/// the characters that some disks pass over. Rather too much than too little is held to be the
/// same, since that costs only a longer name.
pub(super) fn hash(component: &[u8], hasher: &mut impl Hasher) {
    if component.is_ascii() {
        for byte in component {
            hasher.write_u32(byte.to_ascii_lowercase().into());
        }
    } else {
        for chunk in component.utf8_chunks() {
            let folded = chunk
                .valid()
                .nfd()
                .filter(|&c| !is_ignorable(c))
                .flat_map(char::to_uppercase)
                .flat_map(char::to_lowercase)
                .nfd();
            folded.for_each(|c| hasher.write_u32(c.into()));
            // Above every character, so that no byte is taken for one.
            chunk.invalid().iter().for_each(|&b| hasher.write_u32(0x0020_0000 | u32::from(b)));
        }
    }
    u32::MAX.hash(hasher);
}

/// Characters that HFS+ passes over when it compares names, and others that nobody can see.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
    )
}
