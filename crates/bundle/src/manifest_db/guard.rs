//! What a hostile catalog may make SQLite do: read two tables and the schema, and not for long.
//!
//! ```text
//! the schema       no triggers, no views, nothing trusted in it; limits on what is parsed
//! preparing        an authorizer: SELECT of Files, Properties and sqlite_master, no function
//! running          a budget of instructions, so that pages in a ring end
//! ```
//!
//! The instructions are counted, not timed: a machine that is busy or asleep must not lose rows.

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

use crate::database::{Budget, harden};

/// The longest statement of the schema, in bytes. A device's longest has 120.
const LONGEST_STATEMENT: i32 = 1 << 20;
/// The most tables, indexes, views and triggers. A device makes seven.
const OBJECTS: i32 = 10_000;
/// Instructions that one query may take. A page of rows takes six thousand.
pub(super) const STEPS: u64 = 2_000_000;

/// The tables that are read.
const TABLES: [&str; 4] = ["Files", "Properties", "sqlite_master", "sqlite_schema"];
/// What is asked besides. These read the header, the schema or every page, and run nothing of it.
const PRAGMAS: [&str; 4] =
    ["ignore_check_constraints", "quick_check", "table_xinfo", "user_version"];

/// Arms a connection. Must come before the first statement: that one loads the schema.
pub(super) fn arm(db: &mut Connection) -> rusqlite::Result<Budget> {
    let budget = Budget::install(db)?;
    harden(db)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_SQL_LENGTH, LONGEST_STATEMENT),
        (Limit::SQLITE_LIMIT_SCHEMA, OBJECTS),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
    ] {
        db.set_limit(limit, value)?;
    }
    db.authorizer(Some(authorize))?;
    Ok(budget)
}

/// Allows what this module asks, and nothing that a view, a trigger or the schema asks.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let ours = match context.action {
        AuthAction::Select => true,
        AuthAction::Read { table_name, .. } => {
            TABLES.iter().any(|table| table_name.eq_ignore_ascii_case(table))
        }
        AuthAction::Pragma { pragma_name, .. } => PRAGMAS.contains(&pragma_name),
        _ => false,
    };
    if ours && context.accessor.is_none() { Authorization::Allow } else { Authorization::Deny }
}
