//! The listing for a person.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bkp_toolkit::{AttributeFacts, KeychainItemFacts, KeychainListing};

use crate::display::{Name, Styles, label};

/// The attributes that say what an item is for, in the order they are shown.
const TELLING: [&str; 6] = ["labl", "svce", "srvr", "path", "acct", "agrp"];

/// Writes a line for each item, and a summary.
pub(super) fn write(
    out: &mut dyn Write,
    listing: &KeychainListing,
    styles: Styles,
) -> io::Result<()> {
    let reasons = listing.items.iter().filter_map(|item| item.reason.map(str::len));
    let width = reasons.max().unwrap_or(0).max("opened".len());
    if !listing.items.is_empty() {
        let heading = format!("table  index  class  {:<width$}  item", "state");
        writeln!(out, "{}", label(styles.heading, heading))?;
    }
    for item in &listing.items {
        let KeychainItemFacts { table, index, class, reason, attributes, .. } = item;
        let class = class.map_or_else(|| "?".to_owned(), |class| class.to_string());
        let state = format!("{:<width$}", reason.unwrap_or("opened"));
        let state = match reason {
            None => label(styles.good, state),
            Some("device-bound") => state,
            Some(_) => label(styles.warning, state),
        };
        let what = attributes.as_ref().map(what).unwrap_or_default();
        let line = format!("{table:<5}  {index:>5}  {class:>5}  {state}  {what}");
        writeln!(out, "{}", line.trim_end())?;
        if let Some(attributes) = attributes.as_ref().filter(|_| listing.revealed) {
            write_secret(out, attributes)?;
        }
    }
    write_summary(out, listing, None)
}

fn what(attributes: &AttributeFacts) -> String {
    let mut text = String::new();
    for name in TELLING {
        if let Some(value) = attributes.text(name).filter(|value| !value.is_empty()) {
            let space = if text.is_empty() { "" } else { "  " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{space}{name}={}", Name(value.as_bytes()));
        }
    }
    text
}

fn write_secret(out: &mut dyn Write, attributes: &AttributeFacts) -> io::Result<()> {
    const INDENT: &str = "                            ";
    match (attributes.text("v_Data"), attributes.text("v_Data_b64")) {
        (Some(text), _) => writeln!(out, "{INDENT}secret: {}", Name(text.as_bytes())),
        (None, Some(digits)) => writeln!(out, "{INDENT}secret in base64: {digits}"),
        (None, None) if attributes.iter().any(|(name, _)| name == "v_Data") => {
            writeln!(out, "{INDENT}secret: neither text nor bytes; --json tells it")
        }
        (None, None) => writeln!(out, "{INDENT}no secret"),
    }
}

/// Writes `opened 6 of 30: 24 bound to the device`.
pub(super) fn write_summary(
    out: &mut dyn Write,
    listing: &KeychainListing,
    file: Option<&Path>,
) -> io::Result<()> {
    let KeychainListing { items, opened, device_bound, unsupported, failed, .. } = listing;
    let parts = [
        (*device_bound, "bound to the device"),
        (*unsupported, "of a form that is not read"),
        (*failed, "damaged"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let colon = if parts.is_empty() { "" } else { ": " };
    writeln!(out, "opened {opened} of {}{colon}{}", items.len(), parts.join(", "))?;
    if !listing.encrypted && !items.is_empty() {
        writeln!(
            out,
            "the backup is not encrypted: all its keychain items are bound to the device"
        )?;
    }
    match file {
        Some(file) => writeln!(out, "written to {}", Name(file.as_os_str().as_bytes())),
        None => Ok(()),
    }
}
