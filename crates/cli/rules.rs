//! From the filter options to the rules of the library.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bkp_toolkit::core::{Domain, RelPath};
use bkp_toolkit::policy::{EntryType, Preset, Rules, RulesBuilder};

use crate::args::{FilterArgs, Rule, TypeArg};
use crate::error::{CommandError, Kind};
use crate::problems::Item;

/// The longest file of rules in bytes.
const LIMIT: u64 = 16 << 20;

/// Makes the rules, in the order of the command line.
pub(crate) fn build(args: &FilterArgs) -> Result<Rules, CommandError> {
    let FilterArgs { rules, ignore_case, min_size, max_size, newer, older, types, bundle_ids } =
        args;
    let mut builder = Rules::builder().ignore_case(*ignore_case);
    for rule in rules {
        builder = match rule {
            Rule::Include(glob) => builder.include(glob.as_str()),
            Rule::Exclude(glob) => builder.exclude(glob.as_str()),
            Rule::IncludeFrom(path) => from_file(builder, path, Some(b"+ "))?,
            Rule::ExcludeFrom(path) => from_file(builder, path, Some(b"- "))?,
            Rule::File(path) => from_file(builder, path, None)?,
            Rule::Preset(name) => match Preset::find(name) {
                Some(preset) => {
                    builder.preset(preset).map_err(|error| CommandError::of_fault(&error))?
                }
                None => {
                    let message = format!("there is no preset \"{name}\"");
                    return Err(CommandError::new(Kind::Usage, "bad-preset", message));
                }
            },
        };
    }
    if let Some(size) = *min_size {
        builder = builder.min_size(size);
    }
    if let Some(size) = *max_size {
        builder = builder.max_size(size);
    }
    if let Some(time) = *newer {
        builder = builder.newer(time);
    }
    if let Some(time) = *older {
        builder = builder.older(time);
    }
    for kind in types {
        builder = builder.entry_type(match kind {
            TypeArg::File => EntryType::File,
            TypeArg::Directory => EntryType::Directory,
            TypeArg::Symlink => EntryType::Symlink,
        });
    }
    for id in bundle_ids {
        builder = builder.bundle_id(id.as_str());
    }
    builder.build().map_err(|error| CommandError::of_fault(&error))
}

/// Returns a warning for each rule that matched nothing.
pub(crate) fn unmatched(rules: &Rules) -> impl Iterator<Item = Item> {
    rules.unmatched().into_iter().map(|rule| {
        Item::notice("rule-never-matched", format!("the rule \"{rule}\" matched nothing"))
    })
}

/// Reads a file of rules, or of globs that all get the same sign.
fn from_file(
    builder: RulesBuilder,
    path: &Path,
    sign: Option<&[u8]>,
) -> Result<RulesBuilder, CommandError> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| {
        let message = format!("cannot read the rules in \"{name}\": {error}");
        CommandError::new(Kind::Usage, "rules-unreadable", message)
    };
    let mut content = Vec::new();
    let mut file = File::open(path).map_err(failed)?.take(LIMIT + 1);
    file.read_to_end(&mut content).map_err(failed)?;
    if file.limit() == 0 {
        let message = format!("the rules in \"{name}\" are longer than {LIMIT} bytes");
        return Err(CommandError::new(Kind::Usage, "rule-limit", message));
    }
    if let Some(sign) = sign {
        content = with_sign(&content, sign);
    }
    builder.file(&name, &content).map_err(|error| CommandError::of_fault(&error))
}

/// Puts a sign before each glob, which makes rules of them. Line numbers stay.
fn with_sign(content: &[u8], sign: &[u8]) -> Vec<u8> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut rules = Vec::with_capacity(content.len() * 2);
    for line in content.split_inclusive(|&b| b == b'\n') {
        let text = line.trim_ascii();
        if !text.is_empty() && !text.starts_with(b"#") {
            rules.extend_from_slice(sign);
        }
        rules.extend_from_slice(line);
    }
    rules
}

/// Reads `DOMAIN:PATH` as the exact name of an entry.
pub(crate) fn exact_name(text: &[u8]) -> Result<(Domain, RelPath), CommandError> {
    let bad = |message: String| {
        CommandError::new(Kind::Usage, "bad-name", message)
            .help("an entry is named DOMAIN:PATH, such as HomeDomain:Library/SMS/sms.db")
    };
    let shown = String::from_utf8_lossy(text);
    let Some(colon) = text.iter().position(|&b| b == b':') else {
        return Err(bad(format!("\"{shown}\" has no \":\" between domain and path")));
    };
    let (domain, path) = text.split_at(colon);
    let domain = Domain::new(domain).map_err(|error| bad(error.to_string()))?;
    let path = RelPath::new(path.get(1..).unwrap_or_default()).map_err(|e| bad(e.to_string()))?;
    Ok((domain, path))
}

#[cfg(test)]
mod tests {
    use super::{exact_name, with_sign};

    #[test]
    fn globs_get_a_sign_and_keep_their_lines() {
        let rules = with_sign(b"\xef\xbb\xbfHomeDomain\n\n# note\r\n  *:a b\r\nlast", b"+ ");
        assert_eq!(
            rules.escape_ascii().to_string(),
            "+ HomeDomain\\n\\n# note\\r\\n+   *:a b\\r\\n+ last"
        );
    }

    #[test]
    fn names_are_split_at_the_first_colon() {
        let (domain, path) = exact_name(b"HomeDomain:a:b/c").unwrap();
        assert_eq!((domain.as_bytes(), path.as_bytes()), (&b"HomeDomain"[..], &b"a:b/c"[..]));
        assert!(exact_name(b"HomeDomain:").unwrap().1.is_root());
        for bad in [&b"HomeDomain"[..], b":a", b"HomeDomain:/a", b"HomeDomain:../a", b"a/b:c"] {
            assert!(exact_name(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
