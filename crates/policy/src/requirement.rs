//! What a decision rests on: the numbered statements of the requirement documents.

use std::fmt;

/// A numbered statement of a requirement document, such as `001-24`.
///
/// | document | what it is |
/// |---|---|
/// | 000 | Intune: backup and restore scenarios for iOS and iPadOS (2020) |
/// | 001 | Apple: back up and restore managed devices |
/// | 002 | Intune: migrate to a new iPhone for work |
/// | 003 | Intune: set up Windows backup and restore (2025-08) |
/// | 004 | Intune: changes to applications' backup and restore behaviour |
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Requirement {
    document: u8,
    item: &'static str,
}

impl Requirement {
    pub(crate) const fn new(document: u8, item: &'static str) -> Self {
        Self { document, item }
    }

    /// Returns the number of the document, 0 to 4.
    #[must_use]
    pub fn document(&self) -> u8 {
        self.document
    }

    /// Returns the number of the statement in its document: `24`, or `3.1` for a step.
    #[must_use]
    pub fn item(&self) -> &'static str {
        self.item
    }

    /// Returns what the statement says, in our words, where it stands in
    /// [`tables::STATEMENTS`](crate::tables::STATEMENTS); the steps of documents 002 and 003 have
    /// tables of their own.
    #[must_use]
    pub fn statement(&self) -> Option<&'static str> {
        crate::tables::STATEMENTS.iter().find(|row| row.requirement == *self).map(|row| row.says)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}-{}", self.document, self.item)
    }
}

/// What a row of a table rests on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Ground {
    /// A statement of a requirement document.
    Requirement(Requirement),
    /// What devices were seen to do, in several versions.
    Device,
    /// One report that nothing else confirms.
    SingleReport,
    /// Reasoning from the others: no source states it.
    Inference,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requirement(requirement) => requirement.fmt(f),
            Self::Device => f.write_str("device"),
            Self::SingleReport => f.write_str("single report"),
            Self::Inference => f.write_str("inference"),
        }
    }
}

/// Returns a statement of Apple's or Intune's documents as a ground.
pub(crate) const fn says(document: u8, item: &'static str) -> Ground {
    Ground::Requirement(Requirement::new(document, item))
}

#[cfg(test)]
mod tests {
    use super::Requirement;

    #[test]
    fn ids_are_spelled_as_the_documents_count() {
        assert_eq!(Requirement::new(1, "24").to_string(), "001-24");
        assert_eq!(Requirement::new(2, "3.1").to_string(), "002-3.1");
        assert!(Requirement::new(1, "24").statement().unwrap().contains("different device"));
        assert_eq!(Requirement::new(1, "99").statement(), None);
    }
}
