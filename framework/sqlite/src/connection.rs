//! Opens connections and brings the framework's tables into being.

use std::time::Duration;

use potter_core::store::contains_in_any_case;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::OpenError;
use crate::dsn::Dsn;

/// What brings the tables from each version to the next; never changed once released, only added to.
const SCHEMA_STEPS: &[&str] = &[
    include_str!("schema/1_tables.sql"),
    include_str!("schema/2_messages_and_projections.sql"),
    include_str!("schema/3_causes_and_processed_events.sql"),
    include_str!("schema/4_rebuilds.sql"),
    include_str!("schema/5_old_commands.sql"),
];

/// How long another process may hold the write lock before a transaction fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Kibibytes of page cache: the writer keeps the edges of all indexes in it, a reader needs less.
const WRITER_CACHE: i64 = 8 * 1024;
const READER_CACHE: i64 = 1024;
const CHECKPOINTER_CACHE: i64 = 64;

/// The one connection that writes.
pub(crate) fn open_writer(dsn: &Dsn) -> Result<Connection, OpenError> {
    dsn.check_directory()?;
    let failed = |source| failure(dsn, source);
    let connection = connect(dsn, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).map_err(failed)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if matches!(dsn, Dsn::File(_)) && mode != "wal" {
        return Err(OpenError::NoWal { path: dsn.describe(), mode });
    }
    // FULL: the log is on the disk before a commit returns. Checkpoints are the writer's own business.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;")
        .map_err(failed)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE).map_err(failed)?;
    bring_up_to_date(&connection, dsn)?;
    Ok(connection)
}

/// A connection that only copies pages from the log into the file.
pub(crate) fn open_checkpointer(dsn: &Dsn) -> Result<Connection, OpenError> {
    let failed = |source| failure(dsn, source);
    let connection = connect(dsn, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;").map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CHECKPOINTER_CACHE).map_err(failed)?;
    Ok(connection)
}

/// A connection that cannot write; only a file has those.
pub(crate) fn open_reader(dsn: &Dsn) -> Result<Connection, OpenError> {
    let failed = |source| failure(dsn, source);
    let connection = connect(dsn, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE).map_err(failed)?;
    Ok(connection)
}

fn connect(dsn: &Dsn, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection stays on its thread, so SQLite need not lock it.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match dsn {
        Dsn::File(path) => Connection::open_with_flags(path, flags)?,
        Dsn::Memory => Connection::open_in_memory_with_flags(flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", false)?;
    add_contains(&connection)?;
    Ok(connection)
}

/// SQLite's own LIKE ignores the case of ASCII letters only.
fn add_contains(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("potter_contains", 2, flags, |call| {
        let (ValueRef::Text(text), ValueRef::Text(part)) = (call.get_raw(0), call.get_raw(1)) else {
            return Ok(false);
        };
        Ok(contains_in_any_case(&String::from_utf8_lossy(text), &String::from_utf8_lossy(part)))
    })
}

fn bring_up_to_date(connection: &Connection, dsn: &Dsn) -> Result<(), OpenError> {
    let failed = |source| failure(dsn, source);
    // Two processes may open a new file at the same time: the second finds everything done.
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS potter_schema (version INTEGER NOT NULL) STRICT")
        .map_err(failed)?;
    let version: Option<usize> =
        transaction.query_row("SELECT version FROM potter_schema", [], |row| row.get(0)).optional().map_err(failed)?;
    let version = version.unwrap_or(0);
    if version > SCHEMA_STEPS.len() {
        return Err(OpenError::Newer { path: dsn.describe(), found: version, known: SCHEMA_STEPS.len() });
    }
    if version < SCHEMA_STEPS.len() {
        for step in &SCHEMA_STEPS[version..] {
            transaction.execute_batch(step).map_err(failed)?;
        }
        transaction.execute("DELETE FROM potter_schema", []).map_err(failed)?;
        transaction.execute("INSERT INTO potter_schema VALUES (?1)", [SCHEMA_STEPS.len()]).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn failure(dsn: &Dsn, source: rusqlite::Error) -> OpenError {
    let path = dsn.describe();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NoDatabase { path },
        _ => OpenError::Database { path, source: Box::new(source) },
    }
}
