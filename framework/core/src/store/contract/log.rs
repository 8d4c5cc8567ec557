//! Streams, positions, the head, snapshots.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;

use super::{Fixture, a_time, append, appending, payloads, stream, whole_log};
use crate::event::{EventMetadata, StreamId};
use crate::store::{CommitError, SharedStore, Snapshot, Unit};

/// Every field comes back as it went in.
pub async fn keeps_what_was_appended(Fixture { store, guard: _guard, .. }: Fixture) {
    let unit = appending("1", 0, &["first", "second"]);
    let ids: Vec<_> = unit.append.iter().flat_map(|append| &append.events).map(|event| event.id).collect();
    let committed = store.commit(unit).await.expect("a new stream");
    assert_eq!(committed.position, 2);

    let events = stream(&store, "1").await;
    assert_eq!(payloads(&events), ["first", "second"]);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.position, index as u64 + 1);
        assert_eq!(event.version, index as u64 + 1);
        assert_eq!(event.id, ids[index]);
        assert_eq!((event.aggregate.as_str(), event.aggregate_id.as_str()), ("Thing", "1"));
        assert_eq!((event.event_type.as_str(), event.schema_version), (super::EVENT_TYPE, 3));
        assert_eq!(event.metadata.correlation_id, "correlation");
        assert_eq!(event.metadata.causation_id, "causation");
        assert_eq!(event.metadata.actor.as_deref(), Some("ada"));
        assert_eq!(event.recorded_at, a_time());
    }
    assert_eq!(whole_log(&store).await, events);

    let mut anonymous = append("2", 0, &[""]);
    anonymous.metadata = EventMetadata::default();
    store.commit(Unit { append: Some(anonymous), ..Unit::default() }).await.expect("a new stream");
    let events = stream(&store, "2").await;
    assert_eq!(events[0].metadata, EventMetadata::default());
    assert_eq!(events[0].payload, Bytes::new());
}

/// `after` is a version that isn't answered again.
pub async fn reads_the_tail_of_a_stream(Fixture { store, guard: _guard, .. }: Fixture) {
    store.commit(appending("1", 0, &["a", "b", "c"])).await.expect("a new stream");
    let tail = store.read_stream(StreamId::new("Thing", "1"), 2).await.expect("readable");
    assert_eq!(payloads(&tail), ["c"]);
    assert_eq!(store.read_stream(StreamId::new("Thing", "1"), 3).await.expect("readable"), []);
    assert_eq!(store.read_stream(StreamId::new("Thing", "1"), u64::MAX).await.expect("readable"), []);
    assert_eq!(stream(&store, "2").await, []);
}

/// Refused units use no position up.
pub async fn numbers_the_log_without_gaps(Fixture { store, guard: _guard, .. }: Fixture) {
    for (id, expected, fits) in [("1", 0, true), ("1", 0, false), ("2", 0, true), ("2", 5, false), ("1", 2, true)] {
        let result = store.commit(appending(id, expected, &["x", "y"])).await;
        assert_eq!(result.is_ok(), fits, "{id} {expected}: {result:?}");
    }
    let log = whole_log(&store).await;
    let places: Vec<_> = log.iter().map(|it| (it.position, it.aggregate_id.as_str(), it.version)).collect();
    assert_eq!(places, [(1, "1", 1), (2, "1", 2), (3, "2", 1), (4, "2", 2), (5, "1", 3), (6, "1", 4)]);
}

/// A reader that goes on where it stopped sees everything once.
pub async fn reads_the_log_in_slices(Fixture { store, guard: _guard, .. }: Fixture) {
    store.commit(appending("1", 0, &["a", "b", "c", "d", "e"])).await.expect("a new stream");
    let mut seen = Vec::new();
    let mut position = 0;
    loop {
        let slice = store.read_all(position, 2).await.expect("readable");
        assert!(slice.len() <= 2);
        let Some(last) = slice.last() else { break };
        position = last.position;
        seen.extend(slice.iter().map(|event| event.position));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(store.read_all(u64::MAX, 10).await.expect("readable"), []);
}

/// The error says the version that the stream has.
pub async fn refuses_a_wrong_version(Fixture { store, guard: _guard, .. }: Fixture) {
    store.commit(appending("1", 0, &["a", "b"])).await.expect("a new stream");
    for (id, expected, version) in [("1", 0, 2), ("1", 1, 2), ("1", 3, 2), ("2", 1, 0)] {
        match store.commit(appending(id, expected, &["x"])).await {
            Err(CommitError::Conflict { actual }) => assert_eq!(actual, version, "{id} {expected}"),
            other => panic!("{id} {expected}: {other:?}"),
        }
    }
    assert_eq!(whole_log(&store).await.len(), 2);
    store.commit(appending("1", 2, &["c"])).await.expect("the version that it has");
}

/// The aggregate's name ends where it ends, not at a hyphen.
pub async fn keeps_streams_with_similar_names_apart(Fixture { store, guard: _guard, .. }: Fixture) {
    for (aggregate, id) in [("a", "b-c"), ("a-b", "c")] {
        let append = super::Append { aggregate, ..append(id, 0, &[aggregate]) };
        store.commit(Unit { append: Some(append), ..Unit::default() }).await.expect("a new stream");
    }
    for (aggregate, id) in [("a", "b-c"), ("a-b", "c")] {
        let events = store.read_stream(StreamId::new(aggregate, id), 0).await.expect("readable");
        assert_eq!(payloads(&events), [aggregate]);
    }
}

/// Many callers on few streams: each success is in the log once, nothing else is, and no number is missing.
pub async fn puts_concurrent_commands_in_one_order(Fixture { store, guard: _guard, .. }: Fixture) {
    const CALLERS: usize = 32;
    const COMMANDS: usize = 20;
    let calls = (0..CALLERS).map(|caller| tokio::spawn(append_with_retries(store.clone(), caller, COMMANDS)));
    let mut acknowledged = BTreeMap::new();
    for result in join_all(calls).await {
        acknowledged.extend(result.expect("no caller panics"));
    }
    assert_eq!(acknowledged.len(), CALLERS * COMMANDS);

    let log = whole_log(&store).await;
    assert_eq!(log.len(), CALLERS * COMMANDS);
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for (index, event) in log.iter().enumerate() {
        assert_eq!(event.position, index as u64 + 1);
        let version = versions.entry(&event.aggregate_id).or_default();
        *version += 1;
        assert_eq!(event.version, *version);
        let payload = std::str::from_utf8(&event.payload).expect("text");
        assert_eq!(acknowledged.get(payload), Some(&event.position), "{payload}");
    }
}

async fn append_with_retries(store: SharedStore, caller: usize, commands: usize) -> Vec<(String, u64)> {
    let mut acknowledged = Vec::new();
    let id = (caller % 4).to_string();
    let mut version = 0;
    for command in 0..commands {
        let payload = format!("{caller}/{command}");
        loop {
            match store.commit(appending(&id, version, &[&payload])).await {
                Ok(committed) => {
                    version += 1;
                    acknowledged.push((payload, committed.position));
                    break;
                }
                Err(CommitError::Conflict { actual }) => version = actual,
                Err(error) => panic!("{error}"),
            }
        }
    }
    acknowledged
}

/// A store bounds its transactions; nobody is forgotten for that.
pub async fn commits_more_at_once_than_fit_in_one_transaction(Fixture { store, guard: _guard, .. }: Fixture) {
    const UNITS: usize = 3000;
    let units = (0..UNITS).map(|number| store.commit(appending(&number.to_string(), 0, &["x"])));
    let mut positions: Vec<u64> =
        join_all(units).await.into_iter().map(|result| result.expect("a new stream").position).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=UNITS as u64).collect::<Vec<_>>());
}

/// Whoever has an answer and looks at the head finds the answer's position reached.
pub async fn tells_the_head_before_the_answer(Fixture { store, guard: _guard, .. }: Fixture) {
    let head = store.head();
    assert_eq!(*head.borrow(), 0);
    for number in 1..=20_u64 {
        let committed = store.commit(appending(&number.to_string(), 0, &["x"])).await.expect("a new stream");
        assert_eq!(committed.position, number);
        assert_eq!(*head.borrow(), number);
        assert_eq!(*store.head().borrow(), number);
    }
}

/// Projections sleep until there is something.
pub async fn wakes_whoever_waits_for_the_head(Fixture { store, guard: _guard, .. }: Fixture) {
    let mut head = store.head();
    let waiting = tokio::spawn(async move { head.wait_for(|head| *head >= 3).await.map(|head| *head) });
    store.commit(appending("1", 0, &["a"])).await.expect("a new stream");
    store.commit(appending("1", 1, &["b", "c"])).await.expect("the right version");
    assert_eq!(waiting.await.expect("no panic").expect("the store lives"), 3);
}

fn snapshot(version: u64, schema: &str) -> Snapshot {
    Snapshot {
        stream: StreamId::new("Thing", "1"),
        schema: schema.to_owned(),
        version,
        ended: version.is_multiple_of(2),
        state: Bytes::from(format!("state {version}")),
    }
}

/// One that comes late does not push a newer one out.
pub async fn keeps_the_newest_snapshot(Fixture { store, guard: _guard, .. }: Fixture) {
    let load = || store.load_snapshot(StreamId::new("Thing", "1"), "s1".to_owned());
    assert_eq!(load().await.expect("readable"), None);
    for (saved, kept) in [(5, 5), (8, 8), (6, 8)] {
        store.save_snapshot(snapshot(saved, "s1")).await.expect("saved");
        assert_eq!(load().await.expect("readable"), Some(snapshot(kept, "s1")));
    }
    let other = store.load_snapshot(StreamId::new("Thing", "2"), "s1".to_owned()).await.expect("readable");
    assert_eq!(other, None);
}

/// The state's shape has changed: the old snapshot is a miss, and the new one takes its place at any version.
pub async fn misses_a_snapshot_of_another_schema(Fixture { store, guard: _guard, .. }: Fixture) {
    store.save_snapshot(snapshot(9, "s1")).await.expect("saved");
    let load = || store.load_snapshot(StreamId::new("Thing", "1"), "s2".to_owned());
    assert_eq!(load().await.expect("readable"), None);
    store.save_snapshot(snapshot(4, "s2")).await.expect("saved");
    assert_eq!(load().await.expect("readable"), Some(snapshot(4, "s2")));
}
