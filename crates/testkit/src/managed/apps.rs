//! Managed apps and books. Source: MANAGED.md 4 and 5.

use super::state::{SYSTEM, dict, plist, restricted};
use super::{ENROLMENT, Expectation, ManagedCase, byod_encrypted, encrypted, none, set};
use crate::{BundleSpec, EntrySpec, PlistEdit, PlistValue, binary_plist};

/// Apps by their management flags: none, remove at the end, no backup, both.
const APPS: [(&str, i64); 4] = [
    ("com.example.flag0", 0),
    ("com.example.flag1", 1),
    ("com.example.flag4", 4),
    ("com.example.flag5", 5),
];
/// An app that is not managed, and shares a group with one that is.
const FREE: &str = "com.example.free";
/// The container that both share.
const SHARED: &str = "group.com.example.shared";
const BOOKS: &str = "SysSharedContainerDomain-systemgroup.com.apple.media.books.managed";

pub(super) fn all() -> Vec<ManagedCase> {
    let case = |name, about, spec, expected| ManagedCase { name, about, spec, expected };
    let enrolled = || Expectation {
        enrolment: "profile",
        enrolled: Some(true),
        in_backup: true,
        hardware_bound: Some(false),
        profiles: vec![ENROLMENT, super::WIFI, super::OWN],
        ..Expectation::unmanaged()
    };
    vec![
        case(
            "apps",
            "managed apps of every kind, one sharing a group",
            apps(),
            Expectation { managed_apps: APPS.to_vec(), ..enrolled() },
        ),
        case(
            "books-allowed",
            "managed books that may be backed up",
            books_allowed(),
            Expectation { books: 2, ..enrolled() },
        ),
        case(
            "books-disallowed",
            "managed books that may not be backed up, and are there",
            books_disallowed(),
            Expectation { books: 3, book_backup: Some(false), ..enrolled() },
        ),
    ]
}

/// A phone with four managed apps and one that is not, a plug-in, and a group that two share.
#[must_use]
pub fn apps() -> BundleSpec {
    let mut spec = byod_encrypted();
    let managed = APPS.map(|(id, flags)| {
        let attributes = dict(&[("Removable", PlistValue::Bool(flags & 1 == 0))]);
        let fields = dict(&[
            ("flags", PlistValue::Int(flags)),
            ("state", PlistValue::Int(7)),
            ("Attributes", attributes),
            ("source", PlistValue::text(ENROLMENT)),
        ]);
        (id, fields)
    });
    let table = dict(&[("metadataByBundleID", dict(&managed))]);
    spec.entries.push(plist(SYSTEM, "MDMAppManagement.plist", &table));
    let ids = || APPS.map(|(id, _)| id).into_iter().chain([FREE]);
    for (n, id) in ids().enumerate() {
        let domain = format!("AppDomain-{id}");
        spec.entries.push(EntrySpec::noise(domain.as_str(), "Documents/data", 100 * (n + 1)));
        let managed = ("com.apple.configuration.managed", dict(&[]));
        let own = ("launches", PlistValue::Int(1));
        let keys = if id == "com.example.flag0" { vec![own, managed] } else { vec![own] };
        let path = format!("Library/Preferences/{id}.plist");
        spec.entries.push(EntrySpec::file(domain, path, binary_plist(&dict(&keys))));
    }
    let plugin = "com.example.flag1.widget";
    spec.entries.extend([
        EntrySpec::noise(format!("AppDomainPlugin-{plugin}"), "Documents/w", 11),
        EntrySpec::noise(format!("AppDomainGroup-{SHARED}"), "Library/s", 13),
        EntrySpec::noise("AppDomainGroup-group.com.example.flag5", "Library/g", 17),
    ]);
    spec.manifest_plist = vec![PlistEdit::Set("Applications".into(), containers(ids(), plugin))];
    let installed = ids().chain(["com.example.inhouse"]).map(PlistValue::text).collect();
    spec.info_plist = vec![
        PlistEdit::Set("Applications".into(), PlistValue::dict(ids().map(|id| (id, record(id))))),
        PlistEdit::Set("Installed Applications".into(), PlistValue::Array(installed)),
    ];
    spec
}

/// `Applications` of Manifest.plist, with the plug-in in the bundle of its app.
fn containers<'i>(ids: impl Iterator<Item = &'i str>, plugin: &str) -> PlistValue {
    let text = |text: &str| PlistValue::text(text);
    let bundle = |id: &str| format!("/var/containers/Bundle/Application/EXAMPLE/{id}.app");
    let container = |id: &str, class: &str, path: Option<String>| {
        let mut keys =
            vec![("CFBundleIdentifier", text(id)), ("ContainerContentClass", text(class))];
        keys.extend(path.as_deref().map(|path| ("Path", text(path))));
        (id.to_owned(), dict(&keys))
    };
    let mut all: Vec<(String, PlistValue)> =
        ids.map(|id| container(id, "Data/Application", Some(bundle(id)))).collect();
    let path = format!("{}/PlugIns/widget.appex", bundle("com.example.flag1"));
    all.push(container("com.example.notes", "Data/Application", None));
    all.push(container(plugin, "Data/PluginKitPlugin", Some(path)));
    all.push(container(SHARED, "Shared/AppGroup", None));
    all.push(container("group.com.example.flag5", "Shared/AppGroup", None));
    PlistValue::Dict(all)
}

/// An app's entry under `Applications` of Info.plist: flag0 and flag1 are licences of the device.
fn record(id: &str) -> PlistValue {
    let device = matches!(id, "com.example.flag0" | "com.example.flag1");
    let account = dict(&[("AppleID", PlistValue::text("person@example.org"))]);
    let mut keys = vec![
        ("itemName", PlistValue::text(id)),
        ("softwareVersionBundleId", PlistValue::text(id)),
        ("sideLoadedDeviceBasedVPP", PlistValue::Bool(device)),
    ];
    if !device {
        let info = dict(&[
            ("accountInfo", account),
            ("purchaseDate", PlistValue::text("2024-01-02T03:04:05Z")),
        ]);
        keys.push(("com.apple.iTunesStore.downloadInfo", info));
    }
    dict(&[("iTunesMetadata", PlistValue::Data(binary_plist(&dict(&keys))))])
}

/// A phone with two managed books in the container of today, with their list.
#[must_use]
pub fn books_allowed() -> BundleSpec {
    let mut spec = byod_encrypted();
    let book = |title: &str, file: &str| {
        dict(&[
            ("Title", PlistValue::text(title)),
            ("Path", PlistValue::text(file)),
            ("Kind", PlistValue::text("epub")),
            ("Persistent ID", PlistValue::text(format!("id-of-{file}"))),
        ])
    };
    let list = dict(&[(
        "Books",
        PlistValue::Array(vec![book("Handbook", "a.epub"), book("Rules", "b.epub")]),
    )]);
    spec.entries.extend([
        EntrySpec::noise(BOOKS, "Library/a.epub", 1000),
        EntrySpec::noise(BOOKS, "Library/b.epub/chapter.html", 300),
        EntrySpec::noise(BOOKS, "Library/b.epub/cover.png", 200),
        EntrySpec::file(BOOKS, "Library/Managed.plist", binary_plist(&list)),
        // A book of the store is none of them.
        EntrySpec::noise("BooksDomain", "Purchases/c.epub", 100),
    ]);
    spec
}

/// A phone with three managed books in both places and no list, though they may not be backed up.
#[must_use]
pub fn books_disallowed() -> BundleSpec {
    let mut spec = encrypted(none());
    spec.entries = byod_encrypted().entries;
    spec.entries.extend([
        EntrySpec::noise(BOOKS, "Library/a.epub", 1000),
        EntrySpec::noise(BOOKS, "Library/b.epub/chapter.html", 300),
        EntrySpec::noise(BOOKS, "Library/b.epub/cover.png", 200),
        EntrySpec::noise("BooksDomain", "Managed/c.pdf", 500),
    ]);
    let name = "PublicInfo/PublicEffectiveUserSettings.plist";
    let disallowed = restricted(&[("allowEnterpriseBookBackup", false)]);
    set(&mut spec, plist(super::USER, name, &disallowed));
    spec
}
