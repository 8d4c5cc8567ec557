//! A load that is broken off anywhere, and what must hold of the store afterwards.
//!
//! A test starts a process that calls [`append`], ends it as a crash would (or the database under it), and calls
//! [`check`] with what was acknowledged until then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::join_all;
use uuid::Uuid;

use crate::event::{EventMetadata, NewEvent, RecordedEvent};
use crate::store::{
    AcceptedCommand, Append, Claim, ClaimKey, CommandOutcome, CommitError, RecordedReply, Settlement, SharedStore,
    StoreError, Unit,
};

/// Callers at a time, and the streams that they fight for.
const CALLERS: u128 = 64;
const STREAMS: u128 = 16;

/// The events that were acknowledged, by id: their positions.
pub type Acknowledged = BTreeMap<Uuid, u64>;

/// Appends with many callers, half of them under a key, the others to settle a command, and tells what is acknowledged.
/// Ends when each of the callers has met an error of the store.
pub async fn append(store: &SharedStore, acknowledge: impl Fn(Uuid, u64) + Copy) {
    join_all((0..CALLERS).map(|caller| call(store, caller, acknowledge))).await;
}

async fn call(store: &SharedStore, caller: u128, acknowledge: impl Fn(Uuid, u64)) {
    let mut version = 0;
    while let Ok((id, position)) = append_one(store, caller, &mut version).await {
        acknowledge(id, position);
    }
}

async fn append_one(store: &SharedStore, caller: u128, version: &mut u64) -> Result<(Uuid, u64), StoreError> {
    let id = Uuid::now_v7();
    if !is_idempotent(id) {
        store.commit(Unit { accept: Some(accepted(id)), ..Unit::default() }).await.map_err(database)?;
    }
    let stream = (caller % STREAMS).to_string();
    loop {
        match store.commit(unit(id, &stream, *version)).await {
            Ok(committed) => {
                *version += 1;
                return Ok((id, committed.position));
            }
            Err(CommitError::Conflict { actual }) => *version = actual,
            Err(error) => return Err(database(error)),
        }
    }
}

fn database(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        other => panic!("{other}"),
    }
}

/// Everything acknowledged is there exactly once, positions and versions have no gap, and what travels together is there
/// together or not at all.
pub async fn check(store: &SharedStore, acknowledged: &Acknowledged) {
    let log = store.read_all(0, usize::MAX).await.expect("readable");
    assert!(*store.head().borrow() >= log.len() as u64);
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, position, "positions have no gap");
        let version = versions.entry(&event.aggregate_id).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "versions have no gap");
    }
    let recorded: Acknowledged = log.iter().map(|event| (event.id, event.position)).collect();
    assert_eq!(recorded.len(), log.len(), "no event is there twice");
    for (id, position) in acknowledged {
        assert_eq!(recorded.get(id), Some(position), "an acknowledged append is there");
    }
    check_what_travels_together(store, &log).await;
}

/// An event has its claim, or its command is settled: never the one without the other.
async fn check_what_travels_together(store: &SharedStore, log: &[RecordedEvent]) {
    let ids: BTreeSet<Uuid> = log.iter().map(|event| event.id).collect();
    for event in log {
        if is_idempotent(event.id) {
            let claim = store.find_claim(key(event.id)).await.expect("readable");
            assert_eq!(claim.map(|claim| claim.reply.version), Some(event.version));
        } else {
            let status = store.command_status(event.id).await.expect("readable").expect("it was accepted");
            assert!(status.outcome.is_some(), "an executed command is settled");
        }
    }
    for pending in store.pending_commands().await.expect("readable") {
        assert!(!ids.contains(&pending.id), "a pending command has not been executed");
    }
}

/// Half of the appends claim a key, the others settle an accepted command.
fn is_idempotent(id: Uuid) -> bool {
    id.as_u128().is_multiple_of(2)
}

fn unit(id: Uuid, stream: &str, version: u64) -> Unit {
    let unit = Unit { append: Some(appended(id, stream, version)), ..Unit::default() };
    if is_idempotent(id) {
        let reply = RecordedReply {
            body: Bytes::new(),
            aggregate_id: stream.to_owned(),
            version: version + 1,
            command_id: None,
        };
        Unit { claim: Some(Claim { key: key(id), request_hash: [0; 32], reply, event: None }), ..unit }
    } else {
        let outcome = CommandOutcome::Succeeded { version: version + 1, events: Vec::new() };
        Unit { settle: Some(Settlement { command_id: id, outcome }), ..unit }
    }
}

fn appended(id: Uuid, stream: &str, version: u64) -> Append {
    let event = NewEvent {
        id,
        event_type: "thing.happened",
        schema_version: 1,
        payload: Bytes::copy_from_slice(id.to_string().as_bytes()),
    };
    Append {
        aggregate: "Thing",
        aggregate_id: stream.to_owned(),
        expected_version: version,
        events: vec![event],
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    }
}

fn accepted(id: Uuid) -> AcceptedCommand {
    AcceptedCommand {
        id,
        name: "thing.make".to_owned(),
        aggregate: "Thing".to_owned(),
        aggregate_id: "1".to_owned(),
        request: Bytes::new(),
        expected_version: None,
        correlation_id: String::new(),
        causation_id: None,
        actor: None,
        accepted_at: SystemTime::now(),
    }
}

fn key(id: Uuid) -> ClaimKey {
    ClaimKey { command: "thing.make", caller: String::new(), key: id.to_string() }
}
