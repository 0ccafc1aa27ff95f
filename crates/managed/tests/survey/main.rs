//! Surveys of whole bundles: synthetic ones with their expectations, and real ones.

// A failed expectation is a failed test, in what tests share as in the tests themselves.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod apps;
mod damage;
mod fixtures;
mod real;

use std::ops::ControlFlow;
use std::path::Path;

use bkp_bundle::{Limits, Opened, Storage};
use bkp_crypto::Passphrase;
use bkp_testkit::BundleSpec;

/// Opens a bundle, with a password where it needs one.
fn open(path: &Path, password: Option<&str>) -> Opened {
    let opened = Opened::open(Storage::directory(path).unwrap(), Limits::default()).unwrap();
    match (opened, password) {
        (Opened::Locked(backup), Some(password)) => {
            let passphrase = Passphrase::new(password.into());
            let unlocked = backup.unlock(&passphrase, &mut |_| ControlFlow::Continue(()));
            Opened::Unlocked(unlocked.unwrap())
        }
        (opened, _) => opened,
    }
}

/// Writes a bundle into a folder of its own and opens it.
fn written(spec: &BundleSpec) -> (tempfile::TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    spec.write(&dir.path().join("backup")).unwrap();
    let opened = open(&dir.path().join("backup"), Some(bkp_testkit::cases::PASSWORD));
    (dir, opened)
}
