//! Stubs that attack their reader, and names that only look like management.

use super::state::{LEGACY, Profile, SYSTEM, raw};
use super::{Expectation, ManagedCase, OWN, none, payload, stub_name};
use crate::cases::plist_bombs;
use crate::{BundleSpec, EntrySpec, PlistValue, Stored, binary_plist};

pub(super) fn all() -> Vec<ManagedCase> {
    let case = |name, about, spec, expected| ManagedCase { name, about, spec, expected };
    vec![
        case(
            "near-misses",
            "names that only look like management",
            near_misses(),
            Expectation::unmanaged(),
        ),
        case(
            "hostile-stubs",
            "stubs that attack their reader, and a sound one after them",
            hostile_stubs(),
            Expectation {
                enrolment: "unknown",
                enrolled: None,
                profiles: vec!["org.example.other", OWN],
                problems: vec![
                    "limit-exceeded",
                    "limit-exceeded",
                    "plist-damaged",
                    "plist-damaged",
                    "plist-damaged",
                    "signed-profile",
                    "missing-blob",
                    "limit-exceeded",
                    "misnamed-profile",
                ],
                ..Expectation::unmanaged()
            },
        ),
    ]
}

/// Bombs, noise, an envelope, a stub that is missing, one that is too long, and one with another's
/// name; then a sound one.
#[must_use]
pub fn hostile_stubs() -> BundleSpec {
    let mut spec = none();
    let bomb = |name: &str| {
        let bomb = plist_bombs().into_iter().find(|bomb| bomb.name == name);
        bomb.map(|bomb| bomb.bytes).unwrap_or_default()
    };
    let stub = |name: &str, bytes: Vec<u8>| raw(SYSTEM, &stub_name(name), bytes);
    let list = PlistValue::Array(vec![PlistValue::text("no dictionary")]);
    let mut misnamed = Profile::new(SYSTEM, "org.example.other", "Another's Name");
    misnamed.file = Some(stub_name("org.example.someone"));
    let mut own = Profile::new(SYSTEM, OWN, "My DNS");
    own.payloads = vec![payload("com.apple.dnsSettings.managed", "dns", &[])];
    let mut long = binary_plist(&PlistValue::Dict(Vec::new()));
    long.resize((4 << 20) + 1, 0);
    spec.entries.extend([
        stub("shared", bomb("shared-8")),
        stub("deep", bomb("deep-100000")),
        stub("garbage", vec![0xa5; 300]),
        stub("empty", Vec::new()),
        stub("list", binary_plist(&list)),
        // The start of a ContentInfo with signed data (RFC 5652).
        stub("signed", b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80".to_vec()),
        stub("missing", b"x".to_vec()).with(|entry| entry.stored = Stored::Missing),
        stub("long", long),
        misnamed.stub(),
        own.stub(),
    ]);
    spec
}

/// An unmanaged phone with names that only look like management. A tool that takes files away must
/// leave every one of [`kept`].
#[must_use]
pub fn near_misses() -> BundleSpec {
    let mut spec = none();
    spec.entries.extend(
        kept().into_iter().map(|(domain, path)| EntrySpec::file(domain, path, "not a profile")),
    );
    spec
}

/// Returns domains and paths of the near misses.
#[must_use]
pub fn kept() -> Vec<(&'static str, String)> {
    let (system, folder) = SYSTEM;
    let (home, legacy) = LEGACY;
    let stub = stub_name(super::ENROLMENT);
    vec![
        (home, format!("Documents/{stub}")),
        (home, format!("{legacy}Old/{stub}")),
        ("AppDomain-com.example.notes", format!("{folder}/{stub}")),
        ("AppDomain-com.example.notes", format!("{folder}/MDM.plist")),
        (system, format!("{folder}/PublicInfo/{stub}")),
        (system, format!("{folder}/mdm.plist")),
        (system, format!("Library/{stub}")),
        (
            "SysSharedContainerDomain-systemgroup.com.apple.icloud.findmydevice.managed",
            "Library/MDM.plist".into(),
        ),
        ("SysSharedContainerDomain-systemgroup.com.apple.media.shared.books", "Managed/a".into()),
        ("BooksDomain", "ManagedBooks/a.epub".into()),
    ]
}
