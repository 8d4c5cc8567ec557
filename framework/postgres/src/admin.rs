//! What happens rarely: migrations, rebuilds. Each takes a transaction of its own.

use std::time::{Duration, SystemTime};

use potter_core::read_model::Table;
use potter_core::store::columns::{self, generation as named, migration_hash, nanoseconds};
use potter_core::store::sql::{ROW_COLUMN, create_postgres_table, postgres_index, postgres_name, quoted};
use potter_core::store::{AppliedMigration, Generation, Migration, ProjectionError, Rebuild, Source, StoreError};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::connection::{Connection, Transaction, failure};
use crate::convert::{Text, number, stored, text, time};
use crate::rows::{self, checkpoint, table_name};

/// Processes that migrate or rebuild take turns: several may start at the same time.
const TAKE_TURNS: &str =
    "SELECT pg_advisory_xact_lock('potter_migrations'::regclass::oid::bigint::bit(32)::integer, 1)";

/// Applies what hasn't been yet, each migration in a transaction of its own together with the note of it.
pub(crate) async fn migrate(
    connection: &Connection,
    migrations: &'static [Migration],
) -> Result<Vec<&'static str>, StoreError> {
    let mut applied = Vec::new();
    for migration in migrations {
        if !migration.postgres.up.is_empty() && apply(connection, migration).await? {
            applied.push(migration.name);
        }
    }
    warn_of_unknown(connection, migrations).await.map_err(|error| failure("migrate", &error))?;
    Ok(applied)
}

async fn apply(connection: &Connection, migration: &Migration) -> Result<bool, StoreError> {
    let failed = |error| failed(migration, &error);
    let transaction = begin_migration(connection).await.map_err(failed)?;
    if is_applied(&transaction, migration).await? {
        return Ok(false);
    }
    let hash = migration_hash(migration.postgres.up);
    transaction.batch(migration.postgres.up).await.map_err(failed)?;
    let note = "INSERT INTO potter_migrations (name, hash, applied_at) VALUES ($1, $2, $3)";
    let now = nanoseconds(SystemTime::now());
    transaction.execute(note, &[&Text(migration.name), &hash, &now]).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(true)
}

/// Takes a migration back and forgets it, in one transaction.
pub(crate) async fn revert(connection: &Connection, migration: &Migration) -> Result<bool, StoreError> {
    let failed = |error| failed(migration, &error);
    let transaction = begin_migration(connection).await.map_err(failed)?;
    if !is_applied(&transaction, migration).await? {
        return Ok(false);
    }
    if migration.postgres.down.is_empty() {
        return Err(StoreError::irreversible_migration(migration.name));
    }
    transaction.batch(migration.postgres.down).await.map_err(failed)?;
    let forget = "DELETE FROM potter_migrations WHERE name = $1";
    transaction.execute(forget, &[&Text(migration.name)]).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(true)
}

/// A transaction that may take long, and alone.
async fn begin_migration(connection: &Connection) -> Result<Transaction<'_>, Error> {
    let transaction = Transaction::begin(connection).await?;
    transaction.batch("SET LOCAL statement_timeout = 0").await?;
    transaction.execute(TAKE_TURNS, &[]).await?;
    Ok(transaction)
}

fn failed(migration: &Migration, error: &Error) -> StoreError {
    let reason = crate::connection::told(error);
    StoreError::new("migrate", format!("migration `{}` failed: {reason}", migration.name))
}

/// Whether a migration has been applied; it is refused if its text has changed since.
async fn is_applied(transaction: &Transaction<'_>, migration: &Migration) -> Result<bool, StoreError> {
    let failed = |error| failed(migration, &error);
    let known = "SELECT hash FROM potter_migrations WHERE name = $1";
    let Some(row) = transaction.row(known, &[&Text(migration.name)]).await.map_err(failed)? else { return Ok(false) };
    match row.try_get::<_, &str>(0).map_err(failed)? == migration_hash(migration.postgres.up) {
        true => Ok(true),
        false => Err(StoreError::changed_migration(migration.name)),
    }
}

/// In the order in which they were applied.
pub(crate) async fn applied_migrations(connection: &Connection) -> Result<Vec<AppliedMigration>, Error> {
    let rows = connection.query("SELECT name, hash, applied_at FROM potter_migrations ORDER BY number", &[]).await?;
    let read = |row| Ok(AppliedMigration { name: text(row, 0)?, hash: text(row, 1)?, applied_at: time(row, 2)? });
    rows.iter().map(read).collect()
}

async fn warn_of_unknown(connection: &Connection, migrations: &[Migration]) -> Result<(), Error> {
    for AppliedMigration { name, .. } in applied_migrations(connection).await? {
        columns::warn_if_unknown(&name, migrations);
    }
    Ok(())
}

/// Makes a table beside the live one with what the rebuild begins with; answers with its number.
pub(crate) async fn begin_rebuild(
    connection: &Connection,
    projection: &str,
    table: &Table,
    begin: &Rebuild,
) -> Result<Option<u64>, Error> {
    let transaction = Transaction::begin(connection).await?;
    transaction.execute(TAKE_TURNS, &[]).await?;
    let source = begin.source();
    if source == Source::Copy(Generation::Saved) && !is_saved(&transaction, projection, table).await? {
        return Ok(None);
    }
    let number = note_rebuild(&transaction, projection, begin).await?;
    make_next(&transaction, projection, table).await?;
    let position = match source {
        Source::Nothing { after } => after,
        Source::Copy(of) => copy_rows(&transaction, projection, table, of).await?,
    };
    let sql = "INSERT INTO potter_checkpoints (projection, generation, position, epoch) VALUES ($1, 'next', $2, $3)";
    transaction.execute(sql, &[&Text(projection), &stored(position), &stored(number)]).await?;
    transaction.commit().await?;
    Ok(Some(number))
}

/// Answers with the number of the rebuild.
async fn note_rebuild(transaction: &Transaction<'_>, projection: &str, begin: &Rebuild) -> Result<u64, Error> {
    let sql = "INSERT INTO potter_rebuilds AS last VALUES ($1, 1, $2, $3) ON CONFLICT (projection) DO UPDATE SET \
        number = last.number + 1, begins_with = excluded.begins_with, begun_at = excluded.begun_at, ended_at = NULL, \
        failure = NULL RETURNING number";
    let begins_with = columns::encode_rebuild(begin);
    let now = nanoseconds(SystemTime::now());
    let row = transaction.row(sql, &[&Text(projection), &Text(&begins_with), &now]).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

/// Whether there is a saved copy. A migration that makes the live table anew forgets all checkpoints: a copy without one
/// has the shape of before.
async fn is_saved(transaction: &Transaction<'_>, projection: &str, table: &Table) -> Result<bool, Error> {
    let sql = "SELECT to_regclass($1) IS NOT NULL AND EXISTS \
        (SELECT FROM potter_checkpoints WHERE projection = $2 AND generation = 'saved')";
    let saved = quoted(&table_name(table, Generation::Saved));
    let there = transaction.row(sql, &[&saved, &Text(projection)]).await?;
    Ok(there.is_some_and(|row| row.get(0)))
}

async fn make_next(transaction: &Transaction<'_>, projection: &str, table: &Table) -> Result<(), Error> {
    drop_next(transaction, projection, table).await?;
    transaction.batch(&create_postgres_table(table, &format!("{}__next", table.name))).await
}

async fn drop_next(transaction: &Transaction<'_>, projection: &str, table: &Table) -> Result<(), Error> {
    let name = table_name(table, Generation::Next);
    transaction.batch(&format!("DROP TABLE IF EXISTS {}", quoted(&name))).await?;
    forget(transaction, projection, Generation::Next).await
}

/// The next generation gets the rows of another and what it has parked; answers with that one's checkpoint.
async fn copy_rows(
    transaction: &Transaction<'_>,
    projection: &str,
    table: &Table,
    of: Generation,
) -> Result<u64, Error> {
    let columns = [table.key].into_iter().chain(table.columns.iter().map(|it| it.name)).chain([ROW_COLUMN]);
    let columns = columns.map(quoted).collect::<Vec<_>>().join(", ");
    let (next, source) = (quoted(&table_name(table, Generation::Next)), quoted(&table_name(table, of)));
    hold_still(transaction, projection).await?;
    transaction.batch(&format!("INSERT INTO {next} ({columns}) SELECT {columns} FROM {source}")).await?;
    copy_parked(transaction, projection, of, Generation::Next).await?;
    checkpoint(transaction, projection, of).await
}

/// Saves the live table as it is.
pub(crate) async fn save_copy(connection: &Connection, projection: &str, table: &Table) -> Result<u64, Error> {
    let transaction = Transaction::begin(connection).await?;
    transaction.execute(TAKE_TURNS, &[]).await?;
    let name = |generation| quoted(&table_name(table, generation));
    let (saved, live) = (name(Generation::Saved), name(Generation::Live));
    transaction.batch(&format!("DROP TABLE IF EXISTS {saved}")).await?;
    forget(&transaction, projection, Generation::Saved).await?;
    hold_still(&transaction, projection).await?;
    transaction.batch(&format!("CREATE TABLE {saved} AS SELECT * FROM {live}")).await?;
    copy_parked(&transaction, projection, Generation::Live, Generation::Saved).await?;
    let position = checkpoint(&transaction, projection, Generation::Live).await?;
    let note = "INSERT INTO potter_checkpoints (projection, generation, position) VALUES ($1, 'saved', $2)";
    transaction.execute(note, &[&Text(projection), &stored(position)]).await?;
    transaction.commit().await?;
    Ok(position)
}

/// Whoever projects waits for the end of the transaction.
async fn hold_still(transaction: &Transaction<'_>, projection: &str) -> Result<(), Error> {
    let sql = "INSERT INTO potter_checkpoints (projection, generation, position) VALUES ($1, 'live', 0) \
        ON CONFLICT (projection, generation) DO UPDATE SET position = potter_checkpoints.position";
    transaction.execute(sql, &[&Text(projection)]).await?;
    Ok(())
}

/// What a generation has parked becomes another's, too.
async fn copy_parked(
    transaction: &Transaction<'_>,
    projection: &str,
    from: Generation,
    to: Generation,
) -> Result<(), Error> {
    let parked = "INSERT INTO potter_projection_failures \
        (projection, generation, position, row_key, event_type, reason, parked_at) \
        SELECT projection, $3, position, row_key, event_type, reason, parked_at FROM potter_projection_failures \
        WHERE projection = $1 AND generation = $2";
    transaction.execute(parked, &[&Text(projection), &named(from), &named(to)]).await?;
    Ok(())
}

/// Empties the live table.
pub(crate) async fn reset(connection: &Connection, projection: &str, table: &Table) -> Result<(), Error> {
    let transaction = Transaction::begin(connection).await?;
    transaction.execute(TAKE_TURNS, &[]).await?;
    begin_epoch(&transaction, projection, 0).await?;
    forget_parked(&transaction, projection, Generation::Live).await?;
    transaction.batch(&format!("DELETE FROM {}", quoted(&table_name(table, Generation::Live)))).await?;
    transaction.commit().await
}

/// Whoever has read rows before that doesn't write them any more.
async fn begin_epoch(transaction: &Transaction<'_>, projection: &str, checkpoint: u64) -> Result<(), Error> {
    let sql = "INSERT INTO potter_checkpoints AS known VALUES ($1, 'live', $2, 1) \
        ON CONFLICT (projection, generation) DO UPDATE SET position = excluded.position, epoch = known.epoch + 1";
    transaction.execute(sql, &[&Text(projection), &stored(checkpoint)]).await?;
    Ok(())
}

/// How long the swap waits for those who read the live table before it lets others go first, and how often.
const SWAP_WAITS: Duration = Duration::from_millis(500);
const SWAPS: u32 = 20;

/// Puts the next generation in place of the live one.
pub(crate) async fn finish_rebuild(
    connection: &Connection,
    projection: &str,
    table: &Table,
    number: u64,
    expected_checkpoint: u64,
) -> Result<(), ProjectionError> {
    for _ in 1..SWAPS {
        match try_to_finish(connection, projection, table, number, expected_checkpoint).await {
            // Everybody who comes to read waits behind the swap, so it must not wait long for who is there already.
            Err(Unfinished::Database(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {}
            result => return result.map_err(ProjectionError::from),
        }
    }
    try_to_finish(connection, projection, table, number, expected_checkpoint).await.map_err(ProjectionError::from)
}

enum Unfinished {
    Refused(ProjectionError),
    Database(Error),
}

impl From<Error> for Unfinished {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<Unfinished> for ProjectionError {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Refused(error) => error,
            Unfinished::Database(error) => failure("finish a rebuild", &error).into(),
        }
    }
}

async fn try_to_finish(
    connection: &Connection,
    projection: &str,
    table: &Table,
    number: u64,
    expected_checkpoint: u64,
) -> Result<(), Unfinished> {
    let transaction = Transaction::begin(connection).await?;
    transaction.execute(TAKE_TURNS, &[]).await?;
    // Whoever projects into either generation waits for the end of this.
    transaction
        .execute("SELECT FROM potter_checkpoints WHERE projection = $1 FOR UPDATE", &[&Text(projection)])
        .await?;
    if !rows::projection(&transaction, projection).await?.goes_on(number) {
        return Err(Unfinished::Refused(ProjectionError::Ended));
    }
    let reached = checkpoint(&transaction, projection, Generation::Next).await?;
    if reached != expected_checkpoint {
        return Err(Unfinished::Refused(ProjectionError::Moved { actual: reached }));
    }
    let live = checkpoint(&transaction, projection, Generation::Live).await?;
    if live > reached {
        return Err(Unfinished::Refused(ProjectionError::Moved { actual: live }));
    }
    transaction.batch(&format!("SET LOCAL lock_timeout = {}", SWAP_WAITS.as_millis())).await?;
    swap(&transaction, table).await?;
    begin_epoch(&transaction, projection, reached).await?;
    take_over(&transaction, projection).await?;
    end_rebuild(&transaction, projection, number, None).await?;
    Ok(transaction.commit().await?)
}

/// Drops the next generation if the rebuild of that number goes on.
pub(crate) async fn drop_rebuild(
    connection: &Connection,
    projection: &str,
    table: &Table,
    number: u64,
    reason: &str,
) -> Result<bool, Error> {
    let transaction = Transaction::begin(connection).await?;
    transaction.execute(TAKE_TURNS, &[]).await?;
    let goes_on = match number {
        0 => is_unknown(&transaction, projection).await?,
        number => end_rebuild(&transaction, projection, number, Some(reason)).await?,
    };
    if goes_on {
        drop_next(&transaction, projection, table).await?;
    }
    transaction.commit().await?;
    Ok(goes_on)
}

/// Whether there is a next generation of which no rebuild is known.
async fn is_unknown(transaction: &Transaction<'_>, projection: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM potter_checkpoints c WHERE c.projection = $1 AND c.generation = 'next' \
        AND NOT EXISTS (SELECT FROM potter_rebuilds r WHERE r.projection = $1 AND r.ended_at IS NULL)";
    Ok(transaction.row(sql, &[&Text(projection)]).await?.is_some())
}

async fn end_rebuild(
    transaction: &Transaction<'_>,
    projection: &str,
    number: u64,
    failure: Option<&str>,
) -> Result<bool, Error> {
    let sql = "UPDATE potter_rebuilds SET ended_at = $3, failure = $4 \
        WHERE projection = $1 AND number = $2 AND ended_at IS NULL RETURNING 1";
    let now = nanoseconds(SystemTime::now());
    let ended = transaction.row(sql, &[&Text(projection), &stored(number), &now, &failure.map(Text)]).await?;
    Ok(ended.is_some())
}

async fn swap(transaction: &Transaction<'_>, table: &Table) -> Result<(), Error> {
    let (live, next) = (table_name(table, Generation::Live), table_name(table, Generation::Next));
    let (quoted_live, quoted_next) = (quoted(&live), quoted(&next));
    let drop_and_rename =
        format!("DROP TABLE IF EXISTS {quoted_live}; ALTER TABLE {quoted_next} RENAME TO {quoted_live};");
    transaction.batch(&drop_and_rename).await?;
    for column in table.columns.iter().filter(|column| column.indexed || column.unique) {
        let old = quoted(&postgres_index(&format!("{}__next", table.name), column.name));
        let new = quoted(&postgres_index(table.name, column.name));
        transaction.batch(&format!("ALTER INDEX IF EXISTS {old} RENAME TO {new}")).await?;
    }
    // A key's index is named by the server after the table as it was called then.
    let key = |name: &str| quoted(&postgres_name(&format!("{name}__key")));
    let (old, new) = (key(&format!("{}__next", table.name)), key(table.name));
    transaction.batch(&format!("ALTER TABLE {quoted_live} RENAME CONSTRAINT {old} TO {new}")).await
}

/// What belongs to the next generation belongs to the live one from now on.
async fn take_over(transaction: &Transaction<'_>, projection: &str) -> Result<(), Error> {
    forget_parked(transaction, projection, Generation::Live).await?;
    let sql = "UPDATE potter_projection_failures SET generation = 'live' WHERE projection = $1 AND generation = 'next'";
    transaction.execute(sql, &[&Text(projection)]).await?;
    forget(transaction, projection, Generation::Next).await
}

async fn forget(connection: &Connection, projection: &str, generation: Generation) -> Result<(), Error> {
    let sql = "DELETE FROM potter_checkpoints WHERE projection = $1 AND generation = $2";
    connection.execute(sql, &[&Text(projection), &named(generation)]).await?;
    forget_parked(connection, projection, generation).await
}

async fn forget_parked(connection: &Connection, projection: &str, generation: Generation) -> Result<(), Error> {
    let sql = "DELETE FROM potter_projection_failures WHERE projection = $1 AND generation = $2";
    connection.execute(sql, &[&Text(projection), &named(generation)]).await?;
    Ok(())
}
