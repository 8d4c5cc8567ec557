//! What is recorded.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use prost_types::Timestamp;
use uuid::Uuid;

/// Name of a stream: `<aggregate>-<id>`.
///
/// It knows where the one ends and the other begins, so that a hyphen in either confuses nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    name: String,
    aggregate_length: usize,
}

impl StreamId {
    /// The stream of an aggregate.
    #[must_use]
    pub fn new(aggregate: &str, id: &str) -> Self {
        Self { name: format!("{aggregate}-{id}"), aggregate_length: aggregate.len() }
    }

    /// The name, as it is shown to people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Kind of the aggregate.
    #[must_use]
    pub fn aggregate(&self) -> &str {
        &self.name[..self.aggregate_length]
    }

    /// Identity of the aggregate within its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.name[self.aggregate_length + 1..]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// An event about to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// UUIDv7; consumers deduplicate by it.
    pub id: Uuid,
    /// The stored type name.
    pub event_type: &'static str,
    /// Schema version of the payload.
    pub schema_version: u32,
    /// Protobuf bytes.
    pub payload: Bytes,
}

/// Where events come from; the same for all events of one command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventMetadata {
    /// Ties together everything that follows from one request.
    pub correlation_id: String,
    /// What directly caused it: the event or command that the command was sent because of, if that was said; else the
    /// command's own id.
    pub causation_id: String,
    /// Who.
    pub actor: Option<String>,
}

/// An event as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// Place in the whole log: from 1, gap-free, in commit order.
    pub position: u64,
    /// `Product`
    pub aggregate: String,
    /// Identity of the aggregate within its kind.
    pub aggregate_id: String,
    /// Place in its stream, from 1.
    pub version: u64,
    /// See [`NewEvent::id`].
    pub id: Uuid,
    /// The stored type name.
    pub event_type: String,
    /// Schema version of the payload.
    pub schema_version: u32,
    /// Protobuf bytes.
    pub payload: Bytes,
    /// Where it comes from.
    pub metadata: EventMetadata,
    /// When it was recorded.
    pub recorded_at: SystemTime,
}

impl RecordedEvent {
    /// When it was recorded, as a protobuf timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.recorded_at.into()
    }
}
