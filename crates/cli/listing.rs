//! Writing the lines of `bkp ls` and `bkp find`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use bkp_toolkit::ContentHash;
use bkp_toolkit::bundle::{BundlePayloads, StoredIndex};
use bkp_toolkit::core::{Entry, EntryKind, Hex};

use crate::args::Format;
use crate::display::{Location, Name, Rfc3339, Size};
use crate::json::{Line, SCHEMA_VERSION};
use crate::problems::{Item, Tally};
use crate::ui::Ui;

/// What a listing looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// The `kind` of the document.
    pub(crate) kind: &'static str,
    /// Mode, class, size and time too, in text.
    pub(crate) long: bool,
    /// Exact names that end with NUL, in text.
    pub(crate) null: bool,
    /// The SHA-256 of files too.
    pub(crate) hash: bool,
}

/// A listing under way.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    out: BufWriter<File>,
    ui: &'a Ui,
    stored: StoredIndex,
    look: Look,
    line: Line,
    counts: Counts,
    files_hashed: Option<u64>,
    /// Kept for the end of the one document; the other forms write them as they come.
    problems: Vec<Item>,
    /// How problems and oddities count.
    pub(crate) tally: Tally,
}

#[derive(Debug, Default)]
struct Counts {
    files: u64,
    directories: u64,
    symlinks: u64,
    problems: u64,
}

impl Counts {
    fn entries(&self) -> u64 {
        self.files + self.directories + self.symlinks
    }
}

impl<'a> Listing<'a> {
    /// Begins a listing.
    pub(crate) fn begin(
        mut out: BufWriter<File>,
        ui: &'a Ui,
        payloads: &BundlePayloads,
        look: Look,
    ) -> io::Result<Self> {
        if ui.format == Format::Json {
            let kind = look.kind;
            write!(out, "{{\"schema_version\":{SCHEMA_VERSION},\"kind\":\"{kind}\",\"entries\":[")?;
        }
        let (line, counts, problems) = (Line::default(), Counts::default(), Vec::new());
        let stored = payloads.index();
        let tally = Tally::default();
        Ok(Self { out, ui, stored, look, line, counts, files_hashed: None, problems, tally })
    }

    /// Writes an entry.
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.hashed(entry, None)
    }

    /// Writes an entry with the SHA-256 of its content.
    pub(crate) fn hashed(&mut self, entry: &Entry, hash: Option<&ContentHash>) -> io::Result<()> {
        let first = self.counts.entries() == 0;
        match entry.kind {
            EntryKind::File => self.counts.files += 1,
            EntryKind::Directory => self.counts.directories += 1,
            _ => self.counts.symlinks += 1,
        }
        match self.ui.format {
            Format::Text => self.text(entry, hash),
            Format::JsonLines => {
                self.fields(entry, hash);
                self.line.end(&mut self.out)
            }
            Format::Json => {
                self.fields(entry, hash);
                self.out.write_all(if first { b"\n" } else { b",\n" })?;
                self.out.write_all(self.line.close())
            }
        }
    }

    /// Writes a problem.
    pub(crate) fn problem(&mut self, item: Item) -> io::Result<()> {
        self.counts.problems += 1;
        self.tally.add(item.severity);
        match self.ui.format {
            Format::Text => {
                // So that it stands after the lines it comes after, where both go to a terminal.
                self.out.flush()?;
                self.ui.problem(&item);
            }
            Format::JsonLines => item.write_row(&mut self.line, &mut self.out)?,
            Format::Json => self.problems.push(item),
        }
        Ok(())
    }

    /// Notes how many files were hashed, found or not.
    pub(crate) fn files_hashed(&mut self, count: Option<u64>) {
        self.files_hashed = count;
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Returns the number of entries so far.
    pub(crate) fn entries(&self) -> u64 {
        self.counts.entries()
    }

    /// Writes the end. Without it the listing is not whole, and JSON does not parse.
    pub(crate) fn end(mut self) -> io::Result<Tally> {
        let Counts { files, directories, symlinks, problems } = self.counts;
        let line = self.line.begin();
        if self.ui.format == Format::JsonLines {
            line.plain("type", b"summary").value("schema_version", SCHEMA_VERSION);
        }
        line.value("entries", self.counts.entries())
            .value("files", files)
            .value("directories", directories)
            .value("symlinks", symlinks)
            .value("problems", problems);
        if let Some(count) = self.files_hashed {
            line.value("files_hashed", count);
        }
        match self.ui.format {
            Format::Text => {}
            Format::JsonLines => line.end(&mut self.out)?,
            Format::Json => {
                self.out.write_all(b"\n],\"problems\":")?;
                serde_json::to_writer(&mut self.out, &self.problems)?;
                self.out.write_all(b",\"summary\":")?;
                self.out.write_all(self.line.close())?;
                self.out.write_all(b"}\n")?;
            }
        }
        self.out.flush()?;
        Ok(self.tally)
    }

    /// Returns whether the payload is in the bundle. A payload that cannot even be looked for is
    /// as good as absent; reading it says why.
    fn is_stored(&mut self, entry: &Entry) -> bool {
        entry.kind == EntryKind::File && self.stored.contains(entry).unwrap_or(false)
    }

    /// Builds the line of an entry, without its end.
    fn fields(&mut self, entry: &Entry, hash: Option<&ContentHash>) {
        let stored = self.is_stored(entry);
        let metadata = &entry.metadata;
        let line = self.line.begin();
        line.plain("type", b"entry")
            .plain("file_id", &entry.id.to_hex())
            .name("domain", "domain_b64", entry.domain.as_bytes())
            .name("relative_path", "relative_path_b64", entry.path.as_bytes())
            .plain("kind", entry.kind.name().as_bytes())
            .value("size", metadata.size_hint)
            .value("mode", metadata.mode);
        match Rfc3339(metadata.modified).timestamp() {
            Some(timestamp) => line.shown("modified", timestamp),
            None => line.value("modified", None::<u8>).value("modified_unix", metadata.modified),
        };
        line.value("protection_class", entry.protection.map(|class| class.0));
        match &entry.digest {
            Some(digest) => line.hex("digest", digest),
            None => line.value("digest", None::<u8>),
        };
        line.value("stored", stored);
        if let EntryKind::Symlink(target) = &entry.kind {
            line.name("target", "target_b64", target);
        }
        if self.look.hash {
            match hash {
                Some(hash) => line.hex("sha256", hash),
                None => line.value("sha256", None::<u8>),
            };
        }
    }

    fn text(&mut self, entry: &Entry, hash: Option<&ContentHash>) -> io::Result<()> {
        let Look { kind: _, long, null, hash: with_hash } = self.look;
        let stored = !long || entry.kind != EntryKind::File || self.is_stored(entry);
        let out = &mut self.out;
        if with_hash {
            // As wide for what is no file, so that names stand below one another.
            let hash = hash.map_or_else(|| "-".into(), |hash| Hex(hash).to_string());
            write!(out, "{hash:<64}  ")?;
        }
        if null {
            out.write_all(entry.domain.as_bytes())?;
            out.write_all(b":")?;
            out.write_all(entry.path.as_bytes())?;
            return out.write_all(b"\0");
        }
        if long {
            let metadata = &entry.metadata;
            let class = entry.protection.map(|class| class.to_string());
            write!(
                out,
                "{} {:>2} {:>9} {} ",
                Mode(entry),
                class.as_deref().unwrap_or("-"),
                Size(metadata.size_hint),
                self.ui.time(metadata.modified)
            )?;
        }
        write!(
            out,
            "{}",
            Location { domain: entry.domain.as_bytes(), path: entry.path.as_bytes() }
        )?;
        if long {
            if let EntryKind::Symlink(target) = &entry.kind {
                write!(out, " -> {}", Name(target))?;
            }
            if !stored {
                out.write_all(b" (no payload)")?;
            }
        }
        out.write_all(b"\n")
    }
}

/// Shows the mode as `ls -l` does.
struct Mode<'e>(&'e Entry);

impl std::fmt::Display for Mode<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        let mode = self.0.metadata.mode;
        f.write_char(match self.0.kind {
            EntryKind::File => '-',
            EntryKind::Directory => 'd',
            _ => 'l',
        })?;
        for (bit, letter) in (0..9).rev().zip("rwxrwxrwx".chars()) {
            let special = match bit {
                6 => (mode & 0o4000 != 0).then_some(('s', 'S')),
                3 => (mode & 0o2000 != 0).then_some(('s', 'S')),
                0 => (mode & 0o1000 != 0).then_some(('t', 'T')),
                _ => None,
            };
            f.write_char(match (mode >> bit & 1 == 1, special) {
                (true, Some((set, _))) => set,
                (false, Some((_, clear))) => clear,
                (true, None) => letter,
                (false, None) => '-',
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bkp_toolkit::core::{Domain, Entry, EntryKind, RelPath};

    use super::Mode;

    #[test]
    fn modes_look_like_those_of_ls() {
        let mut entry = Entry::derive(
            Domain::new("HomeDomain").unwrap(),
            RelPath::new("a").unwrap(),
            EntryKind::Directory,
        );
        for (mode, shown) in [
            (0o040755, "drwxr-xr-x"),
            (0o000, "d---------"),
            (0o7777, "drwsrwsrwt"),
            (0o7000, "d--S--S--T"),
        ] {
            entry.metadata.mode = mode;
            assert_eq!(Mode(&entry).to_string(), shown);
        }
    }
}
