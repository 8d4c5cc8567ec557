//! The part of the port that keeps read models: rows, checkpoints, parked events, rebuilds.
//!
//! A store keeps its events' read models itself. What implements [`ReadModels`] alone may keep some of them elsewhere:
//! [`Routed`](super::Routed) sends them there.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::StoreError;
use crate::read_model::{Table, Value};
use crate::replay::Replay;

/// Keeps read models: what a projection writes and queries read.
pub trait ReadModels: Send + Sync + 'static {
    /// Rows of a read model by key; a missing row is missing in the answer.
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>>;

    /// Rows of a read model's live generation by condition.
    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>>;

    /// Checkpoint of a projection; 0 before its first commit.
    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Writes rows, parked events and checkpoint in one transaction, if the checkpoint is still the expected one, the
    /// generation still the same and the projection not paused.
    ///
    /// Uniqueness is judged by the rows as they are after the whole batch: two rows may exchange their values.
    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>>;

    /// Moves the checkpoint of somebody who follows the log without keeping rows, if it is still the expected one.
    fn commit_checkpoint(
        &self,
        follower: &'static str,
        expected_checkpoint: u64,
        checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        const NO_TABLE: Table = Table { name: "", key: "", columns: &[] };
        self.commit_projection(ProjectionBatch::moving(follower, NO_TABLE, expected_checkpoint, checkpoint))
    }

    /// The events that a projection has parked, in the order of their positions.
    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>>;

    /// What is kept of a projection beside its checkpoints.
    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>>;

    /// Pauses a projection: nothing of its live generation is written any more, by no process; or lets it go on.
    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes the next generation of a read model beside the live one, with what the rebuild begins with; what an unfinished
    /// one has left is dropped. Answers with its number, by which its batches are known from those of any before; and with
    /// `None` if it is to begin with a copy that there is none of.
    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>>;

    /// Saves a copy of the live generation, with its checkpoint and what it has parked, in place of the one that was saved
    /// before, at one moment; answers with the checkpoint.
    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Empties the live generation of a read model: no rows, nothing parked, checkpoint 0, the next epoch.
    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Puts the next generation, with its checkpoint and what it parked, in place of the live one, in one
    /// transaction, if its checkpoint is still the expected one; the next epoch begins.
    ///
    /// Refused with [`ProjectionError::Moved`] while the live generation is ahead, so that readers never see time
    /// go back: catch up and try again. Refused with [`ProjectionError::Ended`] if it isn't the rebuild of that number that
    /// goes on.
    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>>;

    /// Drops the next generation and notes why, if the rebuild of that number still goes on (0: drops one that nothing is
    /// known of, as an earlier version of the store begins it); answers whether it did.
    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Answers when everything that is kept here can be, for readiness.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Finishes what was accepted and releases the database.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What keeps read models, shared.
pub type SharedReadModels = Arc<dyn ReadModels>;

/// Which of a read model's tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generation {
    /// The one that queries read.
    #[default]
    Live,
    /// The one that a rebuild fills beside it.
    Next,
    /// A copy of the live one as it once was.
    Saved,
}

/// What a rebuild begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// Nothing; it takes in the events after a position.
    After(u64),
    /// The copy that [`ReadModels::save_copy`] has made.
    FromSnapshot,
    /// The rows as they are, of which those that these events are about are made anew, each from all of its events.
    RowsOf(Replay),
}

/// Where the rows come from that a next generation has at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// There are none.
    Nothing {
        /// Position that its checkpoint begins with.
        after: u64,
    },
    /// They are those of another generation, with its checkpoint and what it has parked.
    Copy(Generation),
}

impl Rebuild {
    /// What the next generation has at its beginning.
    #[must_use]
    pub const fn source(&self) -> Source {
        match self {
            Self::After(after) => Source::Nothing { after: *after },
            Self::FromSnapshot => Source::Copy(Generation::Saved),
            Self::RowsOf(_) => Source::Copy(Generation::Live),
        }
    }
}

impl From<u64> for Rebuild {
    fn from(position: u64) -> Self {
        Self::After(position)
    }
}

/// What is kept of a projection beside its checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectionRecord {
    /// Whether it is paused.
    pub paused: bool,
    /// Whether there is a next generation: a rebuild has been begun and not finished.
    pub rebuilding: bool,
    /// How often the live generation has been replaced or emptied: rows read in one epoch say nothing in the next.
    pub epoch: u64,
    /// The rebuild that was begun last.
    pub rebuild: Option<RebuildRecord>,
}

/// A rebuild and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildRecord {
    /// How many have been begun of the read model, with this one.
    pub number: u64,
    /// What it began with.
    pub begin: Rebuild,
    /// When.
    pub begun_at: SystemTime,
    /// `None`: it goes on, or was broken off.
    pub end: Option<RebuildEnd>,
}

/// How a rebuild has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildEnd {
    /// When.
    pub at: SystemTime,
    /// Why it was dropped; `None`: it has taken the place of the live generation.
    pub failure: Option<String>,
}

impl ProjectionRecord {
    /// Whether it is the rebuild of that number that goes on.
    #[must_use]
    pub fn goes_on(&self, number: u64) -> bool {
        self.rebuilding && self.rebuild.as_ref().is_some_and(|it| it.number == number && it.end.is_none())
    }
}

/// An event that a projection could not take in; it blocks the row that it is about, and no other.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedEvent {
    /// Position of the event in the log.
    pub position: u64,
    /// Key of the row that it is about; the aggregate's identity if the event can't even be read.
    pub key: String,
    /// Stored type of the event.
    pub event_type: String,
    /// Why.
    pub reason: String,
    /// When.
    pub parked_at: SystemTime,
}

/// What a projection writes in one transaction.
#[derive(Clone, Debug)]
pub struct ProjectionBatch {
    /// The projection's name.
    pub projection: &'static str,
    /// The read model's table.
    pub table: Table,
    /// Which of its generations.
    pub generation: Generation,
    /// The epoch that the live generation must be in, see [`ProjectionRecord::epoch`]; the number of the rebuild that
    /// makes the next one.
    pub epoch: u64,
    /// The checkpoint that must be there.
    pub expected_checkpoint: u64,
    /// The new one.
    pub checkpoint: u64,
    /// Rows to put: key, values in the order of the table's columns, the whole row.
    pub put: Vec<RowChange>,
    /// Keys of rows to remove.
    pub remove: Vec<String>,
    /// Events to park.
    pub park: Vec<ParkedEvent>,
    /// Positions of parked events that have been taken in meanwhile.
    pub unpark: Vec<u64>,
}

impl ProjectionBatch {
    /// Nothing but a move of the live generation's checkpoint, in its first epoch.
    #[must_use]
    pub fn moving(projection: &'static str, table: Table, expected_checkpoint: u64, checkpoint: u64) -> Self {
        Self {
            projection,
            table,
            generation: Generation::Live,
            epoch: 0,
            expected_checkpoint,
            checkpoint,
            put: Vec::new(),
            remove: Vec::new(),
            park: Vec::new(),
            unpark: Vec::new(),
        }
    }
}

/// A row to put.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// The key.
    pub key: String,
    /// In the order of the table's columns.
    pub values: Vec<Value>,
    /// Protobuf bytes of the whole row.
    pub row: Bytes,
}

/// Why a projection's batch wasn't written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// Somebody else moved the checkpoint, or replaced the live generation.
    #[error("the checkpoint is {actual}")]
    Moved {
        /// Where it is.
        actual: u64,
    },
    /// The rebuild has ended, or another has been begun since.
    #[error("the rebuild has ended, or another has been begun since")]
    Ended,
    /// It is paused, and the batch is one of the live generation.
    #[error("the projection is paused")]
    Paused,
    /// The log isn't the one that has been taken in: it ends before.
    #[error(
        "the log ends before what has been taken in: it is an older copy, or another service's. A reset takes everything \
         in again"
    )]
    OtherLog,
    /// Two rows would have the same value in a unique column; nothing of the batch was written.
    #[error("`{column}` is not unique: row `{key}`")]
    NotUnique {
        /// The row that could not be put.
        key: String,
        /// The column.
        column: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProjectionError {
    /// The same as a failure of the database, for those who expect no other.
    pub(crate) fn into_store(self, operation: &'static str) -> StoreError {
        match self {
            Self::Store(error) => error,
            error => StoreError::new(operation, error),
        }
    }
}

/// Which rows of a read model, in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// First the most important; the key comes last by itself, so that pages don't overlap.
    pub order: Vec<OrderBy>,
    /// At most so many rows; `None`: all.
    pub limit: Option<u32>,
    /// Rows to pass over.
    pub offset: u64,
    /// Whether all matching rows are counted.
    pub count: bool,
}

/// One condition on a column (or the key).
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Column name, always from generated code, never from a caller.
    pub column: &'static str,
    /// What must hold.
    pub test: Test,
}

/// What must hold of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal; to `Null`: absent. Every other test fails on an absent value.
    Equals(Value),
    /// Greater or equal.
    AtLeast(Value),
    /// Less or equal.
    AtMost(Value),
    /// Greater.
    MoreThan(Value),
    /// Less.
    LessThan(Value),
    /// One of these; with `Null` among them, or absent.
    AnyOf(Vec<Value>),
    /// Text that contains this, whatever the case.
    Contains(String),
}

/// Whether [`Test::Contains`] holds of a text; one function for the stores that can call it.
#[must_use]
pub fn contains_in_any_case(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// One column of an order: absent values first, texts byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// Column name.
    pub column: &'static str,
    /// Largest first.
    pub descending: bool,
}

/// Rows that were selected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selected {
    /// Protobuf bytes of each row.
    pub rows: Vec<Bytes>,
    /// How many match, if that was asked.
    pub total: Option<u64>,
}
