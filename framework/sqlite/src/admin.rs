//! What happens rarely and alone: migrations, rebuilds, purges. Each takes a transaction of its own.

use std::time::SystemTime;

use potter_core::read_model::Table;
use potter_core::store::columns::{self, migration_hash, nanoseconds};
use potter_core::store::sql::{ROW_COLUMN, create_sqlite_table, quoted};
use potter_core::store::{
    AppliedMigration, Expiry, Generation, Migration, ProjectionError, Rebuild, Source, StoreError,
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::convert::time;
use crate::records;
use crate::rows::{begin_epoch, checkpoint, exists, goes_on, table_name};

fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}

/// Applies what hasn't been yet, each migration in a transaction of its own together with the note of it.
pub(crate) fn migrate(
    connection: &Connection,
    migrations: &'static [Migration],
) -> Result<Vec<&'static str>, StoreError> {
    let mut applied = Vec::new();
    for migration in migrations {
        if !migration.sqlite.up.is_empty() && apply(connection, migration)? {
            applied.push(migration.name);
        }
    }
    warn_of_unknown(connection, migrations).map_err(|error| StoreError::new("migrate", error))?;
    Ok(applied)
}

fn apply(connection: &Connection, migration: &Migration) -> Result<bool, StoreError> {
    let failed = |error| failure(migration, error);
    let transaction = begin(connection).map_err(failed)?;
    if is_applied(&transaction, migration)? {
        return Ok(false);
    }
    let hash = migration_hash(migration.sqlite.up);
    transaction.execute_batch(migration.sqlite.up).map_err(failed)?;
    let now = nanoseconds(SystemTime::now());
    transaction
        .execute("INSERT INTO potter_migrations VALUES (?1, ?2, ?3)", params![migration.name, hash, now])
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(true)
}

/// Takes a migration back and forgets it, in one transaction.
pub(crate) fn revert(connection: &Connection, migration: &Migration) -> Result<bool, StoreError> {
    let failed = |error| failure(migration, error);
    let transaction = begin(connection).map_err(failed)?;
    if !is_applied(&transaction, migration)? {
        return Ok(false);
    }
    if migration.sqlite.down.is_empty() {
        return Err(StoreError::irreversible_migration(migration.name));
    }
    transaction.execute_batch(migration.sqlite.down).map_err(failed)?;
    transaction.execute("DELETE FROM potter_migrations WHERE name = ?1", [migration.name]).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(true)
}

fn failure(migration: &Migration, error: rusqlite::Error) -> StoreError {
    StoreError::new("migrate", format!("migration `{}` failed: {error}", migration.name))
}

/// Whether a migration has been applied; it is refused if its text has changed since.
fn is_applied(connection: &Connection, migration: &Migration) -> Result<bool, StoreError> {
    let sql = "SELECT hash FROM potter_migrations WHERE name = ?1";
    let known = connection.query_row(sql, [migration.name], |row| row.get::<_, String>(0)).optional();
    match known.map_err(|error| failure(migration, error))? {
        Some(known) if known != migration_hash(migration.sqlite.up) => {
            Err(StoreError::changed_migration(migration.name))
        }
        known => Ok(known.is_some()),
    }
}

/// In the order in which they were applied.
pub(crate) fn applied_migrations(connection: &Connection) -> rusqlite::Result<Vec<AppliedMigration>> {
    let mut statement = connection.prepare("SELECT name, hash, applied_at FROM potter_migrations ORDER BY rowid")?;
    let applied = statement.query_map([], |row| {
        Ok(AppliedMigration { name: row.get(0)?, hash: row.get(1)?, applied_at: time(row, 2)? })
    })?;
    applied.collect()
}

fn warn_of_unknown(connection: &Connection, migrations: &[Migration]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT name FROM potter_migrations ORDER BY name")?;
    for name in statement.query_map([], |row| row.get::<_, String>(0))? {
        columns::warn_if_unknown(&name?, migrations);
    }
    Ok(())
}

/// Makes a table beside the live one with what the rebuild begins with; answers with its number.
pub(crate) fn begin_rebuild(
    connection: &Connection,
    projection: &str,
    table: &Table,
    begin_with: &Rebuild,
) -> rusqlite::Result<Option<u64>> {
    let transaction = begin(connection)?;
    let source = begin_with.source();
    if source == Source::Copy(Generation::Saved) && !is_saved(&transaction, projection, table)? {
        return Ok(None);
    }
    make_next(&transaction, projection, table)?;
    match source {
        Source::Nothing { after } => {
            let sql = "INSERT INTO potter_checkpoints VALUES (?1, 'next', ?2)";
            transaction.execute(sql, params![projection, after])?;
        }
        Source::Copy(of) => copy_rows(&transaction, projection, table, of)?,
    }
    let number = transaction.query_row(
        "INSERT INTO potter_rebuilds AS last VALUES (?1, 1, ?2, ?3, NULL, NULL) ON CONFLICT (projection) DO UPDATE SET \
         number = last.number + 1, begins_with = excluded.begins_with, begun_at = excluded.begun_at, ended_at = NULL, \
         failure = NULL RETURNING number",
        params![projection, columns::encode_rebuild(begin_with), nanoseconds(SystemTime::now())],
        |row| row.get(0),
    )?;
    transaction.commit()?;
    Ok(Some(number))
}

fn make_next(connection: &Connection, projection: &str, table: &Table) -> rusqlite::Result<()> {
    drop_next(connection, projection, table)?;
    let name = table_name(table, Generation::Next);
    connection.execute_batch(&create_sqlite_table(table, &name, &index_prefix(connection, table)?))
}

fn drop_next(connection: &Connection, projection: &str, table: &Table) -> rusqlite::Result<()> {
    let name = table_name(table, Generation::Next);
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", quoted(&name)))?;
    forget(connection, projection, Generation::Next)
}

/// The next generation gets the rows of another, with its checkpoint and what it has parked.
fn copy_rows(connection: &Connection, projection: &str, table: &Table, of: Generation) -> rusqlite::Result<()> {
    let columns = [table.key].into_iter().chain(table.columns.iter().map(|it| it.name)).chain([ROW_COLUMN]);
    let columns = columns.map(quoted).collect::<Vec<_>>().join(", ");
    let (next, source) = (quoted(&table_name(table, Generation::Next)), quoted(&table_name(table, of)));
    connection.execute(&format!("INSERT INTO {next} ({columns}) SELECT {columns} FROM {source}"), [])?;
    copy_progress(connection, projection, of, Generation::Next)
}

/// Whether there is a saved copy. A migration that makes the live table anew forgets all checkpoints: a copy without one
/// has the shape of before.
fn is_saved(connection: &Connection, projection: &str, table: &Table) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM potter_checkpoints WHERE projection = ?1 AND generation = 'saved'")?;
    Ok(statement.exists([projection])? && exists(connection, "table", &table_name(table, Generation::Saved))?)
}

/// Saves the live table as it is.
pub(crate) fn save_copy(connection: &Connection, projection: &str, table: &Table) -> rusqlite::Result<u64> {
    let transaction = begin(connection)?;
    let (saved, live) = (quoted(&table_name(table, Generation::Saved)), quoted(table.name));
    let copy = format!("DROP TABLE IF EXISTS {saved}; CREATE TABLE {saved} AS SELECT * FROM {live};");
    transaction.execute_batch(&copy)?;
    forget(&transaction, projection, Generation::Saved)?;
    copy_progress(&transaction, projection, Generation::Live, Generation::Saved)?;
    transaction.commit()?;
    checkpoint(connection, projection, Generation::Saved)
}

/// Checkpoint and parked events of a generation become another's, too.
fn copy_progress(connection: &Connection, projection: &str, from: Generation, to: Generation) -> rusqlite::Result<()> {
    let position = checkpoint(connection, projection, from)?;
    let (from, to) = (columns::generation(from), columns::generation(to));
    connection.execute("INSERT INTO potter_checkpoints VALUES (?1, ?2, ?3)", params![projection, to, position])?;
    connection.execute(
        "INSERT INTO potter_projection_failures SELECT projection, ?3, position, row_key, event_type, reason, parked_at \
         FROM potter_projection_failures WHERE projection = ?1 AND generation = ?2",
        [projection, from, to],
    )?;
    Ok(())
}

/// Empties the live table.
pub(crate) fn reset(connection: &Connection, projection: &str, table: &Table) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    transaction.execute_batch(&format!("DELETE FROM {}", quoted(table.name)))?;
    forget(&transaction, projection, Generation::Live)?;
    begin_epoch(&transaction, projection)?;
    transaction.commit()
}

/// Indexes cannot be renamed, so every second generation's have other names.
fn index_prefix(connection: &Connection, table: &Table) -> rusqlite::Result<String> {
    let next = table_name(table, Generation::Next);
    for column in table.columns {
        if exists(connection, "index", &format!("{next}__{}", column.name))? {
            return Ok(table.name.to_owned());
        }
    }
    Ok(next)
}

/// Puts the next generation in place of the live one.
pub(crate) fn finish_rebuild(
    connection: &Connection,
    projection: &str,
    table: &Table,
    number: u64,
    expected_checkpoint: u64,
) -> Result<(), ProjectionError> {
    let failed = |error: rusqlite::Error| StoreError::new("finish a rebuild", error);
    let transaction = begin(connection).map_err(failed)?;
    if !goes_on(&transaction, projection, number).map_err(failed)? {
        return Err(ProjectionError::Ended);
    }
    let reached = checkpoint(&transaction, projection, Generation::Next).map_err(failed)?;
    if reached != expected_checkpoint {
        return Err(ProjectionError::Moved { actual: reached });
    }
    let live = checkpoint(&transaction, projection, Generation::Live).map_err(failed)?;
    if live > reached {
        return Err(ProjectionError::Moved { actual: live });
    }
    let next = table_name(table, Generation::Next);
    swap(&transaction, projection, table, &next).map_err(failed)?;
    end_rebuild(&transaction, projection, number, None).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(())
}

fn swap(connection: &Connection, projection: &str, table: &Table, next: &str) -> rusqlite::Result<()> {
    let live = quoted(table.name);
    let next = quoted(next);
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {live}; ALTER TABLE {next} RENAME TO {live};"))?;
    forget(connection, projection, Generation::Live)?;
    for name in PROJECTION_TABLES {
        connection.execute(
            &format!("UPDATE {name} SET generation = 'live' WHERE projection = ?1 AND generation = 'next'"),
            [projection],
        )?;
    }
    begin_epoch(connection, projection)
}

/// Drops the next generation if the rebuild of that number goes on.
pub(crate) fn drop_rebuild(
    connection: &Connection,
    projection: &str,
    table: &Table,
    number: u64,
    reason: &str,
) -> rusqlite::Result<bool> {
    let transaction = begin(connection)?;
    let goes_on = match number {
        0 => is_unknown(&transaction, projection)?,
        number => end_rebuild(&transaction, projection, number, Some(reason))?,
    };
    if goes_on {
        drop_next(&transaction, projection, table)?;
        transaction.commit()?;
    }
    Ok(goes_on)
}

/// Whether there is a next generation of which no rebuild is known.
fn is_unknown(connection: &Connection, projection: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM potter_checkpoints c WHERE c.projection = ?1 AND c.generation = 'next' \
               AND NOT EXISTS (SELECT 1 FROM potter_rebuilds r WHERE r.projection = ?1 AND r.ended_at IS NULL)";
    connection.prepare(sql)?.exists([projection])
}

fn end_rebuild(
    connection: &Connection,
    projection: &str,
    number: u64,
    failure: Option<&str>,
) -> rusqlite::Result<bool> {
    let sql = "UPDATE potter_rebuilds SET ended_at = ?3, failure = ?4 \
               WHERE projection = ?1 AND number = ?2 AND ended_at IS NULL";
    Ok(connection.execute(sql, params![projection, number, nanoseconds(SystemTime::now()), failure])? > 0)
}

/// Where each generation of a projection keeps what isn't a row.
const PROJECTION_TABLES: [&str; 2] = ["potter_checkpoints", "potter_projection_failures"];

fn forget(connection: &Connection, projection: &str, generation: Generation) -> rusqlite::Result<()> {
    for name in PROJECTION_TABLES {
        connection.execute(
            &format!("DELETE FROM {name} WHERE projection = ?1 AND generation = ?2"),
            [projection, columns::generation(generation)],
        )?;
    }
    Ok(())
}

/// Removes some of what is old enough.
pub(crate) fn purge(connection: &Connection, expiry: Expiry) -> rusqlite::Result<u64> {
    let transaction = begin(connection)?;
    let purged = records::purge(&transaction, expiry)?;
    transaction.commit()?;
    Ok(purged)
}
