//! Workers with several files open at once find what those with one find, by every kernel.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use bkp_bundle::{Limits, Opened, Storage};
use bkp_core::{Entry, Identity, NullMonitor, RunOptions, Sink, Source as _};
use bkp_kernels::Sha1Kernel;
use bkp_testkit::{EntrySpec, Stored, cases};

use super::{Checked, Finding};
use super::{CheckedPayloads, Choice, ContentStager, Contents, Files, Plan, Tally, Verifier};
use crate::verify::log::Log;

/// A verifier whose workers have so many lanes.
struct Wide<'l>(Verifier<'l>, Arc<ContentStager>);

impl Sink for Wide<'_> {
    type Stager = ContentStager;
    type Staged = Checked;
    type Error = Finding;
    type Summary = Tally;

    fn stager(&self) -> Arc<ContentStager> {
        Arc::clone(&self.1)
    }

    fn commit(&mut self, entry: &Entry, checked: Checked) -> Result<(), Finding> {
        self.0.commit(entry, checked)
    }

    fn finish(self) -> Result<Tally, Finding> {
        self.0.finish()
    }
}

#[test]
fn lanes_change_nothing() {
    let spec = cases::plain_db().with(|spec| {
        spec.entries.extend((0..150).map(|n| {
            // Some longer than one piece, and some changed.
            let file = EntrySpec::noise("HomeDomain", format!("{n}"), n * 2_000);
            let changed = n % 10 == 7;
            file.with(|e| e.stored = if changed { Stored::Flipped(n) } else { Stored::Device })
        }));
    });
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let storage = Storage::directory(dir.path()).unwrap();
    let Ok(Opened::Unlocked(backup)) = Opened::open(storage, Limits::default()) else { panic!() };
    let run = |kernel, lanes| {
        let log = Log::new(&NullMonitor, usize::MAX);
        let plan = || Plan {
            choice: Choice::All,
            read_data: false,
            databases: false,
            encrypted: false,
            locked: Vec::new(),
            keyless: Vec::new(),
            unmeasured: Vec::new(),
        };
        let payloads = backup.payloads().clone();
        let verifier = Verifier::new(&log, payloads.clone(), plan(), NonZeroUsize::MIN);
        let large = Mutex::new(());
        let stager =
            ContentStager { payloads: payloads.clone(), plan: plan(), kernel, lanes, large };
        let sink = Wide(verifier, Arc::new(stager));
        let source = Contents { catalog: backup.catalog(), payloads: CheckedPayloads(payloads) };
        let options = RunOptions::default();
        let report =
            bkp_core::run(&source, &Files, &Identity, sink, &options, &NullMonitor).unwrap();
        assert_eq!(report.failed, 0);
        let Tally { files, bytes, digests, .. } = report.summary;
        ((files, bytes, digests), log.finish().0)
    };
    let one = run(Sha1Kernel::PORTABLE, 1);
    assert_eq!(one.1.len(), 15);
    assert!(one.0.0 > 150 && one.0.0 == one.0.2);
    for kernel in Sha1Kernel::all() {
        for lanes in [1, 2, 16, 32] {
            assert_eq!(run(kernel, lanes), one, "{kernel:?} {lanes}");
        }
    }
}
