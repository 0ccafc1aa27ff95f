use super::{
    AppDecisions, AppFacts, AppFlags, AppNote, AppRule, AppStatement, GroupOwners, Purpose, Signal,
    decide_apps,
};
use crate::identity::tests_support::different;

fn says(signal: Signal, bits: u64) -> AppStatement {
    AppStatement { signal, managed: Some(true), flags: Some(AppFlags::from_bits(bits)) }
}

fn app(id: &str, statements: &[AppStatement]) -> AppFacts {
    AppFacts { installed: true, statements: statements.to_vec(), ..AppFacts::new(id) }
}

fn flagged(id: &str, bits: u64) -> AppFacts {
    app(id, &[says(Signal::PolicyFile, bits)])
}

fn boxed(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|text| (*text).into()).collect()
}

fn restore(apps: &[AppFacts], owners: &[GroupOwners]) -> AppDecisions {
    decide_apps(apps, owners, Purpose::Restore(&different()), false)
}

fn gone(decisions: &AppDecisions) -> Vec<&str> {
    decisions.domains.keys().map(|domain| &**domain).collect()
}

#[test]
fn s001_26_remove_on_unenrol_goes_for_another_device_only() {
    for (bits, restored, filtered) in [
        (0, None, None),
        (1, Some(AppRule::RemoveOnUnenrol), None),
        (4, Some(AppRule::NoBackup), Some(AppRule::NoBackup)),
        (5, Some(AppRule::NoBackup), Some(AppRule::NoBackup)),
    ] {
        let apps = [flagged("com.example.a", bits)];
        assert_eq!(restore(&apps, &[]).apps[0].left_out, restored, "{bits}");
        let filter = decide_apps(&apps, &[], Purpose::Filter, false);
        assert_eq!(filter.apps[0].left_out, filtered, "{bits}");
        assert_eq!(filter.domains.is_empty(), filtered.is_none());
    }
}

#[test]
fn s001_15_data_that_is_not_to_be_backed_up_goes_with_extensions_and_placeholder() {
    let mut one = flagged("com.example.a", 4);
    one.plugins = boxed(&["com.example.a.share"]);
    let decisions = decide_apps(&[one], &[], Purpose::Filter, false);
    assert_eq!(
        gone(&decisions),
        [
            "AppDomain-com.example.a",
            "AppDomainPlaceholder-com.example.a",
            "AppDomainPlugin-com.example.a.share"
        ]
    );
    for rule in decisions.domains.values() {
        assert_eq!(
            (rule.rule.requirement().to_string(), &*rule.bundle_id),
            ("001-15".into(), "com.example.a")
        );
    }
}

#[test]
fn s001_12_all_managed_apps_when_their_backup_is_disallowed() {
    let apps = [
        flagged("com.example.managed", 0),
        app("com.example.licensed", &[says(Signal::StoreLicence, 0)]),
        app("com.example.own", &[]),
        app(
            "com.example.known",
            &[AppStatement { signal: Signal::MdmAppManagement, managed: Some(true), flags: None }],
        ),
    ];
    let decisions = decide_apps(&apps, &[], Purpose::Filter, true);
    let left_out: Vec<_> = decisions
        .apps
        .iter()
        .filter(|app| app.left_out == Some(AppRule::ManagedAppsDisallowed))
        .map(|app| &*app.bundle_id)
        .collect();
    assert_eq!(left_out, ["com.example.known", "com.example.managed"]);
    assert!(decide_apps(&apps, &[], Purpose::Filter, false).domains.is_empty());
}

/// Only the three strong signals leave data out, and only when they say all of it.
#[test]
fn weak_signals_are_reported_only() {
    for (signal, drives) in [
        (Signal::PolicyFile, true),
        (Signal::ManagedApplicationList, true),
        (Signal::Declaration, true),
        (Signal::MdmAppManagement, true),
        (Signal::StoreLicence, false),
        (Signal::NoStoreMetadata, false),
        (Signal::ManagedConfiguration, false),
    ] {
        let decisions = restore(&[app("a.b", &[says(signal, 5)])], &[]);
        assert_eq!(decisions.apps[0].left_out.is_some(), drives, "{signal:?}");
        assert_eq!(decisions.domains.is_empty(), !drives);
        let notes = &decisions.apps[0].notes;
        assert_eq!(notes.contains(&AppNote::WeakSignal(signal)), !drives);
        // A state that is not known leaves nothing out.
        let unknown = AppStatement { managed: None, ..says(signal, 5) };
        assert!(restore(&[app("a.b", &[unknown])], &[]).domains.is_empty());
        let not_managed = AppStatement { managed: Some(false), ..says(signal, 5) };
        assert!(restore(&[app("a.b", &[not_managed])], &[]).domains.is_empty());
    }
}

#[test]
fn the_stronger_signal_decides_and_the_other_is_named() {
    let weak = says(Signal::MdmAppManagement, 5);
    for (strong, left_out) in [
        (says(Signal::PolicyFile, 0), None),
        (says(Signal::ManagedApplicationList, 1), Some(AppRule::RemoveOnUnenrol)),
        (AppStatement { managed: Some(false), ..says(Signal::ManagedApplicationList, 5) }, None),
    ] {
        for order in [[strong, weak], [weak, strong]] {
            let decision = &restore(&[app("a.b", &order)], &[]).apps[0];
            assert_eq!(decision.left_out, left_out);
            assert_eq!(decision.signal, Some(strong.signal));
            assert!(decision.notes.contains(&AppNote::Overruled(weak.signal)));
        }
    }
    // What agrees is not worth a word.
    let agreeing = [says(Signal::PolicyFile, 5), weak];
    assert!(restore(&[app("a.b", &agreeing)], &[]).apps[0].notes.is_empty());
}

fn owners(group: &str, apps: &[&str]) -> GroupOwners {
    GroupOwners { group: group.into(), apps: boxed(apps) }
}

const GROUP: &str = "AppDomainGroup-group.x";

#[test]
fn groups_go_only_by_a_proof() {
    let with = |id: &str, bits: u64, groups: Option<&[&str]>| AppFacts {
        groups: groups.map(boxed),
        ..flagged(id, bits)
    };
    let goes = |apps: &[AppFacts], owners: &[GroupOwners]| {
        let decisions = restore(apps, owners);
        let notes: Vec<_> = decisions.apps.iter().flat_map(|app| app.notes.clone()).collect();
        (decisions.domains.contains_key(GROUP), notes)
    };
    let shared = vec![AppNote::GroupShared("group.x".into())];
    let not_proved = vec![AppNote::GroupNotProved("group.x".into())];
    let x: Option<&[&str]> = Some(&["group.x"]);
    // The complete list of owners is stated.
    let gone = flagged("com.gone", 1);
    let kept = flagged("com.kept", 0);
    let both = [gone.clone(), kept.clone()];
    assert_eq!(goes(&both, &[owners("group.x", &["com.gone"])]), (true, vec![]));
    assert_eq!(
        goes(&both, &[owners("group.x", &["com.gone", "com.kept"])]),
        (false, shared.clone())
    );
    // An owner of which nothing else is known is one that stays.
    assert_eq!(
        goes(&both, &[owners("group.x", &["com.gone", "com.else"])]),
        (false, shared.clone())
    );
    // The groups of all apps are known.
    let known = [with("com.gone", 1, x), with("com.kept", 0, Some(&[]))];
    assert_eq!(goes(&known, &[]), (true, vec![]));
    let known = [with("com.gone", 1, x), with("com.kept", 0, x)];
    assert_eq!(goes(&known, &[]), (false, shared.clone()));
    // The groups of one that stays are not.
    let known = [with("com.gone", 1, x), kept.clone()];
    assert_eq!(goes(&known, &[]), (false, not_proved));
    // A list that is contradicted keeps the group.
    let known = [gone, with("com.kept", 0, x)];
    assert_eq!(goes(&known, &[owners("group.x", &["com.gone"])]), (false, shared));
    // Two apps that both go may share it.
    let known = [with("com.gone", 1, x), with("com.also", 4, x)];
    assert_eq!(goes(&known, &[]), (true, vec![]));
    // A group of apps that stay is not looked at, whatever its name.
    let known = [with("com.gone", 1, Some(&[])), with("com.kept", 0, x)];
    assert_eq!(goes(&known, &[]), (false, vec![]));
}

#[test]
fn an_extension_that_another_app_owns_as_well_stays() {
    let mut one = flagged("com.gone", 1);
    one.plugins = boxed(&["com.gone.share"]);
    let mut other = flagged("com.kept", 0);
    other.plugins = boxed(&["com.gone.share"]);
    let decisions = restore(&[one, other], &[]);
    assert!(!decisions.domains.contains_key("AppDomainPlugin-com.gone.share"));
    let note = AppNote::PluginShared("com.gone.share".into());
    assert_eq!(decisions.apps[0].notes, [note]);
}

#[test]
fn one_app_told_of_twice_is_one_app() {
    let first = AppFacts { plugins: boxed(&["p"]), ..AppFacts::new("com.a") };
    let decisions = restore(&[first, flagged("com.a", 1), flagged("com.a", 1)], &[]);
    assert_eq!(decisions.apps.len(), 1);
    assert_eq!(
        gone(&decisions),
        ["AppDomain-com.a", "AppDomainPlaceholder-com.a", "AppDomainPlugin-p"]
    );
}
