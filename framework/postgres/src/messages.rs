//! Messages that could not be taken in.

use bytes::Bytes;
use potter_core::store::columns::nanoseconds;
use potter_core::store::{DeadLetter, DeadLetterFilter, StoreError};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::connection::{Connection, failure};
use crate::convert::{Text, bytes, number, text, time};

/// The broker forgets a message once it is kept, so that must be on the disk, other than what a projection writes.
pub(crate) async fn keep(connection: &Connection, letter: &DeadLetter) -> Result<(), Error> {
    let DeadLetter { id, source, key, message_id, reason, parked_at, .. } = letter;
    let sql = "WITH durable AS (SELECT set_config('synchronous_commit', 'on', true)) \
        INSERT INTO potter_dead_letters (id, source, key, message_id, reason, parked_at, message) \
        SELECT $1, $2, $3, $4, $5, $6, $7 FROM durable ON CONFLICT (source, message_id) DO NOTHING";
    let message = letter.encode_message();
    let texts = [source, key, message_id, reason].map(|text| Text(text));
    let time = nanoseconds(*parked_at);
    connection.execute(sql, &[id, &texts[0], &texts[1], &texts[2], &texts[3], &time, &message]).await?;
    Ok(())
}

pub(crate) async fn list(connection: &Connection, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
    let sql = "SELECT id, source, key, message_id, reason, parked_at, message FROM potter_dead_letters \
        WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR key = $2) AND ($3::uuid IS NULL OR id = $3) \
        ORDER BY id LIMIT $4";
    let (source, key) = (filter.source.as_deref().map(Text), filter.key.as_deref().map(Text));
    let limit = filter.limit.map(i64::from);
    let failed = |error: Error| failure("list the dead letters", &error);
    let rows = connection.query(sql, &[&source, &key, &filter.id, &limit]).await.map_err(failed)?;
    let read = |row: &Row| {
        let (letter, message) = read(row).map_err(failed)?;
        letter.with_message(message).map_err(|error| StoreError::new("list the dead letters", error.to_string()))
    };
    rows.iter().map(read).collect()
}

pub(crate) async fn counts(connection: &Connection) -> Result<Vec<(String, u64)>, Error> {
    let sql = "SELECT source, count(*) FROM potter_dead_letters GROUP BY source ORDER BY source";
    connection.query(sql, &[]).await?.iter().map(|row| Ok((text(row, 0)?, number(row, 1)?))).collect()
}

pub(crate) async fn renew(connection: &Connection, letter: &DeadLetter) -> Result<bool, Error> {
    let sql = "UPDATE potter_dead_letters SET reason = $2, message = $3 WHERE id = $1";
    let renewed = connection.execute(sql, &[&letter.id, &Text(&letter.reason), &letter.encode_message()]).await?;
    Ok(renewed > 0)
}

pub(crate) async fn remove(connection: &Connection, id: Uuid) -> Result<bool, Error> {
    let removed = connection.execute("DELETE FROM potter_dead_letters WHERE id = $1", &[&id]).await?;
    Ok(removed > 0)
}

/// A letter without its message, and that.
fn read(row: &Row) -> Result<(DeadLetter, Bytes), Error> {
    let letter = DeadLetter {
        id: row.try_get(0)?,
        source: text(row, 1)?,
        key: text(row, 2)?,
        message_id: text(row, 3)?,
        reason: text(row, 4)?,
        parked_at: time(row, 5)?,
        subject: String::new(),
        headers: Vec::new(),
        payload: Bytes::new(),
        history: Vec::new(),
    };
    Ok((letter, bytes(row, 6)?))
}
