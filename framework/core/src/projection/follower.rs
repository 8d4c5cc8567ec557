//! Takes in the log, batch by batch, exactly once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use bytes::Bytes;
use prost::Message;
use tokio::task::JoinHandle;

use super::anew::{Anew, touched};
use super::batch::{Blocked, ByKey, Changes, Plan, Poison, Rows};
use crate::event::RecordedEvent;
use crate::failure::Failure;
use crate::read_model::ReadModel;
use crate::replay::Replay;
use crate::store::{
    Generation, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, RowChange, SharedStore, StoreError,
};

/// The checkpoint is written at least after that many events, even if none of them concerned the read model.
const CHECKPOINT_EVERY: u64 = 10_000;

/// Events looked at at most while somebody else takes them in.
const STRANGERS: usize = 256;

/// How often a replay gives way to another process.
const REPLAYS: u32 = 10;

/// The checkpoint of a read model that another log was taken in for, until it is reset: no log is that long, and every
/// store's numbers are.
const OF_ANOTHER_LOG: u64 = (1 << 53) - 1;

/// Bytes of rows kept in memory at most, about.
const ROWS_IN_MEMORY: usize = 6 << 20;

/// What a row takes beside its contents: its struct, its place in the table, what the allocator rounds up.
const ROW_OVERHEAD: usize = 256;

/// A log, and how much of it is read at a time.
#[derive(Clone)]
pub(crate) struct Log {
    pub store: SharedStore,
    /// Events in a batch at most.
    pub batch: NonZeroUsize,
}

/// Follows the log for one generation of a read model.
pub(super) struct Follower<M: ReadModel> {
    store: SharedStore,
    /// Events in a batch at most.
    batch: usize,
    generation: Generation,
    /// The epoch that `rows` are of; of the next generation the number of its rebuild.
    epoch: u64,
    /// Position of the last event seen.
    position: u64,
    /// The checkpoint in the store.
    checkpoint: u64,
    /// Whether the log ends before the checkpoint, and so isn't the one that was taken in.
    other_log: bool,
    /// Rows as they are in the table, which nobody else writes.
    rows: Rows<M::Row>,
    /// What `rows` take in memory, about.
    rows_weight: usize,
    blocked: Blocked,
    parked: usize,
    /// Counted for whoever watches.
    pub taken_in: u64,
    /// How often rows have changed.
    pub changes: u64,
    ahead: Option<JoinHandle<Result<Vec<RecordedEvent>, StoreError>>>,
    /// The batch whose commit goes on while the next is prepared. `rows` are already as it leaves them.
    pending: Option<Pending>,
}

/// What somebody who looks on has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There is nothing that hasn't been taken in.
    Everything,
    /// Events that don't concern the read model.
    Strangers,
    /// The checkpoint has moved.
    Progress,
    /// Events wait, and the checkpoint is where it was.
    Standstill,
}

/// A batch whose commit goes on. Nothing of it is parked.
struct Pending {
    events: Vec<RecordedEvent>,
    last: u64,
    taken_in: u64,
    commit: JoinHandle<Result<(), ProjectionError>>,
}

impl<M: ReadModel> Follower<M> {
    /// Goes on where the live generation is.
    pub async fn resume(log: Log) -> Result<Self, StoreError> {
        let mut follower = Self::new(log, Generation::Live);
        follower.reload().await?;
        Ok(follower)
    }

    /// Goes on where the next generation is, which the rebuild of that number makes.
    pub async fn next(log: Log, number: u64) -> Result<Self, ProjectionError> {
        if !log.store.projection(M::NAME).await?.goes_on(number) {
            return Err(ProjectionError::Ended);
        }
        let mut builder = Self { epoch: number, ..Self::new(log, Generation::Next) };
        builder.reload().await?;
        Ok(builder)
    }

    /// Makes the rows anew that these events are about, as far as events have been taken in, a batch at a time; answers
    /// how many they are. Queries see none of it before it is finished.
    pub async fn make_anew(&mut self, of: &Replay) -> Result<usize, ProjectionError> {
        let mut keys = HashSet::new();
        of.up_to(self.checkpoint, &self.store, |event| keys.extend(touched::<M>(event))).await?;
        let made = keys.len();
        let mut anew = Anew::<M>::new(keys);
        Replay::all().up_to(self.checkpoint, &self.store, |event| anew.take_in(event)).await?;
        let known = self.store.parked(M::NAME, self.generation).await?;
        let unpark = known.iter().filter(|event| anew.has(&event.key)).map(|event| event.position).collect();
        let (changes, park) = anew.finish();
        self.replace_rows(changes, unpark, park).await?;
        self.reload_parked().await?;
        Ok(made)
    }

    /// Puts rows and parked events in place of others. All of those go first: they may hold values that are unique.
    async fn replace_rows(
        &mut self,
        changes: Changes<M::Row>,
        unpark: Vec<u64>,
        park: Vec<ParkedEvent>,
    ) -> Result<(), ProjectionError> {
        let keys: Vec<_> = changes.rows.iter().map(|(key, _)| key.clone()).collect();
        for keys in keys.chunks(self.batch) {
            self.write(|batch| batch.remove = keys.to_vec()).await?;
        }
        for positions in unpark.chunks(self.batch) {
            self.write(|batch| batch.unpark = positions.to_vec()).await?;
        }
        for rows in changes.put.chunks(self.batch) {
            self.write(|batch| batch.put = rows.to_vec()).await?;
        }
        for events in park.chunks(self.batch) {
            self.write(|batch| batch.park = events.to_vec()).await?;
        }
        Ok(())
    }

    /// Writes without a move of the checkpoint.
    async fn write(&self, fill: impl FnOnce(&mut ProjectionBatch)) -> Result<(), ProjectionError> {
        let mut batch = self.batch(self.checkpoint);
        fill(&mut batch);
        self.store.commit_projection(batch).await
    }

    fn new(Log { store, batch }: Log, generation: Generation) -> Self {
        Self {
            store,
            batch: batch.get(),
            generation,
            epoch: 0,
            position: 0,
            checkpoint: 0,
            other_log: false,
            rows: Rows::default(),
            rows_weight: 0,
            blocked: Blocked::default(),
            parked: 0,
            taken_in: 0,
            changes: 0,
            ahead: None,
            pending: None,
        }
    }

    /// Position of the last event seen.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many events are parked.
    pub fn parked(&self) -> usize {
        self.parked
    }

    /// Takes in the next batch; false if there was none.
    ///
    /// While there is more, its commit may still go on afterwards. After an error nothing of what wasn't committed is
    /// kept, and it can be called again.
    pub async fn advance(&mut self) -> Result<bool, ProjectionError> {
        let advanced = self.take_in_next().await;
        if advanced.is_err() {
            self.ahead = None;
        }
        advanced
    }

    async fn take_in_next(&mut self) -> Result<bool, ProjectionError> {
        if self.parked > 0 {
            self.look_at_parked().await?;
        }
        let events = self.next_events().await?;
        if events.is_empty() {
            let was_pending = self.pending.is_some();
            return self.settle().await.map(|_| was_pending);
        }
        if events.len() < self.batch {
            self.settle().await?;
            return self.take_in_all(&events).await.map(|()| true);
        }
        self.read_ahead(events[self.batch - 1].position);
        let prepared = self.prepare(&events).await;
        // What was prepared stands on the batch before it; and what isn't used is read from the table again.
        let stands = self.settle().await?;
        match prepared? {
            Some((changes, taken_in)) if stands => self.begin_commit(events, changes, taken_in),
            _ => self.take_in_all(&events).await?,
        }
        Ok(true)
    }

    /// Writes the checkpoint if events have been passed over since.
    pub async fn keep_checkpoint(&mut self) -> Result<(), ProjectionError> {
        self.settle().await?;
        self.write_checkpoint().await
    }

    async fn write_checkpoint(&mut self) -> Result<(), ProjectionError> {
        if self.position > self.checkpoint {
            self.commit(self.position, Changes::none(), Vec::new(), Vec::new()).await?;
        }
        Ok(())
    }

    /// Reads again where the table is, after somebody else has moved it.
    pub async fn reload(&mut self) -> Result<(), StoreError> {
        self.forget_rows();
        self.ahead = None;
        self.pending = None;
        if self.generation == Generation::Live {
            self.epoch = self.store.projection(M::NAME).await?.epoch;
        }
        let checkpoint = self.store.checkpoint(M::NAME, self.generation).await?;
        self.found(checkpoint);
        self.other_log = ends_before(&self.store, checkpoint).await?;
        self.reload_parked().await
    }

    /// Whether others have emptied, replaced or lost what had been taken in when this was read last.
    pub async fn is_outdated(&self, record: &ProjectionRecord) -> Result<bool, StoreError> {
        let moved = self.store.checkpoint(M::NAME, self.generation).await? != self.checkpoint;
        Ok(moved || record.epoch != self.epoch)
    }

    /// Says so if the log ends before what has been taken in.
    pub fn compare_with_log(&self) -> Result<(), ProjectionError> {
        if self.other_log { Err(ProjectionError::OtherLog) } else { Ok(()) }
    }

    /// Sees to it that this isn't forgotten when the log has grown: the events at those positions are others.
    pub async fn remember_other_log(&mut self) -> Result<(), ProjectionError> {
        match self.other_log && self.checkpoint < OF_ANOTHER_LOG {
            true => self.commit(OF_ANOTHER_LOG, Changes::none(), Vec::new(), Vec::new()).await,
            false => Ok(()),
        }
    }

    /// Somebody else has moved the checkpoint: forward, or back if the read model was emptied.
    fn found(&mut self, checkpoint: u64) {
        self.position = if checkpoint < self.checkpoint { checkpoint } else { self.position.max(checkpoint) };
        self.checkpoint = checkpoint;
        self.other_log |= checkpoint == OF_ANOTHER_LOG;
        self.changes += 1;
    }

    /// Watches how somebody else takes events in.
    pub async fn look_on(&mut self) -> Result<Seen, StoreError> {
        let checkpoint = self.store.checkpoint(M::NAME, self.generation).await?;
        if checkpoint != self.checkpoint {
            self.found(checkpoint);
            return Ok(Seen::Progress);
        }
        self.pass_strangers().await
    }

    /// Passes over events that don't concern the read model: no checkpoint tells of those.
    async fn pass_strangers(&mut self) -> Result<Seen, StoreError> {
        let events = self.store.read_all(self.position, STRANGERS).await?;
        let Some(last) = events.last() else { return Ok(Seen::Everything) };
        let (known, seen) = match Plan::<M>::new(&events, &HashMap::new(), &self.blocked).first() {
            None => (last.position, Seen::Strangers),
            Some(first) => (first - 1, Seen::Standstill),
        };
        self.position = known;
        Ok(seen)
    }

    /// Takes in the next batch of a rebuild; false if there was none. Another process may build at the same time.
    pub async fn build(&mut self) -> Result<bool, ProjectionError> {
        match self.advance().await {
            Err(error) => self.go_on_after(error).await.map(|()| true),
            advanced => advanced,
        }
    }

    /// What another process has moved is read again. It may also have ended the rebuild, and nothing is as it was.
    pub async fn go_on_after(&mut self, error: ProjectionError) -> Result<(), ProjectionError> {
        if !self.store.projection(M::NAME).await?.goes_on(self.epoch) {
            return Err(ProjectionError::Ended);
        }
        match error {
            ProjectionError::Moved { .. } => Ok(self.reload().await?),
            error => Err(error),
        }
    }

    /// Takes in what is still missing and puts this generation in place of the live one.
    pub async fn finish_rebuild(&mut self) -> Result<(), ProjectionError> {
        while let Err(error) = self.try_to_finish().await {
            // The live generation may have seen more meanwhile.
            self.go_on_after(error).await?;
        }
        self.generation = Generation::Live;
        Ok(self.reload().await?)
    }

    async fn try_to_finish(&mut self) -> Result<(), ProjectionError> {
        while self.build().await? {}
        self.keep_checkpoint().await?;
        match self.store.finish_rebuild(M::NAME, M::TABLE, self.epoch, self.checkpoint).await {
            Err(ProjectionError::Moved { actual }) if ends_before(&self.store, actual).await? => {
                Err(ProjectionError::OtherLog)
            }
            finished => finished,
        }
    }

    /// Tries to take in what is parked; what another process prevents by taking events in is tried again.
    pub async fn replay_parked_in_turn(&mut self, of: &Replay) -> Result<usize, ProjectionError> {
        for _ in 0..REPLAYS {
            self.reload().await?;
            self.compare_with_log()?;
            match self.replay_parked(of).await {
                Err(ProjectionError::Moved { .. }) => {}
                replayed => return replayed,
            }
        }
        self.replay_parked(of).await
    }

    /// Tries to take in what is parked, row by row and in order; answers how many events that were.
    async fn replay_parked(&mut self, of: &Replay) -> Result<usize, ProjectionError> {
        self.settle().await?;
        let mut still_blocked = Blocked::default();
        let mut replayed = 0;
        for parked in self.store.parked(M::NAME, self.generation).await? {
            let blocked = still_blocked.contains_key(&parked.key);
            if !blocked && self.replay(&parked, of).await? {
                replayed += 1;
            } else {
                still_blocked.entry(parked.key).or_insert(parked.position);
            }
        }
        self.reload_parked().await?;
        Ok(replayed)
    }

    async fn replay(&mut self, parked: &ParkedEvent, of: &Replay) -> Result<bool, ProjectionError> {
        let events = self.store.read_all(parked.position - 1, 1).await?;
        if !events.iter().all(|event| of.admits(event)) {
            return Ok(false);
        }
        let plan = Plan::<M>::new(&events, &HashMap::new(), &Blocked::default());
        if !plan.park.is_empty() {
            return Ok(false);
        }
        let rows = self.rows_of(&plan.keys).await?;
        let Ok(changes) = plan.project(rows) else { return Ok(false) };
        match self.commit(self.checkpoint, changes, Vec::new(), vec![parked.position]).await {
            Err(ProjectionError::NotUnique { .. }) => Ok(false),
            committed => committed.map(|()| true),
        }
    }

    async fn next_events(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        match self.ahead.take() {
            Some(ahead) => ahead.await.unwrap_or_else(|error| Err(StoreError::new("read ahead", error))),
            None => {
                let after = self.pending.as_ref().map_or(self.position, |pending| pending.last);
                self.store.read_all(after, self.batch).await
            }
        }
    }

    /// Lets the store read the next batch while this one is taken in.
    fn read_ahead(&mut self, after: u64) {
        let (store, batch) = (self.store.clone(), self.batch);
        self.ahead = Some(tokio::spawn(async move { store.read_all(after, batch).await }));
    }

    /// What a batch changes, and how many events it takes in; `None` if there is nothing to do, or something to park.
    async fn prepare(&mut self, events: &[RecordedEvent]) -> Result<Option<(Changes<M::Row>, u64)>, StoreError> {
        let plan = Plan::<M>::new(events, &HashMap::new(), &self.blocked);
        if plan.is_empty() || !plan.park.is_empty() {
            return Ok(None);
        }
        let taken_in = plan.len() as u64;
        let rows = self.rows_of(&plan.keys).await?;
        Ok(plan.project(rows).ok().map(|changes| (changes, taken_in)))
    }

    /// Lets the store commit a batch while the next is prepared.
    fn begin_commit(&mut self, events: Vec<RecordedEvent>, changes: Changes<M::Row>, taken_in: u64) {
        let Changes { rows, put, remove } = changes;
        let (last, weight) = (events.last().map_or(self.position, |event| event.position), weight(&put));
        let batch = ProjectionBatch { put, remove, ..self.batch(last) };
        let store = self.store.clone();
        let commit = tokio::spawn(async move { store.commit_projection(batch).await });
        self.remember(rows, weight);
        self.pending = Some(Pending { events, last, taken_in, commit });
    }

    /// Waits for the commit that goes on; false if its events had to be taken in otherwise, so that nothing that was
    /// prepared in the meantime stands.
    async fn settle(&mut self) -> Result<bool, ProjectionError> {
        let Some(Pending { events, last, taken_in, commit }) = self.pending.take() else { return Ok(true) };
        let Err(error) = commit.await.unwrap_or_else(|error| Err(StoreError::new("commit a projection", error).into()))
        else {
            (self.checkpoint, self.position) = (last, last);
            self.changes += 1;
            self.taken_in += taken_in;
            return Ok(true);
        };
        self.forget_rows();
        self.ahead = None;
        match error {
            ProjectionError::NotUnique { .. } => self.take_in_all(&events).await.map(|()| false),
            error => Err(error),
        }
    }

    /// Takes in events; those that cannot be are found by halving and parked.
    async fn take_in_all(&mut self, events: &[RecordedEvent]) -> Result<(), ProjectionError> {
        let mut poison = HashMap::new();
        let mut rest = vec![events];
        while let Some(part) = rest.pop() {
            match self.take_in(part, &poison).await {
                Ok(None) => {}
                Ok(Some(Poison { position, reason })) => {
                    poison.insert(position, reason);
                    rest.push(part);
                }
                Err(ProjectionError::NotUnique { key, column }) => match part {
                    [only] => {
                        poison.insert(only.position, format!("`{column}` of row `{key}` would not be unique"));
                        rest.push(part);
                    }
                    several => {
                        let (first, second) = several.split_at(several.len() / 2);
                        rest.extend([second, first]);
                    }
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in events in one transaction, or tells which one cannot be.
    async fn take_in(
        &mut self,
        events: &[RecordedEvent],
        poison: &HashMap<u64, String>,
    ) -> Result<Option<Poison>, ProjectionError> {
        let Some(last) = events.last() else { return Ok(None) };
        let mut plan = Plan::<M>::new(events, poison, &self.blocked);
        if plan.is_empty() {
            self.pass_over(last.position).await?;
            return Ok(None);
        }
        let park = std::mem::take(&mut plan.park);
        let taken_in = plan.len() as u64;
        let rows = self.rows_of(&plan.keys).await?;
        let changes = match plan.project(rows) {
            Ok(changes) => changes,
            Err(poison) => return Ok(Some(poison)),
        };
        self.commit(last.position, changes, park, Vec::new()).await?;
        self.taken_in += taken_in;
        Ok(None)
    }

    /// Notes that nothing up to `position` concerns the read model; only now and then in the store.
    async fn pass_over(&mut self, position: u64) -> Result<(), ProjectionError> {
        self.position = position;
        if self.position - self.checkpoint >= CHECKPOINT_EVERY {
            self.write_checkpoint().await?;
        }
        Ok(())
    }

    /// Takes the rows of these keys out of memory, or else out of the table.
    ///
    /// They come back into memory when their changes are committed; after a failure the table has them.
    async fn rows_of(&mut self, keys: &[String]) -> Result<Vec<Option<M::Row>>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        let mut unknown = ByKey::default();
        for (place, key) in keys.iter().enumerate() {
            let known = self.rows.remove(key);
            if known.is_none() {
                unknown.insert(key.clone(), place);
            }
            rows.push(known.flatten());
        }
        if !unknown.is_empty() {
            let keys = unknown.keys().cloned().collect();
            for (key, row) in self.store.rows_by_key(M::TABLE, self.generation, keys).await? {
                if let Some(place) = unknown.get(&key) {
                    rows[*place] = Some(decode_row::<M>(row)?);
                }
            }
        }
        Ok(rows)
    }

    async fn commit(
        &mut self,
        checkpoint: u64,
        changes: Changes<M::Row>,
        park: Vec<ParkedEvent>,
        unpark: Vec<u64>,
    ) -> Result<(), ProjectionError> {
        let Changes { rows, put, remove } = changes;
        let weight = weight(&put);
        let batch = ProjectionBatch { put, remove, park: park.clone(), unpark, ..self.batch(checkpoint) };
        self.store.commit_projection(batch).await?;
        self.checkpoint = checkpoint;
        self.position = self.position.max(checkpoint);
        self.note_parked(park);
        if !rows.is_empty() {
            self.changes += 1;
            self.remember(rows, weight);
        }
        Ok(())
    }

    /// Nothing but a move of the checkpoint.
    fn batch(&self, checkpoint: u64) -> ProjectionBatch {
        let batch = ProjectionBatch::moving(M::NAME, M::TABLE, self.checkpoint, checkpoint);
        ProjectionBatch { generation: self.generation, epoch: self.epoch, ..batch }
    }

    fn remember(&mut self, rows: Vec<(String, Option<M::Row>)>, weight: usize) {
        self.rows_weight += weight;
        if self.rows_weight > ROWS_IN_MEMORY {
            self.forget_rows();
            self.rows_weight = weight;
        }
        self.rows.extend(rows);
    }

    fn forget_rows(&mut self) {
        self.rows = Rows::default();
        self.rows_weight = 0;
    }

    fn note_parked(&mut self, park: Vec<ParkedEvent>) {
        self.parked += park.len();
        for event in park {
            if let Entry::Vacant(entry) = self.blocked.entry(event.key) {
                tracing::error!(
                    read_model = M::NAME,
                    row = entry.key(),
                    position = event.position,
                    event_type = event.event_type,
                    reason = event.reason,
                    "an event cannot be taken in; its row is blocked"
                );
                entry.insert(event.position);
            }
        }
    }

    /// Looks whether somebody else has taken in what was parked: its rows are then no longer as they are in memory.
    pub async fn look_at_parked(&mut self) -> Result<(), StoreError> {
        let known = self.blocked.clone();
        self.reload_parked().await?;
        if self.blocked != known {
            self.forget_rows();
            self.changes += 1;
        }
        Ok(())
    }

    async fn reload_parked(&mut self) -> Result<(), StoreError> {
        let parked = self.store.parked(M::NAME, self.generation).await?;
        self.parked = parked.len();
        self.blocked = Blocked::default();
        for event in parked {
            self.blocked.entry(event.key).or_insert(event.position);
        }
        Ok(())
    }
}

impl<R> Changes<R> {
    fn none() -> Self {
        Self { rows: Vec::new(), put: Vec::new(), remove: Vec::new() }
    }
}

/// Bytes in memory of the rows that are put, about.
fn weight(put: &[RowChange]) -> usize {
    put.iter().map(|change| change.row.len() + 2 * change.key.len() + ROW_OVERHEAD).sum()
}

/// A row that the projection itself has written and cannot read is a broken table.
fn decode_row<M: ReadModel>(row: Bytes) -> Result<M::Row, StoreError> {
    M::Row::decode(row).map_err(|error| StoreError::new("read a row", error))
}

/// Whether the log has no event at a position, nor after it.
pub(super) async fn ends_before(store: &SharedStore, position: u64) -> Result<bool, StoreError> {
    Ok(position > *store.head().borrow() && store.read_all(position - 1, 1).await?.is_empty())
}

impl From<ProjectionError> for Failure {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Store(error) => error.into(),
            ProjectionError::Paused => Self::unavailable("the projection is paused"),
            ProjectionError::OtherLog => Self::refused("OTHER_LOG", error.to_string()),
            error => Self::bug(&error),
        }
    }
}
