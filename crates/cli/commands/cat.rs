//! `bkp cat`: the bytes of one file.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use bkp_toolkit::bundle::{BundleRecord, Catalog, Opened};
use bkp_toolkit::core::{Domain, Entry, EntryKind, Payload, Payloads as _, RelPath, Source as _};

use crate::args::{BackupArgs, Format, PasswordArgs};
use crate::display::{Location, Name};
use crate::error::{CommandError, Kind};
use crate::open::{self, damaged_keys};
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::rules::exact_name;
use crate::ui::{self, Ui};

/// Print one file of a backup
///
/// The bytes go to standard output as they are on the device: padding is off, and nothing is cut
/// to the size that the catalog states.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// The exact name of the file, as "bkp ls" shows it; nothing in it is a pattern
    #[arg(value_name = "DOMAIN:PATH")]
    name: OsString,

    /// Print the bytes as they are stored, encrypted where the backup is
    #[arg(long)]
    stored: bool,

    /// Write errors and warnings as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp cat BACKUP HomeDomain:Library/SMS/sms.db --password-file pw.txt > sms.db
  bkp cat BACKUP HomeDomain:Library/Preferences/com.apple.springboard.plist | plutil -p -
  bkp cat BACKUP CameraRollDomain:Media/DCIM/100APPLE/IMG_0001.JPG --stored | sha1sum

Exit codes:
  0 printed                                 3 some bytes could not be recovered
  4 printed, with warnings only             10 not a backup, or no such entry
  12 wrong password                         13 a password is needed
  15 key material damaged                   141 the reader of the output went away";

/// Bytes read at a time; payloads decrypt in this buffer.
const CHUNK: usize = 256 * 1024;
/// How many names are proposed instead of one that is not there.
const PROPOSALS: usize = 5;

impl CatArgs {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

pub(crate) fn run(args: &CatArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let CatArgs { backup, name, stored, json: _, password } = args;
    let (domain, path) = exact_name(name.as_bytes())?;
    let (_, opened) = open::open(backup, ui)?;
    if *stored
        && let Opened::Locked(locked) = &opened
        && let Some(catalog) = locked.catalog()
    {
        // Neither the name nor the stored bytes need a key.
        let record = find(catalog, &domain, &path)?;
        return print(locked.payloads().open_stored(&record)?, record.as_ref(), 0, ui);
    }
    let progress = Progress::new(ui);
    let backup = open::unlocked(opened, password, ui, &progress)?;
    progress.finish();
    let damaged_keys = damaged_keys(&backup);
    let record = find(backup.catalog(), &domain, &path)?;
    let payloads = backup.payloads();
    let payload = if *stored { payloads.open_stored(&record) } else { payloads.open(&record) };
    let payload = payload.map_err(|error| lost_to_a_key(error.into(), damaged_keys))?;
    print(payload, record.as_ref(), damaged_keys, ui)
}

/// A key that does not open, in a keybag with damaged keys, was not lost by the file.
fn lost_to_a_key(mut failed: CommandError, damaged_keys: usize) -> CommandError {
    if failed.code == "key-unwrap-failed" && damaged_keys > 0 {
        failed.kind = Kind::KeysDamaged;
    }
    failed
}

/// Finds a regular file by its exact name.
fn find(catalog: &Catalog, domain: &Domain, path: &RelPath) -> Result<BundleRecord, CommandError> {
    let place = Location { domain: domain.as_bytes(), path: path.as_bytes() };
    let Some(record) = catalog.find(domain, path)? else {
        let message = format!("the backup has no entry {place}");
        let mut failed = CommandError::new(Kind::NotABackup, "entry-not-found", message);
        for name in proposals(catalog, domain, path) {
            failed = failed.help(format!("did you mean {name}"));
        }
        return Err(failed);
    };
    let what = match &record.as_ref().kind {
        EntryKind::File => return Ok(record),
        EntryKind::Symlink(target) => format!("a symbolic link to {}", Name(target)),
        kind => format!("a {}", kind.name()),
    };
    let message = format!("{place} is {what}, and has no bytes to print");
    Err(CommandError::new(Kind::Failed, "not-a-file", message))
}

/// Returns the names that are most like one that is not there.
fn proposals(catalog: &Catalog, domain: &Domain, path: &RelPath) -> Vec<String> {
    let mut best: Vec<(u8, String)> = Vec::new();
    for record in catalog.records().flatten() {
        let entry = record.as_ref();
        let Some(rank) = likeness(entry, domain, path) else { continue };
        if best.len() < PROPOSALS || best.last().is_some_and(|&(worst, _)| rank < worst) {
            let at = best.partition_point(|&(other, _)| other <= rank);
            let place = Location { domain: entry.domain.as_bytes(), path: entry.path.as_bytes() };
            best.insert(at, (rank, place.to_string()));
            best.truncate(PROPOSALS);
        }
    }
    best.into_iter().map(|(_, name)| name).collect()
}

/// Says how much an entry looks like the one that was meant; less is more.
fn likeness(entry: &Entry, domain: &Domain, path: &RelPath) -> Option<u8> {
    if entry.kind != EntryKind::File {
        return None;
    }
    let same_domain = entry.domain.as_bytes().eq_ignore_ascii_case(domain.as_bytes());
    if entry.path.as_bytes().eq_ignore_ascii_case(path.as_bytes()) {
        return Some(if same_domain { 0 } else { 1 });
    }
    let (name, wanted) = (entry.path.name()?, path.name()?);
    let same_name = name.eq_ignore_ascii_case(wanted);
    let same_start = {
        let stem = |name: &[u8]| name.split(|&b| b == b'.').next().map(<[u8]>::to_ascii_lowercase);
        stem(name) == stem(wanted)
    };
    match (same_domain, same_name, same_start && entry.path.parent() == path.parent()) {
        (true, true, _) => Some(2),
        (true, _, true) => Some(3),
        (false, true, _) => Some(4),
        _ => None,
    }
}

/// Copies a payload to stdout.
fn print(
    mut payload: Box<dyn Payload>,
    entry: &Entry,
    damaged_keys: usize,
    ui: &Ui,
) -> Result<ExitCode, CommandError> {
    let failed = |error| CommandError::stdout(&error);
    let mut out = ui::stdout()?;
    let terminal = std::io::stdout().is_terminal();
    let mut warned = false;
    let mut chunk = vec![0; CHUNK];
    loop {
        ui.stop.check()?;
        let count = match payload.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                out.flush().map_err(failed)?;
                let failed = CommandError::of(Kind::Failed, "cannot-read-payload", &error);
                return Err(failed.help("what was printed is not the whole file"));
            }
        };
        let bytes = chunk.get(..count).unwrap_or_default();
        if terminal && !warned && bytes.contains(&0) {
            warned = true;
            let text = "this is not text; redirect it with > FILE";
            ui.problem(&Item::notice("binary-on-terminal", text));
        }
        out.write_all(bytes).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    let mut tally = Tally { damaged_keys, ..Tally::default() };
    for fault in payload.faults() {
        let item = Item::new(Some(entry), &*fault);
        tally.add(item.severity);
        ui.problem(&item);
    }
    Ok(tally.exit_code())
}
