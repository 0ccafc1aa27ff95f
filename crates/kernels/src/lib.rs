//! The loops in which `bkp` waits, with what the processor has.
//!
//! ```text
//! HmacSha256Kernel   rounds of PBKDF2, one chain            SHA-NI
//! Sha1Kernel         digests of many files at once          AVX-512, AVX2
//! CbcKernel          AES-256-CBC encryption of many files   VAES-512, AES-NI
//! ```
//!
//! Every kernel has a safe twin over the usual crates. A value of a kernel type is proof that the
//! processor was asked for the instructions (`is_x86_feature_detected`), so using one is safe.
//! Other processors, and the feature `force-portable`, have the safe twin alone. All kernels that
//! work on a machine are compared by the tests.
//!
//! This is the bottom of the crates that know of keys, and it knows them only as bytes: who calls
//! it keeps them. `unsafe` stands in the modules that are named after instructions, and nowhere else.

#![deny(unsafe_op_in_unsafe_fn)]

mod cbc;
mod hmac_sha256;
mod lanes;
mod sha1;
#[cfg(test)]
mod testing;

pub use cbc::{CbcKernel, CbcPiece, CbcStream};
pub use hmac_sha256::HmacSha256Kernel;
pub use sha1::{Sha1Kernel, Sha1Piece, Sha1Stream};
