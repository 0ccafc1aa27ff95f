//! Little-endian fields off the front of a slice.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// A slice that fields are taken off. What is not there is `None`, once and for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Finds an extra field by its number. A list that is not well formed ends where it is not.
pub(super) fn extra(extras: &[u8], id: u16) -> Option<Fields<'_>> {
    let mut extras = Fields(extras);
    loop {
        let (found, len) = (extras.u16()?, extras.u16()?);
        let content = extras.bytes(len.into())?;
        if found == id {
            return Some(Fields(content));
        }
    }
}
