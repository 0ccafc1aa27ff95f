use bkp_core::{Domain, Entry, EntryKind, RelPath, Select as _, Verdict};

use super::{EntryType, Reason, Rules, RulesBuilder};
use crate::PolicyError;

fn file(name: &str) -> Entry {
    let (domain, path) = name.split_once(':').unwrap();
    entry(domain.as_bytes(), path.as_bytes(), EntryKind::File)
}

fn entry(domain: &[u8], path: &[u8], kind: EntryKind) -> Entry {
    Entry::derive(Domain::new(domain).unwrap(), RelPath::new(path).unwrap(), kind)
}

fn includes(pattern: &str) -> Rules {
    Rules::builder().include(pattern).build().unwrap()
}

#[test]
fn patterns_match_what_they_say() {
    for (pattern, matched, not_matched) in [
        ("HomeDomain", "HomeDomain: HomeDomain:a HomeDomain:a/b", "HomeDomain2:a RootDomain:a"),
        ("HomeDomain:", "HomeDomain: HomeDomain:a/b", "RootDomain:"),
        ("AppDomain-*", "AppDomain-x: AppDomain-x:a", "AppDomainGroup-x:a HomeDomain:AppDomain-x"),
        ("*:a.txt", "HomeDomain:a.txt RootDomain:a.txt/b", "HomeDomain:b/a.txt HomeDomain:a.txt2"),
        (
            "HomeDomain:Library/SMS",
            "HomeDomain:Library/SMS HomeDomain:Library/SMS/sms.db HomeDomain:Library/SMS/a/b",
            "HomeDomain:Library HomeDomain:Library/SMS2 HomeDomain:Library/SMS2/a HomeDomain:x/Library/SMS",
        ),
        (
            "HomeDomain:Library/SMS/",
            "HomeDomain:Library/SMS HomeDomain:Library/SMS/a",
            "HomeDomain:Library",
        ),
        (
            "HomeDomain:Library/*",
            "HomeDomain:Library/a",
            "HomeDomain:Library/a/b HomeDomain:Library",
        ),
        (
            "HomeDomain:Library/**",
            "HomeDomain:Library/a HomeDomain:Library/a/b",
            "HomeDomain:Library HomeDomain:Library2/a",
        ),
        (
            "*:**/Caches",
            "HomeDomain:Caches HomeDomain:a/Caches HomeDomain:a/b/Caches/c/d AppDomain-x:Caches/c",
            "HomeDomain:aCaches HomeDomain:Caches2 HomeDomain:a/Caches2/b",
        ),
        ("*:a/*/c", "HomeDomain:a/b/c HomeDomain:a/b/c/d/e", "HomeDomain:a/b/x/c HomeDomain:a/c"),
        ("*:a/**/c", "HomeDomain:a/c HomeDomain:a/b/c HomeDomain:a/b/x/c/d", "HomeDomain:b/c"),
        ("*:?", "HomeDomain:a", "HomeDomain:ab HomeDomain:a/b HomeDomain:"),
        ("*:[a-c]x", "HomeDomain:ax HomeDomain:cx", "HomeDomain:dx"),
        ("*:[!a-c]x", "HomeDomain:dx", "HomeDomain:ax"),
        ("{Home,Root}Domain:a", "HomeDomain:a RootDomain:a/b", "MediaDomain:a"),
        (
            "*:**/*.{db,sqlite}",
            "HomeDomain:a.db HomeDomain:x/a.sqlite",
            "HomeDomain:a.dbx HomeDomain:a.db/x",
        ),
        // Escapes: these are names, not globs.
        (r"*:a\*b", "HomeDomain:a*b HomeDomain:a*b/c", "HomeDomain:aXb"),
        (r"*:\[a\]\{b,c\}", "HomeDomain:[a]{b,c}", "HomeDomain:a HomeDomain:ab"),
        (r"*:a\\b", r"HomeDomain:a\b", r"HomeDomain:a\\b"),
        (r"*:\[a\]*", "HomeDomain:[a]x", "HomeDomain:ax"),
        // Only the first bare colon splits.
        ("HomeDomain:a:b", "HomeDomain:a:b", "HomeDomain:a"),
        ("*:[:]", "HomeDomain::", "HomeDomain:x"),
    ] {
        let rules = includes(pattern);
        for name in matched.split(' ') {
            assert!(rules.judge(&file(name)).is_keep(), "{pattern} does not match {name}");
        }
        for name in not_matched.split(' ') {
            assert!(!rules.judge(&file(name)).is_keep(), "{pattern} matches {name}");
        }
    }
    let odd = entry(b"a:b", b"c", EntryKind::File);
    assert!(includes(r"a\:b:c").judge(&odd).is_keep());
    assert!(includes(r"a\:b").judge(&odd).is_keep());
    assert!(includes("a[:]b:c").judge(&odd).is_keep());
}

#[test]
fn names_are_bytes() {
    let odd = entry(b"HomeDomain", b"a/\xff\xfe.db", EntryKind::File);
    assert!(includes("HomeDomain:a/*.db").judge(&odd).is_keep());
    assert!(includes("HomeDomain:a/??.db").judge(&odd).is_keep());
    assert!(includes("HomeDomain:a").judge(&odd).is_keep());
    assert!(!includes("HomeDomain:a/?.db").judge(&odd).is_keep());
    let accent = file("HomeDomain:é\n/x");
    assert!(includes("HomeDomain:é*/x").judge(&accent).is_keep());
    assert!(includes("HomeDomain:??\n").judge(&file("HomeDomain:é\n")).is_keep());
    assert!(includes("HomeDomain:{é,ü}*").judge(&file("HomeDomain:üb")).is_keep());
}

#[test]
fn the_last_match_decides_and_the_first_rule_sets_the_default() {
    let rules = Rules::builder()
        .exclude("AppDomain-*:**/Caches/**")
        .include("AppDomain-com.example.notes")
        .build()
        .unwrap();
    for (name, verdict) in [
        ("HomeDomain:Library/Caches/x", Verdict::Keep(None)),
        ("AppDomain-x:Library/Caches/x", Verdict::Drop(Some("- AppDomain-*:**/Caches/**"))),
        ("AppDomain-x:Library/x", Verdict::Keep(None)),
        (
            "AppDomain-com.example.notes:Library/Caches/x",
            Verdict::Keep(Some("+ AppDomain-com.example.notes")),
        ),
    ] {
        assert_eq!(rules.judge(&file(name)), verdict, "{name}");
    }
    let rules = Rules::builder().include("HomeDomain").exclude("HomeDomain:a").build().unwrap();
    assert_eq!(rules.judge(&file("RootDomain:a")), Verdict::Drop(None));
    assert_eq!(rules.judge(&file("HomeDomain:a")), Verdict::Drop(Some("- HomeDomain:a")));
    assert_eq!(rules.judge(&file("HomeDomain:b")), Verdict::Keep(Some("+ HomeDomain")));
    assert!(Rules::builder().build().unwrap().keep_everything());
    assert!(!rules.keep_everything());
    assert!(!includes("HomeDomain").keep_everything());
}

#[test]
fn case_is_ignored_when_asked() {
    let rules = |yes| {
        Rules::builder()
            .ignore_case(yes)
            .include("homedomain:library/sms")
            .include("*:**/*.JPG")
            .build()
            .unwrap()
    };
    for name in ["HomeDomain:Library/SMS/x", "HomeDomain:Library/sms", "CameraRollDomain:a/b.jpg"] {
        assert!(rules(true).judge(&file(name)).is_keep(), "{name}");
        assert!(!rules(false).judge(&file(name)).is_keep(), "{name}");
    }
}

#[test]
fn companions_go_with_their_database() {
    let rules = includes("HomeDomain:Library/SMS/sms.db");
    for name in ["sms.db", "sms.db-wal", "sms.db-shm", "sms.db-journal"] {
        assert!(rules.judge(&file(&format!("HomeDomain:Library/SMS/{name}"))).is_keep(), "{name}");
    }
    assert!(!rules.judge(&file("HomeDomain:Library/SMS/sms.db-bak")).is_keep());
    let link = EntryKind::symlink(b"x").unwrap();
    assert!(!rules.judge(&entry(b"HomeDomain", b"Library/SMS/sms.db-wal", link)).is_keep());

    let rules = Rules::builder().exclude("*:**/*.db").build().unwrap();
    assert!(!rules.judge(&file("HomeDomain:a.db-wal")).is_keep());
    let explanation = rules.explain(&file("HomeDomain:a.db-wal"));
    assert_eq!(
        explanation.to_string(),
        "left out: rule 1, \"- *:**/*.db\", which matches its database"
    );
    // A rule for the companion's own name counts.
    let rules = Rules::builder().include("HomeDomain").exclude("*:**/*-wal").build().unwrap();
    assert!(!rules.judge(&file("HomeDomain:a.db-wal")).is_keep());
    assert!(rules.judge(&file("HomeDomain:a.db-shm")).is_keep());
}

#[test]
fn filters_must_all_let_an_entry_pass() {
    let sized = |size, modified| {
        let mut entry = file("HomeDomain:a");
        (entry.metadata.size_hint, entry.metadata.modified) = (size, modified);
        entry
    };
    let rules = Rules::builder().min_size(10).max_size(20).newer(100).older(200).build().unwrap();
    for (size, modified, verdict) in [
        (10, 100, Verdict::Keep(None)),
        (20, 199, Verdict::Keep(None)),
        (9, 100, Verdict::Drop(Some("min-size 10"))),
        (21, 100, Verdict::Drop(Some("max-size 20"))),
        (15, 99, Verdict::Drop(Some("newer 100"))),
        (15, 200, Verdict::Drop(Some("older 200"))),
    ] {
        assert_eq!(rules.judge(&sized(size, modified)), verdict, "{size} {modified}");
    }
    let rules = Rules::builder().include("HomeDomain").min_size(1).build().unwrap();
    let mut directory = entry(b"HomeDomain", b"a", EntryKind::Directory);
    directory.metadata.size_hint = 64;
    assert!(!rules.judge(&directory).is_keep());

    let rules = Rules::builder()
        .entry_type(EntryType::Symlink)
        .entry_type(EntryType::Directory)
        .build()
        .unwrap();
    assert!(rules.judge(&directory).is_keep());
    assert!(rules.judge(&entry(b"a", b"b", EntryKind::symlink(b"x").unwrap())).is_keep());
    assert_eq!(rules.judge(&file("a:b")), Verdict::Drop(Some("type symlink,directory")));
    assert_eq!("file".parse::<EntryType>().unwrap(), EntryType::File);
    assert!("fifo".parse::<EntryType>().is_err());
}

#[test]
fn a_bundle_id_is_its_containers() {
    let rules = Rules::builder().bundle_id("com.example.a").build().unwrap();
    for (domain, kept) in [
        ("AppDomain-com.example.a", true),
        ("AppDomainPlaceholder-com.example.a", true),
        ("AppDomainPlugin-com.example.a", true),
        ("AppDomainPlugin-com.example.a.share", true),
        ("AppDomainGroup-com.example.a", true),
        ("AppDomainGroup-group.com.example.a", false),
        ("AppDomainPlugin-com.example.ab", false),
        ("AppDomain-com.example.a.b", false),
        ("AppDomain-com.example", false),
        ("AppDomain-com.example.A", false),
        ("SysContainerDomain-com.example.a", false),
        ("HomeDomain", false),
    ] {
        assert_eq!(rules.judge(&file(&format!("{domain}:x"))).is_keep(), kept, "{domain}");
    }
    let rules = Rules::builder().bundle_id("com.example.a").ignore_case(true).build().unwrap();
    assert!(rules.judge(&file("AppDomain-com.Example.A:x")).is_keep());
}

#[test]
fn explanations_name_the_rule() {
    let rules =
        Rules::builder().include("HomeDomain").exclude("HomeDomain:a").max_size(5).build().unwrap();
    let mut big = file("HomeDomain:b");
    big.metadata.size_hint = 6;
    for (entry, text) in [
        (file("HomeDomain:a/b"), "left out: rule 2, \"- HomeDomain:a\""),
        (file("HomeDomain:c"), "kept: rule 1, \"+ HomeDomain\""),
        (file("RootDomain:c"), "left out: no rule matches"),
        (big, "left out: max-size 5"),
    ] {
        let explanation = rules.explain(&entry);
        assert_eq!(explanation.to_string(), text);
        assert_eq!(explanation.keep, rules.judge(&entry).is_keep());
    }
    assert_eq!(rules.explain(&file("x:y")).reason, Reason::Default);
}

#[test]
fn rules_that_never_matched_are_told() {
    let rules = Rules::builder()
        .include("HomeDomain:Libary")
        .include("HomeDomain:a")
        .include("HomeDomain")
        .build()
        .unwrap();
    assert!(rules.explain(&file("HomeDomain:Libary/x")).keep);
    assert_eq!(rules.unmatched().len(), 3);
    rules.judge(&file("HomeDomain:b"));
    assert_eq!(rules.unmatched(), ["+ HomeDomain:Libary", "+ HomeDomain:a"]);
    // Overruled by the last rule, and matched all the same.
    rules.judge(&file("HomeDomain:a/c"));
    assert_eq!(rules.unmatched(), ["+ HomeDomain:Libary"]);
    rules.judge(&file("HomeDomain:Libary"));
    assert!(rules.unmatched().is_empty());
}

#[test]
fn rule_files() {
    let text = "\u{feff}# what we need\r\n\n + HomeDomain:Library/SMS  \r\n-\tHomeDomain:**/Drafts\n+ HomeDomain:a\\ \n  # end";
    let rules = Rules::builder().file("rules.txt", text.as_bytes()).unwrap().build().unwrap();
    assert_eq!(
        rules.unmatched(),
        ["+ HomeDomain:Library/SMS", "- HomeDomain:**/Drafts", "+ HomeDomain:a\\ "]
    );
    assert!(rules.judge(&file("HomeDomain:a ")).is_keep());
    assert!(!rules.judge(&file("HomeDomain:a")).is_keep());

    let fails = |text: &[u8]| {
        let error = RulesBuilder::default().file("f", text).and_then(RulesBuilder::build);
        error.unwrap_err().to_string()
    };
    assert!(fails(b"+ HomeDomain\n\nHomeDomain").starts_with("f, line 3: "));
    assert!(fails(b"+HomeDomain").starts_with("f, line 1: a rule is "));
    assert!(fails(b"+").starts_with("f, line 1: a rule is "));
    assert_eq!(fails(b"# x\n- \xff"), "f, line 2: not UTF-8");
    assert_eq!(fails(b"- a\n- HomeDomain:[a"), "f, line 2: bad rule");
    let many = "+ a\n".repeat(10_001);
    assert_eq!(fails(many.as_bytes()), "more than 10000 rules");
    assert!(RulesBuilder::default().file("f", &many.as_bytes()[4..]).is_ok());
}

#[test]
fn patterns_that_cannot_match_are_refused() {
    let fails = |pattern: &str| Rules::builder().include(pattern).build().unwrap_err();
    assert!(matches!(fails(""), PolicyError::NoDomain { .. }));
    assert!(matches!(fails(":Library"), PolicyError::NoDomain { .. }));
    assert!(matches!(fails("Library/SMS/**"), PolicyError::PathWithoutDomain { .. }));
    assert!(matches!(fails("*:[é]"), PolicyError::ClassNotAscii { .. }));
    assert!(matches!(fails("*:[a"), PolicyError::Pattern { .. }));
    assert!(matches!(fails("*:{a"), PolicyError::Pattern { .. }));
    assert!(matches!(fails("*:a\\"), PolicyError::Pattern { .. }));
    assert!(matches!(fails(&"{".repeat(17)), PolicyError::PatternTooLong { .. }));
    assert!(matches!(fails(&"a".repeat(10_241)), PolicyError::PatternTooLong { .. }));
    assert!(Rules::builder().include("a".repeat(10_240)).build().is_ok());
    let deep = format!("{}a{}", "{".repeat(16), "}".repeat(16));
    assert!(includes(&deep).judge(&file("a:b")).is_keep());
    let ranges = Rules::builder().min_size(2).max_size(1).build();
    assert!(matches!(ranges, Err(PolicyError::EmptyRange { what: "size", .. })));
    assert!(Rules::builder().min_size(1).max_size(1).build().is_ok());
    assert!(Rules::builder().newer(1).older(1).build().is_err());
}

/// No pattern and no name makes the compiler or the matcher panic.
#[test]
fn random_patterns_never_panic() {
    let alphabet: Vec<char> = r"ab*?[]{}!^-,:/\é.".chars().collect();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(n).unwrap()).unwrap()
    };
    let (mut built, mut kept) = (0, 0);
    for _ in 0..20_000 {
        let length = below(12);
        let pattern: String = (0..length).map(|_| alphabet[below(alphabet.len())]).collect();
        let Ok(rules) = Rules::builder().include(&*pattern).build() else { continue };
        built += 1;
        for name in ["a:", "a:b", "b:a/b", "ab:a/b/é", "a:*", "é:-"] {
            kept += usize::from(rules.judge(&file(name)).is_keep());
        }
    }
    assert!(built > 1_000 && kept > 1_000, "{built} {kept}");
}

/// What a name must begin and end with is only a short cut: the glob alone says the same.
#[test]
fn short_cuts_change_no_answer() {
    let names = ["", "a", "b", "a/b", "b/a", "a/a/b", "ab", "a/b/", "/a", "aXb", "a-b", "A/b"];
    let parts = ["a", "b", "/", "*", "**", "**/", "/**", "?", "{a,b}", "{a,}", "[ab]", "-"];
    let mut matched = 0;
    for i in 0..parts.len().pow(3) {
        let digits = [i % 12, i / 12 % 12, i / 144];
        let glob: String = digits.iter().map(|&d| parts[d]).collect();
        let path = glob.trim_end_matches('/');
        let whole = globset::GlobBuilder::new(path)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .unwrap()
            .compile_matcher();
        let Ok(rules) = Rules::builder().include(format!("d:{path}")).build() else { continue };
        for name in names {
            let Ok(path_of) = RelPath::new(name) else { continue };
            let entry = Entry::derive(Domain::new("d").unwrap(), path_of, EntryKind::File);
            let expected = name.split('/').scan(String::new(), |above, part| {
                above.push_str(part);
                let at = above.clone();
                above.push('/');
                Some(at)
            });
            let last = path.rsplit('/').next().unwrap();
            let place = !last.contains(['*', '?', '{', '[']);
            let expected = whole.is_match(name)
                || path.is_empty()
                || (place && { expected }.any(|above| whole.is_match(above)));
            assert_eq!(rules.judge(&entry).is_keep(), expected, "{path} on {name}");
            matched += usize::from(expected);
        }
    }
    assert!(matched > 1_000, "{matched}");
}
