//! What a run takes of a backup, and which rule said so.
//!
//! Nothing here reads a file: a decision is a pure function of catalog rows.
//!
//! ```text
//! rule files ─▶ RulesBuilder ─▶ Rules ──judge──▶ Keep / Drop, and the rule
//! arguments                       │
//!                                 ▼
//! catalog, walked once or twice ─▶ Selection: what is kept, its parents, counts and bytes
//! ```
//!
//! [`Rules`] judge one row at a time, and so do [`EntryPatterns`], by which one looks for entries. A [`Selection`] has seen the whole catalog, so it knows
//! which directories are needed by what is kept, and which database a `-wal` belongs to.
//!
//! # Patterns
//!
//! A pattern is `DOMAIN:PATH`, and both halves are globs over bytes:
//!
//! | pattern | matches |
//! |---|---|
//! | `?` | one byte other than `/` |
//! | `*` | any bytes other than `/`, also none |
//! | `**` as a whole component | any number of components |
//! | `[a-z]`, `[!a-z]` | one byte of the class, or one that is not; ASCII only |
//! | `{a,b}` | either |
//! | `\x` | the character `x` itself, so `\*` is a star and `\:` a colon |
//!
//! * A pattern without `:` is a domain: `HomeDomain` is all of it, `AppDomain-*` every app.
//! * When the last component of the path holds no glob character, the pattern names a place: it
//!   matches that entry and everything below. `HomeDomain:Library/SMS` is the directory and all
//!   that is in it, and so is `HomeDomain:Library/SMS/`. `HomeDomain:Library/*` matches what
//!   stands directly in `Library` and nothing deeper; `HomeDomain:Library/**` matches all of it.
//! * The last rule that matches decides. When none does, the entry is left out if the first
//!   rule is an include, and taken otherwise.
//! * A file that is named like a companion of a SQLite database (`-wal`, `-shm`, `-journal`) is
//!   also matched by the rules that match the database. A rule for the companion's own name
//!   counts like any other.
//!
//! # Managed devices
//!
//! ```text
//! source, target ─▶ compare ─▶ Same / Different / Unknown
//!                                      │ proof
//! Situation ─▶ plan ─▶ Plan ───────────┴─▶ LeaveOut: a Select
//!              tables ─▶ decisions, notes   profiles, apps, books
//! ```
//!
//! A restore to another device does not bring its management state along; see [`tables`] for what
//! the vendors' documents say, and [`StripSet`] for what is left out. Three things hold whatever
//! the policy says:
//!
//! * For the same device nothing is left out, and for a device that is not certain nothing is
//!   made. [`DifferentDevice`] proves the rest, and [`compare`] alone makes one.
//! * Nothing is written in the place of what goes: no profile, no cloud configuration, no
//!   identity.
//! * What is not certain is reported, and kept.

#![forbid(unsafe_code)]

mod apps;
mod books;
mod checklist;
mod era;
mod error;
mod identity;
mod leave_out;
mod mdm_answers;
mod mobileconfig;
mod plan;
mod policy_file;
mod presets;
mod requirement;
mod rules;
mod selection;
mod sqlite;
mod strip;
pub mod tables;
mod windows;

pub use apps::{
    AppDecision, AppDecisions, AppFacts, AppFlags, AppNote, AppRule, AppStatement, DomainRule,
    GroupOwners, Purpose, Signal, decide_apps,
};
pub use books::is_managed_book;
pub use checklist::{Answer, CheckedStep};
pub use era::{Era, OsVersion, OsVersionError};
pub use error::PolicyError;
pub use identity::{
    DeviceIdentity, DifferentDevice, Identity, IdentityError, SameDevice, Serial, SourceIdentity,
    TargetIdentity, Udid, UnknownIdentity, UnknownReason, compare,
};
pub use leave_out::{Because, LeaveOut};
pub use mdm_answers::{
    InstalledApplication, InstalledApplicationList, ManagedApplication, ManagedApplicationList,
};
pub use mobileconfig::{Acme, ConfigurationProfile, MAX_PROFILE, ProfileFile};
pub use plan::{
    AdeState, Decision, DeviceFacts, Enrolment, Facts, FilterPlan, Note, Plan, ProfileFacts,
    Refusal, Situation, StagedFor, Subject, plan,
};
pub use policy_file::{MAX_POLICY_FILE, Mdm, PolicyApp, PolicyFile, Restrictions, Server, Target};
pub use presets::{PRESETS, Preset};
pub use requirement::{Ground, Requirement};
pub use rules::{EntryPatterns, EntryType, Explanation, Reason, Rules, RulesBuilder};
pub use selection::{Counts, Dropped, Selection, Share};
pub use strip::{Action, StripRule, StripSet};
pub use windows::{WindowsFacts, WindowsJoin, WindowsRelease, WindowsReleaseError};
