//! How relational stores write what no column type is made for: one form for all of them.

use std::time::SystemTime;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::{CommandOutcome, Generation, Migration};

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
