//! Between Rust's values and SQLite's.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use potter_core::event::{EventMetadata, RecordedEvent};
use potter_core::read_model::Value;
use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Error, Row, ToSql};
use uuid::Uuid;

/// The columns that [`recorded_event`] reads, in its order.
pub(crate) const EVENT_COLUMNS: &str = "position, aggregate, aggregate_id, version, id, type, schema_version, \
    payload, correlation_id, causation_id, actor, recorded_at";

/// Reads a row of [`EVENT_COLUMNS`].
pub(crate) fn recorded_event(row: &Row<'_>) -> rusqlite::Result<RecordedEvent> {
    Ok(RecordedEvent {
        position: row.get(0)?,
        aggregate: row.get(1)?,
        aggregate_id: row.get(2)?,
        version: row.get(3)?,
        id: uuid(row, 4)?,
        event_type: row.get(5)?,
        schema_version: row.get(6)?,
        payload: bytes(row, 7)?,
        metadata: EventMetadata { correlation_id: row.get(8)?, causation_id: row.get(9)?, actor: row.get(10)? },
        recorded_at: time(row, 11)?,
    })
}

/// Reads a blob.
pub(crate) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

/// Reads an id.
pub(crate) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Uuid::from_slice(row.get_ref(column)?.as_blob()?).map_err(|error| unreadable(column, Type::Blob, error))
}

/// Reads a time.
pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<SystemTime> {
    let nanoseconds: i64 = row.get(column)?;
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time = if nanoseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.ok_or_else(|| unreadable(column, Type::Integer, "no such time"))
}

/// A stored value that isn't what the column promises.
pub(crate) fn unreadable(
    column: usize,
    ty: Type,
    reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(column, ty, reason.into())
}

/// Whether a row was refused by a unique index.
pub(crate) fn is_not_unique(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_UNIQUE)
}

/// A value as a parameter.
pub(crate) struct Parameter<'a>(pub(crate) &'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(yes) => ValueRef::Integer(i64::from(*yes)),
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
