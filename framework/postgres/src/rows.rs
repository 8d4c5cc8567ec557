//! Read models: rows by key, searches, and what projections write.

use std::collections::HashSet;

use bytes::Bytes;
use potter_core::read_model::{Table, TableColumn, Value};
use potter_core::store::columns::{generation as named, nanoseconds};
use potter_core::store::sql::{ROW_COLUMN, postgres_name, postgres_type, quoted};
use potter_core::store::{
    Condition, Generation, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, RebuildEnd, RebuildRecord,
    RowChange, Selected, Selection, Test,
};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::connection::{Connection, Parameters, Transaction, failure, is_not_unique};
use crate::convert::{Parameter, Text, begins_with, bytes, number, optional_text, stored, text, time};

/// The name of a generation's table.
pub(crate) fn table_name(table: &Table, generation: Generation) -> String {
    match generation {
        Generation::Live => postgres_name(table.name),
        Generation::Next => postgres_name(&format!("{}__next", table.name)),
        Generation::Saved => postgres_name(&format!("{}__saved", table.name)),
    }
}

pub(crate) async fn rows_by_key(
    connection: &Connection,
    table: &Table,
    generation: Generation,
    keys: &[String],
) -> Result<Vec<(String, Bytes)>, Error> {
    let (key, name) = (quoted(table.key), quoted(&table_name(table, generation)));
    let sql = format!("SELECT {key}, {} FROM {name} WHERE {key} = ANY ($1)", quoted(ROW_COLUMN));
    let keys: Vec<Text<'_>> = keys.iter().map(|key| Text(key)).collect();
    let rows = connection.query(&sql, &[&keys]).await?;
    rows.iter().map(|row| Ok((text(row, 0)?, bytes(row, 1)?))).collect()
}

/// Rows and count are of the same moment, because one statement reads both.
pub(crate) async fn select(connection: &Connection, table: &Table, selection: &Selection) -> Result<Selected, Error> {
    let mut parameters = Vec::new();
    let condition = conditions(&selection.conditions, &mut parameters);
    let from = format!("FROM {}{condition}", quoted(&table_name(table, Generation::Live)));
    let limit = selection.limit.map(i64::from);
    let offset = stored(selection.offset);
    let (limit_number, offset_number) = (parameters.len() + 1, parameters.len() + 2);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(Compared::parameter).collect();
    parameters.extend([&limit as &(dyn ToSql + Sync), &offset]);
    let page = format!(
        "SELECT {} AS page_row {from} ORDER BY {} LIMIT ${limit_number} OFFSET ${offset_number}",
        quoted(ROW_COLUMN),
        order(table, selection)
    );
    if selection.count {
        return select_and_count(connection, &page, &from, &parameters).await;
    }
    let rows = connection.query(&page, &parameters).await?;
    Ok(Selected { rows: rows.iter().map(|row| bytes(row, 0)).collect::<Result<_, _>>()?, total: None })
}

async fn select_and_count(
    connection: &Connection,
    page: &str,
    from: &str,
    parameters: &Parameters<'_>,
) -> Result<Selected, Error> {
    let sql = format!("SELECT (SELECT count(*) {from}), ARRAY({page})");
    let row = connection.row(&sql, parameters).await?;
    let Some(row) = row else { return Ok(Selected { rows: Vec::new(), total: Some(0) }) };
    let rows: Vec<&[u8]> = row.try_get(1)?;
    Ok(Selected { rows: rows.into_iter().map(Bytes::copy_from_slice).collect(), total: Some(number(&row, 0)?) })
}

/// Absent values come first, as in an index that is made that way.
fn order(table: &Table, selection: &Selection) -> String {
    let direction = |descending| if descending { " DESC NULLS LAST" } else { " NULLS FIRST" };
    let by = selection.order.iter();
    let mut terms: Vec<String> = by.map(|it| quoted(it.column) + direction(it.descending)).collect();
    terms.push(quoted(table.key));
    terms.join(", ")
}

/// What a column is compared with.
enum Compared<'a> {
    One(Parameter<'a>),
    Many(Vec<Parameter<'a>>),
    Part(Text<'a>),
}

impl Compared<'_> {
    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::One(value) => value,
            Self::Many(values) => values,
            Self::Part(text) => text,
        }
    }
}

fn conditions<'a>(conditions: &'a [Condition], parameters: &mut Vec<Compared<'a>>) -> String {
    let terms: Vec<String> = conditions.iter().map(|it| condition(it, parameters)).collect();
    if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) }
}

fn condition<'a>(condition: &'a Condition, parameters: &mut Vec<Compared<'a>>) -> String {
    let column = quoted(condition.column);
    let number = parameters.len() + 1;
    let mut compare = |operator: &str, value: &'a Value| {
        parameters.push(Compared::One(Parameter(value)));
        format!("{column} {operator} ${number}")
    };
    match &condition.test {
        Test::Equals(Value::Null) => format!("{column} IS NULL"),
        Test::Equals(value) => compare("=", value),
        Test::AtLeast(value) => compare(">=", value),
        Test::AtMost(value) => compare("<=", value),
        Test::MoreThan(value) => compare(">", value),
        Test::LessThan(value) => compare("<", value),
        Test::AnyOf(values) => {
            let known: Vec<_> = values.iter().filter(|value| **value != Value::Null).map(Parameter).collect();
            let absent = if known.len() < values.len() { format!(" OR {column} IS NULL") } else { String::new() };
            parameters.push(Compared::Many(known));
            format!("({column} = ANY (${number}){absent})")
        }
        Test::Contains(part) => {
            parameters.push(Compared::Part(Text(part)));
            format!("potter_contains({column}, ${number})")
        }
    }
}

pub(crate) async fn checkpoint(
    connection: &Connection,
    projection: &str,
    generation: Generation,
) -> Result<u64, Error> {
    let sql = "SELECT position FROM potter_checkpoints WHERE projection = $1 AND generation = $2";
    let row = connection.row(sql, &[&Text(projection), &named(generation)]).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

pub(crate) async fn projection(connection: &Connection, projection: &str) -> Result<ProjectionRecord, Error> {
    let sql = "SELECT coalesce(bool_or(c.paused), false), coalesce(bool_or(c.generation = 'next'), false), \
        coalesce(max(c.epoch) FILTER (WHERE c.generation = 'live'), 0), r.number, r.begins_with, r.begun_at, r.ended_at, \
        r.failure FROM (SELECT $1::text COLLATE \"C\" AS projection) p LEFT JOIN potter_checkpoints c USING (projection) \
        LEFT JOIN potter_rebuilds r USING (projection) GROUP BY r.projection";
    let row = connection.row(sql, &[&Text(projection)]).await?;
    row.map_or_else(
        || Ok(ProjectionRecord::default()),
        |row| {
            Ok(ProjectionRecord {
                paused: row.try_get(0)?,
                rebuilding: row.try_get(1)?,
                epoch: number(&row, 2)?,
                rebuild: rebuild(&row)?,
            })
        },
    )
}

/// The columns from the fourth on; there may be nothing in them.
fn rebuild(row: &Row) -> Result<Option<RebuildRecord>, Error> {
    if row.try_get::<_, Option<i64>>(3)?.is_none() {
        return Ok(None);
    }
    let end = match row.try_get::<_, Option<i64>>(6)? {
        Some(_) => Some(RebuildEnd { at: time(row, 6)?, failure: optional_text(row, 7)? }),
        None => None,
    };
    Ok(Some(RebuildRecord { number: number(row, 3)?, begin: begins_with(row, 4)?, begun_at: time(row, 5)?, end }))
}

pub(crate) async fn set_paused(connection: &Connection, projection: &str, paused: bool) -> Result<(), Error> {
    let sql = "INSERT INTO potter_checkpoints (projection, generation, position, paused) VALUES ($1, 'live', 0, $2) \
        ON CONFLICT (projection, generation) DO UPDATE SET paused = excluded.paused";
    connection.execute(sql, &[&Text(projection), &paused]).await?;
    Ok(())
}

pub(crate) async fn parked(
    connection: &Connection,
    projection: &str,
    generation: Generation,
) -> Result<Vec<ParkedEvent>, Error> {
    let sql = "SELECT position, row_key, event_type, reason, parked_at FROM potter_projection_failures \
        WHERE projection = $1 AND generation = $2 ORDER BY position";
    let rows = connection.query(sql, &[&Text(projection), &named(generation)]).await?;
    let read = |row: &_| {
        Ok(ParkedEvent {
            position: number(row, 0)?,
            key: text(row, 1)?,
            event_type: text(row, 2)?,
            reason: text(row, 3)?,
            parked_at: time(row, 4)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Writes a batch.
///
/// Nearly always it is one statement, and so one round trip. Only when a row takes a value over that another gives up
/// in the same batch, rows are removed first, in a transaction of several statements.
pub(crate) async fn write_batch(connection: &Connection, batch: &ProjectionBatch) -> Result<(), ProjectionError> {
    let moved = match write_at_once(connection, batch).await {
        Err(error) if is_not_unique(&error) => write_in_steps(connection, batch).await?,
        // The table goes with its rebuild.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) && !goes_on(connection, batch).await? => false,
        result => result.map_err(database)?,
    };
    if moved {
        return Ok(());
    }
    let live = batch.generation == Generation::Live;
    let record = projection(connection, batch.projection).await.map_err(database)?;
    if live && record.paused {
        return Err(ProjectionError::Paused);
    }
    if !goes_on(connection, batch).await? {
        return Err(ProjectionError::Ended);
    }
    let actual = checkpoint(connection, batch.projection, batch.generation).await.map_err(database)?;
    Err(ProjectionError::Moved { actual })
}

/// Whether the generation that a batch is of is still there.
async fn goes_on(connection: &Connection, batch: &ProjectionBatch) -> Result<bool, ProjectionError> {
    let record = projection(connection, batch.projection).await.map_err(database)?;
    Ok(batch.generation == Generation::Live || record.goes_on(batch.epoch))
}

fn database(error: Error) -> ProjectionError {
    failure("commit a projection", &error).into()
}

/// Answers whether the checkpoint was the expected one.
async fn write_at_once(connection: &Connection, batch: &ProjectionBatch) -> Result<bool, Error> {
    let mut statement = Statement::moving(batch);
    statement.remove(batch, batch.remove.iter().map(|key| Text(key)).collect());
    let columns = PutColumns::of(batch);
    statement.put(batch, &columns);
    statement.park(batch);
    statement.execute(connection).await
}

async fn write_in_steps(connection: &Connection, batch: &ProjectionBatch) -> Result<bool, ProjectionError> {
    let transaction = Transaction::begin(connection).await.map_err(database)?;
    let mut first = Statement::moving(batch);
    let put = batch.put.iter().map(|change| &change.key);
    first.remove(batch, batch.remove.iter().chain(put).map(|key| Text(key)).collect());
    first.park(batch);
    if !first.execute(&transaction).await.map_err(database)? {
        transaction.roll_back().await.map_err(database)?;
        return Ok(false);
    }
    let columns = PutColumns::of(batch);
    let mut second = Statement::default();
    second.put(batch, &columns);
    match second.execute(&transaction).await {
        Ok(_) => transaction.commit().await.map_err(database)?,
        Err(error) if is_not_unique(&error) => {
            transaction.roll_back().await.map_err(database)?;
            return Err(not_unique(connection, batch, &error).await.map_err(database)?);
        }
        Err(error) => return Err(database(error)),
    }
    Ok(true)
}

/// A statement that is put together of parts, each a subquery of its own (WITH).
#[derive(Default)]
struct Statement<'a> {
    parts: Vec<String>,
    parameters: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
    /// Whether the parts depend on the checkpoint.
    guarded: bool,
}

impl<'a> Statement<'a> {
    /// Begins with the move of the checkpoint; without it, nothing else happens.
    fn moving(batch: &'a ProjectionBatch) -> Self {
        let mut statement = Self { guarded: true, ..Self::default() };
        let projection = statement.add(Text(batch.projection));
        let generation = statement.add(named(batch.generation));
        let checkpoint = statement.add(stored(batch.checkpoint));
        let expected = statement.add(stored(batch.expected_checkpoint));
        let epoch = statement.add(stored(batch.epoch));
        // Looked at under the lock of the row, so that a pause or another epoch is never overlooked.
        let same = format!("known.position = {expected} AND known.epoch = {epoch} AND NOT known.paused");
        let may_be_first = batch.generation == Generation::Live && batch.expected_checkpoint == 0 && batch.epoch == 0;
        statement.parts.push(if may_be_first {
            format!(
                "moved AS (INSERT INTO potter_checkpoints AS known VALUES ({projection}, {generation}, {checkpoint}) \
                 ON CONFLICT (projection, generation) DO UPDATE SET position = excluded.position \
                 WHERE {same} RETURNING 1)"
            )
        } else {
            format!(
                "moved AS (UPDATE potter_checkpoints AS known SET position = {checkpoint} \
                 WHERE projection = {projection} AND generation = {generation} AND {same} RETURNING 1)"
            )
        });
        statement
    }

    /// A parameter; answers with how it is named.
    fn add(&mut self, parameter: impl ToSql + Sync + Send + 'a) -> String {
        self.parameters.push(Box::new(parameter));
        format!("${}", self.parameters.len())
    }

    /// What every part that changes something ends with.
    fn guard(&self) -> &'static str {
        if self.guarded { "EXISTS (SELECT FROM moved)" } else { "true" }
    }

    fn remove(&mut self, batch: &'a ProjectionBatch, keys: Vec<Text<'a>>) {
        if keys.is_empty() {
            return;
        }
        let name = quoted(&table_name(&batch.table, batch.generation));
        let keys = self.add(keys);
        let (key, guard) = (quoted(batch.table.key), self.guard());
        self.parts.push(format!("removed AS (DELETE FROM {name} WHERE {key} = ANY ({keys}) AND {guard})"));
    }

    fn put(&mut self, batch: &'a ProjectionBatch, columns: &PutColumns<'a>) {
        if batch.put.is_empty() {
            return;
        }
        let table = &batch.table;
        let mut sources = vec![format!("unnest({}::text[])", self.add(columns.keys.clone()))];
        for (column, values) in table.columns.iter().zip(&columns.values) {
            sources.push(format!("unnest({}::{}[])", self.add(values.clone()), postgres_type(column.ty)));
        }
        sources.push(format!("unnest({}::bytea[])", self.add(columns.rows.clone())));
        let others = || table.columns.iter().map(|column| column.name).chain([ROW_COLUMN]).map(quoted);
        let changes: Vec<String> = others().map(|column| format!("{column} = excluded.{column}")).collect();
        let (name, key, guard) = (quoted(&table_name(table, batch.generation)), quoted(table.key), self.guard());
        self.parts.push(format!(
            "put AS (INSERT INTO {name} ({key}, {}) SELECT * FROM (SELECT {}) AS changed WHERE {guard} \
             ON CONFLICT ({key}) DO UPDATE SET {})",
            others().collect::<Vec<_>>().join(", "),
            sources.join(", "),
            changes.join(", ")
        ));
    }

    fn park(&mut self, batch: &'a ProjectionBatch) {
        if !batch.park.is_empty() {
            self.park_events(batch);
        }
        if !batch.unpark.is_empty() {
            let projection = self.add(Text(batch.projection));
            let generation = self.add(named(batch.generation));
            let positions = self.add(batch.unpark.iter().map(|position| stored(*position)).collect::<Vec<_>>());
            self.parts.push(format!(
                "unparked AS (DELETE FROM potter_projection_failures WHERE projection = {projection} AND \
                 generation = {generation} AND position = ANY ({positions}) AND {})",
                self.guard()
            ));
        }
    }

    fn park_events(&mut self, batch: &'a ProjectionBatch) {
        let events = || batch.park.iter();
        let columns = [
            self.add(Text(batch.projection)),
            self.add(named(batch.generation)),
            self.add(events().map(|event| stored(event.position)).collect::<Vec<_>>()),
            self.add(events().map(|event| Text(&event.key)).collect::<Vec<_>>()),
            self.add(events().map(|event| Text(&event.event_type)).collect::<Vec<_>>()),
            self.add(events().map(|event| Text(&event.reason)).collect::<Vec<_>>()),
            self.add(events().map(|event| nanoseconds(event.parked_at)).collect::<Vec<_>>()),
        ];
        let [projection, generation, positions, keys, types, reasons, times] = columns;
        self.parts.push(format!(
            "parked AS (INSERT INTO potter_projection_failures SELECT {projection}::text, {generation}::text, * FROM \
             (SELECT unnest({positions}::bigint[]), unnest({keys}::text[]), unnest({types}::text[]), \
             unnest({reasons}::text[]), unnest({times}::bigint[])) AS events WHERE {} \
             ON CONFLICT (projection, generation, position) DO UPDATE SET row_key = excluded.row_key, \
             event_type = excluded.event_type, reason = excluded.reason, parked_at = excluded.parked_at)",
            self.guard()
        ));
    }

    /// Answers whether the checkpoint has moved, if it was to.
    async fn execute(&self, connection: &Connection) -> Result<bool, Error> {
        if self.parts.is_empty() {
            return Ok(true);
        }
        let last = if self.guarded { "SELECT 1 FROM moved" } else { "SELECT 1" };
        let sql = format!("WITH {} {last}", self.parts.join(", "));
        let parameters: Vec<&(dyn ToSql + Sync)> =
            self.parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect();
        Ok(connection.row(&sql, &parameters).await?.is_some())
    }
}

/// The rows to put, column by column.
struct PutColumns<'a> {
    keys: Vec<Text<'a>>,
    values: Vec<Vec<Parameter<'a>>>,
    rows: Vec<&'a [u8]>,
}

impl<'a> PutColumns<'a> {
    fn of(batch: &'a ProjectionBatch) -> Self {
        let column = |place: usize| {
            let values = batch.put.iter().map(move |change| change.values.get(place).unwrap_or(&Value::Null));
            values.map(Parameter).collect()
        };
        Self {
            keys: batch.put.iter().map(|change| Text(&change.key)).collect(),
            values: (0..batch.table.columns.len()).map(column).collect(),
            rows: batch.put.iter().map(|change| change.row.as_ref()).collect(),
        }
    }
}

/// Says which row and which column. The server tells the index, and of the value only a text that may be cut off.
async fn not_unique(connection: &Connection, batch: &ProjectionBatch, error: &Error) -> Result<ProjectionError, Error> {
    let index = error.as_db_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned();
    for (column, place) in batch.table.columns.iter().zip(0..).filter(|(column, _)| column.unique) {
        let values = || batch.put.iter().filter_map(move |change| Some((change, change.values.get(place)?)));
        if let Some(change) = twice(values()) {
            return Ok(refused(change, column));
        }
        let taken = taken(connection, batch, column, &values().map(|(_, value)| value).collect::<Vec<_>>()).await?;
        let culprit = values().zip(taken).find(|(_, taken)| *taken);
        if let Some(((change, _), _)) = culprit {
            return Ok(refused(change, column));
        }
    }
    Ok(ProjectionError::NotUnique { key: String::new(), column: index })
}

fn refused(change: &RowChange, column: &TableColumn) -> ProjectionError {
    ProjectionError::NotUnique { key: change.key.clone(), column: column.name.to_owned() }
}

/// The first row whose value another before it has.
fn twice<'a>(values: impl Iterator<Item = (&'a RowChange, &'a Value)>) -> Option<&'a RowChange> {
    let mut known = HashSet::new();
    let mut values = values.filter(|(_, value)| **value != Value::Null);
    values.find(|(_, value)| !known.insert(format!("{value:?}"))).map(|(change, _)| change)
}

/// Of each value, whether a row has it that the batch leaves alone.
async fn taken(
    connection: &Connection,
    batch: &ProjectionBatch,
    column: &TableColumn,
    values: &[&Value],
) -> Result<Vec<bool>, Error> {
    let name = quoted(&table_name(&batch.table, batch.generation));
    let sql = format!(
        "SELECT EXISTS (SELECT FROM {name} known WHERE known.{} = wanted.value AND known.{} <> ALL ($2)) \
         FROM unnest($1::{}[]) WITH ORDINALITY AS wanted (value, place) ORDER BY place",
        quoted(column.name),
        quoted(batch.table.key),
        postgres_type(column.ty)
    );
    let values: Vec<Parameter<'_>> = values.iter().map(|value| Parameter(value)).collect();
    let put = batch.put.iter().map(|change| &change.key);
    let changed: Vec<Text<'_>> = put.chain(&batch.remove).map(|key| Text(key)).collect();
    let rows = connection.query(&sql, &[&values, &changed]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
