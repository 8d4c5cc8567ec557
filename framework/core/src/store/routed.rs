//! A store of which some read models are kept elsewhere.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    AcceptedCommand, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter, DeadLetterFilter,
    Expiry, Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels,
    Rebuild, RecordedClaim, Script, Selected, Selection, SharedReadModels, SharedStore, Snapshot, Store, StoreError,
    Unit,
};
use crate::event::{RecordedEvent, StreamId};
use crate::read_model::Table;

/// Read models that are kept elsewhere than their events.
pub struct Elsewhere {
    /// What the place is called in readiness: `redis`.
    pub place: &'static str,
    /// What keeps them.
    pub keeper: SharedReadModels,
    /// Which: name of the projection, and table.
    pub read_models: Vec<(&'static str, Table)>,
}

impl Elsewhere {
    fn has_projection(&self, projection: &str) -> bool {
        self.read_models.iter().any(|(name, _)| *name == projection)
    }

    fn has_table(&self, table: &Table) -> bool {
        self.read_models.iter().any(|(_, it)| it.name == table.name)
    }
}

/// A store of which some read models are kept elsewhere.
///
/// A projection's rows and checkpoint stay together wherever they are, so an event is taken in once there as well.
pub struct Routed {
    store: SharedStore,
    elsewhere: Vec<Elsewhere>,
}

impl Routed {
    /// `store`, without the read models that are kept elsewhere.
    #[must_use]
    pub fn new(store: SharedStore, elsewhere: Vec<Elsewhere>) -> Self {
        Self { store, elsewhere }
    }

    fn of_projection(&self, projection: &str) -> &dyn ReadModels {
        let found = self.elsewhere.iter().find(|it| it.has_projection(projection));
        found.map_or(&*self.store as &dyn ReadModels, |it| &*it.keeper)
    }

    fn of_table(&self, table: &Table) -> &dyn ReadModels {
        let found = self.elsewhere.iter().find(|it| it.has_table(table));
        found.map_or(&*self.store as &dyn ReadModels, |it| &*it.keeper)
    }
}

impl Store for Routed {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.store.commit(unit)
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.store.read_stream(stream, after)
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.store.read_all(after, limit)
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.store.head()
    }

    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.store.load_snapshot(stream, schema)
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.save_snapshot(snapshot)
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        self.store.find_claim(key)
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.store.pending_commands()
    }

    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.store.adopt_commands(node)
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        self.store.command_status(id)
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        self.store.unannounced_outcomes(limit)
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.mark_announced(ids)
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.keep_dead_letter(letter)
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.store.dead_letters(filter)
    }

    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.store.dead_letter_counts()
    }

    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.renew_dead_letter(letter)
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.remove_dead_letter(id)
    }

    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        self.store.migrate(migrations)
    }

    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.revert(migration)
    }

    fn script(&self, migration: &Migration) -> Script {
        self.store.script(migration)
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        self.store.applied_migrations()
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.purge(expiry)
    }

    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.processed_up_to(subscription, stream)
    }

    fn elsewhere(&self) -> Vec<(&'static str, SharedReadModels)> {
        self.elsewhere.iter().map(|it| (it.place, it.keeper.clone())).collect()
    }
}

impl ReadModels for Routed {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.of_table(&table).rows_by_key(table, generation, keys)
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.of_table(&table).select(table, selection)
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.of_projection(projection).checkpoint(projection, generation)
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.of_projection(batch.projection).commit_projection(batch)
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.of_projection(projection).parked(projection, generation)
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.of_projection(projection).projection(projection)
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.of_projection(projection).set_paused(projection, paused)
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.of_projection(projection).begin_rebuild(projection, table, begin)
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.of_projection(projection).save_copy(projection, table)
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.of_projection(projection).reset_projection(projection, table)
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.of_projection(projection).finish_rebuild(projection, table, number, expected_checkpoint)
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.of_projection(projection).drop_rebuild(projection, table, number, reason)
    }

    /// Of the store itself; [`Store::elsewhere`] tells whom else to ask.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.ping()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            for elsewhere in &self.elsewhere {
                elsewhere.keeper.close().await;
            }
            self.store.close().await;
        }
        .boxed()
    }
}
