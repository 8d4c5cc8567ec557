//! Messages that could not be taken in.

use bytes::Bytes;
use potter_core::store::columns::nanoseconds;
use potter_core::store::{DeadLetter, DeadLetterFilter};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::convert::{bytes, time, unreadable, uuid};

pub(crate) fn keep(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let DeadLetter { id, source, key, message_id, reason, parked_at, .. } = letter;
    let mut statement = connection.prepare_cached(
        "INSERT INTO potter_dead_letters (id, source, key, message_id, reason, parked_at, message) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (source, message_id) DO NOTHING",
    )?;
    let message = letter.encode_message();
    statement.execute(params![id.as_bytes(), source, key, message_id, reason, nanoseconds(*parked_at), message])?;
    Ok(())
}

pub(crate) fn list(connection: &Connection, filter: &DeadLetterFilter) -> rusqlite::Result<Vec<DeadLetter>> {
    // Conditions that don't hold back an index: whoever takes in messages asks for each whether something is parked.
    let source = filter.source.as_ref().map_or("", |_| "AND source = ?1");
    let key = filter.key.as_ref().map_or("", |_| "AND key = ?2");
    let only = filter.id.map_or("", |_| "AND id = ?3");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, source, key, message_id, reason, parked_at, message FROM potter_dead_letters \
         WHERE TRUE {source} {key} {only} ORDER BY id LIMIT ?4"
    ))?;
    let id = filter.id.as_ref().map(Uuid::as_bytes);
    // A negative limit is none.
    let limit = filter.limit.map_or(-1, i64::from);
    statement.query_map(params![filter.source, filter.key, id, limit], read)?.collect()
}

pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection
        .prepare_cached("SELECT source, count(*) FROM potter_dead_letters GROUP BY source ORDER BY source")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(crate) fn renew(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<bool> {
    let DeadLetter { id, reason, .. } = letter;
    let sql = "UPDATE potter_dead_letters SET reason = ?2, message = ?3 WHERE id = ?1";
    let renewed = connection.execute(sql, params![id.as_bytes(), reason, letter.encode_message()])?;
    Ok(renewed > 0)
}

pub(crate) fn remove(connection: &Connection, id: Uuid) -> rusqlite::Result<bool> {
    let removed = connection.execute("DELETE FROM potter_dead_letters WHERE id = ?1", [id.as_bytes()])?;
    Ok(removed > 0)
}

fn read(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let letter = DeadLetter {
        id: uuid(row, 0)?,
        source: row.get(1)?,
        key: row.get(2)?,
        message_id: row.get(3)?,
        reason: row.get(4)?,
        parked_at: time(row, 5)?,
        subject: String::new(),
        headers: Vec::new(),
        payload: Bytes::new(),
        history: Vec::new(),
    };
    letter.with_message(bytes(row, 6)?).map_err(|error| unreadable(6, Type::Blob, error))
}
