//! Claims, accepted commands and snapshots as they are stored.

use potter_core::event::StreamId;
use potter_core::store::columns::{self, nanoseconds};
use potter_core::store::{
    AcceptedCommand, ClaimKey, CommandOutcome, CommandStatus, Expiry, RecordedClaim, RecordedReply, Snapshot,
};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::convert::{bytes, time, unreadable, uuid};

/// Finds what [`read_claim`] reads.
pub(crate) const FIND_CLAIM: &str = "SELECT request_hash, reply, aggregate_id, version, command_id \
    FROM potter_idempotency WHERE command = ?1 AND caller = ?2 AND key = ?3";

const COMMAND_COLUMNS: &str = "id, name, aggregate, aggregate_id, request, expected_version, correlation_id, actor, \
    accepted_at, causation_id";

const OUTCOME_COLUMNS: &str =
    "outcome, outcome_version, outcome_code, outcome_message, outcome_retryable, outcome_events";

/// As many records are purged in one transaction, so that no command waits long behind a purge.
const PURGED_AT_ONCE: u32 = 500;

/// Reads a row of [`FIND_CLAIM`].
pub(crate) fn read_claim(row: &Row<'_>) -> rusqlite::Result<RecordedClaim> {
    let command_id = match row.get_ref(4)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(uuid(row, 4)?),
    };
    let reply = RecordedReply { body: bytes(row, 1)?, aggregate_id: row.get(2)?, version: row.get(3)?, command_id };
    Ok(RecordedClaim { request_hash: row.get(0)?, reply })
}

pub(crate) fn find_claim(connection: &Connection, key: &ClaimKey) -> rusqlite::Result<Option<RecordedClaim>> {
    let mut statement = connection.prepare_cached(FIND_CLAIM)?;
    statement.query_row(params![key.command, key.caller, key.key], read_claim).optional()
}

pub(crate) fn pending_commands(connection: &Connection) -> rusqlite::Result<Vec<AcceptedCommand>> {
    let mut statement = connection
        .prepare(&format!("SELECT {COMMAND_COLUMNS} FROM potter_commands WHERE outcome IS NULL ORDER BY id"))?;
    statement.query_map([], read_command)?.collect()
}

pub(crate) fn command_status(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<CommandStatus>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COMMAND_COLUMNS}, {OUTCOME_COLUMNS} FROM potter_commands WHERE id = ?1"))?;
    statement.query_row([id.as_bytes()], read_status).optional()
}

pub(crate) fn unannounced_outcomes(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<CommandStatus>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COMMAND_COLUMNS}, {OUTCOME_COLUMNS} FROM potter_commands \
         WHERE outcome IS NOT NULL AND announced = 0 ORDER BY id LIMIT ?1"
    ))?;
    statement.query_map([limit], read_status)?.collect()
}

pub(crate) fn mark_announced(connection: &Connection, ids: &[Uuid]) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached("UPDATE potter_commands SET announced = 1 WHERE id = ?1")?;
    for id in ids {
        statement.execute([id.as_bytes()])?;
    }
    drop(statement);
    transaction.commit()
}

fn read_status(row: &Row<'_>) -> rusqlite::Result<CommandStatus> {
    Ok(CommandStatus { command: read_command(row)?, outcome: read_outcome(row)? })
}

fn read_command(row: &Row<'_>) -> rusqlite::Result<AcceptedCommand> {
    Ok(AcceptedCommand {
        id: uuid(row, 0)?,
        name: row.get(1)?,
        aggregate: row.get(2)?,
        aggregate_id: row.get(3)?,
        request: bytes(row, 4)?,
        expected_version: row.get(5)?,
        correlation_id: row.get(6)?,
        actor: row.get(7)?,
        accepted_at: time(row, 8)?,
        causation_id: row.get(9)?,
    })
}

fn read_outcome(row: &Row<'_>) -> rusqlite::Result<Option<CommandOutcome>> {
    let Some(outcome) = row.get::<_, Option<String>>(10)? else { return Ok(None) };
    let events =
        columns::decode_events(row.get_ref(15)?.as_blob()?).map_err(|error| unreadable(15, Type::Blob, error))?;
    Ok(Some(match outcome.as_str() {
        columns::SUCCEEDED => CommandOutcome::Succeeded { version: row.get(11)?, events },
        columns::FAILED => CommandOutcome::Failed {
            code: row.get(12)?,
            message: row.get(13)?,
            retryable: row.get(14)?,
            event: events.into_iter().next(),
        },
        other => return Err(unreadable(10, Type::Text, format!("no such outcome: `{other}`"))),
    }))
}

/// A snapshot that cannot be read is a miss.
pub(crate) fn load_snapshot(
    connection: &Connection,
    stream: StreamId,
    schema: &str,
) -> rusqlite::Result<Option<Snapshot>> {
    let mut statement = connection.prepare_cached(
        "SELECT version, ended, state FROM potter_snapshots \
         WHERE aggregate = ?1 AND aggregate_id = ?2 AND schema = ?3",
    )?;
    let mut rows = statement.query(params![stream.aggregate(), stream.id(), schema])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (Ok(version), Ok(ended), Ok(state)) = (row.get(0), row.get(1), bytes(row, 2)) else { return Ok(None) };
    Ok(Some(Snapshot { stream, schema: schema.to_owned(), version, ended, state }))
}

/// Removes some of what is old enough; answers how many records.
pub(crate) fn purge(connection: &Connection, expiry: Expiry) -> rusqlite::Result<u64> {
    let claims = purge_claims(connection, nanoseconds(expiry.claims_before))?
        + purge_processed(connection, nanoseconds(expiry.processed_before))?;
    let commands = purge_commands(connection, expiry)?;
    let letters = connection.execute(
        "DELETE FROM potter_dead_letters WHERE rowid IN (SELECT rowid FROM potter_dead_letters \
         WHERE parked_at < ?1 LIMIT ?2)",
        params![nanoseconds(expiry.dead_letters_before), PURGED_AT_ONCE],
    )?;
    Ok((claims + commands + letters) as u64)
}

/// The oldest claims have the lowest numbers: the first that is young enough ends the search.
fn purge_claims(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    let Some(last) = last_claim(connection, "subscription IS NULL", before)? else { return Ok(0) };
    connection.execute("DELETE FROM potter_idempotency WHERE subscription IS NULL AND number <= ?1", [last])
}

/// The number of the last claim that is old enough, among the oldest.
fn last_claim(connection: &Connection, of_kind: &str, before: i64) -> rusqlite::Result<Option<i64>> {
    let mut oldest = connection.prepare_cached(&format!(
        "SELECT number, claimed_at FROM potter_idempotency WHERE {of_kind} ORDER BY number LIMIT ?1"
    ))?;
    let mut last = None;
    let mut rows = oldest.query([PURGED_AT_ONCE])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= before {
            break;
        }
        last = Some(row.get::<_, i64>(0)?);
    }
    Ok(last)
}

/// Claims of processed events of whose stream no dead letter waits; how far the streams are is noted instead.
const LONG_PROCESSED: &str = "subscription IS NOT NULL AND NOT EXISTS (SELECT 1 FROM potter_dead_letters l \
    WHERE l.source = subscription AND l.key = source_stream)";

fn purge_processed(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    let Some(last) = last_claim(connection, LONG_PROCESSED, before)? else { return Ok(0) };
    connection.execute(
        &format!(
            "INSERT INTO potter_processed_events \
             SELECT subscription, source_stream, max(source_version) FROM potter_idempotency \
             WHERE {LONG_PROCESSED} AND number <= ?1 GROUP BY subscription, source_stream \
             ON CONFLICT (subscription, stream) DO UPDATE SET version = max(version, excluded.version)"
        ),
        [last],
    )?;
    connection.execute(&format!("DELETE FROM potter_idempotency WHERE {LONG_PROCESSED} AND number <= ?1"), [last])
}

/// See [`potter_core::store::Store::processed_up_to`].
pub(crate) fn processed_up_to(connection: &Connection, subscription: &str, stream: &str) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached("SELECT version FROM potter_processed_events WHERE subscription = ?1 AND stream = ?2")?;
    Ok(statement.query_row([subscription, stream], |row| row.get(0)).optional()?.unwrap_or_default())
}

fn purge_commands(connection: &Connection, expiry: Expiry) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM potter_commands WHERE rowid IN (SELECT rowid FROM potter_commands WHERE settled_at < ?1 LIMIT ?2)",
        params![nanoseconds(expiry.commands_before), PURGED_AT_ONCE],
    )
}
