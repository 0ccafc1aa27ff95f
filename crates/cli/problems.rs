//! What was wrong with single entries while a command went on.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use bkp_toolkit::core::{Entry, Fault, Place, ProtectionClass, Severity};

use crate::display::{Location, Styles, Text, label};
use crate::error::{Kind, chain};
use crate::json::{Line, SCHEMA_VERSION};

/// One problem, kept to the end of the command.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    /// The names as the catalog spells them, where it is about a row.
    pub(crate) place: Option<Names>,
    pub(crate) message: String,
}

/// A domain and a path, unchecked.
type Names = (Box<[u8]>, Box<[u8]>);

impl Item {
    /// Takes down a fault. The entry's names count, else those that the fault knows itself.
    pub(crate) fn new(entry: Option<&Entry>, fault: &dyn Fault) -> Self {
        let place = match entry {
            Some(entry) => {
                Some(Place { domain: entry.domain.as_bytes(), path: entry.path.as_bytes() })
            }
            None => fault.place(),
        };
        Self {
            code: fault.code(),
            severity: fault.severity(),
            place: place.map(|Place { domain, path }| (domain.into(), path.into())),
            message: chain(fault_error(fault)),
        }
    }

    /// Takes down something about the backup as a whole that lost nothing.
    pub(crate) fn notice(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Notice, place: None, message: message.into() }
    }

    /// Takes down a class key that does not open although the password is right.
    pub(crate) fn damaged_key(class: ProtectionClass) -> Self {
        let name = class.name().unwrap_or("of no known name");
        Self {
            code: "class-key-damaged",
            severity: Severity::Notice,
            place: None,
            message: format!(
                "the key of protection class {class} ({name}) does not open with this password, \
                 and others do: it is damaged, and the files of this class cannot be decrypted"
            ),
        }
    }

    /// Returns true when nothing was lost.
    pub(crate) fn is_notice(&self) -> bool {
        self.severity == Severity::Notice
    }

    /// Writes the problem for a person: `warning[code]: DOMAIN:PATH: message`.
    pub(crate) fn write_text(&self, out: &mut dyn Write, styles: Styles) -> io::Result<()> {
        let Self { code, severity, place, message } = self;
        let head = match severity {
            Severity::Notice => label(styles.warning, format_args!("warning[{code}]:")),
            _ => label(styles.error, format_args!("error[{code}]:")),
        };
        match place {
            Some((domain, path)) => {
                writeln!(out, "{head} {}: {}", Location { domain, path }, Text(message))
            }
            None => writeln!(out, "{head} {}", Text(message)),
        }
    }

    /// Writes the problem as a line of a listing, under `type`.
    pub(crate) fn write_row(&self, line: &mut Line, out: &mut dyn Write) -> io::Result<()> {
        line.begin().plain("type", b"problem");
        self.fields(line).end(out)
    }

    /// Writes the problem as a line of progress on stderr.
    pub(crate) fn write_event(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut line = Line::default();
        line.begin().value("schema_version", SCHEMA_VERSION).plain("kind", b"problem");
        self.fields(&mut line).end(out)
    }

    fn fields<'l>(&self, line: &'l mut Line) -> &'l mut Line {
        let Self { code, severity, place, message } = self;
        line.plain("code", code.as_bytes()).plain("severity", name(*severity).as_bytes());
        match place {
            Some((domain, path)) => line.name("domain", "domain_b64", domain).name(
                "relative_path",
                "relative_path_b64",
                path,
            ),
            None => line.value("domain", None::<u8>).value("relative_path", None::<u8>),
        };
        line.value("message", message)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Item {}

/// So that a run record takes it like any other.
impl Fault for Item {
    fn code(&self) -> &'static str {
        self.code
    }

    fn severity(&self) -> Severity {
        self.severity
    }

    fn place(&self) -> Option<Place<'_>> {
        self.place.as_ref().map(|(domain, path)| Place { domain, path })
    }
}

/// The fields of a listing's line, for documents.
impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { code, severity, place, message } = self;
        let mut out = serializer.serialize_struct("Item", 7)?;
        out.serialize_field("code", code)?;
        out.serialize_field("severity", name(*severity))?;
        let (domain, path) = place.as_ref().map(|(domain, path)| (&**domain, &**path)).unzip();
        for (key, twin, name) in
            [("domain", "domain_b64", domain), ("relative_path", "relative_path_b64", path)]
        {
            out.serialize_field(key, &name.map(String::from_utf8_lossy))?;
            match name {
                Some(name) if std::str::from_utf8(name).is_err() => {
                    out.serialize_field(twin, &STANDARD.encode(name))?;
                }
                _ => out.skip_field(twin)?,
            }
        }
        out.serialize_field("message", message)?;
        out.end()
    }
}

fn fault_error(fault: &dyn Fault) -> &(dyn std::error::Error + 'static) {
    fault
}

/// Returns a severity's word in machine output.
fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Damage => "damage",
        Severity::Failure => "failure",
    }
}

/// How a command that reached its end did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Entries that are not in the output, or not with all their bytes.
    pub(crate) lost: u64,
    /// Oddities that lost nothing.
    pub(crate) notices: u64,
    /// Class keys of the keybag that do not open although the password is right.
    pub(crate) damaged_keys: usize,
}

impl Tally {
    /// Counts the problems of a command.
    pub(crate) fn of(problems: &[Item], damaged_keys: usize) -> Self {
        let mut tally = Self { damaged_keys, ..Self::default() };
        problems.iter().for_each(|item| tally.add(item.severity));
        tally
    }

    pub(crate) fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Notice => self.notices += 1,
            Severity::Damage | Severity::Failure => self.lost += 1,
        }
    }

    /// Returns the exit code. Damaged key material says more than what was lost to it.
    pub(crate) fn exit_code(self) -> ExitCode {
        let Self { lost, notices, damaged_keys } = self;
        match (damaged_keys, lost, notices) {
            (1.., ..) => Kind::KeysDamaged.into(),
            (0, 1.., _) => ExitCode::from(3),
            (0, 0, 1..) => ExitCode::from(4),
            (0, 0, 0) => ExitCode::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use bkp_toolkit::core::{Domain, Entry, EntryKind, Fault, RelPath, Severity};

    use super::{Item, Tally};
    use crate::display::Styles;
    use crate::json::Line;

    #[derive(Debug, thiserror::Error)]
    #[error("it is odd")]
    struct Odd;

    impl Fault for Odd {
        fn code(&self) -> &'static str {
            "odd"
        }
        fn severity(&self) -> Severity {
            Severity::Damage
        }
    }

    #[test]
    fn a_problem_in_all_its_forms() {
        let entry = Entry::derive(
            Domain::new("Home\u{202e}Domain").unwrap(),
            RelPath::new(b"a/\xff").unwrap(),
            EntryKind::File,
        );
        let item = Item::new(Some(&entry), &Odd);
        let mut text = Vec::new();
        item.write_text(&mut text, Styles::default()).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "error[odd]: Home\\u{202e}Domain:a/\\xff: it is odd\n"
        );
        let mut row = Vec::new();
        item.write_row(&mut Line::default(), &mut row).unwrap();
        let mut event = Vec::new();
        item.write_event(&mut event).unwrap();
        for json in [row, event, serde_json::to_vec(&item).unwrap()] {
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json["code"], "odd");
            assert_eq!(json["severity"], "damage");
            assert_eq!(json["domain"], "Home\u{202e}Domain");
            assert!(json.get("domain_b64").is_none());
            assert_eq!(json["relative_path"], "a/\u{fffd}");
            assert_eq!(json["relative_path_b64"], "YS//");
            assert_eq!(json["message"], "it is odd");
        }
        let json = serde_json::to_value(Item::notice("x", "y")).unwrap();
        assert!(json["domain"].is_null() && json["severity"] == "notice");
    }

    #[test]
    fn the_worst_decides_the_exit_code() {
        let code = |lost, notices, damaged_keys| {
            format!("{:?}", Tally { lost, notices, damaged_keys }.exit_code())
        };
        let number = |n: u8| format!("{:?}", std::process::ExitCode::from(n));
        assert_eq!(code(0, 0, 0), number(0));
        assert_eq!(code(0, 1, 0), number(4));
        assert_eq!(code(2, 1, 0), number(3));
        assert_eq!(code(2, 1, 1), number(15));
        let mut tally = Tally::default();
        for severity in [Severity::Notice, Severity::Damage, Severity::Failure] {
            tally.add(severity);
        }
        assert_eq!((tally.lost, tally.notices), (2, 1));
    }
}
