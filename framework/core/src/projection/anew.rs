//! Makes some rows anew: each from all events that are about it, as a rebuild of the whole would.

use std::collections::HashSet;
use std::time::SystemTime;

use super::batch::{ByKey, Changes, changes, follows, read};
use crate::event::RecordedEvent;
use crate::panics;
use crate::read_model::ReadModel;
use crate::store::ParkedEvent;

/// The rows with these keys, as far as they have been made.
pub(super) struct Anew<M: ReadModel> {
    keys: HashSet<String>,
    rows: ByKey<Option<M::Row>>,
    /// The first event of each row that could not be taken in.
    blocked: ByKey<u64>,
    pub park: Vec<ParkedEvent>,
}

/// The row that an event is about, if it concerns the read model; of one that can't be read, that of its aggregate.
pub(super) fn touched<M: ReadModel>(recorded: &RecordedEvent) -> Option<String> {
    if !follows::<M>(recorded) {
        return None;
    }
    read::<M>(recorded).map_or_else(|_| Some(recorded.aggregate_id.clone()), |found| found.map(|(_, key)| key))
}

impl<M: ReadModel> Anew<M> {
    pub fn new(keys: HashSet<String>) -> Self {
        let rows = keys.iter().map(|key| (key.clone(), None)).collect();
        Self { keys, rows, blocked: ByKey::default(), park: Vec::new() }
    }

    pub fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Takes an event in if it is about one of the rows.
    pub fn take_in(&mut self, recorded: &RecordedEvent) {
        if !follows::<M>(recorded) {
            return;
        }
        match read::<M>(recorded) {
            Ok(Some((event, key))) if self.has(&key) => self.project(recorded, event, key),
            Err(reason) if self.has(&recorded.aggregate_id) => {
                self.set_aside(recorded, recorded.aggregate_id.clone(), reason);
            }
            _ => {}
        }
    }

    fn project(&mut self, recorded: &RecordedEvent, event: M::Event, key: String) {
        if let Some(first) = self.blocked.get(&key) {
            let reason = format!("waits for the parked event at position {first}");
            return self.set_aside(recorded, key, reason);
        }
        let row = self.rows.get_mut(&key).expect("there is a place for each key");
        let before = row.clone();
        if let Err(reason) = panics::quietly(|| M::project(row, event, recorded)) {
            *row = before;
            self.set_aside(recorded, key, reason);
        }
    }

    fn set_aside(&mut self, recorded: &RecordedEvent, key: String, reason: String) {
        self.blocked.entry(key.clone()).or_insert(recorded.position);
        let (position, event_type) = (recorded.position, recorded.event_type.clone());
        self.park.push(ParkedEvent { position, key, event_type, reason, parked_at: SystemTime::now() });
    }

    /// What is to be written, and what is to be parked.
    pub fn finish(self) -> (Changes<M::Row>, Vec<ParkedEvent>) {
        let (keys, rows) = self.rows.into_iter().unzip();
        (changes::<M>(keys, rows), self.park)
    }
}
