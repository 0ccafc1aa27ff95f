use std::error::Error as _;
use std::path::Path;

use bkp_core::{Domain, Entry, EntryKind, Fault, Place, Problem, RelPath, Severity};

use super::{RunItem, RunLeftOut, RunName, RunRecord};
use crate::RestoreError;

#[derive(Debug, thiserror::Error)]
#[error("row 7")]
struct Row(#[source] std::io::Error);

impl Fault for Row {
    fn code(&self) -> &'static str {
        "bad-row"
    }

    fn severity(&self) -> Severity {
        Severity::Damage
    }

    fn place(&self) -> Option<Place<'_>> {
        Some(Place { domain: b"../x", path: b"\xff" })
    }
}

#[test]
fn a_record_tells_everything() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let mut record = RunRecord::new("0.1.0", "extract", vec!["--names".into(), "raw".into()]);
    record.started = "2026-01-02T03:04:05Z".into();
    record.source.udid = Some("00008101-000A".into());
    record.counts.listed = 3;
    let entry = Entry::derive(
        Domain::new("HomeDomain").unwrap(),
        RelPath::new("a\n").unwrap(),
        EntryKind::File,
    );
    let fault = RestoreError::NameCollision { path: "HomeDomain/a".into() };
    record.items.push(RunItem::of_problem(&Problem { entry: Some(&entry), fault: &fault }));
    let fault = Row(std::io::Error::other("torn"));
    assert!(fault.source().is_some());
    record.items.push(RunItem::of_problem(&Problem { entry: None, fault: &fault }));
    record.items.push(RunItem::of_entry("left-out", Severity::Notice, &entry, "- *:a".into()));
    record.left_out.push(RunLeftOut {
        file_id: entry.id,
        rule: Some("- *:b".into()),
        requirement: None,
        name: None,
    });
    record.left_out.push(RunLeftOut {
        file_id: entry.id,
        rule: Some("profile".into()),
        requirement: Some("001-24".into()),
        name: Some(Box::new(RunName::new(b"HomeDomain", b"\xff"))),
    });

    let path = record.write_beside(&out).unwrap();
    assert_eq!(path, dir.path().canonicalize().unwrap().join("out.bkp-run.json"));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["arguments"][1], "raw");
    assert_eq!(json["source"]["udid"], "00008101-000A");
    assert_eq!(json["counts"]["listed"], 3);
    let items = json["items"].as_array().unwrap();
    assert_eq!(json["left_out"][0]["file_id"], entry.id.to_string());
    assert_eq!(json["left_out"][0]["rule"], "- *:b");
    assert_eq!(json["left_out"][0].as_object().unwrap().len(), 2);
    let named = &json["left_out"][1];
    assert_eq!((&named["requirement"], &named["domain"]), (&"001-24".into(), &"HomeDomain".into()));
    assert_eq!(named["relative_path_b64"], "/w==");
    assert!(named.get("domain_b64").is_none() && json.get("staging").is_none());
    assert_eq!(items[0]["code"], "name-collision");
    assert_eq!(items[0]["severity"], "failure");
    assert_eq!(items[0]["relative_path"], "a\n");
    assert!(items[0].get("relative_path_b64").is_none());
    assert_eq!(items[1]["message"], "row 7: torn");
    assert_eq!(items[1]["severity"], "damage");
    assert_eq!(items[1]["domain"], "../x");
    assert_eq!(items[1]["relative_path_b64"], "/w==");
    assert_eq!(items[2]["message"], "- *:a");

    // Written again, it replaces the first, and leaves nothing else.
    record.counts.listed = 4;
    record.write_beside(&out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["counts"]["listed"], 4);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_run_without_output_has_a_record_too() {
    let dir = tempfile::tempdir().unwrap();
    let record = RunRecord::new("0.1.0", "extract", Vec::new());
    let path = record.write_beside(&dir.path().join("never")).unwrap();
    assert!(path.ends_with("never.bkp-run.json") && path.exists());
    let error = record.write_beside(&dir.path().join("missing/out")).unwrap_err();
    assert_eq!(error.code(), "cannot-create");
    assert!(record.write_beside(Path::new("/")).is_err());
}
