//! The run record that every writing command leaves beside its output.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_toolkit::bundle::Bundle;
use bkp_toolkit::core::{Entry, EntryKind, Hex, Problem, Severity};
use bkp_toolkit::policy::{Dropped, Selection};
use bkp_toolkit::restore::{
    RunCounts, RunFile, RunItem, RunLeftOut, RunName, RunOutput, RunRecord, RunSource, RunStaging,
};
use bkp_toolkit::{Hashes, LeftOut, Reported, StagingRows};

use crate::display::Rfc3339;
use crate::error::CommandError;
use crate::problems::Item;

/// What there is to record of a run.
#[derive(Debug)]
pub(crate) struct Record<'r> {
    pub(crate) command: &'static str,
    pub(crate) started: Rfc3339,
    /// The folder of the backup, or the archive.
    pub(crate) path: &'r Path,
    /// SHA-256 of the source's catalog, where the run has found it out.
    pub(crate) source_sha256: Option<[u8; 32]>,
    pub(crate) counts: RunCounts,
    pub(crate) items: &'r [Item],
    /// What was left out, when anything could be.
    pub(crate) selection: Option<&'r Selection<'r>>,
    /// What files held, when that was asked for.
    pub(crate) hashes: Option<Hashes>,
    /// What was written, where that is a backup itself.
    pub(crate) output: Option<RunOutput>,
    /// What management made of the rows.
    pub(crate) rows: &'r StagingRows,
    /// Which device the output is for.
    pub(crate) staging: Option<RunStaging>,
}

impl Record<'_> {
    /// Writes the record beside `out` and returns where it is.
    pub(crate) fn write(self, bundle: &Bundle, out: &Path) -> Result<PathBuf, CommandError> {
        self.run(Some(bundle)).write_beside(out).map_err(|error| CommandError::of_fault(&error))
    }

    /// Makes the record. The bundle may be missing of which nothing can be told.
    pub(crate) fn run(self, bundle: Option<&Bundle>) -> RunRecord {
        let Self {
            command,
            started,
            path,
            source_sha256,
            counts,
            items,
            selection,
            hashes,
            output,
            rows,
            staging,
        } = self;
        let arguments = arguments(std::env::args_os().skip(1));
        let mut record = RunRecord::new(env!("CARGO_PKG_VERSION"), command, arguments);
        record.started = started.to_string();
        record.finished = Rfc3339::now().to_string();
        record.source = source(bundle, source_sha256, path);
        record.output = output;
        record.staging = staging;
        record.counts = counts;
        record.items = items
            .iter()
            .map(|item| RunItem::of_problem(&Problem { entry: None, fault: item }))
            .chain(rows.reported.iter().map(reported))
            .collect();
        record.left_out =
            selection.map(|selection| left_out(selection, &rows.left_out)).unwrap_or_default();
        let hashes = hashes.map(|hashes| hashes.take()).unwrap_or_default();
        let file = |(file_id, sha256)| RunFile { file_id, sha256 };
        record.files = hashes.into_iter().map(file).collect();
        record
    }
}

/// Writes the record of a run that had no source beside `out` and returns where it is.
pub(crate) fn write_generated(
    command: &'static str,
    started: Rfc3339,
    counts: RunCounts,
    made: RunOutput,
    out: &Path,
) -> Result<PathBuf, CommandError> {
    let arguments = arguments(std::env::args_os().skip(1));
    let mut record = RunRecord::new(env!("CARGO_PKG_VERSION"), command, arguments);
    record.started = started.to_string();
    record.finished = Rfc3339::now().to_string();
    record.source = RunSource { kind: "generated".to_owned(), ..RunSource::default() };
    record.counts = counts;
    record.output = Some(made);
    record.write_beside(out).map_err(|error| CommandError::of_fault(&error))
}

/// Names a row that stays, and that a person should look at.
fn reported(row: &Reported) -> RunItem {
    let Reported { domain, path, rule, .. } = row;
    let entry = Entry::derive(domain.clone(), path.clone(), EntryKind::File);
    let message = format!("kept, {}: {}", rule.name, rule.why);
    RunItem::of_entry("management-reported", Severity::Notice, &entry, message)
}

/// Lists what was left out. Each rule's text is held once. Rows of `managed` are in the order of
/// the selection, which is the catalog's.
fn left_out(selection: &Selection<'_>, managed: &[LeftOut]) -> Vec<RunLeftOut> {
    let mut texts: HashMap<String, Arc<str>> = HashMap::new();
    let mut shared = |text: &str| match texts.get(text) {
        Some(text) => Arc::clone(text),
        None => {
            let held: Arc<str> = text.into();
            texts.insert(text.to_owned(), Arc::clone(&held));
            held
        }
    };
    let mut managed = managed.iter().peekable();
    let dropped = selection.dropped();
    let one = |Dropped { id, rule, .. }| match managed.next_if(|row| row.id == id) {
        Some(row) => RunLeftOut {
            file_id: id,
            rule: Some(shared(row.rule)),
            requirement: Some(shared(&row.requirement.to_string())),
            name: Some(Box::new(RunName::new(row.domain.as_bytes(), row.path.as_bytes()))),
        },
        None => {
            RunLeftOut { file_id: id, rule: rule.map(&mut shared), requirement: None, name: None }
        }
    };
    dropped.map(one).collect()
}

/// Returns the arguments without what may hold a secret: a command that prints a password may
/// have it in its own words.
fn arguments(args: impl Iterator<Item = OsString>) -> Vec<String> {
    const SECRETS: [&str; 4] = [
        "--password-command",
        "--new-password-command",
        "--password-command-b",
        "--seal-password-command",
    ];
    let mut secret_follows = false;
    args.map(|arg| {
        let names = |secret: &&str| arg == OsStr::new(secret);
        let redacted = std::mem::replace(&mut secret_follows, SECRETS.iter().any(names));
        let assigned = SECRETS.iter().find(|secret| {
            arg.as_bytes()
                .strip_prefix(secret.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"="))
        });
        match (redacted, assigned) {
            (true, _) => "[redacted]".to_owned(),
            (false, Some(secret)) => format!("{secret}=[redacted]"),
            _ => arg.to_string_lossy().into_owned(),
        }
    })
    .collect()
}

/// Says which backup was read. Its identity is the hash of its catalog as it is stored; one that
/// cannot be read again is left without.
fn source(bundle: Option<&Bundle>, hash: Option<[u8; 32]>, path: &Path) -> RunSource {
    let path = path.to_string_lossy().into_owned();
    let Some(bundle) = bundle else { return RunSource { path, ..RunSource::default() } };
    let udid = bundle.manifest().lockdown.unique_device_id.clone();
    let target = || bundle.info().and_then(|info| info.target_identifier.clone());
    RunSource {
        path,
        kind: bundle.storage().kind().to_owned(),
        udid: udid.or_else(target),
        manifest_sha256: match hash {
            Some(hash) => Some(Hex(&hash).to_string()),
            None => bkp_toolkit::catalog_sha256(bundle).ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn commands_that_print_passwords_are_not_recorded() {
        for option in ["--password-command", "--new-password-command", "--seal-password-command"] {
            let assigned = format!("{option}=echo pw");
            let args = ["extract", option, "echo pw", &assigned, "B"];
            let redacted = format!("{option}=[redacted]");
            assert_eq!(
                arguments(args.into_iter().map(Into::into)),
                ["extract", option, "[redacted]", &redacted, "B"]
            );
        }
    }
}
