//! What `bkp pack` says of what it did.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;

use serde::Serialize;

use bkp_toolkit::PackSelection;
use bkp_toolkit::core::Hex;
use bkp_toolkit::restore::RunCounts;

use super::contents::Contents;
use super::{PackArgs, Written};
use crate::args::Format;
use crate::display::{Name, Size};
use crate::json::{SCHEMA_VERSION, write_line};
use crate::problems::Item;
use crate::ui::Ui;

/// What was packed, or would be.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    schema_version: u32,
    kind: &'static str,
    dry_run: bool,
    destination: String,
    pub(super) run_record: Option<String>,
    /// `zip` or `sealed`.
    form: &'static str,
    #[serde(flatten)]
    counts: RunCounts,
    /// Whether the catalog was compared with what is there: without a password that of an
    /// encrypted backup cannot be, and the counts of entries are zero.
    catalog_checked: bool,
    /// Files in the archive, with catalog and property lists.
    members: u64,
    /// The bytes that they have.
    member_bytes: u64,
    /// Bytes of the archive. Null in a dry run, as what follows.
    archive_bytes: Option<u64>,
    sha256: Option<String>,
    /// Whether it was read back.
    verified: Option<bool>,
    without_payload: u64,
    /// Null where everything was packed as it is.
    restorable: Option<bool>,
    applications_left_out: Vec<String>,
    partial_domains: Vec<&'static str>,
    pub(super) problems: Vec<Item>,
    #[serde(skip)]
    target: Vec<u8>,
}

impl Summary {
    /// Says what would be done.
    pub(super) fn new(form: &'static str, contents: &Contents<'_>, args: &PackArgs) -> Self {
        let Contents { plan, counts, catalog_checked, smaller, .. } = contents;
        let none = PackSelection::default();
        let PackSelection { without_payload, applications_left_out, partial_domains, .. } =
            smaller.as_ref().unwrap_or(&none);
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "pack",
            dry_run: args.rewrite.dry_run,
            destination: args.output.to_string_lossy().into_owned(),
            run_record: None,
            form,
            counts: *counts,
            catalog_checked: *catalog_checked,
            members: plan.files().len() as u64,
            member_bytes: plan.bytes(),
            archive_bytes: None,
            sha256: None,
            verified: None,
            without_payload: *without_payload,
            restorable: smaller.as_ref().map(|smaller| smaller.restorable),
            applications_left_out: applications_left_out.clone(),
            partial_domains: partial_domains.clone(),
            problems: Vec::new(),
            target: args.output.as_os_str().as_bytes().to_vec(),
        }
    }

    pub(super) fn counts(&mut self, counts: RunCounts) {
        self.counts = counts;
    }

    /// Says what was done.
    pub(super) fn written(&mut self, written: &Written, verified: bool) {
        let Written { pack, lost } = written;
        self.members = pack.files;
        self.member_bytes = pack.bytes;
        self.archive_bytes = Some(pack.archive_bytes);
        self.sha256 = pack.archive_sha256.map(|sha256| Hex(&sha256).to_string());
        self.verified = Some(verified);
        self.without_payload += lost.len() as u64;
        if !lost.is_empty() {
            self.restorable = self.restorable.map(|_| false);
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write, ui: &Ui) -> io::Result<()> {
        match ui.format {
            Format::Text => self.write_text(out),
            _ => write_line(out, self),
        }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { counts, members, member_bytes, .. } = self;
        let form = if self.form == "sealed" { "a sealed archive" } else { "a zip" };
        let target = Name(&self.target);
        match self.archive_bytes {
            None => write!(out, "would pack {members} files ({})", Size(*member_bytes))?,
            Some(_) => write!(out, "packed {members} files ({})", Size(*member_bytes))?,
        }
        writeln!(out, " into {form}, {target}")?;
        if self.catalog_checked {
            let RunCounts { listed, done: _, skipped, failed, damaged: _, notices } = counts;
            writeln!(
                out,
                "of {listed} entries: {skipped} left out, {failed} failed, {notices} warnings"
            )?;
        }
        if self.restorable == Some(false) {
            writeln!(out, "not restorable: see the problems above, or the source is unfinished")?;
        }
        for domain in &self.partial_domains {
            writeln!(
                out,
                "note: part of {domain} was left out; a device that restores this may delete what \
                 it has there"
            )?;
        }
        if !self.applications_left_out.is_empty() {
            let n = self.applications_left_out.len();
            writeln!(out, "note: {n} containers were left out whole, and are named no more")?;
        }
        if let Some(sha256) = &self.sha256 {
            writeln!(out, "SHA-256 {sha256}")?;
        }
        if self.verified == Some(true) {
            writeln!(out, "read back: every file is what was packed")?;
        }
        match &self.run_record {
            Some(record) => writeln!(out, "run record: {}", Name(record.as_bytes())),
            None if self.dry_run => writeln!(out, "nothing was written"),
            None => Ok(()),
        }
    }
}
