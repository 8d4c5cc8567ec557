//! A store in memory that can be made to hesitate, to fail and to be shared by one start and the next.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use potter_core::dispatch::Options;
use potter_core::event::{RecordedEvent, StreamId};
use potter_core::memory::MemoryStore;
use potter_core::read_model::Table;
use potter_core::store::{
    AcceptedCommand, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter, DeadLetterFilter,
    Expiry, Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels,
    Rebuild, RecordedClaim, Script, Selected, Selection, Snapshot, Store, StoreError, Unit,
};
use potter_core::testing::TestApp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::product::{self, Catalogue};

/// What somebody else does right before a commit.
type Meddling = Box<dyn FnMut(&Unit) -> Option<Unit> + Send>;

/// Which units have to wait.
type Held = fn(&Unit) -> bool;

pub struct TestStore {
    memory: Arc<MemoryStore>,
    held: watch::Sender<Held>,
    away: AtomicBool,
    failures: AtomicU32,
    lost_answers: AtomicU32,
    projection_successes: AtomicU32,
    projection_failures: AtomicU32,
    looks_at_parked: AtomicU32,
    largest_of_next: AtomicUsize,
    meddling: Mutex<Option<Meddling>>,
    /// The version after which each stream was read.
    reads: Mutex<Vec<u64>>,
}

impl TestStore {
    pub fn new() -> Arc<Self> {
        Self::over(Arc::default())
    }

    /// What another process has of the same store.
    pub fn beside(&self) -> Arc<Self> {
        Self::over(self.memory.clone())
    }

    fn over(memory: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            memory,
            held: watch::Sender::new(|_| false),
            away: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            lost_answers: AtomicU32::new(0),
            projection_successes: AtomicU32::new(0),
            projection_failures: AtomicU32::new(0),
            looks_at_parked: AtomicU32::new(0),
            largest_of_next: AtomicUsize::new(0),
            meddling: Mutex::new(None),
            reads: Mutex::default(),
        })
    }

    /// Starts the sample over this store.
    pub async fn start(self: &Arc<Self>) -> TestApp {
        self.start_with(Options::default()).await
    }

    /// Starts the sample over this store.
    pub async fn start_with(self: &Arc<Self>, options: Options) -> TestApp {
        TestApp::start_with(product::module(Catalogue), self.clone(), options).await
    }

    /// Lets such units wait until others are named.
    pub fn hold(&self, held: Held) {
        self.held.send_replace(held);
    }

    /// Lets all units through.
    pub fn release(&self) {
        self.hold(|_| false);
    }

    /// Puts the store out of reach: nothing is committed, no event is read, and pings go unanswered.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    /// Lets the next commits fail.
    pub fn fail_commits(&self, count: u32) {
        self.failures.store(count, Ordering::SeqCst);
    }

    /// Lets the answers of the next commits get lost.
    pub fn lose_answers(&self, count: u32) {
        self.lost_answers.store(count, Ordering::SeqCst);
    }

    /// Lets the next commits of projections fail.
    pub fn fail_projections(&self, count: u32) {
        self.projection_failures.store(count, Ordering::SeqCst);
    }

    /// Lets commits of projections fail after the next `successes`.
    pub fn fail_projections_after(&self, successes: u32, count: u32) {
        self.projection_successes.store(successes, Ordering::SeqCst);
        self.fail_projections(count);
    }

    /// How many rows the largest batch of a next generation has changed.
    pub fn largest_of_next(&self) -> usize {
        self.largest_of_next.load(Ordering::SeqCst)
    }

    /// Lets somebody else commit first, as another process might.
    pub fn meddle(&self, meddling: impl FnMut(&Unit) -> Option<Unit> + Send + 'static) {
        *self.meddling.lock().expect("no panic") = Some(Box::new(meddling));
    }

    /// How often it was asked for parked events.
    pub fn looks_at_parked(&self) -> u32 {
        self.looks_at_parked.load(Ordering::SeqCst)
    }

    /// The versions after which streams were read since the last look.
    pub fn reads(&self) -> Vec<u64> {
        std::mem::take(&mut *self.reads.lock().expect("no panic"))
    }
}

fn counts_down(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failure() -> StoreError {
    StoreError { operation: "a test", source: "failed on purpose".into() }
}

impl Store for TestStore {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        Box::pin(async move {
            self.held.subscribe().wait_for(|held| !held(&unit)).await.expect("the sender is in `self`");
            if self.is_away() || counts_down(&self.failures) {
                return Err(failure().into());
            }
            let meddled = self.meddling.lock().expect("no panic").as_mut().and_then(|meddle| meddle(&unit));
            if let Some(meddled) = meddled {
                self.memory.commit(meddled).await.expect("the meddler knows the version");
            }
            let committed = self.memory.commit(unit).await;
            if counts_down(&self.lost_answers) { Err(failure().into()) } else { committed }
        })
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        if self.is_away() {
            return Box::pin(ready(Err(failure())));
        }
        self.reads.lock().expect("no panic").push(after);
        self.memory.read_stream(stream, after)
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        if self.is_away() {
            // Nobody knows at once.
            return Box::pin(async {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                Err(failure())
            });
        }
        self.memory.read_all(after, limit)
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.memory.head()
    }

    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.memory.load_snapshot(stream, schema)
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.save_snapshot(snapshot)
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        self.memory.find_claim(key)
    }

    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.processed_up_to(subscription, stream)
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.memory.pending_commands()
    }

    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.memory.adopt_commands(node)
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        self.memory.command_status(id)
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        self.memory.unannounced_outcomes(limit)
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.mark_announced(ids)
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.keep_dead_letter(letter)
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.memory.dead_letters(filter)
    }

    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.memory.dead_letter_counts()
    }

    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.renew_dead_letter(letter)
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.remove_dead_letter(id)
    }

    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        self.memory.migrate(migrations)
    }

    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.revert(migration)
    }

    fn script(&self, migration: &Migration) -> Script {
        self.memory.script(migration)
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        self.memory.applied_migrations()
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.purge(expiry)
    }
}

impl ReadModels for TestStore {
    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        let fails = !counts_down(&self.projection_successes) && counts_down(&self.projection_failures);
        if self.is_away() || fails {
            return Box::pin(ready(Err(failure().into())));
        }
        if batch.generation == Generation::Next {
            self.largest_of_next.fetch_max(batch.put.len() + batch.remove.len(), Ordering::SeqCst);
        }
        self.memory.commit_projection(batch)
    }

    /// The memory outlives each start.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.memory.rows_by_key(table, generation, keys)
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.memory.select(table, selection)
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.checkpoint(projection, generation)
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.looks_at_parked.fetch_add(1, Ordering::SeqCst);
        self.memory.parked(projection, generation)
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.memory.projection(projection)
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.set_paused(projection, paused)
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.memory.begin_rebuild(projection, table, begin)
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.save_copy(projection, table)
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.reset_projection(projection, table)
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.memory.finish_rebuild(projection, table, number, expected_checkpoint)
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.drop_rebuild(projection, table, number, reason)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.is_away() || self.failures.load(Ordering::SeqCst) > 0 {
            return Box::pin(ready(Err(failure())));
        }
        self.memory.ping()
    }
}

/// An event that somebody else records in the stream of a product.
pub fn elsewhere(id: &str, expected_version: u64, event: &product::ProductEvent) -> Unit {
    use potter_core::domain::DomainEvent;
    use potter_core::event::{EventMetadata, NewEvent};
    use potter_core::store::Append;

    let event = NewEvent {
        id: Uuid::now_v7(),
        event_type: event.event_type(),
        schema_version: event.version(),
        payload: event.encode().into(),
    };
    let append = Append {
        aggregate: "Product",
        aggregate_id: id.to_owned(),
        expected_version,
        events: vec![event],
        metadata: EventMetadata::default(),
        time: std::time::SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}
