use super::{MAX_POLICY_FILE, PolicyFile, Restrictions, Server};
use crate::PolicyError;
use crate::apps::AppFlags;
use crate::tables::{AppType, Assignment};

const WHOLE: &str = r#"
managed_application_list = "answer.plist"
profiles = ["a.mobileconfig", "b.mobileconfig"]

[target]
serial = "testkit00002"
udid = "00008030001a2b3c4d5e6f70"
ios = "26.4"
in_abm = "yes"
mdm_assigned = true

[mdm]
server = "intune"
source_server = "other"
accepts_checkin = false
retired = true
certificate_expires = 2027-01-31
employee_plan = false
ignores_profile_from_backup = true
prevents_app_backup = true

[restrictions]
allow_enterprise_book_backup = false
force_encrypted_backup = true
allow_managed_app_backup = true

[[app]]
bundle_id = "com.example.mail"
flags = 5
include_in_backup = false
assignment = "required"
licence = "device"
groups = ["group.com.example"]

[[app]]
bundle_id = "com.example.plain"

[[group]]
id = "group.com.example"
apps = ["com.example.mail"]
"#;

fn parse(text: &str) -> Result<PolicyFile, PolicyError> {
    PolicyFile::parse("policy.toml", text.as_bytes())
}

#[test]
fn every_key() {
    let policy = parse(WHOLE).unwrap();
    assert_eq!(policy.managed_application_list.as_deref(), Some("answer.plist"));
    assert_eq!(policy.installed_application_list, None);
    assert_eq!(policy.profiles.len(), 2);
    let target = &policy.target;
    assert_eq!(target.identity.serial.as_deref(), Some("TESTKIT00002"));
    assert_eq!(target.identity.udid.as_deref(), Some("00008030-001A2B3C4D5E6F70"));
    assert_eq!(target.ios.unwrap().to_string(), "26.4");
    assert_eq!((target.in_abm, target.mdm_assigned), (Some(true), Some(true)));
    let mdm = &policy.mdm;
    assert_eq!((mdm.server, mdm.source_server), (Some(Server::Intune), Some(Server::Other)));
    assert_eq!((mdm.accepts_checkin, mdm.retired), (Some(false), Some(true)));
    // From `date -u -d 2027-01-31 +%s`.
    assert_eq!(mdm.certificate_expires, Some(1_801_353_600));
    assert_eq!((mdm.employee_plan, mdm.prevents_app_backup), (Some(false), Some(true)));
    assert_eq!(mdm.ignores_profile_from_backup, Some(true));
    let stated = Restrictions {
        allow_enterprise_book_backup: Some(false),
        force_encrypted_backup: Some(true),
        allow_managed_app_backup: Some(true),
    };
    assert_eq!(policy.restrictions, stated);
    let [mail, plain] = &policy.apps[..] else { panic!() };
    assert_eq!(mail.flags, Some(AppFlags { remove_on_unenrol: true, no_backup: true }));
    assert_eq!(mail.assignment, Some(Assignment::Required));
    assert_eq!(mail.app_type, Some(AppType::StoreDeviceLicence));
    assert_eq!(mail.facts().statements.len(), 2);
    assert!(plain.facts().statements.is_empty() && plain.groups.is_none());
    assert_eq!(policy.groups[0].apps.len(), 1);
    assert_eq!(parse("").unwrap(), PolicyFile::default());
    let marked = [b"\xef\xbb\xbf", WHOLE.as_bytes()].concat();
    assert_eq!(PolicyFile::parse("x", &marked).unwrap(), policy);
}

/// The example in the documentation is a policy file, with every key.
#[test]
fn the_documented_example() {
    let source = include_str!("../policy_file.rs");
    let (_, rest) = source.split_once("/// ```toml\n").unwrap();
    let (example, _) = rest.split_once("/// ```\n").unwrap();
    let text: String =
        example.lines().map(|line| format!("{}\n", line.trim_start_matches("/// "))).collect();
    let policy = parse(&text.replace("///", "")).unwrap();
    assert_eq!(policy.apps[0].flags, Some(AppFlags { remove_on_unenrol: true, no_backup: false }));
    for key in WHOLE.lines().filter_map(|line| line.split_once(" = ")) {
        assert!(text.contains(&format!("{} = ", key.0)), "{}", key.0);
    }
}

#[test]
fn dates() {
    for (text, seconds) in [
        ("1970-01-01", 0),
        ("2000-02-29T23:59:59Z", 951_868_799),
        ("2024-03-01T01:00:00+01:00", 1_709_251_200),
        ("2024-03-01T00:00:00", 1_709_251_200),
        ("\"2024-03-01\"", 1_709_251_200),
        ("1969-12-31", -86_400),
    ] {
        let policy = parse(&format!("[mdm]\ncertificate_expires = {text}")).unwrap();
        assert_eq!(policy.mdm.certificate_expires, Some(seconds), "{text}");
    }
}

/// What is wrong, with the line and the key that errors name.
#[test]
fn errors_name_line_and_key() {
    for (text, line, key, what) in [
        (
            "[target]\nserial = \"TESTKIT00001\"\nserail = 1\n",
            3,
            "target.serail",
            "unknown key; known here: serial",
        ),
        ("\n\nzzz = 1\n[aaa]\n", 3, "zzz", "unknown key"),
        ("[target]\nserial = 7", 2, "target.serial", "expected text, found integer"),
        ("[target]\nserial = \"N/A\"", 2, "target.serial", "\"N/A\" is no serial number"),
        ("[target]\nudid = \"x\"", 2, "target.udid", "\"x\" is no UDID"),
        ("[target]\nios = \"19.0\"", 2, "target.ios", "\"19.0\" is no version of iOS"),
        ("[target]\nin_abm = true", 2, "target.in_abm", "expected text, found boolean"),
        (
            "[target]\nin_abm = \"maybe\"",
            2,
            "target.in_abm",
            "\"maybe\" is none of: yes, no, unknown",
        ),
        (
            "[mdm]\naccepts_checkin = \"yes\"",
            2,
            "mdm.accepts_checkin",
            "expected true or false, found string",
        ),
        ("[mdm]\ncertificate_expires = \"soon\"", 2, "mdm.certificate_expires", "no date"),
        ("[mdm]\ncertificate_expires = 12:00:00", 2, "mdm.certificate_expires", "no date"),
        ("[mdm]\ncertificate_expires = 1", 2, "mdm.certificate_expires", "expected a date"),
        (
            "[restrictions]\nallow_cloud_backup = true",
            2,
            "restrictions.allow_cloud_backup",
            "unknown key",
        ),
        ("target = 1", 1, "target", "expected a table, found integer"),
        ("[app]\nbundle_id = \"x\"", 1, "app", "write [[app]]"),
        ("app = [1]", 1, "app", "expected a table"),
        ("[[app]]\nflags = 1", 1, "app.bundle_id", "is missing"),
        ("[[app]]\nbundle_id = \"\"", 2, "app.bundle_id", "empty, too long"),
        (
            "[[app]]\nbundle_id = \"a\\u0007\"",
            2,
            "app.bundle_id",
            "empty, too long, or with control",
        ),
        ("[[app]]\nbundle_id = \"x\"\nflags = 2", 3, "app.flags", "flags are 0, 1, 4 or 5"),
        ("[[app]]\nbundle_id = \"x\"\nflags = -1", 3, "app.flags", "flags are 0, 1, 4 or 5"),
        ("[[app]]\nbundle_id = \"x\"\nflags = \"1\"", 3, "app.flags", "expected 0, 1, 4 or 5"),
        ("[[app]]\nbundle_id = \"x\"\ngroups = \"g\"", 3, "app.groups", "expected a list of texts"),
        ("[[app]]\nbundle_id = \"x\"\ngroups = [\n1]", 4, "app.groups", "expected text"),
        (
            "[[app]]\nbundle_id = \"x\"\nlicence = \"vpp\"",
            3,
            "app.licence",
            "\"vpp\" is none of: none, user",
        ),
        (
            "[[app]]\nbundle_id = \"x\"\n\n[[app]]\nbundle_id = \"x\"",
            5,
            "app.bundle_id",
            "\"x\" occurs twice",
        ),
        ("[[group]]\nid = \"g\"", 1, "group.apps", "is missing"),
        (
            "[[group]]\nid = \"g\"\napps = []\n[[group]]\nid = \"g\"\napps = []",
            5,
            "group.id",
            "\"g\" occurs twice",
        ),
    ] {
        match parse(text) {
            Err(PolicyError::PolicyKey { file, line: at, key: named, what: words }) => {
                assert_eq!((&*file, at, &*named), ("policy.toml", line, key), "{text}");
                assert!(words.starts_with(what), "{text}: {words}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_toml() {
    for (text, line) in [
        (&b"[target]\nserial = "[..], 2),
        (b"a = 1\na = 2", 2),
        (b"[target]\n[target]", 2),
        (b"x\xff", 1),
        (b"\n\n\xff", 3),
    ] {
        match PolicyFile::parse("x", text) {
            Err(PolicyError::PolicySyntax { line: at, message, .. }) => {
                assert_eq!(at, line, "{}", text.escape_ascii());
                assert!(!message.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
    let long = vec![b'\n'; MAX_POLICY_FILE];
    assert!(PolicyFile::parse("x", &long).is_ok());
    let longer = vec![b'\n'; MAX_POLICY_FILE + 1];
    assert!(matches!(PolicyFile::parse("x", &longer), Err(PolicyError::FileTooLong { .. })));
}

/// Deep nesting is an error or an unknown key, and not an overflow.
#[test]
fn nesting_is_bounded() {
    for deep in [
        format!("a = {}", "[".repeat(500_000)),
        format!("a = {}{}", "[".repeat(200_000), "]".repeat(200_000)),
        format!("a = {}", "{a=".repeat(200_000)),
        format!("{}x = 1", "a.".repeat(400_000)),
        format!("[{}x]", "a.".repeat(400_000)),
    ] {
        assert!(parse(&deep).is_err());
    }
}

#[test]
fn every_cut_and_every_change_is_answered() {
    for cut in 0..WHOLE.len() {
        let _ = parse(&WHOLE[..cut]);
    }
    for at in 0..WHOLE.len() {
        for value in [0, b'"', b'=', b'[', b'\n', 0xff] {
            let mut changed = WHOLE.as_bytes().to_vec();
            changed[at] = value;
            let _ = PolicyFile::parse("x", &changed);
        }
    }
    assert!(parse(&WHOLE[..WHOLE.len() / 2]).is_ok() || parse(&WHOLE[..40]).is_err());
}

#[test]
fn a_target_given_beside_the_file_must_be_the_same() {
    let target = || parse(WHOLE).unwrap().target;
    let same = target().given(Some(" TestKit00002 "), Some("00008030-001a2b3c4d5e6f70"));
    assert!(same.is_ok());
    assert!(target().given(None, None).is_ok());
    for (serial, udid) in
        [(Some("TESTKIT00003"), None), (None, Some("00008030-001A2B3C4D5E6F71")), (Some(""), None)]
    {
        let error = target().given(serial, udid).unwrap_err();
        assert!(matches!(error, PolicyError::OtherTarget { .. }));
    }
    let bare = PolicyFile::default().target.given(Some("TESTKIT00009"), None).unwrap();
    assert_eq!(bare.identity.serial.as_deref(), Some("TESTKIT00009"));
}

#[test]
fn the_stricter_restriction_holds() {
    let of = |books, force| Restrictions {
        allow_enterprise_book_backup: books,
        force_encrypted_backup: force,
        allow_managed_app_backup: books,
    };
    for (a, b, books) in [
        (None, None, None),
        (None, Some(true), Some(true)),
        (Some(true), None, Some(true)),
        (Some(true), Some(false), Some(false)),
        (Some(false), Some(true), Some(false)),
        (Some(false), None, Some(false)),
    ] {
        let mut merged = of(a, a.map(|a| !a));
        merged.tighten(&of(b, b.map(|b| !b)));
        assert_eq!(merged, of(books, books.map(|b| !b)), "{a:?} {b:?}");
    }
    assert_eq!(of(Some(true), None).or(of(Some(false), Some(true))), of(Some(true), Some(true)));
}
