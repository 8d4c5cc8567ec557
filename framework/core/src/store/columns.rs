//! How relational stores write what no column type is made for: one form for all of them.

use std::time::SystemTime;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{CommandOutcome, Generation, Migration, Rebuild, StoreError};
use crate::replay::Replay;

/// [`CommandOutcome::Succeeded`] in `potter_commands.outcome`.
pub const SUCCEEDED: &str = "succeeded";
/// [`CommandOutcome::Failed`] in `potter_commands.outcome`.
pub const FAILED: &str = "failed";

/// `potter_commands.outcome_events`.
#[derive(Clone, PartialEq, Message)]
struct StoredEvents {
    #[prost(message, repeated, tag = "1")]
    events: Vec<StoredEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredEvent {
    /// The stored type name of an event, or the full message name of an error event.
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
}

/// The events of an outcome in one column.
#[must_use]
pub fn encode_events(outcome: &CommandOutcome) -> Vec<u8> {
    let stored = |(name, payload): &(String, Bytes)| StoredEvent { name: name.clone(), payload: payload.clone() };
    let events = match outcome {
        CommandOutcome::Succeeded { events, .. } => events.iter().map(stored).collect(),
        CommandOutcome::Failed { event, .. } => event.iter().map(stored).collect(),
    };
    StoredEvents { events }.encode_to_vec()
}

/// The events that [`encode_events`] wrote: name and payload of each.
///
/// # Errors
/// `bytes` were not written by it.
pub fn decode_events(bytes: &[u8]) -> Result<Vec<(String, Bytes)>, prost::DecodeError> {
    let stored = StoredEvents::decode(bytes)?;
    Ok(stored.events.into_iter().map(|it| (it.name, it.payload)).collect())
}

/// Nanoseconds since 1970; times beyond the years 1677 to 2262 become the nearest of those.
#[must_use]
pub fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |since| -since),
    }
}

/// How a generation is called in the tables.
#[must_use]
pub fn generation(generation: Generation) -> &'static str {
    match generation {
        Generation::Live => "live",
        Generation::Next => "next",
        Generation::Saved => "saved",
    }
}

/// What a rebuild begins with, as JSON: `{"after":5}`, `{"fromSnapshot":true}`, or, for the rows that some events are
/// about, `{"rowsOf":{"aggregate":"Product","id":"7f3a","type":"product.renamed"}}`, of which some may be absent.
#[must_use]
pub fn encode_rebuild(begin: &Rebuild) -> String {
    rebuild(begin).to_string()
}

/// See [`encode_rebuild`].
pub(crate) fn rebuild(begin: &Rebuild) -> Value {
    match begin {
        Rebuild::After(position) => json!({ "after": position }),
        Rebuild::FromSnapshot => json!({ "fromSnapshot": true }),
        Rebuild::RowsOf(events) => {
            let said = events.terms().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
            json!({ "rowsOf": said.collect::<serde_json::Map<_, _>>() })
        }
    }
}

/// What [`encode_rebuild`] wrote.
///
/// # Errors
/// `text` was not written by it.
pub fn decode_rebuild(text: &str) -> Result<Rebuild, StoreError> {
    let unknown = || StoreError::new("read what a rebuild begins with", format!("unknown: `{text}`"));
    let value: Value = serde_json::from_str(text).map_err(|_| unknown())?;
    if let Some(position) = value["after"].as_u64() {
        return Ok(Rebuild::After(position));
    }
    if value["fromSnapshot"] == true {
        return Ok(Rebuild::FromSnapshot);
    }
    let events = value["rowsOf"].as_object().ok_or_else(unknown)?;
    let said = events.iter().map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let events = said.collect::<Option<Vec<_>>>().and_then(|terms| Replay::of_terms(&terms));
    Ok(Rebuild::RowsOf(events.ok_or_else(unknown)?))
}

/// SHA-256 of a migration's text, hexadecimal; a checkout with other line endings is no change.
#[must_use]
pub fn migration_hash(text: &str) -> String {
    let digest = Sha256::digest(text.replace("\r\n", "\n"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells of a migration that was applied and isn't among `known`: an older binary on a newer database may go wrong; it
/// may also be the old half of a rolling update.
pub fn warn_if_unknown(applied: &str, known: &[Migration]) {
    if !known.iter().any(|migration| migration.name == applied) {
        tracing::warn!(migration = applied, "the database has a migration that this service doesn't know");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StreamId;

    #[test]
    fn what_a_rebuild_begins_with_is_read_as_it_was_written() {
        let of_stream = Replay::all().of_stream(StreamId::new("Product", "7-f"));
        for begin in [
            Rebuild::After(7),
            Rebuild::FromSnapshot,
            Rebuild::RowsOf(Replay::all()),
            Rebuild::RowsOf(Replay::all().of_aggregate("Product")),
            Rebuild::RowsOf(of_stream.of_type("product.renamed")),
        ] {
            let text = encode_rebuild(&begin);
            assert_eq!(decode_rebuild(&text).expect("it was written by us"), begin, "{text}");
        }
        for text in ["", "{}", r#"{"rowsOf":{"colour":"red"}}"#, r#"{"rowsOf":{"id":"7"}}"#] {
            assert!(decode_rebuild(text).is_err(), "{text}");
        }
    }
}
