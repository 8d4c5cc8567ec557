//! Claims, accepted commands and snapshots as they are stored.

use std::time::Duration;

use potter_core::event::StreamId;
use potter_core::store::columns::{self, nanoseconds};
use potter_core::store::{
    AcceptedCommand, ClaimKey, CommandOutcome, CommandStatus, Expiry, NODES_LIVE_FOR, RecordedClaim, RecordedReply,
    Snapshot,
};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::connection::Connection;
use crate::convert::{Text, bytes, number, optional_text, stored, text, time};

const COMMAND_COLUMNS: &str = "id, name, aggregate, aggregate_id, request, expected_version, correlation_id, actor, \
    accepted_at, causation_id";

const OUTCOME_COLUMNS: &str =
    "outcome, outcome_version, outcome_code, outcome_message, outcome_retryable, outcome_events";

/// As many records are purged in one transaction, so that no command waits long behind a purge.
const PURGED_AT_ONCE: i64 = 1000;

/// How long the writer of a batch may take to ask for its receipt; it gives up within seconds.
const RECEIPTS_ARE_KEPT: Duration = Duration::from_secs(60 * 60);

pub(crate) async fn find_claim(connection: &Connection, key: &ClaimKey) -> Result<Option<RecordedClaim>, Error> {
    let sql = "SELECT request_hash, reply, aggregate_id, version, command_id FROM potter_idempotency \
        WHERE key = $1 AND caller = $2 AND command = $3";
    let row = connection.row(sql, &[&Text(&key.key), &Text(&key.caller), &Text(key.command)]).await?;
    row.as_ref().map(read_claim).transpose()
}

fn read_claim(row: &Row) -> Result<RecordedClaim, Error> {
    let mut request_hash = [0; 32];
    let hash: &[u8] = row.try_get(0)?;
    // What was written had that length; whatever else is there is no repeat of any request.
    if hash.len() == request_hash.len() {
        request_hash.copy_from_slice(hash);
    }
    let reply = RecordedReply {
        body: bytes(row, 1)?,
        aggregate_id: text(row, 2)?,
        version: number(row, 3)?,
        command_id: row.try_get(4)?,
    };
    Ok(RecordedClaim { request_hash, reply })
}

pub(crate) async fn pending_commands(connection: &Connection) -> Result<Vec<AcceptedCommand>, Error> {
    let sql = format!("SELECT {COMMAND_COLUMNS} FROM potter_commands WHERE outcome IS NULL ORDER BY id");
    connection.query(&sql, &[]).await?.iter().map(read_command).collect()
}

pub(crate) async fn adopt_commands(connection: &Connection, node: Uuid) -> Result<Vec<AcceptedCommand>, Error> {
    let sql = format!(
        "SELECT {COMMAND_COLUMNS} FROM potter_adopt($1, make_interval(secs => {})) ORDER BY id",
        NODES_LIVE_FOR.as_secs_f64()
    );
    connection.query(&sql, &[&node]).await?.iter().map(read_command).collect()
}

pub(crate) async fn command_status(connection: &Connection, id: Uuid) -> Result<Option<CommandStatus>, Error> {
    let sql = format!("SELECT {COMMAND_COLUMNS}, {OUTCOME_COLUMNS} FROM potter_commands WHERE id = $1");
    connection.row(&sql, &[&id]).await?.as_ref().map(read_status).transpose()
}

pub(crate) async fn unannounced_outcomes(connection: &Connection, limit: u32) -> Result<Vec<CommandStatus>, Error> {
    let sql = format!(
        "SELECT {COMMAND_COLUMNS}, {OUTCOME_COLUMNS} FROM potter_commands \
         WHERE outcome IS NOT NULL AND NOT announced ORDER BY id LIMIT $1"
    );
    connection.query(&sql, &[&i64::from(limit)]).await?.iter().map(read_status).collect()
}

pub(crate) async fn mark_announced(connection: &Connection, ids: &[Uuid]) -> Result<(), Error> {
    let sql = "UPDATE potter_commands SET announced = true WHERE id = ANY ($1)";
    connection.execute(sql, &[&ids]).await?;
    Ok(())
}

fn read_status(row: &Row) -> Result<CommandStatus, Error> {
    Ok(CommandStatus { command: read_command(row)?, outcome: read_outcome(row)? })
}

fn read_command(row: &Row) -> Result<AcceptedCommand, Error> {
    Ok(AcceptedCommand {
        id: row.try_get(0)?,
        name: text(row, 1)?,
        aggregate: text(row, 2)?,
        aggregate_id: text(row, 3)?,
        request: bytes(row, 4)?,
        expected_version: row.try_get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        correlation_id: text(row, 6)?,
        actor: optional_text(row, 7)?,
        accepted_at: time(row, 8)?,
        causation_id: optional_text(row, 9)?,
    })
}

/// Whatever isn't a success is a failure; that is all the table can hold.
fn read_outcome(row: &Row) -> Result<Option<CommandOutcome>, Error> {
    let Some(outcome) = optional_text(row, 10)? else { return Ok(None) };
    // Events that cannot be read are as good as none: the outcome itself stands beside them.
    let events = columns::decode_events(row.try_get(15)?).unwrap_or_default();
    Ok(Some(if outcome == columns::SUCCEEDED {
        CommandOutcome::Succeeded { version: number(row, 11)?, events }
    } else {
        CommandOutcome::Failed {
            code: text(row, 12)?,
            message: text(row, 13)?,
            retryable: row.try_get(14)?,
            event: events.into_iter().next(),
        }
    }))
}

pub(crate) async fn load_snapshot(
    connection: &Connection,
    stream: &StreamId,
    schema: &str,
) -> Result<Option<Snapshot>, Error> {
    let sql = "SELECT version, ended, state FROM potter_snapshots \
        WHERE aggregate_id = $1 AND aggregate = $2 AND schema = $3";
    let row = connection.row(sql, &[&Text(stream.id()), &Text(stream.aggregate()), &Text(schema)]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Snapshot {
        stream: stream.clone(),
        schema: schema.to_owned(),
        version: number(&row, 0)?,
        ended: row.try_get(1)?,
        state: bytes(&row, 2)?,
    }))
}

pub(crate) async fn save_snapshot(connection: &Connection, snapshot: &Snapshot) -> Result<(), Error> {
    let sql = "INSERT INTO potter_snapshots AS known (aggregate, aggregate_id, schema, version, ended, state) \
        VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (aggregate_id, aggregate) DO UPDATE SET schema = excluded.schema, version = excluded.version, \
        ended = excluded.ended, state = excluded.state \
        WHERE excluded.schema <> known.schema OR excluded.version > known.version";
    let Snapshot { stream, schema, version, ended, state } = snapshot;
    let state: &[u8] = state;
    connection
        .execute(sql, &[&Text(stream.aggregate()), &Text(stream.id()), &Text(schema), &stored(*version), ended, &state])
        .await?;
    Ok(())
}

/// Removes some of what is old enough; answers how many records, not counting receipts.
pub(crate) async fn purge(connection: &Connection, expiry: Expiry) -> Result<u64, Error> {
    let claims = "DELETE FROM potter_idempotency WHERE ctid = ANY (ARRAY( \
        SELECT ctid FROM potter_idempotency WHERE subscription IS NULL AND claimed_at < $1 LIMIT $2))";
    let claims = connection.execute(claims, &[&nanoseconds(expiry.claims_before), &PURGED_AT_ONCE]).await?
        + purge_processed(connection, expiry).await?;
    let commands = purge_commands(connection, expiry).await?;
    let letters = "DELETE FROM potter_dead_letters WHERE ctid = ANY (ARRAY( \
        SELECT ctid FROM potter_dead_letters WHERE parked_at < $1 LIMIT $2))";
    let letters = connection.execute(letters, &[&nanoseconds(expiry.dead_letters_before), &PURGED_AT_ONCE]).await?;
    let receipts = "DELETE FROM potter_receipts WHERE ctid = ANY (ARRAY( \
        SELECT ctid FROM potter_receipts WHERE written_at < now() - make_interval(secs => $1) LIMIT $2))";
    connection.execute(receipts, &[&RECEIPTS_ARE_KEPT.as_secs_f64(), &(100 * PURGED_AT_ONCE)]).await?;
    Ok(claims + commands + letters)
}

/// Claims of processed events of whose stream no dead letter waits; how far the streams are is noted instead.
///
/// That note must not be lost to a crash of the server which the removal survives: they share a transaction.
async fn purge_processed(connection: &Connection, expiry: Expiry) -> Result<u64, Error> {
    let sql = "WITH old AS (DELETE FROM potter_idempotency WHERE ctid = ANY (ARRAY( \
            SELECT ctid FROM potter_idempotency i WHERE subscription IS NOT NULL AND claimed_at < $1 \
            AND NOT EXISTS (SELECT FROM potter_dead_letters l \
                            WHERE l.source = i.subscription AND l.key = i.source_stream) LIMIT $2)) \
            RETURNING subscription, source_stream, source_version), \
        noted AS (INSERT INTO potter_processed_events AS known (subscription, stream, version) \
            SELECT subscription, source_stream, max(source_version) FROM old GROUP BY subscription, source_stream \
            ON CONFLICT (subscription, stream) DO UPDATE SET version = greatest(known.version, excluded.version)) \
        SELECT count(*) FROM old";
    let row = connection.row(sql, &[&nanoseconds(expiry.processed_before), &PURGED_AT_ONCE]).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

/// See [`potter_core::store::Store::processed_up_to`].
pub(crate) async fn processed_up_to(connection: &Connection, subscription: &str, stream: &str) -> Result<u64, Error> {
    let sql = "SELECT version FROM potter_processed_events WHERE subscription = $1 AND stream = $2";
    let row = connection.row(sql, &[&Text(subscription), &Text(stream)]).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

async fn purge_commands(connection: &Connection, expiry: Expiry) -> Result<u64, Error> {
    let sql = "DELETE FROM potter_commands WHERE ctid = ANY (ARRAY( \
        SELECT ctid FROM potter_commands WHERE settled_at < $1 LIMIT $2))";
    connection.execute(sql, &[&nanoseconds(expiry.commands_before), &PURGED_AT_ONCE]).await
}
