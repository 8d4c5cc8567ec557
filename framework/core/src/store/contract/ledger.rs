//! What callers know of their commands in the end, held against what a store has recorded.
//!
//! Each command carries a correlation id of its own and records one event, so that what came of it can be counted.
//! What a read model has come to is held against a cold replay: its own rules, over the whole log at once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use prost::Message;
use uuid::Uuid;

use crate::domain::DomainEvent;
use crate::event::RecordedEvent;
use crate::read_model::ReadModel;
use crate::store::{CommandOutcome, Generation, Selection, Store};

/// What a caller knows of one of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is executed.
    Executed,
    /// It is accepted, under that id.
    Accepted(Uuid),
    /// It is refused, and no earlier attempt may still be on its way.
    Refused,
    /// Nothing that settles it.
    Nothing,
}

/// Commands by their correlation ids, and what their callers know of them.
pub type Ledger = Vec<(String, Known)>;

/// Every executed command is recorded exactly once, every refused one not at all, and every accepted one has its outcome
/// and its event or no event.
pub async fn check(store: &dyn Store, ledger: &[(String, Known)]) {
    let log = store.read_all(0, usize::MAX).await.expect("readable");
    let mut recorded: HashMap<&str, usize> = HashMap::new();
    for event in &log {
        *recorded.entry(&event.metadata.correlation_id).or_default() += 1;
    }
    for (id, known) in ledger {
        let times = recorded.get(id.as_str()).copied().unwrap_or_default();
        let allowed = match known {
            Known::Executed => 1..=1,
            Known::Refused => 0..=0,
            Known::Nothing => 0..=1,
            Known::Accepted(id) => match outcome(store, *id).await {
                CommandOutcome::Succeeded { .. } => 1..=1,
                CommandOutcome::Failed { .. } => 0..=0,
            },
        };
        assert!(allowed.contains(&times), "{id} is {known:?}, and recorded {times} times");
    }
    assert_eq!(store.pending_commands().await.expect("readable"), [], "every command has its outcome");
}

async fn outcome(store: &dyn Store, id: Uuid) -> CommandOutcome {
    let status = store.command_status(id).await.expect("readable").expect("what was accepted is known");
    status.outcome.expect("every command has its outcome")
}

/// The read model is what a cold replay gives, and nothing of it is parked.
pub async fn check_read_model<M: ReadModel<Row: PartialEq + Debug>>(store: &dyn Store) {
    let expected = replayed::<M>(&store.read_all(0, usize::MAX).await.expect("readable"));
    assert_eq!(rows::<M>(store, &expected).await, expected, "the read model is what a cold replay gives");
    assert_eq!(store.parked(M::NAME, Generation::Live).await.expect("readable"), []);
}

/// The rows of a read model are what a replay up to its position gives: rows and position are never apart. Answers with the
/// position; to be called while nobody keeps the read model.
pub async fn check_rows_at_position<M: ReadModel<Row: PartialEq + Debug>>(store: &dyn Store) -> u64 {
    let position = async || store.checkpoint(M::NAME, Generation::Live).await.expect("readable");
    loop {
        let before = position().await;
        let until = usize::try_from(before).expect("a log fits into memory");
        let expected = replayed::<M>(&store.read_all(0, until).await.expect("readable"));
        let rows = rows::<M>(store, &expected).await;
        // The last request of a process that was killed may still have been on its way.
        if position().await == before {
            assert_eq!(rows, expected, "the rows are those of position {before}");
            return before;
        }
    }
}

/// The rows of a read model by key; a row too many is there under no key.
async fn rows<M: ReadModel>(store: &dyn Store, expected: &BTreeMap<String, M::Row>) -> BTreeMap<String, M::Row> {
    let keys = expected.keys().cloned().collect();
    let found = store.rows_by_key(M::TABLE, Generation::Live, keys).await.expect("readable");
    let all = store.select(M::TABLE, Selection::default()).await.expect("readable").rows;
    let others = all.into_iter().skip(found.len()).map(|row| (String::new(), row));
    let decoded = |(key, row)| (key, M::Row::decode(row).expect("a row"));
    found.into_iter().chain(others).map(decoded).collect()
}

fn replayed<M: ReadModel>(log: &[RecordedEvent]) -> BTreeMap<String, M::Row> {
    let mut rows: BTreeMap<String, Option<M::Row>> = BTreeMap::new();
    for recorded in log.iter().filter(|event| M::EVENTS.contains(&(&*event.aggregate, &*event.event_type))) {
        let event = M::Event::decode(&recorded.event_type, recorded.schema_version, &recorded.payload).expect("known");
        if let Some(key) = M::key(&event, recorded) {
            M::project(rows.entry(key).or_default(), event, recorded);
        }
    }
    rows.into_iter().filter_map(|(key, row)| Some((key, row?))).collect()
}
