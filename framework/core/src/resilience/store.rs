//! A store behind a guard.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Guard, Limits};
use crate::event::{RecordedEvent, StreamId};
use crate::read_model::Table;
use crate::store::{
    AcceptedCommand, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter, DeadLetterFilter,
    Expiry, Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, RecordedClaim,
    Selected, Selection, SharedStore, Snapshot, Store, StoreError, Unit,
};

/// A store that may be out of reach, behind a [`Guard`].
///
/// What reads is repeated. What writes isn't, because nobody knows whether it was done; and it needs no place in the
/// bulkhead, because a store writes many units at once. Migrations, rebuilds and purges take as long as they take.
pub struct GuardedStore {
    store: SharedStore,
    guard: Guard,
}

impl GuardedStore {
    /// `store` behind a guard.
    #[must_use]
    pub fn new(store: SharedStore, limits: Limits) -> Self {
        Self { store, guard: Guard::new("database", limits) }
    }
}

impl Store for GuardedStore {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.guard.once("commit", self.store.commit(unit)).boxed()
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.guard.again("read a stream", move || self.store.read_stream(stream.clone(), after)).boxed()
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.guard.again("read the log", move || self.store.read_all(after, limit)).boxed()
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.store.head()
    }

    fn load_snapshot(
        &self,
        stream: StreamId,
        schema: &'static str,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.guard.again("load a snapshot", move || self.store.load_snapshot(stream.clone(), schema)).boxed()
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.guard.once("save a snapshot", self.store.save_snapshot(snapshot)).boxed()
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        self.guard.again("find a claim", move || self.store.find_claim(key.clone())).boxed()
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.guard.again("list the pending commands", || self.store.pending_commands()).boxed()
    }

    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.guard.once("adopt commands", self.store.adopt_commands(node)).boxed()
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        self.guard.again("find a command", move || self.store.command_status(id)).boxed()
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        self.guard.again("list the outcomes", move || self.store.unannounced_outcomes(limit)).boxed()
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.guard.once("note what is announced", self.store.mark_announced(ids)).boxed()
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.guard.once("keep a dead letter", self.store.keep_dead_letter(letter)).boxed()
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.guard.again("list the dead letters", move || self.store.dead_letters(filter.clone())).boxed()
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.guard.once("remove a dead letter", self.store.remove_dead_letter(id)).boxed()
    }

    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        self.store.migrate(migrations)
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        self.guard.again("read migrations", || self.store.applied_migrations()).boxed()
    }

    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.guard.again("read rows", move || self.store.rows_by_key(table, generation, keys.clone())).boxed()
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.guard.again("select rows", move || self.store.select(table, selection.clone())).boxed()
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.guard.again("read a checkpoint", move || self.store.checkpoint(projection, generation)).boxed()
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.guard.once("commit a projection", self.store.commit_projection(batch)).boxed()
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.guard.again("list the parked events", move || self.store.parked(projection, generation)).boxed()
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.guard.again("read about a projection", move || self.store.projection(projection)).boxed()
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.guard.once("pause a projection", self.store.set_paused(projection, paused)).boxed()
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        from: u64,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.begin_rebuild(projection, table, from)
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.reset_projection(projection, table)
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.store.finish_rebuild(projection, table, expected_checkpoint)
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.purge(expiry)
    }

    /// Past the breaker: who asks for readiness wants to know how it is now.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.ping()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::contract::Fixture;

    async fn open() -> Fixture {
        let store = GuardedStore::new(Arc::new(MemoryStore::new()), Limits::default());
        Fixture { store: Arc::new(store), create_table: |_| String::new(), guard: Box::new(()) }
    }

    crate::store_contract!(open);
}
