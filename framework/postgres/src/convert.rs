//! Between Rust's values and PostgreSQL's.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use potter_core::event::{EventMetadata, RecordedEvent};
use potter_core::read_model::Value;
use potter_core::store::Rebuild;
use potter_core::store::columns::decode_rebuild;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// What a conversion fails with.
pub(crate) type Failure = Box<dyn StdError + Sync + Send>;

/// The columns that [`recorded_event`] reads, in its order.
pub(crate) const EVENT_COLUMNS: &str = "position, aggregate, aggregate_id, version, id, type, schema_version, \
    payload, correlation_id, causation_id, actor, recorded_at";

/// Reads a row of [`EVENT_COLUMNS`].
pub(crate) fn recorded_event(row: &Row) -> Result<RecordedEvent, tokio_postgres::Error> {
    Ok(RecordedEvent {
        position: number(row, 0)?,
        aggregate: text(row, 1)?,
        aggregate_id: text(row, 2)?,
        version: number(row, 3)?,
        id: row.try_get(4)?,
        event_type: text(row, 5)?,
        schema_version: row.try_get::<_, i32>(6)?.cast_unsigned(),
        payload: bytes(row, 7)?,
        metadata: EventMetadata {
            correlation_id: text(row, 8)?,
            causation_id: text(row, 9)?,
            actor: optional_text(row, 10)?,
        },
        recorded_at: time(row, 11)?,
    })
}

/// Reads a position, version or count.
pub(crate) fn number(row: &Row, column: usize) -> Result<u64, tokio_postgres::Error> {
    Ok(row.try_get::<_, i64>(column)?.cast_unsigned())
}

/// A position or version as a parameter; beyond the largest that can be stored, that one.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads bytes.
pub(crate) fn bytes(row: &Row, column: usize) -> Result<Bytes, tokio_postgres::Error> {
    Ok(Bytes::copy_from_slice(row.try_get(column)?))
}

/// Reads a text.
pub(crate) fn text(row: &Row, column: usize) -> Result<String, tokio_postgres::Error> {
    Ok(row.try_get::<_, Unescaped>(column)?.0)
}

/// Reads a text that may be absent.
pub(crate) fn optional_text(row: &Row, column: usize) -> Result<Option<String>, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<Unescaped>>(column)?.map(|text| text.0))
}

/// Reads a time.
pub(crate) fn time(row: &Row, column: usize) -> Result<SystemTime, tokio_postgres::Error> {
    let nanoseconds: i64 = row.try_get(column)?;
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time = if nanoseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    // 292 years around 1970 are times on every system that there is.
    Ok(time.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Reads what a rebuild begins with.
pub(crate) fn begins_with(row: &Row, column: usize) -> Result<Rebuild, tokio_postgres::Error> {
    Ok(row.try_get::<_, BeginsWith>(column)?.0)
}

struct BeginsWith(Rebuild);

impl<'a> FromSql<'a> for BeginsWith {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(decode_rebuild(&Unescaped::from_sql(ty, raw)?.0)?))
    }

    fn accepts(ty: &Type) -> bool {
        <Unescaped as FromSql>::accepts(ty)
    }
}

/// A text as a parameter, written so that PostgreSQL can hold it; see `schema.sql`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        escaped(self.0).as_ref().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&str as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

/// A text as it was before it was stored.
struct Unescaped(String);

impl<'a> FromSql<'a> for Unescaped {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(unescaped(<&str>::from_sql(ty, raw)?)))
    }

    fn accepts(ty: &Type) -> bool {
        <&str as FromSql>::accepts(ty)
    }
}

const ESCAPE: char = '\u{1}';

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, '\u{2}']),
            ESCAPE => escaped.extend([ESCAPE, '\u{3}']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

fn unescaped(text: &str) -> String {
    if !text.contains(ESCAPE) {
        return text.to_owned();
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        unescaped.push(match (character, if character == ESCAPE { characters.next() } else { None }) {
            (ESCAPE, Some('\u{2}')) => '\0',
            (character, _) => character,
        });
    }
    unescaped
}

/// A value of a read model's column as a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter<'a>(pub(crate) &'a Value);

impl ToSql for Parameter<'_> {
    /// A number fits every kind of number, as it does in the other stores; "not a number" is as good as absent.
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Real(number), _) if number.is_nan() => Ok(IsNull::Yes),
            (Value::Bool(yes), &Type::BOOL) => yes.to_sql(ty, out),
            (Value::Bool(yes), &Type::INT8) => i64::from(*yes).to_sql(ty, out),
            (Value::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (Value::Integer(number), &Type::FLOAT8) => (*number as f64).to_sql(ty, out),
            (Value::Integer(number), &Type::BOOL) => (*number != 0).to_sql(ty, out),
            (Value::Real(number), &Type::FLOAT8) => number.to_sql(ty, out),
            (Value::Text(text), &Type::TEXT) => Text(text).to_sql(ty, out),
            (Value::Bytes(bytes), &Type::BYTEA) => bytes.as_slice().to_sql(ty, out),
            (value, ty) => Err(format!("{value:?} is no value for a column of type {ty}").into()),
        }
    }

    accepts!(BOOL, INT8, FLOAT8, TEXT, BYTEA);

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use potter_core::store::columns::nanoseconds;

    use super::*;

    const TEXTS: [&str; 9] = ["", "\0", "\0\0", "\0a", "\u{1}", "\u{1}\u{2}", "\u{2}", "a", "a\0"];

    #[test]
    fn texts_come_back_as_they_were() {
        for text in TEXTS {
            let stored = escaped(text);
            assert!(!stored.contains('\0'), "{text:?}");
            assert_eq!(unescaped(&stored), text);
        }
    }

    #[test]
    fn the_order_of_texts_stays() {
        for a in TEXTS {
            for b in TEXTS {
                assert_eq!(escaped(a).cmp(&escaped(b)), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }

    /// But for a part that begins with one of the two control characters that stand behind an escape.
    #[test]
    fn a_text_contains_what_it_contained() {
        for text in TEXTS {
            for part in TEXTS.into_iter().filter(|part| !part.starts_with(['\u{2}', '\u{3}'])) {
                assert_eq!(escaped(text).contains(&*escaped(part)), text.contains(part), "{text:?} {part:?}");
            }
        }
    }

    #[test]
    fn times_come_back_as_they_were() {
        let time = SystemTime::UNIX_EPOCH - Duration::from_nanos(1_500_000_001);
        assert_eq!(nanoseconds(time), -1_500_000_001);
        assert_eq!(nanoseconds(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX / 4)), i64::MAX);
    }
}
