//! What rules are written with: pure, synchronous, no clock, no randomness, no I/O.

use std::time::SystemTime;

use prost_types::Timestamp;
use uuid::Uuid;

/// What a rule may know beside its aggregate and its command: who, when, which id.
///
/// Everything that isn't determined by state and command comes from here, so that a rule gives the same answer
/// whenever it is asked again, as happens after a version conflict.
#[derive(Clone, Debug)]
pub struct Context {
    /// Identity of the aggregate that the command is sent to; already assigned when the command creates it.
    pub aggregate_id: String,
    /// Version of the aggregate's stream: the number of events recorded so far.
    pub version: u64,
    /// When the command was accepted.
    pub time: SystemTime,
    /// Who sent it, as the transport's authentication says.
    pub actor: Option<String>,
    /// Identity of this execution; ids made by [`Context::new_id`] derive from it.
    pub command_id: Uuid,
    /// Ties together everything that follows from one request.
    pub correlation_id: String,
}

/// State that is folded from events, and the glue that the runtime needs around it.
///
/// Generated for each aggregate; the rules are in the decider trait beside it.
pub trait Aggregate: prost::Message + Default + Clone + PartialEq + 'static {
    /// Prefix of its streams; stable, never derived from the Rust name.
    const NAME: &'static str;
    /// A snapshot is taken after that many events; 0: never.
    const SNAPSHOT_EVERY: u32;
    /// Changes whenever the shape of the state does; a snapshot of another shape is a miss.
    const SCHEMA: &'static str;
    /// What is recorded.
    type Event: DomainEvent;

    /// The state before the first event.
    fn with_id(id: &str) -> Self;

    /// Takes in one event; cannot fail, because it has happened.
    fn apply(&mut self, event: Self::Event);

    /// Whether the event ends the aggregate's life: afterwards it is as if it didn't exist.
    fn ends(event: &Self::Event) -> bool;
}

/// All events of one aggregate: a generated enum.
pub trait DomainEvent: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// The stored type name.
    fn event_type(&self) -> &'static str;

    /// The schema version of the payload.
    fn version(&self) -> u32;

    /// The payload: protobuf bytes.
    fn encode(&self) -> Vec<u8>;

    /// Reads what was recorded.
    ///
    /// # Errors
    /// The type or version is not one of this aggregate's, or the payload isn't a message of that type.
    fn decode(event_type: &str, version: u32, payload: &[u8]) -> Result<Self, UnreadableEvent>;
}

/// A recorded event that the service cannot read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read event `{event_type}` version {version}: {reason}")]
pub struct UnreadableEvent {
    /// The stored type name.
    pub event_type: String,
    /// The stored schema version.
    pub version: u32,
    /// Why not.
    pub reason: String,
}

/// Why a rule refuses a command: a generated enum of the aggregate's error events.
pub trait DomainError: std::error::Error + Send + Sync + 'static {
    /// What every transport tells the caller.
    fn refusal(&self) -> Refusal;
}

/// A refused command, as told to the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Stable code: `OUT_OF_STOCK`; [`crate::failure::codes::UNIMPLEMENTED`] for a rule that nobody has written yet.
    pub code: &'static str,
    /// Whether trying again may help.
    pub retryable: bool,
    /// The error event's full name and protobuf bytes.
    pub event: Option<(&'static str, Vec<u8>)>,
}

impl Context {
    /// The time as a protobuf timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.time.into()
    }
}
