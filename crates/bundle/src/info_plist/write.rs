//! `Info.plist`, with apps left out or made anew.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(test)]
mod tests;

use super::InfoPlist;
use crate::plist_guard::{Container, Event, Events, Format, Limits, PlistError, Scalar};
use crate::plist_tree::Node;
use crate::{DeviceDescription, bplist};

const BY_APP: &str = "Applications";
const LIST: &str = "Installed Applications";

/// What a new `Info.plist` is made of.
#[derive(Clone, Debug)]
pub struct NewInfo<'n> {
    /// The device.
    pub device: &'n DeviceDescription,
    /// `Last Backup Date`, in seconds since the Unix epoch.
    pub date: i64,
    /// `GUID`: random.
    pub guid: [u8; 16],
    /// `iTunes Version`, such as "12.11.0.26".
    pub itunes_version: &'n str,
}

impl InfoPlist {
    /// Leaves apps out of `Applications` and `Installed Applications`, by their bundle ids.
    ///
    /// An XML file stays the text that it was, but for what is cut out of it; a binary one is
    /// written anew, with all other keys, values and their order. Where nothing is left out the
    /// original comes back byte for byte.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, and when a binary one holds a value that makes no
    /// sense: it could not be written again.
    pub fn without_applications(
        original: &[u8],
        leave_out: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<u8>, PlistError> {
        if Events::new(original, &Limits::INFO)?.format() == Format::Xml {
            return Ok(cut(original, &cuts(original, leave_out)?));
        }
        let before = Node::read(original, &Limits::INFO)?;
        let mut after = before.clone();
        if let Some(applications) = after.get_mut(BY_APP.as_bytes()) {
            applications.retain(|id| !leave_out(&String::from_utf8_lossy(id)));
        }
        if let Some(Node::Array(ids)) = after.get_mut(LIST.as_bytes()) {
            ids.retain(|id| match id {
                Node::Text(id) => !leave_out(&String::from_utf8_lossy(id)),
                _ => true,
            });
        }
        if after == before {
            return Ok(original.to_vec());
        }
        Ok(bplist::write(&after))
    }

    /// Writes a new file, as XML like those of a host, with all the keys that readers insist on.
    /// Characters that XML cannot have become U+FFFD. Source: FORMAT.md 1.1 and 1.4.
    ///
    /// `Installed Applications` lists the apps of the device, and `Applications`, where a host
    /// keeps what a shop sent it of each, is empty.
    ///
    /// # Errors
    ///
    /// Fails when the date cannot be written: its year has more than four digits.
    pub fn compose(new: &NewInfo<'_>) -> Result<Vec<u8>, PlistError> {
        let NewInfo { device, date, guid, itunes_version } = new;
        let mut root = plist::Dictionary::new();
        let mut add = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                root.insert(key.to_owned(), xml_text(value).into());
            }
        };
        let guid: String = guid.iter().map(|byte| format!("{byte:02X}")).collect();
        add("Build Version", Some(&device.build_version));
        add("Device Name", Some(&device.name));
        add("Display Name", Some(&device.name));
        add("GUID", Some(&guid));
        add("IMEI", device.imei.as_deref());
        add("MEID", device.meid.as_deref());
        add("Phone Number", device.phone_number.as_deref());
        add("Product Name", Some(&device.product_name));
        add("Product Type", Some(&device.product_type));
        add("Product Version", Some(&device.product_version));
        add("Serial Number", Some(&device.serial_number));
        add("Target Identifier", Some(&device.udid));
        add("Target Type", Some("Device"));
        add("Unique Identifier", Some(&device.udid.to_uppercase()));
        add("iTunes Version", Some(itunes_version));
        let apps = device.applications.iter().filter(|application| {
            application.content_class.as_deref().is_none_or(|class| class == "Data/Application")
        });
        let ids = apps.map(|a| xml_text(a.bundle_id.as_ref().unwrap_or(&a.container_id)).into());
        root.insert(LIST.to_owned(), plist::Value::Array(ids.collect()));
        for empty in [BY_APP, "iTunes Files", "iTunes Settings"] {
            root.insert(empty.to_owned(), plist::Dictionary::new().into());
        }
        root.insert("Last Backup Date".to_owned(), plist::Value::Date(xml_date(*date)?));
        // Hosts write their keys in this order.
        root.sort_keys();
        let mut out = Vec::new();
        plist::Value::Dictionary(root)
            .to_writer_xml(&mut out)
            .map_err(|source| PlistError::Decode { source })?;
        out.push(b'\n');
        Ok(out)
    }
}

fn xml_text(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn xml_date(unix: i64) -> Result<plist::Date, PlistError> {
    let out = || PlistError::Unsupported { what: "a date outside the years 1 to 9998", offset: 0 };
    if !crate::plist_guard::is_writable_date(unix) {
        return Err(out());
    }
    let seconds = std::time::Duration::from_secs(unix.unsigned_abs());
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let time = if unix < 0 { epoch.checked_sub(seconds) } else { epoch.checked_add(seconds) };
    time.map(plist::Date::from).ok_or_else(out)
}

/// Finds what is to be cut out of the text: of each entry, from its first byte to that of
/// whatever comes after it.
fn cuts(text: &[u8], leave_out: &dyn Fn(&str) -> bool) -> Result<Vec<(usize, usize)>, PlistError> {
    let mut events = Events::new(text, &Limits::INFO)?;
    let mut cuts = Vec::new();
    // The containers around, and the key of the root that we are under.
    let mut depth = 0_usize;
    let mut under = None;
    // Where an entry to be left out began.
    let mut begun: Option<usize> = None;
    while let Some(event) = events.next()? {
        let at = events.offset();
        // Whatever stands directly in one of the two containers ends the entry before it, if it
        // is no value of a key.
        let ends = depth == 2
            && !matches!((&event, under), (Event::Value(_) | Event::Open(_), Some(BY_APP)));
        if ends && let Some(begun) = begun.take() {
            cuts.push((begun, at));
        }
        match event {
            Event::Open(container) => {
                depth = depth.saturating_add(1);
                // A key with a value of the wrong sort is none of ours.
                let expected = if under == Some(LIST) { Container::Array } else { Container::Dict };
                if depth == 2 && container != expected {
                    under = None;
                }
            }
            Event::Close => depth = depth.saturating_sub(1),
            Event::Key(key) if depth == 1 => {
                under = [BY_APP, LIST].into_iter().find(|name| *name.as_bytes() == *key);
            }
            Event::Key(id) if depth == 2 && under == Some(BY_APP) => {
                begun = leave_out(&String::from_utf8_lossy(&id)).then_some(at);
            }
            Event::Value(Scalar::Text(id)) if depth == 2 && under == Some(LIST) => {
                begun = leave_out(&String::from_utf8_lossy(&id)).then_some(at);
            }
            _ => {}
        }
    }
    Ok(cuts)
}

/// Cuts stretches out of the text, each with the white space before it and not that after it.
fn cut(text: &[u8], cuts: &[(usize, usize)]) -> Vec<u8> {
    let trimmed = |at: usize| text.get(..at).map_or(at, |before| before.trim_ascii_end().len());
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for &(begin, end) in cuts {
        out.extend_from_slice(text.get(from..trimmed(begin)).unwrap_or_default());
        from = trimmed(end);
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
    out
}
