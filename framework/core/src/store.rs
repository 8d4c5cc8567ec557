//! The port that every database implements; one contract suite holds them to it.
//!
//! Everything that must happen together travels in one [`Unit`]: version check, idempotency claim, events,
//! an accepted command or its outcome. A store commits many units in one transaction and answers each only
//! after that commit.
//!
//! [`ReadModels`] is the part that keeps read models; [`Routed`] is a store of which some are kept elsewhere.
//!
//! `contract` (feature `contract`) is the suite that every store passes; [`sql`] is the text that the relational
//! ones share with the generator, [`columns`] what they share among themselves; [`rows`] searches for those that have no language of their own.

pub mod columns;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod dead_letter;
mod layered;
mod read_models;
mod routed;
pub mod rows;
pub mod sql;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

pub use self::dead_letter::{DeadAttempt, DeadLetter, DeadLetterFilter};
pub use self::layered::{Layer, Layered, MayBeOutage};
pub use self::read_models::{
    Condition, Generation, OrderBy, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels,
    Rebuild, RebuildEnd, RebuildRecord, RowChange, Selected, Selection, SharedReadModels, Source, Test,
    contains_in_any_case,
};
pub use self::routed::{Elsewhere, Routed};

use crate::event::{EventMetadata, NewEvent, RecordedEvent, StreamId};

/// A store: the event log, what shares its transactions, and the read models.
pub trait Store: ReadModels {
    /// Commits one unit, all of it or nothing, together with whatever else is waiting.
    ///
    /// When it fails for several reasons, a taken idempotency key is told before a wrong version: a repeat gets its
    /// recorded reply.
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>>;

    /// Events of a stream with a version greater than `after`, in order.
    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>>;

    /// At most `limit` events with a position greater than `after`, in order and without a gap.
    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>>;

    /// The position of the last committed event; changes once per transaction, after its commit and before the
    /// answers to its units.
    fn head(&self) -> watch::Receiver<u64>;

    /// The newest snapshot of a stream if it has that schema; anything unreadable is `None`.
    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>>;

    /// Keeps a snapshot in place of the stream's other one; does nothing if that one has the same schema and isn't
    /// older.
    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The reply recorded under an idempotency key, if there is one.
    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>>;

    /// The version up to which the events of a stream have had their effects so long ago that their claims are
    /// forgotten; 0 if there is none.
    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Accepted commands without an outcome, oldest first.
    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>>;

    /// Pending commands that nobody alive looks after, oldest first; from now on `node` does, and so it does for
    /// whatever is accepted through this store.
    ///
    /// A node asks at its start and every [`COMMANDS_ARE_ADOPTED_EVERY`], and shows by it that it lives. Where only one
    /// process looks after a database, its first question is answered with all that are pending, the others with none.
    /// A node that may have been given commands without being told asks under another name: its former one dies.
    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>>;

    /// How far an accepted command is.
    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>>;

    /// Accepted commands that have an outcome which hasn't been announced, oldest first.
    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>>;

    /// Notes that the outcomes of these commands have been announced; passes over those that aren't known (any more).
    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Keeps a message that could not be taken in; one that is kept already stays as it is.
    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Dead letters in the order of their ids.
    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>>;

    /// How many dead letters there are of each source, in the order of those; none of a source isn't told.
    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>>;

    /// Writes anew why a dead letter is one and what was tried; false if there is none (any more).
    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Removes a dead letter; false if there is none (any more).
    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Applies the migrations that haven't been yet, in the order given; answers with the names of those.
    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>>;

    /// Takes back a migration that has been applied, and forgets it; false if it hasn't been. Refused if its text has
    /// changed since, or if nothing takes it back.
    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// What a migration does in this store.
    fn script(&self, migration: &Migration) -> Script;

    /// The migrations that have been applied, in that order; none before the first.
    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>>;

    /// Forgets what is older than [`Expiry`] says, a bounded number of records at a time; answers how many that were,
    /// 0 when nothing is left to forget. Of processed events it goes on knowing how far their streams are.
    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// What keeps read models in place of this store, each with the name of its place.
    fn elsewhere(&self) -> Vec<(&'static str, SharedReadModels)> {
        Vec::new()
    }
}

/// A store, shared.
pub type SharedStore = Arc<dyn Store>;

/// What is committed together.
#[derive(Debug, Default)]
pub struct Unit {
    /// Events to record.
    pub append: Option<Append>,
    /// A reply to record under an idempotency key.
    pub claim: Option<Claim>,
    /// A command to store for the workers.
    pub accept: Option<AcceptedCommand>,
    /// The outcome of an accepted command.
    pub settle: Option<Settlement>,
    /// Not committed when it has passed by the time the transaction begins.
    pub deadline: Option<Instant>,
}

/// Events to record in one stream.
#[derive(Debug)]
pub struct Append {
    /// Kind of the aggregate; with `aggregate_id` the stream.
    pub aggregate: &'static str,
    /// Identity of the aggregate.
    pub aggregate_id: String,
    /// How many events the stream must have; 0: it must not exist.
    pub expected_version: u64,
    /// At least one.
    pub events: Vec<NewEvent>,
    /// Where they come from.
    pub metadata: EventMetadata,
    /// When they are recorded.
    pub time: SystemTime,
}

/// Scope of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// The command's stable name, which begins with the module's.
    pub command: &'static str,
    /// Who sent it; empty when unknown.
    pub caller: String,
    /// The key itself.
    pub key: String,
}

/// A reply to record under an idempotency key.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Under what.
    pub key: ClaimKey,
    /// SHA-256 of the request: another request under the same key is refused.
    pub request_hash: [u8; 32],
    /// The reply as it goes back to the caller.
    pub reply: RecordedReply,
    /// The event that the command is an effect of, if it is one: such a claim is kept for as long as
    /// [`Expiry::processed_before`] says, and its event is known as processed for ever.
    pub event: Option<ProcessedEvent>,
}

/// An event of another module that has had an effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessedEvent {
    /// The subscription that brought it.
    pub subscription: String,
    /// Its stream.
    pub stream: String,
    /// Its place in the stream, from 1; 0: unknown.
    pub version: u64,
}

/// A recorded claim.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedClaim {
    /// See [`Claim::request_hash`].
    pub request_hash: [u8; 32],
    /// See [`Claim::reply`].
    pub reply: RecordedReply,
}

/// A reply as recorded for a repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedReply {
    /// Protobuf bytes.
    pub body: Bytes,
    /// Identity of the aggregate.
    pub aggregate_id: String,
    /// Version of the stream afterwards; 0 for an accepted command.
    pub version: u64,
    /// Of an accepted command.
    pub command_id: Option<Uuid>,
}

/// A command stored for the workers.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedCommand {
    /// UUIDv7.
    pub id: Uuid,
    /// The command's stable name.
    pub name: String,
    /// Kind of the aggregate.
    pub aggregate: String,
    /// Identity of the aggregate, already assigned.
    pub aggregate_id: String,
    /// Protobuf bytes of the request.
    pub request: Bytes,
    /// Expected version, if the caller gave one.
    pub expected_version: Option<u64>,
    /// Ties together everything that follows from one request.
    pub correlation_id: String,
    /// What directly caused it: the id of an event or of another command, if that was said.
    pub causation_id: Option<String>,
    /// Who.
    pub actor: Option<String>,
    /// When.
    pub accepted_at: SystemTime,
}

/// The outcome of an accepted command.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// Which.
    pub command_id: Uuid,
    /// How it went.
    pub outcome: CommandOutcome,
}

/// How an accepted command went.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandOutcome {
    /// Executed; these events (stored type, full message name, protobuf bytes) were recorded.
    Succeeded {
        /// Version of the stream afterwards.
        version: u64,
        /// Stored type name and payload of each event, in order.
        events: Vec<(String, Bytes)>,
    },
    /// Refused or failed for good.
    Failed {
        /// Stable code.
        code: String,
        /// For people.
        message: String,
        /// Whether sending it again may help.
        retryable: bool,
        /// The error event: full name, protobuf bytes.
        event: Option<(String, Bytes)>,
    },
}

/// How far an accepted command is.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandStatus {
    /// The command as accepted.
    pub command: AcceptedCommand,
    /// `None` while it waits or runs.
    pub outcome: Option<CommandOutcome>,
}

/// A committed unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Position of its last event; the head if it recorded none.
    pub position: u64,
}

/// Why a unit wasn't committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The stream has another version than expected.
    #[error("the stream has version {actual}")]
    Conflict {
        /// Its version now.
        actual: u64,
    },
    /// Something was recorded under the idempotency key meanwhile.
    #[error("the idempotency key is taken")]
    Claimed(RecordedClaim),
    /// The accepted command has an outcome already, or isn't known (any more).
    #[error("the command is settled")]
    Settled,
    /// The deadline passed before the transaction began: nothing was written.
    #[error("the deadline passed")]
    Expired,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The database failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct StoreError {
    /// What was being done.
    pub operation: &'static str,
    /// What the driver says; logged, never returned to a caller.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// The failure of `operation` because of `source`.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { operation, source: source.into() }
    }

    /// The text of a migration isn't what it was when it was applied.
    #[must_use]
    pub fn changed_migration(name: &str) -> Self {
        Self::new("migrate", format!("migration `{name}` has been applied and its text has changed since"))
    }

    /// Nothing takes a migration back.
    #[must_use]
    pub fn irreversible_migration(name: &str) -> Self {
        Self::new("take a migration back", format!("nothing takes `{name}` back: it has no `{name}.down.sql`"))
    }
}

/// State of an aggregate at some version.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose.
    pub stream: StreamId,
    /// See [`Snapshot::schema_of`]; a snapshot of another schema is a miss.
    pub schema: String,
    /// The version of the stream that it holds.
    pub version: u64,
    /// Whether the aggregate's life had ended.
    pub ended: bool,
    /// Bytes that only the dispatcher reads: a checksum of all this and of the event that it ends with, and the state as
    /// protobuf.
    pub state: Bytes,
}

impl Snapshot {
    /// The schema of snapshots of a state with that shape, see [`crate::domain::Aggregate::SCHEMA`]: before it stands the
    /// format of [`Snapshot::state`]. Those of earlier formats had the shape alone.
    #[must_use]
    pub fn schema_of(shape: &str) -> String {
        format!("2:{shape}")
    }
}

/// One migration of the service's own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// File name without extension: `0001_products`.
    pub name: &'static str,
    /// What it does in SQLite.
    pub sqlite: Script,
    /// The same in PostgreSQL.
    pub postgres: Script,
}

/// The statements of a migration in one database, separated by semicolons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What applies it; empty: it has nothing to do there.
    pub up: &'static str,
    /// What takes it back; empty: nothing can.
    pub down: &'static str,
}

impl Script {
    /// Nothing to do.
    pub const NONE: Self = Self { up: "", down: "" };
}

impl Migration {
    /// A migration whose statements every database understands.
    #[must_use]
    pub const fn of_any_database(name: &'static str, up: &'static str) -> Self {
        let script = Script { up, down: "" };
        Self { name, sqlite: script, postgres: script }
    }

    /// The same, and what takes it back.
    #[must_use]
    pub const fn reverted_by(mut self, down: &'static str) -> Self {
        (self.sqlite.down, self.postgres.down) = (down, down);
        self
    }
}

/// A migration that has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    /// See [`Migration::name`]; perhaps one that this service doesn't know.
    pub name: String,
    /// Of the statements that were applied; see [`columns::migration_hash`].
    pub hash: String,
    /// When.
    pub applied_at: SystemTime,
}

/// How long records are kept that nobody may ask for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Replies under their idempotency keys: a repeat that comes later is executed again.
    pub claims: Duration,
    /// The effects of processed events, one by one; after that only how far the stream of each has been processed.
    pub processed: Duration,
    /// Outcomes of accepted commands.
    pub outcomes: Duration,
    /// Dead letters; `None`: until a person decides.
    pub dead_letters: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        const HOUR: u64 = 60 * 60;
        Self {
            claims: Duration::from_secs(48 * HOUR),
            processed: Duration::from_secs(30 * 24 * HOUR),
            outcomes: Duration::from_secs(7 * 24 * HOUR),
            dead_letters: None,
        }
    }
}

impl Retention {
    /// What may be forgotten at that time.
    #[must_use]
    pub fn expiry(&self, now: SystemTime) -> Expiry {
        let before = |kept| now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH);
        Expiry {
            claims_before: before(self.claims),
            processed_before: before(self.processed),
            commands_before: before(self.outcomes),
            dead_letters_before: self.dead_letters.map_or(SystemTime::UNIX_EPOCH, before),
        }
    }
}

/// How often a node asks for commands that nobody looks after.
pub const COMMANDS_ARE_ADOPTED_EVERY: Duration = Duration::from_secs(1);

/// How long a node counts as alive after it has asked for commands, by the clock of the store.
pub const NODES_LIVE_FOR: Duration = Duration::from_secs(5);

/// What is old enough to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Claims recorded before that, but for those of processed events.
    pub claims_before: SystemTime,
    /// Claims of processed events recorded before that, unless a dead letter of the event's stream waits: its effects
    /// are told one by one until it is replayed.
    pub processed_before: SystemTime,
    /// Commands that got their outcome before that.
    pub commands_before: SystemTime,
    /// Dead letters given up before that.
    pub dead_letters_before: SystemTime,
}

impl Expiry {
    /// Nothing is.
    #[must_use]
    pub const fn nothing() -> Self {
        let never = SystemTime::UNIX_EPOCH;
        Self { claims_before: never, processed_before: never, commands_before: never, dead_letters_before: never }
    }
}
