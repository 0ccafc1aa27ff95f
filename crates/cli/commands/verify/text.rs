//! The report of `bkp verify` for a person.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bkp_toolkit::{
    ArchiveFacts, CodeCount, Finding, Grade, NotChecked, RestorableFacts, SubsetFacts, Verification,
};

use crate::display::{Location, Name, Size, Styles, Text, label};

/// Writes what was checked, what was found and what it comes to.
pub(super) fn write(
    out: &mut dyn Write,
    path: &Path,
    verification: &Verification,
    styles: Styles,
) -> io::Result<()> {
    let mut report = Report { out, styles };
    report.row("Backup", Name(path.as_os_str().as_bytes()))?;
    if let Some(facts) = &verification.archive {
        report.archive(facts)?;
    }
    report.checked(verification)?;
    for count in &verification.by_code {
        let of_it = |finding: &&Finding| (finding.code, finding.grade) == (count.code, count.grade);
        report.group(count, verification.problems.iter().filter(of_it))?;
    }
    if let Some(facts) = &verification.restorable {
        report.restorable(facts)?;
    }
    report.verdict(verification)
}

struct Report<'o> {
    out: &'o mut dyn Write,
    styles: Styles,
}

impl Report<'_> {
    fn row(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        let name = label(self.styles.heading, format_args!("{name:<9}"));
        writeln!(self.out, "{name} {value}")
    }

    fn archive(&mut self, facts: &ArchiveFacts) -> io::Result<()> {
        let ArchiveFacts { segments, segments_damaged, members, members_damaged, .. } = facts;
        let sort = if segments.is_some() { "sealed" } else { "zip" };
        let segments = match segments {
            Some(count) => format!("{}, {segments_damaged} damaged; ", many(*count, "segment")),
            None => String::new(),
        };
        let members = many(*members, "member");
        self.row("Archive", format_args!("{sort}: {segments}{members}, {members_damaged} damaged"))
    }

    fn checked(&mut self, verification: &Verification) -> io::Result<()> {
        let Verification { catalog, entries, files, files_checked, bytes_checked, .. } =
            verification;
        let Verification { digests_checked, without_digest, not_read, .. } = verification;
        let unreadable = match verification.unreadable_rows {
            0 => String::new(),
            rows => format!(", {} unreadable", many(rows, "row")),
        };
        let entries = many(*entries, "entry");
        self.row("Catalog", format_args!("{catalog}: {entries}{unreadable}"))?;
        let how = match (verification.read_data, verification.encrypted) {
            (false, _) => " as stored",
            (true, true) => ", decrypted",
            (true, false) => " to the end",
        };
        let files = many(*files, "file");
        self.row(
            "Read",
            format_args!("{files_checked} of {files}{how}, {}", Size(*bytes_checked)),
        )?;
        let differ = verification.by_code.iter().find(|count| count.code == "digest-mismatch");
        let result = match (digests_checked, differ) {
            (0, _) => String::new(),
            (_, None) => ", all right".to_owned(),
            (_, Some(count)) => format!(", {} wrong", count.count),
        };
        self.row("Digests", format_args!("{digests_checked} compared{result}"))?;
        if *without_digest > 0 {
            let files = many(*without_digest, "file");
            let why = "those of apps, camera roll and media carry none";
            self.row("Unproven", format_args!("{files} without a digest; {why}"))?;
        }
        if *not_read > 0 {
            let advice = match verification.read_data {
                true => "",
                false => "; --read-data reads them",
            };
            let files = many(*not_read, "file");
            self.row("Unread", format_args!("{files} found and not read{advice}"))?;
        }
        if let Some(SubsetFacts { asked, files, bytes, of_files, of_bytes, .. }) =
            &verification.subset
        {
            let (bytes, all) = (Size(*bytes), Size(*of_bytes));
            let text = format!("{asked} asked for: {files} of {of_files} files, {bytes} of {all}");
            self.row("Subset", Text(&text))?;
        }
        if let Some(databases) = verification.databases {
            let skipped = match databases.skipped {
                0 => String::new(),
                skipped => format!(", {skipped} too long to be checked"),
            };
            self.row("Databases", format_args!("{} checked{skipped}", databases.checked))?;
        }
        Ok(())
    }

    /// Writes the problems of one code: what it means, and each that was kept.
    fn group<'f>(
        &mut self,
        count: &CodeCount,
        findings: impl Iterator<Item = &'f Finding>,
    ) -> io::Result<()> {
        let CodeCount { code, grade, count, meaning, .. } = count;
        let head = match grade {
            Grade::Damage => label(self.styles.error, format_args!("error[{code}]:")),
            Grade::Warning => label(self.styles.warning, format_args!("warning[{code}]:")),
        };
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        writeln!(self.out, "\n{head} {times}. {meaning}")?;
        let mut shown = 0_u64;
        for Finding { domain, path, row, message, .. } in findings {
            shown = shown.saturating_add(1);
            self.out.write_all(b"  ")?;
            if let (Some(domain), Some(path)) = (domain, path) {
                write!(self.out, "{}: ", Location { domain, path })?;
            } else if let Some(row) = row {
                write!(self.out, "row {row}: ")?;
            }
            writeln!(self.out, "{}", Text(message))?;
        }
        match count.saturating_sub(shown) {
            0 => Ok(()),
            more => writeln!(self.out, "  and {more} more; --all shows them"),
        }
    }

    /// Says what a device would make of it, and what could not be found out.
    fn restorable(&mut self, facts: &RestorableFacts) -> io::Result<()> {
        let RestorableFacts { target, blocking, blocking_codes, not_checked, .. } = facts;
        self.out.write_all(b"\n")?;
        let model = target.product_type.as_deref().unwrap_or("unknown model");
        let system = match &target.product_version {
            Some(version) => format!("system {version} or later"),
            None => "unknown system".to_owned(),
        };
        let free = Size(target.bytes);
        self.row("Target", Text(&format!("{model}, {system}, {free} of free space")))?;
        let verdict = match blocking {
            0 => label(self.styles.good, "nothing was found that makes it fail".to_owned()),
            _ => {
                let (problems, codes) = (many(*blocking, "problem"), blocking_codes.join(", "));
                label(self.styles.error, format!("would fail: {problems} ({codes})"))
            }
        };
        self.row("Restore", verdict)?;
        for NotChecked { what, why, .. } in not_checked {
            self.row("Unchecked", format_args!("{what}: {why}"))?;
        }
        Ok(())
    }

    fn verdict(&mut self, verification: &Verification) -> io::Result<()> {
        let Styles { good, warning, error, .. } = self.styles;
        let verdict = match (verification.damage, verification.warnings) {
            (0, 0) => label(good, "sound: no problems"),
            (0, warnings) => {
                label(warning, format_args!("sound, with {}", many(warnings, "warning")))
            }
            (damage, 0) => label(error, format_args!("damaged: {}", many(damage, "problem"))),
            (damage, warnings) => {
                let warnings = many(warnings, "warning");
                label(error, format_args!("damaged: {}, {warnings}", many(damage, "problem")))
            }
        };
        self.out.write_all(b"\n")?;
        self.row("Verdict", verdict)
    }
}

/// Spells a number of things.
fn many(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ => format!("{count} {what}s"),
    }
}
