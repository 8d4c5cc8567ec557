//! Loads aggregates: from memory, or else from the newest snapshot and the events after it.

use std::sync::Arc;

use prost::Message;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

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
        let start = match self.snapshot(id).await? {
            Some(snapshot) => snapshot,
            None => Loaded { state: Arc::new(A::with_id(id)), version: 0, ended: false },
        };
        let loaded = self.newer(id, &start).await?.unwrap_or(start);
        if loaded.version > 0 {
            self.remember(id, loaded.clone());
        }
        Ok(loaded)
    }

    /// The aggregate with what has been recorded since `known`; `None` if that is nothing.
    pub async fn newer(&self, id: &str, known: &Loaded<A>) -> Result<Option<Loaded<A>>, Failure> {
        let events = self.store.read_stream(StreamId::new(A::NAME, id), known.version).await?;
        if events.is_empty() {
            return Ok(None);
        }
        let newer = caught(A::NAME, || fold(known, events))?.map_err(|error| Failure::bug(&error))?;
        self.remember(id, newer.clone());
        Ok(Some(newer))
    }

    async fn snapshot(&self, id: &str) -> Result<Option<Loaded<A>>, Failure> {
        if A::SNAPSHOT_EVERY == 0 {
            return Ok(None);
        }
        let found = self.store.load_snapshot(StreamId::new(A::NAME, id), A::SCHEMA).await?;
        Ok(found.and_then(read_snapshot))
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

/// A snapshot that cannot be read is a miss, never a default state.
fn read_snapshot<A: Aggregate>(snapshot: Snapshot) -> Option<Loaded<A>> {
    match A::decode(snapshot.state) {
        Ok(state) => Some(Loaded { state: Arc::new(state), version: snapshot.version, ended: snapshot.ended }),
        Err(error) => {
            tracing::warn!(stream = snapshot.stream.as_str(), %error, "passing over an unreadable snapshot");
            None
        }
    }
}

/// Keeps a snapshot; a failure costs time at the next load and nothing else.
pub(super) async fn save_snapshot<A: Aggregate>(store: SharedStore, id: String, loaded: Loaded<A>) {
    let snapshot = Snapshot {
        stream: StreamId::new(A::NAME, &id),
        schema: A::SCHEMA.to_owned(),
        version: loaded.version,
        ended: loaded.ended,
        state: loaded.state.encode_to_vec().into(),
    };
    if let Err(error) = store.save_snapshot(snapshot).await {
        tracing::warn!(stream = %StreamId::new(A::NAME, &id), %error, "cannot keep a snapshot");
    }
}
