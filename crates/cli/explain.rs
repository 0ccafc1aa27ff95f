//! `--explain`: what decides about one entry.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use bkp_toolkit::bundle::Opened;
use bkp_toolkit::core::Entry;
use bkp_toolkit::policy::Explanation;

use crate::args::{Format, PasswordArgs};
use crate::display::{Location, Text};
use crate::error::{CommandError, Kind};
use crate::json::{Line, SCHEMA_VERSION};
use crate::open;
use crate::progress::Progress;
use crate::rules::exact_name;
use crate::ui::{self, Ui};

/// A decision and what made it.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) keep: bool,
    pub(crate) text: String,
}

impl From<&Explanation<'_>> for Explained {
    fn from(explanation: &Explanation<'_>) -> Self {
        Self { keep: explanation.keep, text: explanation.to_string() }
    }
}

/// Says what decides about the entry of this name. The password is asked for only where names
/// cannot be read without it.
pub(crate) fn explain(
    opened: Opened,
    name: &OsStr,
    judge: &dyn Fn(&Entry) -> Explained,
    password: &PasswordArgs,
    ui: &Ui,
    progress: &Progress<'_>,
) -> Result<ExitCode, CommandError> {
    let (domain, path) = exact_name(name.as_bytes())?;
    // Rules need the row and nothing more, and an old backup gives that without a password.
    let unlocked;
    let catalog = match &opened {
        Opened::Locked(locked) if locked.catalog().is_some() => locked.catalog(),
        _ => {
            unlocked = open::unlocked(opened, password, ui, progress)?;
            Some(unlocked.catalog())
        }
    };
    let place = Location { domain: domain.as_bytes(), path: path.as_bytes() };
    let found = catalog.map(|catalog| catalog.find(&domain, &path)).transpose()?.flatten();
    let Some(record) = found else {
        let message = format!("the backup has no entry {place}");
        return Err(CommandError::new(Kind::NotABackup, "entry-not-found", message));
    };
    let Explained { keep, text } = judge(record.as_ref());
    let mut out = ui::stdout()?;
    let written = match ui.format {
        Format::Text => writeln!(out, "{place}: {}", Text(&text)),
        _ => {
            let mut line = Line::default();
            line.begin().value("schema_version", SCHEMA_VERSION).plain("kind", b"explain");
            line.name("domain", "domain_b64", domain.as_bytes())
                .name("relative_path", "relative_path_b64", path.as_bytes())
                .value("keep", keep)
                .value("explanation", text)
                .end(&mut out)
        }
    };
    written.and_then(|()| out.flush()).map_err(|error| CommandError::stdout(&error))?;
    Ok(ExitCode::SUCCESS)
}
