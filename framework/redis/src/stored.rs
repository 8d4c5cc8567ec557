//! How rows and parked events are written.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use potter_core::read_model::Value;
use potter_core::store::columns::{self, nanoseconds};
use potter_core::store::{ParkedEvent, RebuildEnd, RebuildRecord, RowChange, StoreError};
use prost::{DecodeError, Message, Oneof};

/// The fields of a projection's hash that [`decode_rebuild`] reads, in its order.
pub(crate) const REBUILD_FIELDS: [&str; 5] =
    ["rebuild:number", "rebuild:begins_with", "rebuild:begun_at", "rebuild:ended_at", "rebuild:failure"];

/// The values of [`REBUILD_FIELDS`].
pub(crate) type StoredRebuild = (Option<u64>, Option<String>, Option<i64>, Option<i64>, Option<String>);

/// The last rebuild; `None` if there was none.
pub(crate) fn decode_rebuild(stored: StoredRebuild) -> Result<Option<RebuildRecord>, StoreError> {
    let (Some(number), Some(begins_with), Some(begun_at), ended_at, failure) = stored else { return Ok(None) };
    let begin = columns::decode_rebuild(&begins_with)?;
    let end = ended_at.map(|at| RebuildEnd { at: time(at), failure });
    Ok(Some(RebuildRecord { number, begin, begun_at: time(begun_at), end }))
}

/// A row: what conditions and orders look at, and the whole.
#[derive(Clone, PartialEq, Message)]
struct StoredRow {
    #[prost(message, repeated, tag = "1")]
    values: Vec<StoredValue>,
    #[prost(bytes = "bytes", tag = "2")]
    row: Bytes,
    #[prost(string, tag = "3")]
    key: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredValue {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(sint64, tag = "2")]
    Integer(i64),
    #[prost(double, tag = "3")]
    Real(f64),
    #[prost(string, tag = "4")]
    Text(String),
    #[prost(bytes = "vec", tag = "5")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct StoredParkedEvent {
    #[prost(uint64, tag = "1")]
    position: u64,
    #[prost(string, tag = "2")]
    key: String,
    #[prost(string, tag = "3")]
    event_type: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(sint64, tag = "5")]
    parked_at: i64,
}

pub(crate) fn encode_row(change: &RowChange) -> Vec<u8> {
    let value = |value: &Value| StoredValue {
        kind: match value {
            Value::Null => None,
            Value::Bool(yes) => Some(Kind::Bool(*yes)),
            Value::Integer(number) => Some(Kind::Integer(*number)),
            Value::Real(number) => Some(Kind::Real(*number)),
            Value::Text(text) => Some(Kind::Text(text.clone())),
            Value::Bytes(bytes) => Some(Kind::Bytes(bytes.clone())),
        },
    };
    let RowChange { key, values, row } = change;
    StoredRow { values: values.iter().map(value).collect(), row: row.clone(), key: key.clone() }.encode_to_vec()
}

pub(crate) fn decode_row(bytes: Bytes) -> Result<RowChange, DecodeError> {
    let StoredRow { values, row, key } = StoredRow::decode(bytes)?;
    let value = |value: StoredValue| match value.kind {
        None => Value::Null,
        Some(Kind::Bool(yes)) => Value::Bool(yes),
        Some(Kind::Integer(number)) => Value::Integer(number),
        Some(Kind::Real(number)) => Value::Real(number),
        Some(Kind::Text(text)) => Value::Text(text),
        Some(Kind::Bytes(bytes)) => Value::Bytes(bytes),
    };
    Ok(RowChange { key, values: values.into_iter().map(value).collect(), row })
}

pub(crate) fn encode_parked(event: &ParkedEvent) -> Vec<u8> {
    let ParkedEvent { position, key, event_type, reason, parked_at } = event.clone();
    StoredParkedEvent { position, key, event_type, reason, parked_at: nanoseconds(parked_at) }.encode_to_vec()
}

pub(crate) fn decode_parked(bytes: &[u8]) -> Result<ParkedEvent, DecodeError> {
    let StoredParkedEvent { position, key, event_type, reason, parked_at } = StoredParkedEvent::decode(bytes)?;
    Ok(ParkedEvent { position, key, event_type, reason, parked_at: time(parked_at) })
}

fn time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}
