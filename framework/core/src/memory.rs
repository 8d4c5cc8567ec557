//! The store that lives and dies with its process: for tests, and for services that may forget.
//!
//! It keeps every promise of the port but durability. `tables` holds the read models.

mod tables;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use self::tables::Rows;
use crate::clock;
use crate::event::{RecordedEvent, StreamId};
use crate::read_model::Table;
use crate::store::{
    AcceptedCommand, Append, AppliedMigration, ClaimKey, CommandStatus, CommitError, Committed, DeadLetter,
    DeadLetterFilter, Expiry, Generation, Migration, ParkedEvent, ProcessedEvent, ProjectionBatch, ProjectionError,
    ProjectionRecord, ReadModels, Rebuild, RebuildEnd, RebuildRecord, RecordedClaim, Script, Selected, Selection,
    Snapshot, Source, Store, StoreError, Unit,
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// The event at position `n` is at index `n - 1`.
    events: Vec<RecordedEvent>,
    /// Who is told where the log ends. Each is told in its turn, in which they came, so that a simulated run is the same again:
    /// the receivers of one sender wake in any order.
    followers: Vec<watch::Sender<u64>>,
    /// Indexes into `events`; the event with version `n` is the one at index `n - 1` of its stream.
    streams: HashMap<StreamId, Vec<usize>>,
    snapshots: HashMap<StreamId, Snapshot>,
    claims: HashMap<ClaimKey, KeptClaim>,
    /// By subscription and stream: the version up to which events have been processed, their claims forgotten.
    processed: HashMap<(String, String), u64>,
    /// By id, which begins with the time.
    commands: BTreeMap<Uuid, CommandStatus>,
    /// Who has asked for pending commands.
    nodes: HashSet<Uuid>,
    /// When commands got their outcome.
    settled_at: BTreeMap<Uuid, SystemTime>,
    /// Commands whose outcome hasn't been announced.
    unannounced: BTreeSet<Uuid>,
    dead_letters: BTreeMap<Uuid, DeadLetter>,
    migrations: Vec<(Migration, SystemTime)>,
    models: HashMap<(&'static str, Generation), Model>,
    projections: HashMap<&'static str, ProjectionRecord>,
    rows: HashMap<(&'static str, Generation), Rows>,
}

#[derive(Debug)]
struct KeptClaim {
    recorded: RecordedClaim,
    event: Option<ProcessedEvent>,
    at: SystemTime,
}

/// What a projection keeps beside its rows.
#[derive(Clone, Debug, Default)]
struct Model {
    checkpoint: u64,
    /// By position.
    parked: BTreeMap<u64, ParkedEvent>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Acts when it is waited for, not before: whoever drops the future has done nothing.
    fn with<'a, T: Send + 'a, E: From<StoreError> + Send + 'a>(
        &'a self,
        operation: &'static str,
        act: impl FnOnce(&mut State) -> Result<T, E> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, E>> {
        async move { self.act(operation, act) }.boxed()
    }

    fn act<T, E: From<StoreError>>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::new(operation, "the store is closed").into());
        }
        let result = act(&mut state);
        // Under the lock, so that the head never goes back.
        state.tell_head();
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl Store for MemoryStore {
    fn commit(&self, unit: Unit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.with("commit", move |state| state.commit(unit))
    }

    fn read_stream(&self, stream: StreamId, after: u64) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.with("read a stream", move |state| {
            let indexes = state.streams.get(&stream).map_or(&[][..], Vec::as_slice);
            Ok(indexes.iter().skip(index(after)).map(|&at| state.events[at].clone()).collect())
        })
    }

    fn read_all(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<RecordedEvent>, StoreError>> {
        self.with("read the log", move |state| {
            Ok(state.events.iter().skip(index(after)).take(limit).cloned().collect())
        })
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.lock().follow()
    }

    fn load_snapshot(&self, stream: StreamId, schema: String) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.with("load a snapshot", move |state| {
            Ok(state.snapshots.get(&stream).filter(|it| it.schema == schema).cloned())
        })
    }

    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with("save a snapshot", move |state| {
            let known = state.snapshots.get(&snapshot.stream);
            if known.is_none_or(|it| it.schema != snapshot.schema || it.version < snapshot.version) {
                state.snapshots.insert(snapshot.stream.clone(), snapshot);
            }
            Ok(())
        })
    }

    fn find_claim(&self, key: ClaimKey) -> BoxFuture<'_, Result<Option<RecordedClaim>, StoreError>> {
        self.with("find a claim", move |state| Ok(state.claims.get(&key).map(|claim| claim.recorded.clone())))
    }

    fn processed_up_to(&self, subscription: String, stream: String) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with("look for processed events", move |state| {
            Ok(state.processed.get(&(subscription, stream)).copied().unwrap_or_default())
        })
    }

    fn pending_commands(&self) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.with("list the pending commands", move |state| Ok(state.pending_commands()))
    }

    fn adopt_commands(&self, node: Uuid) -> BoxFuture<'_, Result<Vec<AcceptedCommand>, StoreError>> {
        self.with("adopt commands", move |state| {
            let first = state.nodes.insert(node);
            Ok(if first { state.pending_commands() } else { Vec::new() })
        })
    }

    fn command_status(&self, id: Uuid) -> BoxFuture<'_, Result<Option<CommandStatus>, StoreError>> {
        self.with("find a command", move |state| Ok(state.commands.get(&id).cloned()))
    }

    fn unannounced_outcomes(&self, limit: u32) -> BoxFuture<'_, Result<Vec<CommandStatus>, StoreError>> {
        self.with("list the outcomes", move |state| {
            let unannounced = state.unannounced.iter().filter_map(|id| state.commands.get(id));
            Ok(unannounced.take(limit as usize).cloned().collect())
        })
    }

    fn mark_announced(&self, ids: Vec<Uuid>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with("note what is announced", move |state| {
            for id in ids {
                state.unannounced.remove(&id);
            }
            Ok(())
        })
    }

    fn keep_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with("keep a dead letter", move |state| {
            let same = |it: &DeadLetter| it.source == letter.source && it.message_id == letter.message_id;
            if !state.dead_letters.values().any(same) {
                state.dead_letters.insert(letter.id, letter);
            }
            Ok(())
        })
    }

    fn dead_letters(&self, filter: DeadLetterFilter) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.with("list the dead letters", move |state| {
            let found = state.dead_letters.values().filter(|letter| filter.admits(letter));
            Ok(found.take(filter.limit.map_or(usize::MAX, |limit| limit as usize)).cloned().collect())
        })
    }

    fn dead_letter_counts(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.with("count the dead letters", |state| {
            let mut counts = BTreeMap::new();
            for letter in state.dead_letters.values() {
                *counts.entry(letter.source.clone()).or_default() += 1;
            }
            Ok(counts.into_iter().collect())
        })
    }

    fn renew_dead_letter(&self, letter: DeadLetter) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.with("renew a dead letter", move |state| {
            let known = state.dead_letters.get_mut(&letter.id);
            Ok(known.map(|known| *known = letter).is_some())
        })
    }

    fn remove_dead_letter(&self, id: Uuid) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.with("remove a dead letter", move |state| Ok(state.dead_letters.remove(&id).is_some()))
    }

    /// Tables come into being by themselves here: the migrations are noted, not executed.
    fn migrate(&self, migrations: &'static [Migration]) -> BoxFuture<'_, Result<Vec<&'static str>, StoreError>> {
        self.with("migrate", move |state| state.migrate(migrations))
    }

    fn revert(&self, migration: Migration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.with("take a migration back", move |state| state.revert(&migration))
    }

    fn script(&self, _migration: &Migration) -> Script {
        Script::NONE
    }

    fn applied_migrations(&self) -> BoxFuture<'_, Result<Vec<AppliedMigration>, StoreError>> {
        self.with("read migrations", move |state| {
            let applied = state.migrations.iter();
            let view = |(it, time): &(Migration, SystemTime)| AppliedMigration {
                name: it.name.to_owned(),
                hash: crate::store::columns::migration_hash(Script::NONE.up),
                applied_at: *time,
            };
            Ok(applied.map(view).collect())
        })
    }

    fn purge(&self, expiry: Expiry) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with("purge", move |state| Ok(state.purge(expiry)))
    }
}

impl ReadModels for MemoryStore {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        self.with("read rows", move |state| {
            let rows = state.rows.entry((table.name, generation)).or_default();
            Ok(keys.into_iter().filter_map(|key| rows.get(&key).map(|row| (key, row))).collect())
        })
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        self.with("select rows", move |state| {
            Ok(state.rows.entry((table.name, Generation::Live)).or_default().select(&table, &selection))
        })
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with("read a checkpoint", move |state| {
            Ok(state.models.get(&(projection, generation)).map_or(0, |model| model.checkpoint))
        })
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.with("commit a projection", move |state| state.commit_projection(batch))
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        self.with("list the parked events", move |state| {
            let model = state.models.get(&(projection, generation));
            Ok(model.into_iter().flat_map(|model| model.parked.values().cloned()).collect())
        })
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        self.with("read about a projection", move |state| {
            let rebuilding = state.models.contains_key(&(projection, Generation::Next));
            Ok(ProjectionRecord { rebuilding, ..state.projection(projection).clone() })
        })
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with("pause a projection", move |state| {
            state.projection(projection).paused = paused;
            Ok(())
        })
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.with("begin a rebuild", move |state| Ok(state.begin_rebuild(projection, &table, begin)))
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with("save a read model", move |state| {
            Ok(state.copy(projection, &table, Generation::Live, Generation::Saved).unwrap_or_default())
        })
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with("reset a projection", move |state| {
            state.empty(projection, &table, Generation::Live, 0);
            state.projection(projection).epoch += 1;
            Ok(())
        })
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        self.with("finish a rebuild", move |state| state.finish_rebuild(projection, table, number, expected_checkpoint))
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.with("drop a rebuild", move |state| Ok(state.drop_rebuild(projection, table, number, reason)))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with("ping", move |_| Ok(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async { self.lock().closed = true }.boxed()
    }
}

impl State {
    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn follow(&mut self) -> watch::Receiver<u64> {
        self.followers.retain(|follower| !follower.is_closed());
        let (follower, head) = watch::channel(self.head());
        self.followers.push(follower);
        head
    }

    fn tell_head(&self) {
        let head = self.head();
        for follower in &self.followers {
            follower.send_if_modified(|known| std::mem::replace(known, head) != head);
        }
    }

    /// Checks everything before it writes anything, so that a refused unit leaves nothing.
    fn commit(&mut self, unit: Unit) -> Result<Committed, CommitError> {
        self.check(&unit)?;
        if let Some(append) = unit.append {
            self.append(append);
        }
        if let Some(claim) = unit.claim {
            let recorded = RecordedClaim { request_hash: claim.request_hash, reply: claim.reply };
            self.claims.insert(claim.key, KeptClaim { recorded, event: claim.event, at: SystemTime::now() });
        }
        if let Some(command) = unit.accept {
            self.commands.insert(command.id, CommandStatus { command, outcome: None });
        }
        if let Some(settlement) = unit.settle
            && let Some(status) = self.commands.get_mut(&settlement.command_id)
        {
            status.outcome = Some(settlement.outcome);
            self.settled_at.insert(settlement.command_id, SystemTime::now());
            self.unannounced.insert(settlement.command_id);
        }
        Ok(Committed { position: self.events.len() as u64 })
    }

    fn check(&self, unit: &Unit) -> Result<(), CommitError> {
        if unit.deadline.is_some_and(|deadline| deadline <= clock::now()) {
            return Err(CommitError::Expired);
        }
        if let Some(claim) = &unit.claim
            && let Some(known) = self.claims.get(&claim.key)
        {
            return Err(CommitError::Claimed(known.recorded.clone()));
        }
        if let Some(settlement) = &unit.settle
            && self.commands.get(&settlement.command_id).is_none_or(|status| status.outcome.is_some())
        {
            return Err(CommitError::Settled);
        }
        if let Some(append) = &unit.append {
            let stream = StreamId::new(append.aggregate, &append.aggregate_id);
            let actual = self.streams.get(&stream).map_or(0, Vec::len) as u64;
            if actual != append.expected_version {
                return Err(CommitError::Conflict { actual });
            }
        }
        if let Some(command) = &unit.accept
            && self.commands.contains_key(&command.id)
        {
            return Err(StoreError::new("accept a command", "its id is taken").into());
        }
        Ok(())
    }

    fn append(&mut self, append: Append) {
        let stream = self.streams.entry(StreamId::new(append.aggregate, &append.aggregate_id)).or_default();
        for event in append.events {
            stream.push(self.events.len());
            self.events.push(RecordedEvent {
                position: self.events.len() as u64 + 1,
                aggregate: append.aggregate.to_owned(),
                aggregate_id: append.aggregate_id.clone(),
                version: stream.len() as u64,
                id: event.id,
                event_type: event.event_type.to_owned(),
                schema_version: event.schema_version,
                payload: event.payload,
                metadata: append.metadata.clone(),
                recorded_at: append.time,
            });
        }
    }

    fn pending_commands(&self) -> Vec<AcceptedCommand> {
        let pending = self.commands.values().filter(|it| it.outcome.is_none());
        pending.map(|it| it.command.clone()).collect()
    }

    fn migrate(&mut self, migrations: &'static [Migration]) -> Result<Vec<&'static str>, StoreError> {
        let mut applied = Vec::new();
        for migration in migrations {
            match self.migrations.iter().map(|(it, _)| it).find(|it| it.name == migration.name) {
                None => {
                    self.migrations.push((*migration, SystemTime::now()));
                    applied.push(migration.name);
                }
                Some(known) if known == migration => {}
                Some(_) => return Err(StoreError::changed_migration(migration.name)),
            }
        }
        Ok(applied)
    }

    fn revert(&mut self, migration: &Migration) -> Result<bool, StoreError> {
        let Some(at) = self.migrations.iter().position(|(it, _)| it.name == migration.name) else { return Ok(false) };
        if self.migrations[at].0 != *migration {
            return Err(StoreError::changed_migration(migration.name));
        }
        if migration.sqlite.down.is_empty() {
            return Err(StoreError::irreversible_migration(migration.name));
        }
        self.migrations.remove(at);
        Ok(true)
    }

    fn projection(&mut self, projection: &'static str) -> &mut ProjectionRecord {
        self.projections.entry(projection).or_default()
    }

    fn empty(&mut self, projection: &'static str, table: &Table, generation: Generation, checkpoint: u64) {
        self.models.insert((projection, generation), Model { checkpoint, ..Model::default() });
        self.rows.insert((table.name, generation), Rows::default());
    }

    /// Copies a generation over another; answers with its checkpoint, and `None` if it isn't there.
    fn copy(&mut self, projection: &'static str, table: &Table, from: Generation, to: Generation) -> Option<u64> {
        let model = match self.models.get(&(projection, from)) {
            Some(model) => model.clone(),
            None if from == Generation::Live => Model::default(),
            None => return None,
        };
        let checkpoint = model.checkpoint;
        let rows = self.rows.get(&(table.name, from)).cloned().unwrap_or_default();
        self.models.insert((projection, to), model);
        self.rows.insert((table.name, to), rows);
        Some(checkpoint)
    }

    fn commit_projection(&mut self, batch: ProjectionBatch) -> Result<(), ProjectionError> {
        let live = batch.generation == Generation::Live;
        let ProjectionRecord { paused, epoch, .. } = *self.projection(batch.projection);
        if live && paused {
            return Err(ProjectionError::Paused);
        }
        if !live {
            self.look_for_rebuild(batch.projection, batch.epoch)?;
        }
        let model = self.models.entry((batch.projection, batch.generation)).or_default();
        if model.checkpoint != batch.expected_checkpoint || (live && epoch != batch.epoch) {
            return Err(ProjectionError::Moved { actual: model.checkpoint });
        }
        self.rows.entry((batch.table.name, batch.generation)).or_default().apply(
            &batch.table,
            batch.put,
            &batch.remove,
        )?;
        model.checkpoint = batch.checkpoint;
        model.parked.extend(batch.park.into_iter().map(|event| (event.position, event)));
        for position in batch.unpark {
            model.parked.remove(&position);
        }
        Ok(())
    }

    fn begin_rebuild(&mut self, projection: &'static str, table: &Table, begin: Rebuild) -> Option<u64> {
        match begin.source() {
            Source::Nothing { after } => self.empty(projection, table, Generation::Next, after),
            Source::Copy(from) => drop(self.copy(projection, table, from, Generation::Next)?),
        }
        let record = self.projection(projection);
        let number = record.rebuild.as_ref().map_or(0, |it| it.number) + 1;
        record.rebuild = Some(RebuildRecord { number, begin, begun_at: SystemTime::now(), end: None });
        Some(number)
    }

    /// Refuses if it isn't the rebuild of that number that goes on.
    fn look_for_rebuild(&mut self, projection: &'static str, number: u64) -> Result<(), ProjectionError> {
        let rebuilding = self.models.contains_key(&(projection, Generation::Next));
        let record = ProjectionRecord { rebuilding, ..self.projection(projection).clone() };
        if record.goes_on(number) { Ok(()) } else { Err(ProjectionError::Ended) }
    }

    fn finish_rebuild(
        &mut self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> Result<(), ProjectionError> {
        self.look_for_rebuild(projection, number)?;
        let (live, next) = ((projection, Generation::Live), (projection, Generation::Next));
        let reached = self.models.get(&next).map_or(0, |model| model.checkpoint);
        if reached != expected_checkpoint {
            return Err(ProjectionError::Moved { actual: reached });
        }
        let ahead = self.models.get(&live).map_or(0, |model| model.checkpoint);
        if ahead > reached {
            return Err(ProjectionError::Moved { actual: ahead });
        }
        let model = self.models.remove(&next).ok_or(ProjectionError::Ended)?;
        self.models.insert(live, model);
        let rows = self.rows.remove(&(table.name, Generation::Next)).unwrap_or_default();
        self.rows.insert((table.name, Generation::Live), rows);
        self.projection(projection).epoch += 1;
        self.end_rebuild(projection, number, None);
        Ok(())
    }

    fn drop_rebuild(&mut self, projection: &'static str, table: Table, number: u64, reason: String) -> bool {
        let goes_on = self.end_rebuild(projection, number, Some(reason));
        if goes_on {
            self.models.remove(&(projection, Generation::Next));
            self.rows.remove(&(table.name, Generation::Next));
        }
        goes_on
    }

    fn end_rebuild(&mut self, projection: &'static str, number: u64, failure: Option<String>) -> bool {
        let last = self.projection(projection).rebuild.as_mut();
        let Some(goes_on) = last.filter(|it| it.number == number && it.end.is_none()) else { return false };
        goes_on.end = Some(RebuildEnd { at: SystemTime::now(), failure });
        true
    }

    fn purge(&mut self, expiry: Expiry) -> u64 {
        let kept = |state: &Self| state.claims.len() + state.commands.len() + state.dead_letters.len();
        let before = kept(self);
        self.dead_letters.retain(|_, letter| letter.parked_at >= expiry.dead_letters_before);
        self.purge_claims(expiry);
        let settled_at = &mut self.settled_at;
        self.commands.retain(|id, _| settled_at.get(id).is_none_or(|it| *it >= expiry.commands_before));
        settled_at.retain(|id, _| self.commands.contains_key(id));
        self.unannounced.retain(|id| self.commands.contains_key(id));
        (before - kept(self)) as u64
    }

    fn purge_claims(&mut self, expiry: Expiry) {
        let Self { claims, processed, dead_letters, .. } = self;
        let waits = |event: &ProcessedEvent| {
            dead_letters.values().any(|it| it.source == event.subscription && it.key == event.stream)
        };
        claims.retain(|_, claim| match &claim.event {
            None => claim.at >= expiry.claims_before,
            Some(event) if claim.at >= expiry.processed_before || waits(event) => true,
            Some(event) => {
                let known = processed.entry((event.subscription.clone(), event.stream.clone())).or_default();
                *known = event.version.max(*known);
                false
            }
        });
    }
}

/// A position or version as an index; one that is out of reach is beyond every collection's end.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryStore;
    use crate::store::contract::Fixture;

    async fn open() -> Fixture {
        Fixture { store: Arc::new(MemoryStore::new()), create_table: |_| String::new(), guard: Box::new(()) }
    }

    crate::store_contract!(open);
}
