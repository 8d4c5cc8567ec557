//! A store with something around every call to it: a guard, or a test's faults.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    AcceptedCommand, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter, DeadLetterFilter,
    Expiry, Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels,
    Rebuild, RecordedClaim, Script, Selected, Selection, SharedReadModels, Snapshot, Store, StoreError, Unit,
};
use crate::event::{RecordedEvent, StreamId};
use crate::read_model::Table;

/// A failure that may be an outage: the part is out of reach, rather than saying no.
pub trait MayBeOutage: From<StoreError> + Send {
    /// Whether it is.
    fn is_outage(&self) -> bool;
}

impl MayBeOutage for StoreError {
    fn is_outage(&self) -> bool {
        true
    }
}

impl MayBeOutage for CommitError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl MayBeOutage for ProjectionError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

/// What is around the calls to a store.
pub trait Layer: Send + Sync + 'static {
    /// Makes a call that must not be repeated.
    fn once<T: Send, E: MayBeOutage>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send;

    /// Makes a call that may be repeated.
    fn again<T: Send, E: MayBeOutage, F: Future<Output = Result<T, E>> + Send>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F + Send + Sync,
    ) -> impl Future<Output = Result<T, E>> + Send;

    /// Makes a call that takes as long as it takes.
    fn long<T: Send, E: MayBeOutage>(
        &self,
        _operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send {
        call
    }

    /// Hears whether the part answered when it was asked whether it does, which goes past the layer.
    fn pinged(&self, _answered: bool) {}
}

/// A store with a [`Layer`] around it.
///
/// What reads may be repeated. What writes may not, because after an outage nobody knows whether it was done.
/// Migrations, rebuilds and purges take as long as they take.
pub struct Layered<L, S: ?Sized = dyn Store> {
    store: Arc<S>,
    layer: L,
}

impl<L: Layer, S: ReadModels + ?Sized> Layered<L, S> {
    /// `store`, or what keeps read models alone, with `layer` around it.
    #[must_use]
    pub fn new(store: Arc<S>, layer: L) -> Self {
        Self { store, layer }
    }
}

impl<L: Layer, S: Store + ?Sized> Store for Layered<L, S> {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.layer.once("commit", self.store.commit(unit)).boxed()
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.layer.again("read a stream", move || self.store.read_stream(stream.clone(), after)).boxed()
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.layer.again("read the log", move || self.store.read_all(after, limit)).boxed()
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.store.head()
    }

    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.layer.again("load a snapshot", move || self.store.load_snapshot(stream.clone(), schema.clone())).boxed()
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.layer.once("save a snapshot", self.store.save_snapshot(snapshot)).boxed()
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        self.layer.again("find a claim", move || self.store.find_claim(key.clone())).boxed()
    }

    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>> {
        let look = move || self.store.processed_up_to(subscription.clone(), stream.clone());
        self.layer.again("look for processed events", look).boxed()
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.layer.again("list the pending commands", || self.store.pending_commands()).boxed()
    }

    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.layer.once("adopt commands", self.store.adopt_commands(node)).boxed()
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        self.layer.again("find a command", move || self.store.command_status(id)).boxed()
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        self.layer.again("list the outcomes", move || self.store.unannounced_outcomes(limit)).boxed()
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.layer.once("note what is announced", self.store.mark_announced(ids)).boxed()
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.layer.once("keep a dead letter", self.store.keep_dead_letter(letter)).boxed()
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.layer.again("list the dead letters", move || self.store.dead_letters(filter.clone())).boxed()
    }

    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.layer.again("count the dead letters", || self.store.dead_letter_counts()).boxed()
    }

    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.layer.again("renew a dead letter", move || self.store.renew_dead_letter(letter.clone())).boxed()
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.layer.once("remove a dead letter", self.store.remove_dead_letter(id)).boxed()
    }

    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        self.layer.long("migrate", self.store.migrate(migrations)).boxed()
    }

    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.layer.long("take a migration back", self.store.revert(migration)).boxed()
    }

    fn script(&self, migration: &Migration) -> Script {
        self.store.script(migration)
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        self.layer.again("read migrations", || self.store.applied_migrations()).boxed()
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.layer.long("purge", self.store.purge(expiry)).boxed()
    }

    fn elsewhere(&self) -> Vec<(&'static str, SharedReadModels)> {
        self.store.elsewhere()
    }
}

impl<L: Layer, S: ReadModels + ?Sized> ReadModels for Layered<L, S> {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.layer.again("read rows", move || self.store.rows_by_key(table, generation, keys.clone())).boxed()
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.layer.again("select rows", move || self.store.select(table, selection.clone())).boxed()
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.layer.again("read a checkpoint", move || self.store.checkpoint(projection, generation)).boxed()
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.layer.once("commit a projection", self.store.commit_projection(batch)).boxed()
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.layer.again("list the parked events", move || self.store.parked(projection, generation)).boxed()
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.layer.again("read about a projection", move || self.store.projection(projection)).boxed()
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.layer.once("pause a projection", self.store.set_paused(projection, paused)).boxed()
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.layer.long("begin a rebuild", self.store.begin_rebuild(projection, table, begin)).boxed()
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.layer.long("save a read model", self.store.save_copy(projection, table)).boxed()
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.layer.long("reset a projection", self.store.reset_projection(projection, table)).boxed()
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        let finished = self.store.finish_rebuild(projection, table, number, expected_checkpoint);
        self.layer.long("finish a rebuild", finished).boxed()
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.layer.long("drop a rebuild", self.store.drop_rebuild(projection, table, number, reason)).boxed()
    }

    /// Past the layer: who asks for readiness wants to know how it is now.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            let answer = self.store.ping().await;
            self.layer.pinged(answer.is_ok());
            answer
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}
