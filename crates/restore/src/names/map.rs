//! `names.jsonl`: which name became which.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bkp_core::Entry;
use serde::Serialize;

/// Writes one JSON object a line.
#[derive(Debug)]
pub(crate) struct NameMap {
    out: BufWriter<File>,
}

/// A line. Names that are not UTF-8 have a twin that is exact, in base64.
#[derive(Serialize)]
struct Line<'a> {
    domain: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain_b64: Option<String>,
    relative_path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_path_b64: Option<String>,
    /// Null for a directory that exists only here.
    stored_as: Option<&'a str>,
}

impl NameMap {
    pub(crate) fn new(file: File) -> Self {
        Self { out: BufWriter::with_capacity(64 << 10, file) }
    }

    /// Adds an entry. A stored name is UTF-8 wherever a map is written.
    pub(crate) fn add(&mut self, entry: &Entry, stored: Option<&[u8]>) -> io::Result<()> {
        let line = Line {
            domain: &entry.domain.to_string_lossy(),
            domain_b64: exact(entry.domain.as_bytes()),
            relative_path: &entry.path.to_string_lossy(),
            relative_path_b64: exact(entry.path.as_bytes()),
            stored_as: stored
                .map(std::str::from_utf8)
                .transpose()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        };
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Base64 of what JSON cannot hold.
pub(crate) fn exact(name: &[u8]) -> Option<String> {
    std::str::from_utf8(name).is_err().then(|| STANDARD.encode(name))
}
