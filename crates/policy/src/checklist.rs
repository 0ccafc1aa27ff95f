//! The steps of the move to a new iPhone for work (document 002), with what a backup can answer.

use crate::Situation;
use crate::requirement::Requirement;
use crate::tables::{CHECKLIST, ChecklistRow};

/// A step, and what the backup says of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CheckedStep {
    /// The step.
    pub row: &'static ChecklistRow,
    /// What the backup says.
    pub answer: Answer,
}

/// What a backup says of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Nothing: a person has to look.
    Person,
    /// It could tell, and what it would tell by is not in it.
    NotKnown,
    /// How many days lay between the backup and the restore. What is recent, a person says.
    DaysOld(i64),
    /// How many apps its list of installed apps has.
    Apps(usize),
    /// Whether the app is in its list of installed apps.
    Installed(bool),
    /// Whether an enrolment profile is in it.
    ProfileInstalled(bool),
}

/// Microsoft Authenticator.
const AUTHENTICATOR: &str = "com.microsoft.azureauthenticator";
/// Intune Company Portal.
const COMPANY_PORTAL: &str = "com.microsoft.CompanyPortal";
const DAY: i64 = 86_400;

impl Situation {
    /// Goes through document 002, and answers what a backup can answer. Steps 2 and 3 are about the
    /// new phone: they are answered well by a backup made of that one.
    #[must_use]
    pub fn checklist(&self) -> Vec<CheckedStep> {
        CHECKLIST.iter().map(|row| CheckedStep { row, answer: self.answer(row) }).collect()
    }

    fn answer(&self, row: &ChecklistRow) -> Answer {
        let crate::Ground::Requirement(step) = row.step else { return Answer::Person };
        let apps = || self.facts.apps.iter().filter(|app| app.installed);
        let installed = |id: &str| match apps().next() {
            None => Answer::NotKnown,
            Some(_) => Answer::Installed(apps().any(|app| app.bundle_id.eq_ignore_ascii_case(id))),
        };
        let is = |item| step == Requirement::new(2, item);
        if is("1.3") {
            let age = self.facts.made.zip(self.restore_at);
            age.map_or(Answer::NotKnown, |(made, at)| {
                Answer::DaysOld(at.saturating_sub(made).div_euclid(DAY))
            })
        } else if is("2.2") {
            match apps().count() {
                0 => Answer::NotKnown,
                count => Answer::Apps(count),
            }
        } else if is("2.3") {
            installed(AUTHENTICATOR)
        } else if is("3.1") {
            installed(COMPANY_PORTAL)
        } else if is("3.2") {
            let profiles = &self.facts.device.profiles;
            Answer::ProfileInstalled(profiles.iter().any(|profile| profile.is_enrolment))
        } else {
            Answer::Person
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AUTHENTICATOR, Answer, COMPANY_PORTAL};
    use crate::tables::Check;
    use crate::{AppFacts, ProfileFacts, Situation};

    fn answers(situation: &Situation) -> Vec<(String, Answer)> {
        let steps = situation.checklist();
        for step in &steps {
            // What the table says a program can check is what is answered here.
            assert_eq!(step.row.check == Check::Person, step.answer == Answer::Person);
        }
        let said = steps.iter().filter(|step| step.answer != Answer::Person);
        said.map(|step| (step.row.step.to_string(), step.answer)).collect()
    }

    #[test]
    fn s002_a_backup_answers_what_it_can() {
        let mut situation = Situation::default();
        let step = |id: &str, answer| (id.to_owned(), answer);
        let nothing = [
            step("002-1.3", Answer::NotKnown),
            step("002-2.2", Answer::NotKnown),
            step("002-2.3", Answer::NotKnown),
            step("002-3.1", Answer::NotKnown),
            step("002-3.2", Answer::ProfileInstalled(false)),
        ];
        assert_eq!(answers(&situation), nothing);
        let installed = |id: &str| AppFacts { installed: true, ..AppFacts::new(id) };
        situation.facts.apps = vec![installed(AUTHENTICATOR), AppFacts::new(COMPANY_PORTAL)];
        situation.facts.made = Some(0);
        situation.restore_at = Some(3 * 86_400 - 1);
        situation.facts.device.profiles =
            vec![ProfileFacts { is_enrolment: true, ..ProfileFacts::default() }];
        let all = [
            step("002-1.3", Answer::DaysOld(2)),
            step("002-2.2", Answer::Apps(1)),
            step("002-2.3", Answer::Installed(true)),
            step("002-3.1", Answer::Installed(false)),
            step("002-3.2", Answer::ProfileInstalled(true)),
        ];
        assert_eq!(answers(&situation), all);
    }
}
