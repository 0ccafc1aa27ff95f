//! The bundles that are committed under `fixtures/`, and what is in them.
//!
//! They look like small backups of a real phone: real databases, a photo, an app with its
//! extension and its group, a keychain, links. Everything in them is invented.

use std::path::Path;
use std::{fs, io};

use rusqlite::Connection;

use crate::manifest_db::{finish_header, sqlite};
use crate::{
    BundleSpec, DeviceFacts, Encryption, EntrySpec, KeybagOrder, ManifestKind, PlistValue,
    binary_plist, device, xml_plist,
};

/// A bundle under `fixtures/`.
#[derive(Debug)]
pub struct Fixture {
    /// The folder's name.
    pub name: &'static str,
    /// What it is.
    pub spec: BundleSpec,
}

/// The smallest picture there is: one pixel, PNG.
pub const PIXEL_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\
\x1f\x15\xc4\x89\0\0\0\x0dIDATx\xdac\xfc\xcf\xc0P\x0f\0\x04\x85\x01\x80\x84\xa9\x8c\x21\0\0\0\0IEND\
\xaeB`\x82";

/// Returns the committed fixtures.
///
/// # Errors
///
/// Fails when SQLite cannot build the databases inside them.
pub fn all() -> io::Result<Vec<Fixture>> {
    Ok(vec![
        Fixture { name: "encrypted-db", spec: encrypted_db()? },
        Fixture { name: "plain-db", spec: plain_db()? },
        Fixture { name: "encrypted-mbdb", spec: encrypted_mbdb()? },
    ])
}

/// Writes all fixtures and their password files below `dir`, replacing those that are there.
///
/// # Errors
///
/// Fails when a file cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for Fixture { name, spec } in all()? {
        let folder = dir.join(name);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        spec.write(&folder)?;
        if let Some(Encryption { password, .. }) = &spec.encryption {
            fs::write(dir.join(format!("{name}.password")), format!("{password}\n"))?;
        }
    }
    Ok(())
}

fn encrypted_db() -> io::Result<BundleSpec> {
    let mut spec = BundleSpec::new(17);
    spec.encryption = Some(Encryption {
        password: "correct horse".into(),
        dpic: Some(10_000),
        iterations: 10_000,
    });
    spec.entries = phone(&spec)?;
    Ok(spec)
}

fn plain_db() -> io::Result<BundleSpec> {
    let mut spec = BundleSpec::new(18);
    spec.device.name = "Example iPad".into();
    spec.device.product_type = "iPad13,18".into();
    spec.device.product_name = "iPad (10th generation)".into();
    spec.device.serial_number = "TESTKIT00002".into();
    spec.device.udid = "00000000-0011223344556677".into();
    spec.device.passcode_set = false;
    spec.keybag.order = KeybagOrder::Ascending;
    spec.entries = phone(&spec)?;
    // Only an encrypted backup holds these.
    spec.entries.retain(|entry| entry.domain != b"HealthDomain");
    Ok(spec)
}

fn encrypted_mbdb() -> io::Result<BundleSpec> {
    let mut spec = BundleSpec::new(9);
    spec.manifest = ManifestKind::Mbdb;
    spec.device = DeviceFacts::ios9();
    spec.keybag.version = 3;
    spec.encryption =
        Some(Encryption { password: "correct horse".into(), dpic: None, iterations: 10_000 });
    spec.entries = phone(&spec)?;
    Ok(spec)
}

/// What is on the phone.
fn phone(spec: &BundleSpec) -> io::Result<Vec<EntrySpec>> {
    let keybag_uuid = device::uuid_text(&spec.keybag_uuid()).to_lowercase();
    let file = |domain: &str, path: &str, content: Vec<u8>| EntrySpec::file(domain, path, content);
    let settings =
        |pairs: &[(&str, PlistValue)]| binary_plist(&PlistValue::dict(pairs.iter().cloned()));
    let profiles = "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles";
    Ok(vec![
        file("HomeDomain", "Library/SMS/sms.db", sms_db()?),
        file(
            "HomeDomain",
            "Library/Preferences/com.apple.springboard.plist",
            settings(&[("SBParentalControlsCapabilities", PlistValue::Array(Vec::new()))]),
        )
        .with(|entry| entry.mode = Some(0o100_600)),
        file("HomeDomain", "Library/Preferences/com.apple.dataaccess.launchd", Vec::new())
            .with(|entry| entry.mode = Some(0o100_400)),
        EntrySpec::symlink(
            "HomeDomain",
            "Library/Preferences/com.apple.carrier.default.plist",
            "/var/mobile/Library/Carrier Bundles/Overlay/device+carrier+00000:0:1.plist",
        ),
        file(
            "HomeDomain",
            "Library/Voicemail/1.txt",
            b"An example, longer than one block of the cipher.\n".to_vec(),
        ),
        file("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.PNG", PIXEL_PNG.to_vec()).with(
            |entry| {
                entry.xattrs = vec![
                    ("com.apple.assetsd.favorite".into(), vec![1]),
                    ("com.apple.assetsd.UUID".into(), (0xf0..=0xff).collect()),
                ];
            },
        ),
        EntrySpec::noise("MediaDomain", "Media/Recordings/20240518 093000.m4a", 3_000),
        file("AppDomain-com.example.notes", "Documents/Gru\u{308}ße.txt", b"Hello\n".to_vec()),
        file(
            "AppDomain-com.example.notes",
            "Library/Preferences/com.example.notes.plist",
            settings(&[("launches", PlistValue::Int(3))]),
        ),
        file(
            "AppDomainPlugin-com.example.notes.widget",
            "Documents/snapshot.json",
            b"{\"notes\":1}\n".to_vec(),
        ),
        file(
            "AppDomainGroup-group.com.example.notes",
            "notes.sqlite",
            database(
                "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT);
                      INSERT INTO note(text) VALUES ('buy milk'), ('call home');",
            )?,
        ),
        file(
            "KeychainDomain",
            "keychain-backup.plist",
            settings(&[("keybag-uuid", PlistValue::text(keybag_uuid))]),
        )
        .with(|entry| {
            entry.mode = Some(0o100_400);
            entry.uid = Some(0);
            entry.class = Some(1);
        }),
        file(
            "HealthDomain",
            "Health/healthdb.sqlite",
            database(
                "CREATE TABLE sources(id INTEGER PRIMARY KEY, name TEXT);
                      INSERT INTO sources(name) VALUES ('Example iPhone');",
            )?,
        )
        .with(|entry| entry.class = Some(2)),
        file(
            "WirelessDomain",
            "Library/Preferences/com.apple.commcenter.plist",
            settings(&[("carrier", PlistValue::text("Example Mobile"))]),
        ),
        EntrySpec::symlink(
            "DatabaseDomain",
            "timezone/localtime",
            "/var/db/timezone/zoneinfo/Europe/Zurich",
        ),
        file(
            profiles,
            "Library/ConfigurationProfiles/CloudConfigurationDetails.plist",
            // What a phone that is in no organisation holds.
            settings(&[
                ("AllowPairing", PlistValue::Bool(true)),
                ("CloudConfigurationUIComplete", PlistValue::Bool(true)),
                ("ConfigurationSource", PlistValue::Int(0)),
                ("IsSupervised", PlistValue::Bool(false)),
                ("PostSetupProfileWasInstalled", PlistValue::Bool(false)),
            ]),
        ),
        file(
            profiles,
            "Library/ConfigurationProfiles/PayloadManifest.plist",
            xml_plist(&PlistValue::dict([
                ("HiddenProfiles", PlistValue::Array(Vec::new())),
                ("OrderedProfiles", PlistValue::Array(Vec::new())),
            ])),
        ),
    ])
}

/// A message store with two messages.
fn sms_db() -> io::Result<Vec<u8>> {
    database(
        "CREATE TABLE handle(ROWID INTEGER PRIMARY KEY, id TEXT, service TEXT);
         CREATE TABLE message(ROWID INTEGER PRIMARY KEY, guid TEXT UNIQUE, text TEXT,
             handle_id INTEGER, date INTEGER, is_from_me INTEGER);
         INSERT INTO handle VALUES (1, '+15555550101', 'SMS');
         INSERT INTO message VALUES
             (1, 'EXAMPLE-0001', 'Are you there?', 1, 737640000000000000, 0),
             (2, 'EXAMPLE-0002', 'On my way', 1, 737640060000000000, 1);",
    )
}

/// Builds a database as it lies on a phone: flagged for WAL.
pub(crate) fn database(statements: &str) -> io::Result<Vec<u8>> {
    let mut db = Connection::open_in_memory().map_err(sqlite)?;
    db.execute_batch("PRAGMA page_size = 4096;").map_err(sqlite)?;
    db.execute_batch(statements).map_err(sqlite)?;
    let mut image = db.serialize(rusqlite::MAIN_DB).map_err(sqlite)?.to_vec();
    finish_header(&mut image);
    Ok(image)
}

#[cfg(test)]
mod tests;
