//! Turns events into changed rows: plan (read the events, find their rows), then project.

use std::collections::HashMap;
use std::time::SystemTime;

use foldhash::fast::RandomState;
use prost::Message;

use crate::domain::DomainEvent;
use crate::event::RecordedEvent;
use crate::panics;
use crate::read_model::ReadModel;
use crate::store::{ParkedEvent, RowChange};

/// By key of a row: looked up for every event, so with a hasher that is fast.
pub(super) type ByKey<T> = HashMap<String, T, RandomState>;

/// Rows by key; `None`: there is no such row.
pub(super) type Rows<R> = ByKey<Option<R>>;

/// The first parked event of each blocked row.
pub(super) type Blocked = ByKey<u64>;

/// What is to be done with a batch of events.
pub(super) struct Plan<'a, M: ReadModel> {
    /// Events to take in, in order, each with the place of its row's key in `keys`.
    steps: Vec<Step<'a, M::Event>>,
    /// Keys of the rows that they are about, each once.
    pub keys: Vec<String>,
    /// Events to park.
    pub park: Vec<ParkedEvent>,
}

struct Step<'a, E> {
    recorded: &'a RecordedEvent,
    event: E,
    key: usize,
}

/// An event that cannot be taken in, and why.
pub(super) struct Poison {
    pub position: u64,
    pub reason: String,
}

/// What a batch changes.
pub(super) struct Changes<R> {
    pub rows: Vec<(String, Option<R>)>,
    pub put: Vec<RowChange>,
    pub remove: Vec<String>,
}

impl<'a, M: ReadModel> Plan<'a, M> {
    /// Reads the events that the read model follows and finds out which rows they are about.
    ///
    /// What is known to be poisonous is parked, and so is everything behind it that is about the same row.
    pub fn new(events: &'a [RecordedEvent], poison: &HashMap<u64, String>, blocked: &Blocked) -> Self {
        let mut plan = Self { steps: Vec::with_capacity(events.len()), keys: Vec::new(), park: Vec::new() };
        let mut places = ByKey::default();
        for recorded in events.iter().filter(|event| follows::<M>(event)) {
            match read::<M>(recorded) {
                Ok(None) => {}
                Ok(Some((event, key))) => plan.add(recorded, event, key, &mut places, poison, blocked),
                Err(reason) => plan.park(recorded, recorded.aggregate_id.clone(), reason),
            }
        }
        plan.keys = in_order(places);
        plan
    }

    fn add(
        &mut self,
        recorded: &'a RecordedEvent,
        event: M::Event,
        key: String,
        places: &mut ByKey<usize>,
        poison: &HashMap<u64, String>,
        blocked: &Blocked,
    ) {
        if let Some(reason) = poison.get(&recorded.position) {
            return self.park(recorded, key, reason.clone());
        }
        if let Some(first) = self.blocked_by(&key, blocked) {
            return self.park(recorded, key, format!("waits for the parked event at position {first}"));
        }
        let new = places.len();
        let place = *places.entry(key).or_insert(new);
        self.steps.push(Step { recorded, event, key: place });
    }

    fn blocked_by(&self, key: &str, blocked: &Blocked) -> Option<u64> {
        let here = || self.park.iter().find(|parked| parked.key == key).map(|parked| parked.position);
        blocked.get(key).copied().or_else(here)
    }

    fn park(&mut self, recorded: &RecordedEvent, key: String, reason: String) {
        self.park.push(ParkedEvent {
            position: recorded.position,
            key,
            event_type: recorded.event_type.clone(),
            reason,
            parked_at: SystemTime::now(),
        });
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.park.is_empty()
    }

    /// Position of the first event that concerns the read model.
    pub fn first(&self) -> Option<u64> {
        let taken_in = self.steps.first().map(|step| step.recorded.position);
        taken_in.into_iter().chain(self.park.first().map(|parked| parked.position)).min()
    }

    /// How many events are taken in.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Takes the events in. `rows` are those of the plan's keys, in the same order.
    ///
    /// At a panic the rows are lost, half changed as they may be; the caller plans again around the poison.
    pub fn project(self, mut rows: Vec<Option<M::Row>>) -> Result<Changes<M::Row>, Poison> {
        for Step { recorded, event, key } in self.steps {
            tracing::debug!(
                read_model = M::NAME,
                row = self.keys[key],
                event_type = recorded.event_type,
                position = recorded.position,
                correlation_id = recorded.metadata.correlation_id,
                "taking an event in"
            );
            let row = &mut rows[key];
            panics::quietly(|| M::project(row, event, recorded))
                .map_err(|reason| Poison { position: recorded.position, reason })?;
        }
        Ok(changes::<M>(self.keys, rows))
    }
}

pub(super) fn changes<M: ReadModel>(keys: Vec<String>, rows: Vec<Option<M::Row>>) -> Changes<M::Row> {
    let mut changes = Changes { rows: Vec::with_capacity(keys.len()), put: Vec::new(), remove: Vec::new() };
    for (key, row) in keys.into_iter().zip(rows) {
        match &row {
            Some(row) => changes.put.push(RowChange {
                key: key.clone(),
                values: M::values(row),
                row: row.encode_to_vec().into(),
            }),
            None => changes.remove.push(key.clone()),
        }
        changes.rows.push((key, row));
    }
    changes
}

/// The keys, each at its place.
fn in_order(places: ByKey<usize>) -> Vec<String> {
    let mut keys = vec![String::new(); places.len()];
    for (key, place) in places {
        keys[place] = key;
    }
    keys
}

/// Whether the read model is built from that kind of event.
pub(super) fn follows<M: ReadModel>(recorded: &RecordedEvent) -> bool {
    M::EVENTS
        .iter()
        .any(|(aggregate, event_type)| *event_type == recorded.event_type && *aggregate == recorded.aggregate)
}

/// Reads an event and asks which row it is about.
pub(super) fn read<M: ReadModel>(recorded: &RecordedEvent) -> Result<Option<(M::Event, String)>, String> {
    let event = M::Event::decode(&recorded.event_type, recorded.schema_version, &recorded.payload)
        .map_err(|unreadable| unreadable.to_string())?;
    let key = panics::quietly(|| M::key(&event, recorded))?;
    Ok(key.map(|key| (event, key)))
}
