//! A sealed archive of any bytes: its header, and what opens with a key that is known.
//!
//! The fuzz target and the test of its corpus both run this.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_archive::{ArchiveLimits, OpenedArchive};
use bkp_crypto::{ArchiveKey, Passphrase, SealedHeader};

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(header) = SealedHeader::parse(bytes) {
        // A header that asks for more is refused before anything is derived.
        let _ = header.derive(&Passphrase::empty(), 10, &mut |_| ControlFlow::Continue(()));
    }
    let limits = ArchiveLimits { members: 1000, ratio: 20, free_of_ratio: 1 << 20 };
    let Ok(OpenedArchive::Sealed(sealed)) = OpenedArchive::of(Arc::new(bytes.to_vec()), limits)
    else {
        return;
    };
    let key = ArchiveKey::try_init(|key| {
        for (byte, n) in key.iter_mut().zip(0..) {
            *byte = n;
        }
        Ok::<_, Infallible>(())
    });
    let Ok(key) = key;
    if let Ok(archive) = sealed.unseal_with_key_file(&key) {
        let _ = archive.check_members(&|_| ControlFlow::Continue(()));
    }
}
