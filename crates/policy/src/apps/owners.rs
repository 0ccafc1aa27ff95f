//! Which apps own a group container.
//!
//! A backup does not say: its group entries hold an identifier and nothing of an owner. So a
//! group goes only by a proof from outside, of one of two kinds.

use std::collections::{BTreeMap, BTreeSet};

use super::AppFacts;

/// All apps that own a group, as an administrator states it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupOwners {
    /// The group's identifier.
    pub group: Box<str>,
    /// The bundle identifiers of all its owners.
    pub apps: Vec<Box<str>>,
}

/// What is known of the owners of a group that an app uses which goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ownership {
    /// All of its owners go.
    OnlyGone,
    /// An app that stays owns it as well.
    Shared,
    /// It may be that an app that stays owns it.
    NotProved,
}

/// Returns the groups that an app is said to use, and whether they may go with it.
///
/// They may when the complete list of owners is stated and all of them go, or when the groups of
/// every app in the backup that stays are known and this is none of them.
pub(super) fn groups_of<'a>(
    app: &'a AppFacts,
    apps: &'a BTreeMap<Box<str>, AppFacts>,
    owners: &'a [GroupOwners],
    gone: &BTreeSet<&str>,
) -> Vec<(&'a str, Ownership)> {
    let stated = owners.iter().filter(|owners| owners.apps.contains(&app.bundle_id));
    let mut groups: BTreeSet<&str> = stated.map(|owners| &*owners.group).collect();
    groups.extend(app.groups.iter().flatten().map(|group| &**group));
    let kept = || apps.values().filter(|app| !gone.contains(&*app.bundle_id));
    let judge = |group: &str| {
        let used = |app: &AppFacts| app.groups.iter().flatten().any(|used| &**used == group);
        let mut lists = owners.iter().filter(|owners| &*owners.group == group).peekable();
        let complete = lists.peek().is_some();
        // A statement that contradicts the list keeps the group.
        if kept().any(used) || lists.flat_map(|l| &l.apps).any(|owner| !gone.contains(&**owner)) {
            Ownership::Shared
        } else if complete || kept().all(|app| app.groups.is_some()) {
            Ownership::OnlyGone
        } else {
            Ownership::NotProved
        }
    };
    groups.into_iter().map(|group| (group, judge(group))).collect()
}
