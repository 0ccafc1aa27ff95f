//! Bytes as people compare them.

use std::fmt;

/// Shows bytes as lower-case hexadecimal digits, two for each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Hex;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(Hex(&[0x00, 0x0f, 0xa5, 0xff]).to_string(), "000fa5ff");
        assert_eq!(Hex(&[]).to_string(), "");
    }
}
