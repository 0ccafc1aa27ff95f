//! The rounds of PBKDF2-HMAC-SHA256 (RFC 8018, RFC 2104).
//!
//! ```text
//! Uj  = H(outer, H(inner, Uj-1))      each message is one digest in one block
//! sum = U1 ^ U2 ^ ... ^ Uj
//! ```
//!
//! `inner` and `outer` are the states of SHA-256 after the block that holds the secret. Both
//! messages of a round are 32 bytes that change and 32 that never do: the padding, and the length
//! of 96 bytes.

mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

use std::fmt;

/// One way to do rounds of HMAC-SHA256, known to work on this processor.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct HmacSha256Kernel(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Portable,
    /// Made only by [`HmacSha256Kernel::all`], where the processor has been asked.
    #[cfg(target_arch = "x86_64")]
    ShaNi,
}

impl fmt::Debug for HmacSha256Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl HmacSha256Kernel {
    /// The safe code over the `sha2` crate.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// Returns every kernel that works here, the best one first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = (!cfg!(feature = "force-portable") && sha_ni::detected()).then_some(Kind::ShaNi);
        #[cfg(not(target_arch = "x86_64"))]
        let fast = None;
        fast.into_iter().chain([Kind::Portable]).map(Self)
    }

    /// Returns the best kernel that works here.
    #[must_use]
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::PORTABLE)
    }

    /// Names what the kernel is made of.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi => "SHA-NI",
        }
    }

    /// Does `rounds` rounds.
    ///
    /// `last` is `Uj-1` before and `Uj` of the last round after; every `Uj` is xored into `sum`. All
    /// are words of SHA-256. What the kernel leaves in registers and spilled stack slots is not
    /// wiped.
    pub fn rounds(
        self,
        inner: &[u32; 8],
        outer: &[u32; 8],
        last: &mut [u32; 8],
        sum: &mut [u32; 8],
        rounds: u32,
    ) {
        match self.0 {
            Kind::Portable => portable::rounds(inner, outer, last, sum, rounds),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi => sha_ni::rounds(inner, outer, last, sum, rounds),
        }
    }
}

#[cfg(test)]
mod tests;
