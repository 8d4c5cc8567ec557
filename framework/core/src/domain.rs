//! What rules are written with: pure, synchronous, no clock, no randomness, no I/O.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use potter_validate::Pattern;
use prost_types::{FieldMask, Timestamp};
use uuid::Uuid;

/// What a rule may know beside its aggregate and its command: who, when, which id.
///
/// Everything that isn't determined by state and command comes from here, so that a rule gives the same answer
/// whenever it is asked again, as happens after a version conflict.
#[derive(Debug)]
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
    /// How many ids [`Context::new_id`] has made.
    ids: AtomicU32,
}

/// A clone makes the same ids again.
impl Clone for Context {
    fn clone(&self) -> Self {
        Self {
            aggregate_id: self.aggregate_id.clone(),
            version: self.version,
            time: self.time,
            actor: self.actor.clone(),
            command_id: self.command_id,
            correlation_id: self.correlation_id.clone(),
            ids: AtomicU32::new(0),
        }
    }
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

/// Whether an update concerns a field of the aggregate: without a mask it concerns all, as with an empty one.
///
/// ```
/// # use potter_core::{domain::masked, prost_types::FieldMask};
/// let mask = Some(FieldMask { paths: vec!["price".to_owned()] });
/// assert!(masked(&mask, "price"));
/// assert!(!masked(&mask, "name"));
/// assert!(masked(&None, "name"));
/// ```
#[must_use]
pub fn masked(mask: &Option<FieldMask>, field: &str) -> bool {
    let paths = mask.as_ref().map_or(&[][..], |it| &it.paths);
    paths.is_empty() || paths.iter().any(|it| it == "*" || it == field)
}

/// The same data as another message: one that has every field of the first as it was, and perhaps more.
///
/// Generated code turns a former version of an event into the next one so, where nothing but additions lies between.
///
/// ```
/// # use potter_core::{domain::same_data, prost_types::{Duration, Timestamp}};
/// let duration = Duration { seconds: 3, nanos: 5 };
/// assert_eq!(same_data::<Timestamp>(&duration), Timestamp { seconds: 3, nanos: 5 });
/// ```
///
/// # Panics
/// The other message has a field of the same number and another type.
#[must_use]
pub fn same_data<M: prost::Message + Default>(message: &impl prost::Message) -> M {
    M::decode(message.encode_to_vec().as_slice()).expect("the other message has every field of this one as it was")
}

/// A value that cannot be made, because one of its fields breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {message}")]
pub struct Invalid {
    /// Name of the field in the proto.
    pub field: &'static str,
    /// The rule: `string.min_len`.
    pub rule: &'static str,
    /// For people.
    pub message: &'static str,
}

impl Invalid {
    /// The value's `field` breaks `rule`.
    #[must_use]
    pub const fn new(field: &'static str, rule: &'static str, message: &'static str) -> Self {
        Self { field, rule, message }
    }
}

/// Whether `text` has a match of `pattern`, one of `buf.validate`'s: for generated constructors.
///
/// # Panics
/// When `pattern` is no regular expression, which the generator refuses.
#[must_use]
pub fn matches(pattern: &'static str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<&'static str, Arc<Pattern>>>> = LazyLock::new(Mutex::default);
    let compiled = {
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || Arc::new(Pattern::new(pattern).expect("the generator has checked the pattern"));
        compiled.entry(pattern).or_insert_with(compile).clone()
    };
    compiled.is_match(text)
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

impl Refusal {
    /// The refusal by a rule that nobody has written yet.
    #[must_use]
    pub fn unimplemented() -> Self {
        Self { code: crate::failure::codes::UNIMPLEMENTED, retryable: false, event: None }
    }
}

impl Context {
    /// The context of one execution for an aggregate that has no events yet, with nobody named as its actor.
    #[must_use]
    pub fn new(aggregate_id: impl Into<String>, command_id: Uuid, time: SystemTime) -> Self {
        Self {
            aggregate_id: aggregate_id.into(),
            version: 0,
            time,
            actor: None,
            command_id,
            correlation_id: command_id.to_string(),
            ids: AtomicU32::new(0),
        }
    }

    /// The context of one execution, whole.
    pub(crate) fn of(
        aggregate_id: String,
        version: u64,
        time: SystemTime,
        actor: Option<String>,
        command_id: Uuid,
        correlation_id: String,
    ) -> Self {
        Self { aggregate_id, version, time, actor, command_id, correlation_id, ids: AtomicU32::new(0) }
    }

    /// The time as a protobuf timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.time.into()
    }

    /// Makes an id for something new inside the aggregate.
    ///
    /// The first, second, … id of an execution is the same whenever the rule is asked again, which keeps rules
    /// deterministic; ids of different executions differ.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        derived_id(self.command_id, self.ids.fetch_add(1, Ordering::Relaxed))
    }
}

/// The first number of the ids that the runtime gives to events; [`Context::new_id`] counts from 0.
pub(crate) const EVENT_IDS: u32 = 1 << 31;

/// The number of the id that the runtime assigns to a new aggregate.
pub(crate) const AGGREGATE_ID: u32 = EVENT_IDS - 1;

/// A UUIDv7 of the same millisecond as `base`, determined by `base` and `number`.
///
/// For each number the lower 64 bits go through another permutation, and the upper random bits follow from all of
/// them: ids of two executions are the same as seldom as random ones. Deriving them spares the system calls of
/// further random bits.
pub(crate) fn derived_id(base: Uuid, number: u32) -> Uuid {
    /// The finalizer of MurmurHash3.
    fn mix(mut x: u64) -> u64 {
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    }
    let (high, low) = base.as_u64_pair();
    let low = mix(low.wrapping_add(u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let random = mix(low ^ high);
    let timestamp_and_version = (high & 0xffff_ffff_ffff_0000) | 0x7000;
    Uuid::from_u64_pair(timestamp_and_version | (random & 0x0fff), (low & (u64::MAX >> 2)) | (1 << 63))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn patterns_match_as_in_requests() {
        for _ in 0..2 {
            assert!(matches("^[A-Z]{3}$", "EUR"));
            assert!(!matches("^[A-Z]{3}$", "euros!"));
            assert!(matches(r"^\d[[]$", "1[") && !matches(r"^\d[[]$", "\u{661}["), "RE2's meaning, and its syntax");
        }
    }

    #[test]
    fn ids_of_an_execution_are_the_same_when_it_is_repeated() {
        let context = Context::new("a", Uuid::now_v7(), SystemTime::UNIX_EPOCH);
        let again = context.clone();
        let ids = [context.new_id(), context.new_id()];
        assert_eq!(ids, [again.new_id(), again.new_id()]);
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn derived_ids_are_distinct_and_of_version_seven() {
        let bases: Vec<_> = (0..100).map(|_| Uuid::now_v7()).collect();
        let numbers = (0..50).chain(EVENT_IDS..EVENT_IDS + 50);
        let ids: BTreeSet<_> =
            numbers.flat_map(|number| bases.iter().map(move |base| derived_id(*base, number))).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        }
        assert_eq!(derived_id(bases[0], 3).as_u64_pair().0 >> 16, bases[0].as_u64_pair().0 >> 16);
    }
}
