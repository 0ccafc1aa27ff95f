//! What tests of several jobs have in common.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use bkp_bundle::{Backup, Limits, Opened, Storage, Unlocked};
use bkp_core::{Entry, Monitor, Problem, Stage};
use bkp_crypto::Passphrase;
use bkp_testkit::cases;

/// Opens a bundle with the password that the testkit's encrypted ones have.
pub(crate) fn open(dir: &Path) -> Backup<Unlocked> {
    match Opened::open(Storage::directory(dir).unwrap(), Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => {
            let password = Passphrase::new(cases::PASSWORD.to_owned().into());
            backup.unlock(&password, &mut |_| ControlFlow::Continue(())).unwrap()
        }
    }
}

/// Keeps the codes of all problems, in the order in which they were reported.
#[derive(Default)]
pub(crate) struct Codes(pub(crate) Mutex<Vec<&'static str>>);

impl Monitor for Codes {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}
    fn problem(&self, problem: Problem<'_>) {
        self.0.lock().unwrap().push(problem.fault.code());
    }
}
