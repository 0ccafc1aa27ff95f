//! Apps and books.

use std::collections::HashMap;

use super::{Decision, Situation, Subject};
use crate::apps::{AppDecision, AppDecisions, AppFacts, AppFlags, AppRule};
use crate::requirement::says;
use crate::tables::{
    AppType, Assignment, EnrolmentCase, Fate, ITEMS, Item, Placeholder, PreventedBackup, Side,
    conflict,
};

const INSTALL: &str = "Install the app: an app itself is never in a backup.";
const SAME_KEEPS: &str = "The copy for the same device keeps it. A filter by policy leaves it out.";
const SAY_TYPE: &str =
    "State licence and assignment of the app in the policy file, to know how it comes back.";

/// Decides about every app of which something is known to be managed.
pub(super) fn apps(
    situation: &Situation,
    side: Side,
    case: EnrolmentCase,
    facts: &[AppFacts],
    decided: &AppDecisions,
    disallowed: bool,
) -> Vec<Decision> {
    let mut types: HashMap<&str, (Option<AppType>, Option<Assignment>)> = HashMap::new();
    for app in facts {
        let (app_type, assignment) = types.entry(&app.bundle_id).or_default();
        *app_type = app_type.or(app.app_type);
        *assignment = assignment.or(app.assignment);
    }
    let managed = decided.apps.iter().filter(|app| app.left_out.is_some() || app.flags.is_some());
    managed
        .map(|app| {
            let types = types.get(&*app.bundle_id).copied().unwrap_or_default();
            one_app(situation, side, case, app, types, disallowed)
        })
        .collect()
}

fn one_app(
    situation: &Situation,
    side: Side,
    case: EnrolmentCase,
    app: &AppDecision,
    (app_type, assignment): (Option<AppType>, Option<Assignment>),
    disallowed: bool,
) -> Decision {
    let AppFlags { remove_on_unenrol, no_backup } = app.flags.unwrap_or_default();
    let not_backed_up = no_backup || disallowed || app.left_out == Some(AppRule::NoBackup);
    let item = if not_backed_up {
        Item::AppNotBackedUp
    } else if remove_on_unenrol {
        Item::AppRemovedOnUnenrol
    } else if case == EnrolmentCase::AccountDriven {
        Item::AccountDrivenApp
    } else {
        Item::AppPlain
    };
    let mut decision = of_item(Subject::App(app.bundle_id.clone()), item, side);
    decision.in_copy = if app.left_out.is_some() { Fate::Stripped } else { Fate::Kept };
    if side == Side::Same {
        // The copy keeps it, so the device restores what it should not have been given.
        decision.after_restore = Fate::Kept;
        if not_backed_up {
            decision.next_steps.push(SAME_KEEPS);
        }
        let mdm = &situation.policy.mdm;
        let rejected = mdm.accepts_checkin == Some(false) || mdm.retired == Some(true);
        if remove_on_unenrol && rejected {
            decision.after_restore = Fate::Stripped;
            decision.grounds.push(says(1, "20"));
        }
    }
    decision.next_steps.push(INSTALL);
    if !decision.grounds.contains(&says(1, "15")) {
        decision.grounds.push(says(1, "15"));
    }
    if decision.after_restore == Fate::Kept {
        decision.placeholder = Some(Placeholder::Possible);
    }
    if situation.policy.mdm.prevents_app_backup == Some(true) {
        match app_type.zip(assignment).and_then(|(app, how)| PreventedBackup::of(app, how)) {
            Some(row) => {
                let step = if side == Side::Same { row.same } else { row.new };
                decision.next_steps.push(step);
                decision.placeholder = Some(row.icon);
                decision.grounds.extend(row.grounds);
            }
            None => decision.next_steps.push(SAY_TYPE),
        }
    }
    decision
}

/// Decides about managed books, where there are any.
pub(super) fn books(situation: &Situation, side: Side, disallowed: bool) -> Option<Decision> {
    if situation.facts.managed_books == 0 {
        return None;
    }
    let item = if disallowed { Item::BookDisallowed } else { Item::Book };
    let mut decision = of_item(Subject::Books, item, side);
    decision.in_copy = decision.after_restore;
    if side == Side::Same {
        decision.in_copy = Fate::Kept;
        decision.after_restore = Fate::Kept;
        if disallowed {
            decision.next_steps.push(SAME_KEEPS);
        }
    }
    Some(decision)
}

fn of_item(subject: Subject, item: Item, side: Side) -> Decision {
    let row = ITEMS.iter().find(|row| row.item == item);
    let after_restore = row.map_or(Fate::Open, |row| match side {
        Side::Same => row.same,
        _ => row.different,
    });
    Decision {
        subject,
        in_copy: after_restore,
        after_restore,
        placeholder: None,
        next_steps: Vec::new(),
        grounds: row.map_or_else(Vec::new, |row| row.grounds.to_vec()),
        conflicts: row
            .map(|row| row.conflicts.iter().filter_map(|number| conflict(*number)).collect())
            .unwrap_or_default(),
    }
}
