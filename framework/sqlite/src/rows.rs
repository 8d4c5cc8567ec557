//! Read models: rows by key, searches, and what projections write.

use bytes::Bytes;
use potter_core::read_model::{Table, TableColumn, Value};
use potter_core::store::columns::{decode_rebuild, generation as stored, nanoseconds};
use potter_core::store::sql::{ROW_COLUMN, quoted};
use potter_core::store::{
    Condition, Generation, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, RebuildEnd, RebuildRecord,
    RowChange, Selected, Selection, Test,
};
use rusqlite::types::{Type, Value as SqlValue, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params, params_from_iter};

use crate::convert::{Parameter, bytes, is_not_unique, time, unreadable};
use crate::totals;

/// The name of a generation's table.
pub(crate) fn table_name(table: &Table, generation: Generation) -> String {
    match generation {
        Generation::Live => table.name.to_owned(),
        Generation::Next => format!("{}__next", table.name),
        Generation::Saved => format!("{}__saved", table.name),
    }
}

pub(crate) fn rows_by_key(
    connection: &Connection,
    table: &Table,
    generation: Generation,
    keys: Vec<String>,
) -> rusqlite::Result<Vec<(String, Bytes)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {} FROM {} WHERE {} = ?1",
        quoted(ROW_COLUMN),
        quoted(&table_name(table, generation)),
        quoted(table.key)
    ))?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(row) = statement.query_row([&key], |row| bytes(row, 0)).optional()? {
            found.push((key, row));
        }
    }
    Ok(found)
}

/// Rows and count are of the same moment.
pub(crate) fn select(connection: &Connection, table: &Table, selection: &Selection) -> rusqlite::Result<Selected> {
    let transaction = connection.unchecked_transaction()?;
    let (condition, mut parameters) = conditions(&selection.conditions);
    let from = format!("FROM {}{condition}", quoted(table.name));
    let total = match selection.count {
        true => Some(totals::total(&transaction, &format!("SELECT count(*) {from}"), &parameters)?),
        false => None,
    };
    let rows = format!("SELECT {} {from} ORDER BY {} LIMIT ? OFFSET ?", quoted(ROW_COLUMN), order(table, selection));
    parameters.push(SqlValue::Integer(selection.limit.map_or(-1, i64::from)));
    parameters.push(SqlValue::Integer(i64::try_from(selection.offset).unwrap_or(i64::MAX)));
    let mut statement = transaction.prepare_cached(&rows)?;
    let rows = statement.query_map(params_from_iter(&parameters), |row| bytes(row, 0))?.collect::<Result<_, _>>()?;
    Ok(Selected { rows, total })
}

fn order(table: &Table, selection: &Selection) -> String {
    let by = selection.order.iter();
    let mut terms: Vec<String> = by.map(|it| quoted(it.column) + if it.descending { " DESC" } else { "" }).collect();
    terms.push(quoted(table.key));
    terms.join(", ")
}

fn conditions(conditions: &[Condition]) -> (String, Vec<SqlValue>) {
    let mut parameters = Vec::new();
    let terms: Vec<String> = conditions.iter().map(|it| condition(it, &mut parameters)).collect();
    let text = if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) };
    (text, parameters)
}

fn condition(condition: &Condition, parameters: &mut Vec<SqlValue>) -> String {
    let column = quoted(condition.column);
    let mut compare = |operator: &str, value: &Value| {
        parameters.push(owned(value));
        format!("{column} {operator} ?")
    };
    match &condition.test {
        Test::Equals(Value::Null) => format!("{column} IS NULL"),
        Test::Equals(value) => compare("=", value),
        Test::AtLeast(value) => compare(">=", value),
        Test::AtMost(value) => compare("<=", value),
        Test::MoreThan(value) => compare(">", value),
        Test::LessThan(value) => compare("<", value),
        Test::AnyOf(values) => {
            let known: Vec<&Value> = values.iter().filter(|value| **value != Value::Null).collect();
            let absent = if known.len() < values.len() { format!(" OR {column} IS NULL") } else { String::new() };
            parameters.extend(known.iter().map(|value| owned(value)));
            format!("({column} IN ({}){absent})", vec!["?"; known.len()].join(", "))
        }
        Test::Contains(part) => {
            parameters.push(SqlValue::Text(part.clone()));
            format!("potter_contains({column}, ?)")
        }
    }
}

fn owned(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(yes) => SqlValue::Integer(i64::from(*yes)),
        Value::Integer(number) => SqlValue::Integer(*number),
        Value::Real(number) => SqlValue::Real(*number),
        Value::Text(text) => SqlValue::Text(text.clone()),
        Value::Bytes(bytes) => SqlValue::Blob(bytes.clone()),
    }
}

pub(crate) fn checkpoint(connection: &Connection, projection: &str, generation: Generation) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached("SELECT position FROM potter_checkpoints WHERE projection = ?1 AND generation = ?2")?;
    let position = statement.query_row([projection, stored(generation)], |row| row.get(0)).optional()?;
    Ok(position.unwrap_or(0))
}

pub(crate) fn projection(connection: &Connection, projection: &str) -> rusqlite::Result<ProjectionRecord> {
    // As of one moment: another process may begin or end a rebuild between two statements.
    let connection = &connection.unchecked_transaction()?;
    let (paused, epoch) = state(connection, projection)?;
    let rebuilding = connection
        .prepare_cached("SELECT 1 FROM potter_checkpoints WHERE projection = ?1 AND generation = 'next'")?
        .exists([projection])?;
    let mut statement = connection.prepare_cached(
        "SELECT number, begins_with, begun_at, ended_at, failure FROM potter_rebuilds WHERE projection = ?1",
    )?;
    let rebuild = statement.query_row([projection], rebuild).optional()?;
    Ok(ProjectionRecord { paused, rebuilding, epoch, rebuild })
}

fn rebuild(row: &Row<'_>) -> rusqlite::Result<RebuildRecord> {
    let begin = decode_rebuild(row.get_ref(1)?.as_str()?).map_err(|error| unreadable(1, Type::Text, error))?;
    let end = match row.get_ref(3)? {
        ValueRef::Null => None,
        _ => Some(RebuildEnd { at: time(row, 3)?, failure: row.get(4)? }),
    };
    Ok(RebuildRecord { number: row.get(0)?, begin, begun_at: time(row, 2)?, end })
}

/// Whether it is the rebuild of that number that goes on.
pub(crate) fn goes_on(connection: &Connection, projection: &str, number: u64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM potter_rebuilds JOIN potter_checkpoints USING (projection) \
         WHERE projection = ?1 AND generation = 'next' AND number = ?2 AND ended_at IS NULL",
    )?;
    statement.exists(params![projection, number])
}

/// Whether a projection is paused, and its epoch.
fn state(connection: &Connection, projection: &str) -> rusqlite::Result<(bool, u64)> {
    let mut statement =
        connection.prepare_cached("SELECT paused, epoch FROM potter_projections WHERE projection = ?1")?;
    let state = statement.query_row([projection], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(state.unwrap_or_default())
}

pub(crate) fn set_paused(connection: &Connection, projection: &str, paused: bool) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO potter_projections VALUES (?1, ?2, 0) ON CONFLICT (projection) DO UPDATE SET paused = ?2",
        params![projection, paused],
    )?;
    Ok(())
}

/// Whoever has read rows before that doesn't write them any more.
pub(crate) fn begin_epoch(connection: &Connection, projection: &str) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO potter_projections VALUES (?1, FALSE, 1) ON CONFLICT (projection) DO UPDATE SET epoch = epoch + 1",
        [projection],
    )?;
    Ok(())
}

pub(crate) fn parked(
    connection: &Connection,
    projection: &str,
    generation: Generation,
) -> rusqlite::Result<Vec<ParkedEvent>> {
    let mut statement = connection.prepare_cached(
        "SELECT position, row_key, event_type, reason, parked_at FROM potter_projection_failures \
         WHERE projection = ?1 AND generation = ?2 ORDER BY position",
    )?;
    let rows = statement.query_map([projection, stored(generation)], |row| {
        Ok(ParkedEvent {
            position: row.get(0)?,
            key: row.get(1)?,
            event_type: row.get(2)?,
            reason: row.get(3)?,
            parked_at: time(row, 4)?,
        })
    })?;
    rows.collect()
}

/// Why a batch was not written.
pub(crate) enum Refused {
    /// It doesn't fit what is stored.
    Batch(ProjectionError),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Writes a batch within the transaction that is open; leaves nothing of it when it is refused.
pub(crate) fn write_batch(connection: &Connection, batch: &ProjectionBatch) -> Result<(), Refused> {
    let live = batch.generation == Generation::Live;
    let (paused, epoch) = state(connection, batch.projection)?;
    if live && paused {
        return Err(Refused::Batch(ProjectionError::Paused));
    }
    if !live && !goes_on(connection, batch.projection, batch.epoch)? {
        return Err(Refused::Batch(ProjectionError::Ended));
    }
    let actual = checkpoint(connection, batch.projection, batch.generation)?;
    if actual != batch.expected_checkpoint || (live && epoch != batch.epoch) {
        return Err(Refused::Batch(ProjectionError::Moved { actual }));
    }
    if !batch.put.is_empty() || !batch.remove.is_empty() {
        write_rows(connection, batch)?;
    }
    park(connection, batch)?;
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO potter_checkpoints VALUES (?1, ?2, ?3)")?;
    statement.execute(params![batch.projection, stored(batch.generation), batch.checkpoint])?;
    Ok(())
}

fn write_rows(connection: &Connection, batch: &ProjectionBatch) -> Result<(), Refused> {
    if !batch.table.columns.iter().any(|column| column.unique) {
        return Ok(put_and_remove(connection, batch).map_err(|(_, error)| error)?);
    }
    connection.execute_batch("SAVEPOINT potter_rows")?;
    let mut written = put_and_remove(connection, batch);
    if written.as_ref().is_err_and(|(_, error)| is_not_unique(error)) {
        // A row may only be waiting for another of this batch to give a value up: judge by the end.
        connection.execute_batch("ROLLBACK TO potter_rows")?;
        remove(connection, batch, batch.put.iter().map(|change| &change.key))?;
        written = put_and_remove(connection, batch);
    }
    match written {
        Ok(()) => Ok(connection.execute_batch("RELEASE potter_rows")?),
        Err((Some(key), error)) if is_not_unique(&error) => {
            connection.execute_batch("ROLLBACK TO potter_rows; RELEASE potter_rows")?;
            Err(Refused::Batch(ProjectionError::NotUnique { key: key.clone(), column: column_of(&error) }))
        }
        Err((_, error)) => Err(error.into()),
    }
}

/// A failure, and the row that it was about.
type RowFailure<'b> = (Option<&'b String>, rusqlite::Error);

fn put_and_remove<'b>(connection: &Connection, batch: &'b ProjectionBatch) -> Result<(), RowFailure<'b>> {
    remove(connection, batch, batch.remove.iter()).map_err(|error| (None, error))?;
    if batch.put.is_empty() {
        return Ok(());
    }
    let mut statements = PutStatements::prepare(connection, batch).map_err(|error| (None, error))?;
    batch.put.iter().try_for_each(|change| statements.put(change).map_err(|error| (Some(&change.key), error)))
}

/// Puts rows in two steps, because most changes leave the indexed columns as they are: without naming those in SET,
/// SQLite touches no index, which is half of the work.
struct PutStatements<'c> {
    /// Changes a row if its indexed columns stay the same.
    change: Option<CachedStatement<'c>>,
    /// Makes a row, or changes all of it.
    replace: CachedStatement<'c>,
}

impl<'c> PutStatements<'c> {
    fn prepare(connection: &'c Connection, batch: &ProjectionBatch) -> rusqlite::Result<Self> {
        let (table, name) = (&batch.table, quoted(&table_name(&batch.table, batch.generation)));
        let has_index = |column: &&TableColumn| column.indexed || column.unique;
        let replace = connection.prepare_cached(&replace_sql(table, &name))?;
        let change = match table.columns.iter().any(|column| has_index(&column)) {
            true => Some(connection.prepare_cached(&change_sql(table, &name, has_index))?),
            false => None,
        };
        Ok(Self { change, replace })
    }

    fn put(&mut self, change: &RowChange) -> rusqlite::Result<()> {
        if let Some(statement) = &mut self.change {
            bind(statement, change)?;
            if statement.raw_execute()? > 0 {
                return Ok(());
            }
        }
        bind(&mut self.replace, change)?;
        self.replace.raw_execute()?;
        Ok(())
    }
}

/// Key, values and row, as both statements number them.
fn bind(statement: &mut CachedStatement<'_>, change: &RowChange) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, &change.key)?;
    for (value, number) in change.values.iter().zip(2..) {
        statement.raw_bind_parameter(number, Parameter(value))?;
    }
    statement.raw_bind_parameter(change.values.len() + 2, change.row.as_ref())
}

fn change_sql(table: &Table, name: &str, has_index: impl Fn(&&TableColumn) -> bool) -> String {
    let numbered = || table.columns.iter().zip(2..);
    let row = format!("{} = ?{}", quoted(ROW_COLUMN), table.columns.len() + 2);
    let changed = numbered().filter(|(column, _)| !has_index(column));
    let changed = changed.map(|(column, number)| format!("{} = ?{number}", quoted(column.name))).chain([row]);
    let same = numbered().filter(|(column, _)| has_index(column));
    let same: String = same.map(|(column, number)| format!(" AND {} IS ?{number}", quoted(column.name))).collect();
    let changed: Vec<String> = changed.collect();
    format!("UPDATE {name} SET {} WHERE {} = ?1{same}", changed.join(", "), quoted(table.key))
}

fn replace_sql(table: &Table, name: &str) -> String {
    let columns = table.columns.iter().map(|column| column.name).chain([ROW_COLUMN]);
    let (mut names, mut numbers, mut changes) = (quoted(table.key), "?1".to_owned(), Vec::new());
    for (column, number) in columns.map(quoted).zip(2..) {
        names += &format!(", {column}");
        numbers += &format!(", ?{number}");
        changes.push(format!("{column} = excluded.{column}"));
    }
    format!(
        "INSERT INTO {name} ({names}) VALUES ({numbers}) ON CONFLICT ({}) DO UPDATE SET {}",
        quoted(table.key),
        changes.join(", ")
    )
}

fn remove<'k>(
    connection: &Connection,
    batch: &ProjectionBatch,
    keys: impl Iterator<Item = &'k String>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "DELETE FROM {} WHERE {} = ?1",
        quoted(&table_name(&batch.table, batch.generation)),
        quoted(batch.table.key)
    ))?;
    for key in keys {
        statement.execute([key])?;
    }
    Ok(())
}

fn park(connection: &Connection, batch: &ProjectionBatch) -> rusqlite::Result<()> {
    let generation = stored(batch.generation);
    for event in &batch.park {
        let mut statement = connection
            .prepare_cached("INSERT OR REPLACE INTO potter_projection_failures VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        let ParkedEvent { position, key, event_type, reason, parked_at } = event;
        let time = nanoseconds(*parked_at);
        statement.execute(params![batch.projection, generation, position, key, event_type, reason, time])?;
    }
    for position in &batch.unpark {
        let mut statement = connection.prepare_cached(
            "DELETE FROM potter_projection_failures WHERE projection = ?1 AND generation = ?2 AND position = ?3",
        )?;
        statement.execute(params![batch.projection, generation, position])?;
    }
    Ok(())
}

/// SQLite says `UNIQUE constraint failed: products.sku`.
fn column_of(error: &rusqlite::Error) -> String {
    let text = error.to_string();
    text.rsplit('.').next().unwrap_or(&text).to_owned()
}

/// Whether a table is there.
pub(crate) fn exists(connection: &Connection, kind: &str, name: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM sqlite_master WHERE type = ?1 AND name = ?2")?;
    statement.exists([kind, name])
}
