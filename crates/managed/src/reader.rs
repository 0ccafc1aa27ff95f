//! Reading the files of management state, each within its limits and all of them within one.

use std::io::Read as _;

use bkp_bundle::plist_guard::{self, Limits};
use bkp_bundle::{BundlePayloads, BundleRecord};
use bkp_core::{Payloads as _, Severity};
use plist::{Dictionary, Value};

use crate::ManagedError;
use crate::error::FileName;

/// Bytes of one file. Stubs of devices have some thousand, with certificates some ten thousand.
const FILE: u64 = 4 << 20;
/// Bytes of all files together.
const TOTAL: u64 = 64 << 20;

/// Returns how much of one file's property list is read before it is taken for an attack.
pub(crate) fn limits(bytes: usize) -> Limits {
    let mut limits = Limits::of(bytes);
    limits.nesting = 64;
    limits.visits = 200_000;
    // Text may be shared by keys; what a survey keeps of all files stays near their length.
    limits.slack = 64 << 10;
    limits
}

/// Reads files until [`TOTAL`] is used up.
#[derive(Debug)]
pub(crate) struct Reader<'b> {
    payloads: &'b BundlePayloads,
    left: u64,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(payloads: &'b BundlePayloads) -> Self {
        Self { payloads, left: TOTAL }
    }

    /// Reads a file as a property list with a dictionary at its root. Damage that left it readable
    /// is told besides.
    pub(crate) fn dictionary(
        &mut self,
        record: &BundleRecord,
        problems: &mut Vec<ManagedError>,
    ) -> Result<Dictionary, ManagedError> {
        let name = FileName::of(record.as_ref());
        let bytes = self.bytes(record, &name, problems)?;
        let value = plist_guard::read_value(&bytes, &limits(bytes.len()));
        match value {
            Ok(Value::Dictionary(dictionary)) => Ok(dictionary),
            Ok(_) => Err(ManagedError::NoDictionary { name }),
            // SEQUENCE: the ContentInfo of RFC 5652.
            Err(_) if bytes.first() == Some(&0x30) => Err(ManagedError::Signed { name }),
            Err(source) => Err(ManagedError::Plist { name, source }),
        }
    }

    fn bytes(
        &mut self,
        record: &BundleRecord,
        name: &FileName,
        problems: &mut Vec<ManagedError>,
    ) -> Result<Vec<u8>, ManagedError> {
        let most = FILE.min(self.left);
        let mut payload = self
            .payloads
            .open(record)
            .map_err(|error| ManagedError::Open { name: name.clone(), source: Box::new(error) })?;
        let mut bytes = Vec::new();
        let read = (&mut payload).take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| ManagedError::Read { name: name.clone(), source })?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(len);
        if len > most {
            let name = name.clone();
            return Err(if most < FILE {
                ManagedError::TooMuch { name, limit: TOTAL }
            } else {
                ManagedError::TooLong { name, limit: FILE }
            });
        }
        for fault in payload.faults() {
            if fault.severity() > Severity::Notice {
                let (code, message) = (fault.code(), fault.to_string());
                problems.push(ManagedError::Damaged { name: name.clone(), code, message });
            }
        }
        Ok(bytes)
    }
}
