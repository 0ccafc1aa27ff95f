//! What is wrong with a backup, one thing at a time.

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bkp_bundle::{BundleError, PayloadError};
use bkp_core::{Entry, Fault, FileId, Place, Problem, Severity};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::meaning::meaning;

/// One thing that is wrong, with its place and what it means.
///
/// It is a [`Fault`], so that a monitor can be told of it: every fault that
/// [`verify`](crate::verify) gives to one is of this type.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// A stable code, such as `digest-mismatch`.
    pub code: &'static str,
    /// Whether anything is lost.
    pub grade: Grade,
    /// The domain as the catalog spells it, where this is about an entry. Unchecked.
    pub domain: Option<Box<[u8]>>,
    /// The path as the catalog spells it, where this is about an entry. Unchecked.
    pub path: Option<Box<[u8]>>,
    /// The row: its rowid in `Manifest.db`, its number from 0 in `Manifest.mbdb`.
    pub row: Option<i64>,
    /// The payload.
    pub file_id: Option<FileId>,
    /// What was found.
    pub message: String,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Grade {
    /// Odd, and every byte is there.
    Warning,
    /// Something was changed or lost, or a restore of the backup fails.
    Damage,
}

impl Grade {
    /// Returns the word of machine output: `warning` or `damage`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Damage => "damage",
        }
    }
}

impl From<Severity> for Grade {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Notice => Self::Warning,
            Severity::Damage | Severity::Failure => Self::Damage,
        }
    }
}

impl Finding {
    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Grade::Warning, message)
    }

    pub(super) fn damage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Grade::Damage, message)
    }

    pub(super) fn new(code: &'static str, grade: Grade, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, grade, domain: None, path: None, row: None, file_id: None, message }
    }

    /// Takes down an error of another crate. The names are those that the error knows itself.
    pub(super) fn of(fault: &dyn Fault) -> Self {
        let mut finding = Self::new(fault.code(), fault.severity().into(), chain(fault));
        if let Some(Place { domain, path }) = fault.place() {
            (finding.domain, finding.path) = (Some(domain.into()), Some(path.into()));
        }
        finding.row = match bundle_error(fault) {
            Some(BundleError::Row(error)) => Some(error.row),
            _ => None,
        };
        finding
    }

    /// Takes down a problem of a run. Nothing for what the walk over the catalog has told
    /// already.
    pub(super) fn of_problem(problem: &Problem<'_>) -> Option<Self> {
        let Problem { entry, fault } = *problem;
        let own = (fault as &dyn Error).downcast_ref::<Self>();
        let mut finding = own.cloned().unwrap_or_else(|| Self::of(fault));
        match payload_error(fault) {
            Some(PayloadError::Row { .. } | PayloadError::PlaintextInEncrypted { .. }) => {
                return None;
            }
            // A writer that does not pad leaves what the catalog says. What is neither padded nor
            // of the right length is not what was encrypted.
            Some(PayloadError::Padding { kept, .. }) => {
                let recorded = entry.map(|entry| entry.metadata.size_hint);
                finding.grade =
                    if recorded == Some(*kept) { Grade::Warning } else { Grade::Damage };
            }
            _ => {}
        }
        Some(match entry {
            Some(entry) => finding.at(entry),
            None => finding,
        })
    }

    /// Says which entry it is about.
    pub(super) fn at(mut self, entry: &Entry) -> Self {
        self.domain = Some(entry.domain.as_bytes().into());
        self.path = Some(entry.path.as_bytes().into());
        self.file_id = Some(entry.id);
        self
    }

    /// Says which names it is about, where there is no entry of them.
    pub(super) fn at_names(mut self, domain: &[u8], path: &[u8]) -> Self {
        (self.domain, self.path) = (Some(domain.into()), Some(path.into()));
        self
    }

    /// Says which row it is about.
    pub(super) fn in_row(mut self, row: i64) -> Self {
        self.row = Some(row);
        self
    }

    /// Says which payload it is about.
    pub(super) fn of_payload(mut self, id: FileId) -> Self {
        self.file_id = Some(id);
        self
    }

    /// Returns what this means for a restore and for what can be read, in one short sentence.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        meaning(self.code)
    }
}

fn bundle_error(fault: &dyn Fault) -> Option<&BundleError> {
    (fault as &dyn Error).downcast_ref()
}

fn payload_error(fault: &dyn Fault) -> Option<&PayloadError> {
    match bundle_error(fault) {
        Some(BundleError::Payload(error)) => Some(error),
        _ => (fault as &dyn Error).downcast_ref(),
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn Fault) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Some errors repeat their cause.
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Finding {}

impl Fault for Finding {
    fn code(&self) -> &'static str {
        self.code
    }

    fn severity(&self) -> Severity {
        match self.grade {
            Grade::Warning => Severity::Notice,
            Grade::Damage => Severity::Damage,
        }
    }

    fn place(&self) -> Option<Place<'_>> {
        match (&self.domain, &self.path) {
            (Some(domain), Some(path)) => Some(Place { domain, path }),
            _ => None,
        }
    }
}

/// Names that are not UTF-8 get a twin in base64.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { code, grade, domain, path, row, file_id, message } = self;
        let mut out = serializer.serialize_struct("Finding", 10)?;
        out.serialize_field("code", code)?;
        out.serialize_field("severity", grade.name())?;
        for (key, twin, name) in
            [("domain", "domain_b64", domain), ("relative_path", "relative_path_b64", path)]
        {
            out.serialize_field(key, &name.as_deref().map(String::from_utf8_lossy))?;
            match name {
                Some(name) if std::str::from_utf8(name).is_err() => {
                    out.serialize_field(twin, &STANDARD.encode(name))?;
                }
                _ => out.skip_field(twin)?,
            }
        }
        out.serialize_field("row", row)?;
        out.serialize_field("file_id", &file_id.map(|id| id.to_string()))?;
        out.serialize_field("message", message)?;
        out.serialize_field("meaning", self.meaning())?;
        out.end()
    }
}

/// Serialises a grade as its word.
impl Serialize for Grade {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
