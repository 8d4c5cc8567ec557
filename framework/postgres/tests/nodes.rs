//! Several nodes on one database. `POTTER_LOSS_EVENTS` says how many events the loss test writes; 4,000 unless told.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::join_all;
use potter_core::event::{EventMetadata, NewEvent};
use potter_core::store::contract::hot;
use potter_core::store::{Append, Claim, ClaimKey, CommitError, RecordedReply, SharedStore, Unit};
use potter_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// A node that is patient: what is looked for here is what gets lost, however slow a busy machine is.
async fn open(dsn: &str) -> SharedStore {
    Arc::new(PostgresStore::open(&format!("{dsn}?timeout=60")).await.expect("it can be opened"))
}

async fn two_nodes() -> (String, [SharedStore; 2]) {
    let dsn = support::database().await;
    let nodes = [open(&dsn).await, open(&dsn).await];
    (dsn, nodes)
}

fn unit(id: Uuid, stream: &str, expected_version: u64) -> Unit {
    let event = NewEvent { id, event_type: "thing.happened", schema_version: 1, payload: Bytes::from_static(b"x") };
    let append = Append {
        aggregate: "Thing",
        aggregate_id: stream.to_owned(),
        expected_version,
        events: vec![event],
        metadata: EventMetadata::default(),
        time: SystemTime::now(),
    };
    Unit { append: Some(append), ..Unit::default() }
}

/// Some numbers without a rhythm.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Writes so many events, each to a stream of its own; every fourth is refused first, and delays vary.
async fn write(node: SharedStore, writer: u64, events: u64) -> Vec<Uuid> {
    let mut written = Vec::new();
    for number in 0..events {
        let (id, stream) = (Uuid::now_v7(), format!("{writer}-{number}"));
        if scattered(number).is_multiple_of(4) {
            let refused = node.commit(unit(id, &stream, 7)).await;
            assert!(matches!(refused, Err(CommitError::Conflict { actual: 0 })), "{refused:?}");
        }
        for _ in 0..scattered(number) % 8 {
            tokio::task::yield_now().await;
        }
        node.commit(unit(id, &stream, 0)).await.expect("a new stream");
        written.push(id);
    }
    written
}

/// Reads the log from where it has come to, until it has seen so many events; as projections do.
async fn follow(node: SharedStore, events: u64) -> Vec<Uuid> {
    let mut head = node.head();
    let mut seen: Vec<Uuid> = Vec::new();
    while (seen.len() as u64) < events {
        let after = seen.len() as u64;
        head.wait_for(|head| *head > after).await.expect("the store lives");
        for event in node.read_all(after, 100).await.expect("readable") {
            assert_eq!(event.position, seen.len() as u64 + 1, "no gap, and in order");
            seen.push(event.id);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_lose_nothing_with_writers_on_two_nodes() {
    const WRITERS: u64 = 8;
    let events: u64 =
        std::env::var("POTTER_LOSS_EVENTS").map_or(4_000, |it| it.parse().expect("POTTER_LOSS_EVENTS is a number"));
    let (dsn, nodes) = two_nodes().await;
    // A transaction that goes on all the time, as a backup does; it must neither hold up nor hide anything.
    let elsewhere = connect(&dsn).await;
    elsewhere.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()").await.expect("begun");
    let each = events / WRITERS;
    let followers: Vec<_> = nodes.iter().map(|node| tokio::spawn(follow(node.clone(), each * WRITERS))).collect();
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(nodes[(writer % 2) as usize].clone(), writer, each)));
    let written: BTreeSet<Uuid> =
        join_all(writers).await.into_iter().flat_map(|written| written.expect("no writer panics")).collect();
    for follower in followers {
        let seen = follower.await.expect("no follower panics");
        assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), written);
    }
    println!("{} events by {WRITERS} writers on two nodes: 0 lost, 0 out of order", written.len());
}

/// What the test above would find, if positions were taken before the commit: so it can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_of_a_sequence_loses() {
    let dsn = support::database().await;
    support::execute(&dsn, "CREATE TABLE events (position BIGSERIAL PRIMARY KEY)").await;
    let (first, second) = (connect(&dsn).await, connect(&dsn).await);
    first.batch_execute("BEGIN; INSERT INTO events DEFAULT VALUES").await.expect("inserted");
    second.batch_execute("INSERT INTO events DEFAULT VALUES").await.expect("inserted");
    let reader = connect(&dsn).await;
    let next = "SELECT position FROM events WHERE position > $1 ORDER BY position";
    let seen: Vec<i64> = reader.query(next, &[&0_i64]).await.expect("readable").iter().map(|row| row.get(0)).collect();
    assert_eq!(seen, [2]);
    first.batch_execute("COMMIT").await.expect("committed");
    let seen = reader.query(next, &[&2_i64]).await.expect("readable");
    assert!(seen.is_empty(), "position 1 has come too late for whoever has seen 2");
}

async fn connect(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.expect("the server answers");
    drop(tokio::spawn(connection));
    client
}

/// `POTTER_HOT_COMMANDS` says how many commands; 640 unless told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_stream_has_no_stale_decisions() {
    let commands =
        std::env::var("POTTER_HOT_COMMANDS").map_or(640, |it| it.parse().expect("POTTER_HOT_COMMANDS is a number"));
    let (_dsn, nodes) = two_nodes().await;
    hot::has_no_stale_decisions(&nodes, commands).await;
}

/// One execution, and everybody gets its reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sent_a_hundred_times_at_once_counts_once() {
    let (_dsn, nodes) = two_nodes().await;
    let calls = (0..100_u64).map(|call| {
        let key = ClaimKey { command: "thing.make", caller: "ada".to_owned(), key: "k".to_owned() };
        let body = Bytes::from(call.to_string());
        let reply = RecordedReply { body, aggregate_id: call.to_string(), version: 1, command_id: None };
        let claim = Some(Claim { key, request_hash: [1; 32], reply, event: None });
        let unit = Unit { claim, ..unit(Uuid::now_v7(), &call.to_string(), 0) };
        let node = nodes[(call % 2) as usize].clone();
        tokio::spawn(async move { (call, node.commit(unit).await) })
    });
    let (mut executed, mut told) = (Vec::new(), BTreeSet::new());
    for answer in join_all(calls).await {
        match answer.expect("no caller panics") {
            (call, Ok(_)) => executed.push(call.to_string()),
            (_, Err(CommitError::Claimed(claim))) => drop(told.insert(claim.reply.aggregate_id)),
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(executed.len(), 1);
    assert_eq!(told.into_iter().collect::<Vec<_>>(), executed);
    assert_eq!(nodes[0].read_all(0, 10).await.expect("readable").len(), 1);
}

/// By notification, or at the latest when it looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_writes_the_other_sees_soon() {
    let (_dsn, nodes) = two_nodes().await;
    let mut head = nodes[1].head();
    for number in 1..=20_u64 {
        nodes[0].commit(unit(Uuid::now_v7(), &number.to_string(), 0)).await.expect("a new stream");
        let seen = tokio::time::timeout(Duration::from_secs(5), head.wait_for(|head| *head >= number)).await;
        seen.expect("it is told").expect("the store lives");
    }
}
