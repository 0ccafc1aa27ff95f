//! What a hostile database may make SQLite do: read two tables and the schema, and not for long.
//!
//! ```text
//! the schema       no triggers, no views, nothing trusted in it; limits on what is parsed
//! preparing        an authorizer: SELECT of Files, Properties and sqlite_master, no function
//! running          a count of steps, so that pages in a ring end
//! ```
//!
//! The steps are counted, not timed: a machine that is busy or asleep must not lose rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

/// The longest value or row, in bytes. An MBFile blob may have 1 MiB.
pub(super) const LONGEST: i32 = 16 << 20;
/// The longest statement of the schema, in bytes. A device's longest has 120.
const LONGEST_STATEMENT: i32 = 1 << 20;
/// The most tables, indexes, views and triggers. A device makes seven.
const OBJECTS: i32 = 10_000;
/// Steps of SQLite's machine between two looks at the count.
const STRIDE: u16 = 1_000;
/// Steps that one query may take. A page of rows takes six thousand.
pub(super) const STEPS: u64 = 2_000_000;

/// The tables that are read.
const TABLES: [&str; 4] = ["Files", "Properties", "sqlite_master", "sqlite_schema"];

/// Counts the steps of the query that runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Begins another query.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Counts a stride. True ends the query.
    fn tick(&self) -> bool {
        let stride = u64::from(STRIDE);
        self.0.fetch_add(stride, Ordering::Relaxed).saturating_add(stride) > STEPS
    }
}

/// Arms a connection. Must come before the first statement: that one loads the schema.
pub(super) fn arm(db: &mut Connection) -> rusqlite::Result<Meter> {
    let meter = Meter::default();
    let handler = meter.clone();
    db.progress_handler(i32::from(STRIDE), Some(move || handler.tick()))?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, LONGEST),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, LONGEST_STATEMENT),
        (Limit::SQLITE_LIMIT_SCHEMA, OBJECTS),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
    ] {
        db.set_limit(limit, value)?;
    }
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.authorizer(Some(authorize))?;
    Ok(meter)
}

/// Allows what this module asks, and nothing that a view, a trigger or the schema asks.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let ours = match context.action {
        AuthAction::Select => true,
        AuthAction::Read { table_name, .. } => {
            TABLES.iter().any(|table| table_name.eq_ignore_ascii_case(table))
        }
        AuthAction::Pragma { pragma_name, .. } => pragma_name == "table_xinfo",
        _ => false,
    };
    if ours && context.accessor.is_none() { Authorization::Allow } else { Authorization::Deny }
}
