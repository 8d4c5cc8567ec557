//! Loads aggregates: from memory, or else from the newest snapshot and the events after it.
//!
//! A snapshot only saves time. One that cannot be trusted, because it is damaged or the event that it ends with isn't in
//! its stream, is passed over and forgotten, and the whole stream is replayed.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Runtime;
use crate::domain::{Aggregate, DomainEvent, UnreadableEvent};
use crate::event::{RecordedEvent, StreamId};
use crate::failure::Failure;
use crate::panics::caught;
use crate::store::{SharedStore, Snapshot};

/// The aggregates of one kind.
///
/// The cache needs no invalidation: a decision that appends is checked by the version at the append, and a decision
/// that doesn't is repeated when [`Repository::newer`] finds that the state was old.
pub(crate) struct Repository<A> {
    store: SharedStore,
    cache: Cache<String, Loaded<A>, ByEncodedLength>,
}

/// An aggregate as it was at some version.
#[derive(Debug)]
pub(crate) struct Loaded<A> {
    pub state: Arc<A>,
    /// 0: it doesn't exist.
    pub version: u64,
    /// Whether its life has ended.
    pub ended: bool,
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), version: self.version, ended: self.ended }
    }
}

/// What a state takes beside its contents: its struct, its place in the cache, what the allocator rounds up.
const OVERHEAD: usize = 320;

/// Weighs a state by its encoded length and what it takes beside it.
#[derive(Clone)]
struct ByEncodedLength;

impl<A: Message> Weighter<String, Loaded<A>> for ByEncodedLength {
    fn weight(&self, id: &String, loaded: &Loaded<A>) -> u64 {
        (id.len() + loaded.state.encoded_len() + OVERHEAD) as u64
    }
}

/// A small state with its key and bookkeeping; only the cache's first allocation depends on it.
const USUAL_WEIGHT: u64 = 512;

impl<A: Aggregate> Repository<A> {
    pub fn new(runtime: &Runtime) -> Self {
        let bytes = runtime.options.state_cache_bytes;
        let items = usize::try_from(bytes / USUAL_WEIGHT).unwrap_or(usize::MAX);
        Self { store: runtime.store.clone(), cache: Cache::with_weighter(items, bytes, ByEncodedLength) }
    }

    /// The aggregate as this process saw it last, if it remembers.
    pub fn remembered(&self, id: &str) -> Option<Loaded<A>> {
        self.cache.get(id)
    }

    /// Remembers an aggregate as it is now in the store.
    pub fn remember(&self, id: &str, loaded: Loaded<A>) {
        self.cache.insert(id.to_owned(), loaded);
    }

    /// The aggregate as it is in the store.
    pub async fn load(&self, id: &str) -> Result<Loaded<A>, Failure> {
        if let Some(snapshot) = self.snapshot(id).await? {
            if let Some(loaded) = self.since(id, snapshot).await? {
                return Ok(loaded);
            }
            self.forget_snapshot(id).await;
        }
        let nothing = Loaded { state: Arc::new(A::with_id(id)), version: 0, ended: false };
        Ok(self.newer(id, &nothing).await?.unwrap_or(nothing))
    }

    /// The aggregate with what has been recorded since `known`; `None` if that is nothing.
    pub async fn newer(&self, id: &str, known: &Loaded<A>) -> Result<Option<Loaded<A>>, Failure> {
        let events = self.store.read_stream(StreamId::new(A::NAME, id), known.version).await?;
        if events.is_empty() {
            return Ok(None);
        }
        self.after(id, known, events).map(Some)
    }

    /// The aggregate as it is in the store, by a snapshot; `None` if that one cannot be trusted.
    ///
    /// What it must end with is read together with what came after it.
    async fn since(&self, id: &str, snapshot: Snapshot) -> Result<Option<Loaded<A>>, Failure> {
        let (stream, version) = (snapshot.stream.clone(), snapshot.version);
        let mut events = self.store.read_stream(stream.clone(), version.saturating_sub(1)).await?;
        let last = events.first().filter(|it| it.version == version).map(Last::from);
        let Some(known) = last.and_then(|last| read_snapshot(snapshot, last)) else {
            let stream = stream.as_str();
            tracing::warn!(stream, version, "passing over a snapshot that is damaged, or of events that aren't there");
            return Ok(None);
        };
        events.remove(0);
        self.after(id, &known, events).map(Some)
    }

    /// Lets the next snapshot take the place of this one, whatever its version.
    async fn forget_snapshot(&self, id: &str) {
        let stream = StreamId::new(A::NAME, id);
        let nothing =
            Snapshot { stream: stream.clone(), schema: String::new(), version: 0, ended: false, state: Bytes::new() };
        if let Err(error) = self.store.save_snapshot(nothing).await {
            tracing::warn!(%stream, %error, "cannot forget a snapshot");
        }
    }

    /// The aggregate after further events, which is remembered.
    fn after(&self, id: &str, known: &Loaded<A>, events: Vec<RecordedEvent>) -> Result<Loaded<A>, Failure> {
        let loaded = caught(A::NAME, || fold(known, events))?.map_err(|error| Failure::bug(&error))?;
        self.remember(id, loaded.clone());
        Ok(loaded)
    }

    async fn snapshot(&self, id: &str) -> Result<Option<Snapshot>, Failure> {
        if A::SNAPSHOT_EVERY == 0 {
            return Ok(None);
        }
        Ok(self.store.load_snapshot(StreamId::new(A::NAME, id), Snapshot::schema_of(A::SCHEMA)).await?)
    }
}

/// The state after further events; panics where `evolve` does.
fn fold<A: Aggregate>(known: &Loaded<A>, events: Vec<RecordedEvent>) -> Result<Loaded<A>, UnreadableEvent> {
    let mut state = A::clone(&known.state);
    let (mut version, mut ended) = (known.version, known.ended);
    for recorded in events {
        let event = A::Event::decode(&recorded.event_type, recorded.schema_version, &recorded.payload)?;
        ended |= A::ends(&event);
        version = recorded.version;
        state.apply(event);
    }
    Ok(Loaded { state: Arc::new(state), version, ended })
}

/// The event that a snapshot ends with. By its id alone, a command that is executed once more after a loss of events would
/// seem to have recorded the same.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub id: Uuid,
    pub position: u64,
}

impl From<&RecordedEvent> for Last {
    fn from(event: &RecordedEvent) -> Self {
        Self { id: event.id, position: event.position }
    }
}

/// What stands before the state in a snapshot.
const SEAL_LENGTH: usize = 32;

/// What a snapshot is known to be whole by: protobuf alone reads much of what is damaged, and nothing at all, as some state.
fn seal(snapshot: &Snapshot, last: Last) -> [u8; SEAL_LENGTH] {
    let mut hasher = Sha256::new();
    hasher.update(snapshot.version.to_be_bytes());
    hasher.update([u8::from(snapshot.ended)]);
    hasher.update(last.id);
    hasher.update(last.position.to_be_bytes());
    for text in [snapshot.stream.as_str(), &snapshot.schema] {
        hasher.update(text.len().to_be_bytes());
        hasher.update(text);
    }
    hasher.update(&snapshot.state);
    hasher.finalize().into()
}

fn sealed(snapshot: Snapshot, last: Last) -> Snapshot {
    let state = Bytes::from([&seal(&snapshot, last), &*snapshot.state].concat());
    Snapshot { state, ..snapshot }
}

/// The snapshot as it was before it was sealed; `None` if anything of it has changed since, or it ends with another event.
fn unsealed(snapshot: Snapshot, last: Last) -> Option<Snapshot> {
    let mut state = snapshot.state.clone();
    if state.len() < SEAL_LENGTH {
        return None;
    }
    let known = state.split_to(SEAL_LENGTH);
    let snapshot = Snapshot { state, ..snapshot };
    (known == seal(&snapshot, last)[..]).then_some(snapshot)
}

/// A snapshot that cannot be read is a miss, never a default state.
fn read_snapshot<A: Aggregate>(snapshot: Snapshot, last: Last) -> Option<Loaded<A>> {
    let snapshot = unsealed(snapshot, last)?;
    let state = Arc::new(A::decode(snapshot.state).ok()?);
    Some(Loaded { state, version: snapshot.version, ended: snapshot.ended })
}

/// Keeps a snapshot that ends with that event; a failure costs time at the next load and nothing else.
pub(super) async fn save_snapshot<A: Aggregate>(store: SharedStore, id: String, loaded: Loaded<A>, last: Last) {
    let snapshot = Snapshot {
        stream: StreamId::new(A::NAME, &id),
        schema: Snapshot::schema_of(A::SCHEMA),
        version: loaded.version,
        ended: loaded.ended,
        state: loaded.state.encode_to_vec().into(),
    };
    if let Err(error) = store.save_snapshot(sealed(snapshot, last)).await {
        tracing::warn!(stream = %StreamId::new(A::NAME, &id), %error, "cannot keep a snapshot");
    }
}
