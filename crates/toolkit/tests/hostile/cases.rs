//! The one-fault cases of `fixtures/cases`, through the real reader.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bkp_bundle::{Backup, Bundle, BundleError, Limits, Opened, Storage, Unlocked};
use bkp_core::{EntryKind, Fault as _, Payloads as _, Source as _};
use bkp_crypto::Passphrase;
use bkp_testkit::faults::{self, FaultCase};

/// What comes out of a case, spelled as its file spells what is expected.
#[derive(Debug, Default, Eq, PartialEq)]
struct Outcome {
    codes: Vec<String>,
    read: usize,
}

impl Outcome {
    fn add(&mut self, place: &str, code: &str) {
        self.codes.push(format!("{place}/{code}"));
    }

    fn notices(&mut self, notices: &[bkp_bundle::Notice]) {
        notices.iter().for_each(|notice| self.add("notice", notice.code));
    }
}

fn unlock(
    case: &FaultCase,
    opened: Opened,
    outcome: &mut Outcome,
) -> Result<Backup<Unlocked>, BundleError> {
    match opened {
        Opened::Unlocked(backup) => Ok(backup),
        Opened::Locked(backup) => {
            let passphrase = Passphrase::new(case.password().into());
            let result = backup.unlock(&passphrase, &mut |_| ControlFlow::Continue(()));
            result.inspect_err(|error| outcome.add("unlock", error.code()))
        }
    }
}

fn run(case: &FaultCase) -> Outcome {
    const LISTS: &str = "an open catalog is listed";
    let mut outcome = Outcome::default();
    let files = match case.files() {
        Ok(files) => files,
        Err(error) => {
            outcome.codes.push(format!("no bundle: {error}"));
            return outcome;
        }
    };
    let storage = Storage::memory(files);
    let mut limits = Limits::default();
    if let Some(limit) = case.kdf_limit() {
        limits.kdf_rounds = limit;
    }
    let bundle = match Bundle::open(storage, limits) {
        Ok(bundle) => Arc::new(bundle),
        Err(error) => {
            outcome.add("open", error.code());
            return outcome;
        }
    };
    outcome.notices(bundle.notices());
    let opened = match bundle.open_catalog() {
        Ok(opened) => opened,
        Err(error) => {
            outcome.add("open", error.code());
            return outcome;
        }
    };
    let Ok(backup) = unlock(case, opened, &mut outcome) else { return outcome };
    outcome.notices(backup.catalog().notices());
    let contents = case.contents();
    for record in backup.records().expect(LISTS) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                outcome.add("row", error.code());
                continue;
            }
        };
        // What is found by name is what was listed, damaged or not.
        let entry = record.as_ref();
        let found = backup.find(&entry.domain, &entry.path);
        assert!(matches!(found, Ok(Some(_))), "{entry}: {found:?}");
        if entry.kind != EntryKind::File {
            continue;
        }
        match backup.payloads().open(&record) {
            Err(error) => outcome.add("payload", error.code()),
            Ok(mut payload) => {
                let mut bytes = Vec::new();
                payload.read_to_end(&mut bytes).expect("memory can be read");
                for fault in payload.faults() {
                    outcome.add("payload", fault.code());
                }
                outcome.read += usize::from(contents.contains(&bytes));
            }
        }
    }
    outcome
}

#[test]
fn every_case_gives_exactly_its_codes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases");
    let cases = faults::read(&dir).unwrap();
    assert!(cases.len() >= 250, "{} cases", cases.len());
    let (even, odd): (Vec<_>, Vec<_>) = cases.iter().zip(0..).partition(|(_, n)| n % 2 == 0);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let halves = [even, odd].map(|half| {
            scope.spawn(move || half.iter().filter_map(|(case, _)| judge(case)).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().expect("no case panics")).collect()
    });
    println!("{} cases", cases.len());
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Says what came out, if it is not what was expected.
fn judge(case: &FaultCase) -> Option<String> {
    let begun = Instant::now();
    let mut outcome = run(case);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{} took {took:?}", case.name);
    if outcome.codes.is_empty() {
        outcome.codes.push("ok".into());
    }
    outcome.codes.sort();
    if outcome.codes == case.expect && outcome.read == case.read {
        return None;
    }
    let FaultCase { name, title, expect, read, .. } = case;
    Some(format!(
        "{name} ({title}):\n  expected {}, {read} read\n  came out {}, {} read",
        expect.join(" "),
        outcome.codes.join(" "),
        outcome.read
    ))
}
